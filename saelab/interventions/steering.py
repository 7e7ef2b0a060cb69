"""Change a forward pass through an SAE's latents.

Both tools keep what the SAE does not explain. An edit that takes latent j from ``a`` to ``new`` adds
``(new - a) * W_dec[j]`` to the activations and touches nothing else, which is the splice with the error term
of the clean pass: without edits the model is exactly itself, and ablating takes away exactly ``a *
W_dec[j]``.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from saelab import identity, models
from saelab.doors import door
from saelab.errors import SaelabError, check_model, check_sae, check_tensor
from saelab.interventions.directions import Direction
from saelab.interventions.edits import Edit, Intervention
from saelab.interventions.passes import Pass, Watch, text_begins, watched
from saelab.interventions.runner import EditRunner
from saelab.interventions.sites import EditSchedule, SAEAtHook, by_hook
from saelab.interventions.targets import Target, title
from saelab.models import HookedModel
from saelab.sae import SAE, Codes, SAEConfig


def bare(model: HookedModel, hook: str, width: int) -> SAE:
    """What stands in the place of an SAE where directions alone are edited: one latent, which never fires."""
    config = SAEConfig("relu", d_in=width, d_sae=1, hook_in=hook, bos=models.default_bos(model))
    sae = SAE(config).to(models.device(model)).requires_grad_(False)
    for p in sae.parameters():
        p.zero_()
    return sae


def housed(model: HookedModel, sae: Any, edits: Any) -> Any:
    """``sae``; in place of None, where ``edits`` are of directions, [(what stands for an SAE at their hook point, the
    edits there), …]."""
    if sae is not None or edits is None:
        return sae
    check_model(model)
    if isinstance(edits, Intervention):
        place = edits.sae
        if place["d_sae"] != 1 or not edits.directions:
            raise SaelabError("this intervention is about latents: give the sae whose latents they are")
        return [(bare(model, place["hook_out"], place["d_out"]), edits)]
    one_by_one = edits.items() if isinstance(edits, Mapping) else [(e, None) for e in ([edits] if isinstance(
        edits, (Edit, Direction)) else edits if isinstance(edits, Iterable) else [None])]  # fmt: skip
    groups: dict[tuple[str, int], Any] = {}
    for key, value in one_by_one:
        target = key.latent if isinstance(key, Edit) else key
        if not isinstance(target, Direction):
            raise SaelabError(f"edits of {title(target)} need the sae whose latents they change; "
                              "without one, edits are {direction: strength}")  # fmt: skip
        empty: Any = {} if isinstance(edits, Mapping) else []
        group = groups.setdefault((target.hook, len(target.vector)), empty)
        if isinstance(group, dict):
            group[key] = value
        else:
            group.append(key)
    return [(bare(model, *place), some) for place, some in groups.items()]


def one_site(model: HookedModel, sae: SAE | None, targets: Sequence[Target]) -> SAE:
    """``sae``, or what stands for one where all ``targets`` are directions at one hook point."""
    if sae is not None:
        check_sae(sae)
        return sae
    found = housed(model, None, list(targets))
    if len(found) != 1:
        raise SaelabError("these directions belong to several hook points; take those of one at a time")
    return found[0][0]


def paired(sae: Any, edits: Any = None) -> list[tuple[SAE, Any]]:
    """One SAE with ``edits``, or a list of SAEs or (SAE, its edits), as a list of pairs."""
    if isinstance(sae, SAE):
        return [(sae, edits)]
    if not isinstance(sae, Sequence) or isinstance(sae, str):
        check_sae(sae)
    found: list[Any] = [
        (s, edits) if isinstance(s, SAE) else tuple(s) if isinstance(s, (list, tuple)) else () for s in sae
    ]
    if not found or any(len(p) != 2 or not isinstance(p[0], SAE) for p in found):
        raise SaelabError("sae is an SAE, or a list of (sae, edits) pairs")
    return found


# ------------------------------------------------------------------------------------------------- steer


@dataclass(eq=False)
class Steering:
    """What a :func:`steer` block has done so far.

    Attributes
    ----------
    interventions
        The SAEs and their checked edits; ``interventions[0][1].save(path)`` keeps one.
    fired
        Runs of each hook.
    edited
        Positions changed, over all passes (with a cache off, a position is run again at every step).
    prompt_tokens
        Tokens before generation begins (of the longest prompt), as far as known.
    mismatch
        What does not belong together here and was allowed.
    """

    interventions: list[tuple[SAE, Intervention]]
    schedule: EditSchedule
    fired: Counter[str] = field(default_factory=Counter)
    edited: int = 0
    mismatch: tuple[str, ...] = ()

    @property
    def prompt_tokens(self) -> int | None:
        prompt = self.schedule.prompt
        return self.schedule.fixed if prompt is None else int(prompt.max())

    def __str__(self) -> str:
        return " | ".join([*(str(i) for _, i in self.interventions), *self.mismatch])


def checked(
    model: HookedModel, sae: Any, edits: Any = None, relative: Any = None, **common: Any
) -> list[tuple[SAE, Intervention]]:
    """The edits of :func:`steer` as they are kept; whether the model has the SAE's hook points is not asked."""
    check_model(model)
    Edit(**common)  # names are wrong whether or not an edit uses them
    for s, _ in (pairs := paired(housed(model, sae, edits), edits)):
        identity.meet(model, s, relative)
    made = [(s, Intervention.make(s, e, relative=relative, **common)) for s, e in pairs]
    for s, i in made:
        identity.meet(model, s, *i.directions)
    return made


def interventions(
    model: HookedModel, sae: SAE | Sequence[tuple[SAE, Any]] | None, edits: Any = None, **options: Any
) -> list[tuple[SAE, Intervention]]:
    """The checked edits of :func:`steer`, without running anything; ``[0][1].save(path)`` keeps them."""
    return [(SAEAtHook(model, s).sae, i) for s, i in checked(model, sae, edits, **options)]


@door
@contextlib.contextmanager
def steer(
    model: HookedModel,
    sae: SAE | Sequence[tuple[SAE, Any]] | None,
    edits: Any = None,
    *,
    mode: str = "add",
    positions: str | Sequence[int] = "all",
    relative: Any = None,
    when: int | Direction | None = None,
    above: float = 0.0,
    schedule: Sequence[float] | None = None,
    special: bool = False,
    prompt_tokens: int | None = None,
) -> Iterator[Steering]:
    """Change latents in every forward pass of this thread inside the block.

    Blocks nest: an inner one reads what the outer one wrote. A user's own hooks stay.
    The model of transformers inside, ``model.original_model``, is steered too, so a tool that takes one runs in the block.
    With lm-evaluation-harness: ``lm_eval.simple_evaluate(HFLM(model.original_model, tokenizer=model.tokenizer,
    add_bos_token=sae.config.bos), tasks=[…])``, for positions ``"all"``, as it fills up rows without a mask.

    Parameters
    ----------
    sae, edits
        One SAE and its edits, or a list of ``(sae, edits)`` pairs. Edits: ``{latent: strength}``, ``{latent:
        Edit}``, a list of :class:`Edit`, a list of latents to ablate, or an :class:`Intervention`. A latent may be a
        :class:`Direction` where the SAE writes; of directions alone, at any hook points, the SAE may be None.
    mode, positions, when, above, schedule
        For the edits given as plain numbers; see :class:`Edit`.
    relative
        Strengths are in units of each latent's maximum: a ``LatentIndex`` or ``{latent: maximum}``.
    special
        Edit special tokens (such as BOS) as well. Padding never is.
    prompt_tokens
        Where the prompt ends, for a generation loop without a cache, whose steps look like longer and longer
        prompts. ``saelab.generate`` needs no such help.

    Raises
    ------
    SaelabError
        Before anything runs: unknown names, latents out of range. In a pass: a place in ``positions`` that is
        a special token. At the end: a place that no text reached.
    HookError
        If a hook point does not exist, or did not fire.

    Examples
    --------
    >>> with sl.steer(model, sae, {latent: 8.0}) as steering:
    ...     logits = model("Once upon a time")
    >>> steering.edited > 0
    True
    """
    common = {"mode": mode, "positions": positions, "when": when, "above": above, "schedule": schedule}
    pairs = checked(model, sae, edits, relative, **common)
    planned = EditSchedule(model, special=special, prompt_tokens=prompt_tokens)
    runners = [EditRunner(model, s, i, planned) for s, i in pairs]
    mismatch = tuple(note for s, i in pairs for note in identity.meet(model, s, relative, *i.directions))
    steering = Steering(pairs, planned, mismatch=mismatch)

    def begin(p: Pass, watch: Watch) -> None:
        planned.begin(p)
        steering.edited += sum(runner.plan(p, watch) for runner in runners)

    hooks = by_hook(runners, lambda runner, hook, x, p: runner.change(hook, x))
    with (
        text_begins(model, [s for s, _ in pairs]),
        watched(model, hooks, begin) as watch,
        identity.changing(model, str(steering)),
    ):
        steering.fired = watch.fired
        yield steering
    planned.check_reached()


# ------------------------------------------------------------------------------------------------ attach


@dataclass(eq=False)
class Attached:
    """What a spliced SAE saw in the last pass.

    Attributes
    ----------
    codes
        :class:`~saelab.sae.Codes` (B, T, d_sae) of the last pass, before any edit; with several SAEs, of the
        first.
    all_codes
        The same for each SAE.
    fired
        Runs of each hook.
    mismatch
        What does not belong together here and was allowed.
    """

    fired: Counter[str]
    all_codes: list[Codes | None]
    mismatch: tuple[str, ...] = ()

    @property
    def codes(self) -> Codes:
        if self.all_codes[0] is None:
            raise SaelabError("no forward pass has run inside the block yet")
        return self.all_codes[0]


@door
@contextlib.contextmanager
def attach(
    model: HookedModel,
    sae: SAE | Sequence[SAE],
    *,
    error: bool = False,
    edit: Callable[[Tensor], Tensor] | None = None,
    mask: Tensor | None = None,
    special: bool = False,
) -> Iterator[Attached]:
    """Splice SAEs (or transcoders, crosscoders) into every forward pass of this thread inside the block.

    Parameters
    ----------
    sae
        One or several.
    error
        False: their hook points carry the reconstruction. True: the reconstruction and what it lacks, so that
        the model stays exactly itself and only ``edit`` has an effect.
    edit
        ``f(latents (B * T, d_sae)) -> latents``; positions that are not spliced are ignored. None changes
        nothing.
    mask
        (B, T) bool, where to splice; None is everywhere.
    special
        Splice special tokens (such as BOS) too; an SAE has rarely seen them. Padding never is.

    Examples
    --------
    >>> with sl.attach(model, sae) as spliced:
    ...     logits = model("Once upon a time")
    >>> spliced.codes.l0().shape == logits.shape[:2]
    True
    """
    mask = None if mask is None else check_tensor("mask", mask, "b")
    schedule = EditSchedule(model, special=special)
    sites = [SAEAtHook(model, s) for s, _ in paired(sae)]
    state = Attached(Counter(), [None] * len(sites), tuple(n for site in sites for n in site.mismatch))
    spliced: dict[SAEAtHook, Tensor | None] = {}

    def begin(p: Pass, watch: Watch) -> None:
        schedule.begin(p)
        spliced.clear()
        if mask is not None and mask.shape != p.ids.shape:
            raise SaelabError(
                f"mask has shape {tuple(mask.shape)}, the tokens of this pass {tuple(p.ids.shape)}"
            )
        for site in sites:
            site.begin(p, watch, True)

    def write(site: SAEAtHook, hook: str, x: Tensor, p: Pass) -> Tensor | None:
        part = site.slices[hook]
        site.check_width(hook, x, part.stop - part.start)
        if site not in spliced:
            inputs = site.input(None)  # (B * T, d_in)
            if site.x is not None and not site.crosscoder:  # whose own pass has looked
                models.check_finite(model, f"hook point {site.reads[0]!r}", site.x, p.ids, p.real)
            codes = replace(site.sae.encode_sparse(inputs), lead=tuple(x.shape[:2]))
            state.all_codes[sites.index(site)] = codes
            spliced[site] = _spliced(site.sae, codes, edit, error)
        new = spliced[site]
        if new is None:
            return None
        on = (schedule.allowed if mask is None else schedule.allowed & mask.to(p.ids.device)).to(x.device)
        new = new.reshape(*x.shape[:2], -1)[..., part].to(x.device)  # (B, T, d)
        new = new if error else new - x.to(new.dtype)
        return torch.where(on[..., None], new, torch.zeros_like(new))

    title = ", ".join(f"an SAE attached at {site.sae.config.hook_in}" for site in sites)
    with (
        text_begins(model, [s.sae for s in sites]),
        watched(model, by_hook(sites, write), begin) as watch,
        identity.changing(model, title),
    ):
        state.fired = watch.fired
        yield state


def _spliced(sae: SAE, codes: Codes, edit: Callable[[Tensor], Tensor] | None, error: bool) -> Tensor | None:
    """(rows, d_out) in float32: the reconstruction, or with the error term the change that ``edit`` makes."""
    if edit is None:
        return None if error else sae.decode(codes).float()
    old = codes.dense().flatten(0, -2)  # (rows, d_sae)
    new = edit(old.clone())
    if not isinstance(new, Tensor) or new.shape != old.shape:
        raise SaelabError(
            f"edit must give back latents of shape {tuple(old.shape)}, got {getattr(new, 'shape', new)!r}"
        )
    after = sae.decode(new, codes.stats, codes.skip).float()
    return after - sae.decode(old, codes.stats, codes.skip).float() if error else after
