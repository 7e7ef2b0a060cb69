"""Evaluate SAEs: how well they reconstruct, and what the model loses when it runs on the reconstruction.

One mask serves every run: special tokens and padding are never replaced, neither by the reconstruction nor
by zeros nor by the mean, and never enter a statistic. (Ablating BOS destroys a model, which makes every SAE
look good beside it.) Sums are kept in float64 and divided once, so nothing depends on the batch size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saelab import identity, models
from saelab.display import Bar
from saelab.doors import door
from saelab.errors import SaelabError, check_count, check_model
from saelab.evaluation.comparison import Reports, named
from saelab.evaluation.measure import measure, measure_items
from saelab.evaluation.report import Report, report
from saelab.index.storage.items import alone, check_items
from saelab.interventions import hook_points
from saelab.models import HookedModel
from saelab.sae import SAE


@door
def evaluate(
    model: HookedModel | None,
    sae: SAE,
    texts: models.Texts,
    *,
    tokens: int | str | None = "100k",
    batch_tokens: int = 4096,
    progress: bool = True,
) -> Report:
    """Measure an SAE, a transcoder or a crosscoder on ``texts``.

    Parameters
    ----------
    texts
        As for :func:`saelab.tokenize_texts`: strings, token ids, or rows made before (taken whole). Use text the
        SAE was not trained on. Without a model (None) an :class:`saelab.ActivationStore`; there are no losses then.
    tokens
        Stop after this many tokens; None takes all.
    batch_tokens
        Tokens in one forward pass. Logits are made for a few positions at a time, whatever the vocabulary.

    Returns
    -------
    Report
        Shown as a table; ``to_frame()``, ``to_json()``. More metrics are in :mod:`saelab.evaluation`. Intervals are of
        95 % and stand from 50 documents up, of what few documents decide from 300 up, of the explained variance from
        1,000 and of the squared error from 2,000 up (``notes`` says so). What rests on the mean that is put in place has
        none: that mean is of the same documents.

    Raises
    ------
    SaelabError
        If the SAE does not fit the model, rows are of another tokenizer, there is no text, or no position can be
        counted.

    Examples
    --------
    >>> sl.evaluate(model, sae, texts, progress=False).l0 <= 6
    True
    """
    return evaluate_many(
        model, [sae], texts, tokens=tokens, batch_tokens=batch_tokens, progress=progress
    )[0]  # fmt: skip


@door
def evaluate_many(
    model: HookedModel | None,
    saes: Sequence[SAE] | Mapping[str, SAE],
    texts: models.Texts,
    *,
    tokens: int | str | None = "100k",
    batch_tokens: int = 4096,
    progress: bool = True,
) -> Reports:
    """Measure several SAEs on the same tokens, sharing the passes that do not depend on the SAE.

    Parameters
    ----------
    saes
        A list, or names with SAEs; they may be of different kinds and hook points. Rows are as long as the
        shortest ``context`` among them.

    Other parameters mean what they mean in :func:`evaluate`.

    Returns
    -------
    Reports
        ``reports["name"]`` or ``reports[0]`` is one report; ``to_frame()`` one table of all, ``frontier()`` a
        plot of sparsity against fidelity.

    Examples
    --------
    >>> list(sl.evaluate_many(model, {"a": sae, "b": sae}, texts, progress=False))
    ['a', 'b']
    """
    names, saes = named(saes)
    check_count("batch_tokens", batch_tokens)
    bar = {"unit": "tok", "unit_scale": True, "desc": "evaluate, two passes", "disable": not progress}
    if alone(model, texts):
        mismatch = [check_items(sae, texts) for sae in saes]
        n = min(len(texts), len(texts) if tokens is None else models.parse_tokens(tokens))
        with Bar(total=2 * n, **bar) as told:
            found = measure_items(saes, texts, n, batch_tokens, told)
    else:
        assert model is not None
        given = texts if isinstance(texts, models.TokenRows) else None
        check_model(model)
        identity.check_unchanged(model, "a report")
        mismatch = [identity.meet(model, sae, given) for sae in saes]
        rows = _rows(model, saes, texts, tokens)
        with Bar(total=2 * rows.n_tokens, **bar) as told:
            found = measure(model, saes, rows, batch_tokens, told)
    vocabulary = 0 if model is None else models.vocab_size(model)
    reports = [
        report(sae, sums, vocabulary, notes) for sae, sums, notes in zip(saes, found, mismatch, strict=True)
    ]
    return Reports(dict(zip(names, reports, strict=True)), dict(zip(names, saes, strict=True)))


def _rows(
    model: HookedModel, saes: Sequence[SAE], texts: models.Texts, tokens: int | str | None
) -> models.TokenRows:
    """The rows that all of these SAEs are measured on."""
    for sae in saes:
        for hook in (*hook_points(sae.config.hook_in), *hook_points(sae.config.hook_out)):
            models.check_hook(model, hook)
    bos = {sae.config.bos for sae in saes}
    if len(bos) > 1:
        raise SaelabError(
            "some of these SAEs were trained on rows that begin with BOS and some on rows that do not: "
            "they cannot be compared on the same tokens"
        )
    contexts = [sae.config.context for sae in saes if sae.config.context is not None]
    return models.tokenize_texts(
        model, texts, context=min(contexts) if contexts else None, bos=bos.pop(), tokens=tokens
    )
