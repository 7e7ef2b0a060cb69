"""The calls a notebook makes: train one SAE, several from one pass over the model, or a grid of settings."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from saelab import models
from saelab.activations.store import ActivationStore
from saelab.display import in_notebook
from saelab.doors import door
from saelab.errors import SaelabError, unknown
from saelab.models import HookedModel
from saelab.sae import SAE
from saelab.training import checkpoint, written
from saelab.training.monitor import Monitor
from saelab.training.run import OnLog, Run
from saelab.training.spec import RunSettings, SAESpec
from saelab.training.text_monitor import TextMonitor


def _trained(
    model: HookedModel | ActivationStore, texts: models.Texts | None, specs: list[SAESpec], settings: RunSettings,
    progress: bool, on_log: OnLog | None, monitor: bool | str | Monitor, given: dict[str, Any] | None = None,
) -> list[SAE]:  # fmt: skip
    run, watch = Run(model, texts, specs, settings), _monitor(monitor)  # type: ignore[arg-type]
    if given is not None and run.folder is not None:
        folder = run.folder.path
        run.folder.describe = lambda: written.write(folder, train, model, texts, given)

    def resume() -> None:
        run.resume()
        run.fit(progress, on_log, watch)

    if settings.resume:
        assert run.folder is not None
        if checkpoint.exists(run.folder.path):
            run.restore(run.folder)
        elif (saes := run.folder.finished()) is not None:
            run.check_texts(saes)
            saes = [sae.to(run.device) for sae in saes]
            if watch is not None:
                watch.finished(saes)
            return saes
    if watch is not None:
        watch.begin(run, resume)
    return run.fit(progress, on_log, watch)


def _picked(kind: type, given: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments of a call that are fields of ``kind``."""
    return {f.name: given[f.name] for f in fields(kind) if f.name in given}


def _monitor(wanted: bool | str | Monitor) -> Monitor | None:
    """What is to watch a run, from the ``monitor`` of a call."""
    if wanted is False:
        return None
    if wanted is True:
        if not in_notebook():
            return TextMonitor()
        from IPython.display import display

        from saelab.widgets.training_monitor import TrainingMonitor

        shown = TrainingMonitor()
        display(shown)
        return shown
    if isinstance(wanted, str) and wanted == "text":
        return TextMonitor()
    if isinstance(wanted, (bool, str)) or not all(
        hasattr(wanted, n) for n in ("begin", "step", "end", "finished")
    ):
        raise unknown("monitor", wanted, [True, False, "text", "sl.training_monitor()"])
    return wanted


def _only_hook(model: HookedModel | ActivationStore) -> str | None:
    """The hook point of a store that has just one."""
    return model.hooks[0] if isinstance(model, ActivationStore) and len(model.hooks) == 1 else None


@door
def train(
    model: HookedModel | ActivationStore,
    texts: models.Texts | None = None,
    *,
    hook: str | Sequence[str] | None = None,
    d_sae: int | None = None,
    arch: str | None = None,
    k: int | None = None,
    tokens: int | float | str | None = None,
    batch: int = 2048,
    lr: float | None = None,
    warmup: float = 0.05,
    decay: float = 0.5,
    aux_coef: float = 1 / 32,
    aux_k: int | None = None,
    dead_after: int | None = None,
    clip: float = 1.0,
    precision: str = "auto",
    context: int | None = None,
    bos: bool | None = None,
    buffer: int = 1 << 16,
    seed: int = 0,
    epochs: int = 1,
    device: str | None = None,
    out: str | Path | None = None,
    progress: bool = True,
    on_log: OnLog | None = None,
    hook_out: str | None = None,
    normalize: str | None = None,
    tied: bool = False,
    skip: bool = False,
    prefixes: Sequence[int] | None = None,
    options: dict[str, Any] | None = None,
    ema: float = 0.0,
    outlier: float | None = 20.0,
    checkpoint_every: int | float | str | None = None,
    resume: bool = False,
    init: SAE | None = None,
    monitor: bool | str | Monitor = False,
) -> SAE:
    """Train an SAE on the activations of a hook point.

    Parameters
    ----------
    model
        From :func:`saelab.load_model`; or an :class:`saelab.ActivationStore`, which holds activations already.
    texts
        As for :func:`saelab.tokenize_texts`: strings, token ids, rows (none with a store). A list is read again up
        to ``epochs`` times; an iterator is read once. If the text ends before ``tokens`` are seen, training ends
        there and the record says so.
    hook
        Hook point to read, such as ``"blocks.0.mlp.hook_post"``; a store of one hook point needs none.
        Several make a crosscoder, which reads and writes them side by side.
    hook_out
        Hook point to predict, if it is another one: a transcoder.
    arch
        ``topk`` (if nothing is said), ``batchtopk``, ``matryoshka``, ``relu``, ``gated`` or ``jumprelu``.
    d_sae, k
        Number of latents, and how many of them a token may use (on average, except for ``topk``); k is 32
        if nothing is said. ``relu``, ``gated`` and ``jumprelu`` are tuned to that by their penalty, unless
        ``options`` gives its coefficient.
    tokens
        Budget, as a number or ``"2M"``; None: 2M from text, all ``epochs`` times the rows of a store.
    batch, lr, warmup, decay, aux_coef, aux_k, dead_after, clip, precision, ema, seed
        The recipe; see :class:`TrainConfig`.
    context, bos
        Row length and whether rows begin with BOS; None: the model's own.
    buffer
        Activations held in memory for shuffling.
    device
        Where the SAE is trained and stays; None: where the model is, and the CPU with a store. Its first weights
        do not depend on it.
    normalize
        ``"none"``, ``"scale"`` (mean norm of the counted tokens becomes sqrt(d); ``sae.fold()`` takes it
        out again), ``"layer_norm"`` or ``"constant_norm"`` (each row by itself); None: ``"none"`` for the
        TopK family, ``"scale"`` for the others.
    tied, skip, prefixes
        See :class:`saelab.SAEConfig`.
    options
        Settings of the architecture: the fields of ``saelab.sae.<arch>.Options``, such as ``{"l1": 0.3}``
        or ``{"p_end": 0.2}`` for ``relu``, ``{"multi": 1/8}`` or ``{"k_start": 128}`` for ``topk``,
        ``{"target_l0": 20}`` for ``jumprelu``.
    outlier
        Leave out rows with a norm above this many times the median; they are counted in the record.
    out
        Save the SAE in this folder at the end (also after an interrupt). ``spec.json`` there says what was asked for, and
        the model's dtype and digest: ``torchrun --nproc-per-node 4 -m saelab train out/spec.json`` goes on with the run
        by four processes.
    checkpoint_every
        Write the whole state of the run to ``out`` each time this many tokens are done, and when it is
        interrupted.
    resume
        Go on from the checkpoint in ``out``, to the same weights as without the break (bit by bit on a
        CPU). Without a checkpoint the run begins; if it has ended already on these texts, its SAE is loaded.
    init
        An SAE to go on from, trained here or loaded from anywhere; it is copied, not changed. It decides
        ``hook``, ``d_sae``, ``arch``, ``k``, the normalization with its scale, and whether rows begin with
        BOS; those need not be said, and another value is an error. A ``relu``, ``gated`` or ``jumprelu``
        SAE does not say how sparse it is to be: give ``k`` or ``options``.
    on_log
        Called about 50 times during the run with the :class:`Trainer` (``trainer.curves``,
        ``trainer.hints()``); return False to stop early. ``saelab.training.wandb_logger(run)`` and
        ``tensorboard_logger(writer)`` make such functions.
    monitor
        True: watch the run, in place of the progress bar. In a notebook this shows a
        :class:`saelab.widgets.TrainingMonitor` under the cell: curves, hints, and buttons to stop and to
        resume; elsewhere, or with ``"text"``, a line is written every 10 seconds, and the curves at the end.
        Or give the result of :func:`saelab.training_monitor`, shown where you like, or
        ``saelab.training.TextMonitor(every=2)``, or a :class:`saelab.training.monitor.Monitor` of your own.
        A watched run that is stopped leaves a checkpoint in ``out``, if that is given. The weights are the
        same as those of a run that nobody watches.

    Returns
    -------
    SAE
        With ``sae.history`` (curves, one line per log) and ``sae.record``. With ``ema``, and for BatchTopK and
        Matryoshka, the curves are of the weights in training and of the k largest of a batch; explained variance and
        L0 of the last line are of the SAE that is returned. Interrupting the cell returns
        the SAE as it is by then.

    Raises
    ------
    SaelabError
        Before work starts, for anything that cannot work: an unknown hook, k > d_sae, a budget of less than
        one batch, no text, a run that takes more memory than is free, another process that trains into ``out``, a
        checkpoint or finished run with other settings (named) or other texts.

    Examples
    --------
    >>> found = sl.train(model, texts, hook="blocks.0.hook_resid_post", d_sae=32, k=4, tokens=64, batch=16)
    >>> found.config.d_sae, found.record["steps"]
    (32, 4)
    """
    given = locals()
    given["hook"] = _only_hook(model) if hook is None and init is None else hook
    spec, settings = SAESpec.of(_picked(SAESpec, given)), RunSettings(**_picked(RunSettings, given))
    return _trained(model, texts, [spec], settings, progress, on_log, monitor, given)[0]


@door
def train_many(
    model: HookedModel | ActivationStore,
    texts: models.Texts | None,
    configs: Sequence[dict[str, Any]],
    *,
    hook: str | Sequence[str] | None = None,
    tokens: int | float | str | None = None,
    batch: int = 2048,
    context: int | None = None,
    bos: bool | None = None,
    buffer: int = 1 << 16,
    seed: int = 0,
    epochs: int = 1,
    device: str | None = None,
    outlier: float | None = 20.0,
    out: str | Path | None = None,
    checkpoint_every: int | float | str | None = None,
    resume: bool = False,
    progress: bool = True,
    on_log: OnLog | None = None,
    monitor: bool | str | Monitor = False,
) -> list[SAE]:
    """Train several SAEs, at one or several hook points, from one pass over the model.

    Parameters
    ----------
    configs
        One dict per SAE with the keywords of :func:`train` that are its own: ``d_sae``, ``hook``,
        ``hook_out``, ``arch``, ``k``, ``normalize``, ``tied``, ``skip``, ``prefixes``, ``options``, ``lr``,
        ``warmup``, ``decay``, ``aux_coef``, ``aux_k``, ``dead_after``, ``clip``, ``precision``, ``ema``,
        ``seed``, ``init``.
    hook
        For those that name none.
    out
        The SAEs are saved in its subfolders ``0``, ``1``, ….

    Other parameters are shared by all and mean what they mean in :func:`train`.

    Returns
    -------
    list of SAE
        In the order of ``configs``.

    Examples
    --------
    >>> hook, sizes = "blocks.0.hook_resid_post", [{"d_sae": 32, "k": 4}, {"d_sae": 64, "k": 4}]
    >>> [s.config.d_sae for s in sl.train_many(model, texts, sizes, hook=hook, tokens=64, batch=16)]
    [32, 64]
    """
    given = locals()
    if not configs:
        raise SaelabError("configs is empty: give one dict per SAE, such as [{'d_sae': 4096, 'k': 32}]")
    shared = {"hook": _only_hook(model) if hook is None else hook, "seed": seed}
    specs = [SAESpec.of(shared | dict(config)) for config in configs]
    settings = RunSettings(**_picked(RunSettings, given))
    return _trained(model, texts, specs, settings, progress, on_log, monitor)


@door
def grid(
    model: HookedModel | ActivationStore,
    texts: models.Texts | None,
    *,
    shared: dict[str, Any] | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """Train an SAE for every combination of settings, from one pass over the model.

    Parameters
    ----------
    shared
        Keywords of :func:`train_many` such as ``tokens``, ``batch``, ``out``.
    **settings
        Keywords of one SAE; a list stands for each of its values: ``k=[16, 32], arch=["topk", "relu"]``.

    Returns
    -------
    DataFrame
        One line per SAE: the settings that vary, the last values of the curves, and the SAE itself in
        ``sae``.

    Examples
    --------
    >>> shared = {"tokens": 64, "batch": 16}
    >>> sl.grid(model, texts, hook="blocks.0.hook_resid_post", d_sae=32, k=[2, 4], shared=shared).shape
    (2, 7)
    """
    for name in shared or {}:
        if name not in inspect.signature(train_many).parameters:
            raise unknown("keyword in shared", name, inspect.signature(train_many).parameters)
    axes = {n: v if isinstance(v, list) else [v] for n, v in settings.items()}
    configs = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    saes = train_many(model, texts, configs, **(shared or {}))
    varied = [n for n, values in axes.items() if len(values) > 1]
    shown = ("explained_variance", "l0", "dead", "loss", "tokens")
    return pd.DataFrame(
        [
            {n: c[n] for n in varied} | {n: s.history.iloc[-1][n] for n in shown} | {"sae": s}
            for c, s in zip(configs, saes, strict=True)
        ]
    )
