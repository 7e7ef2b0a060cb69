"""What the dashboard draws of latents, as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from saelab.errors import SaelabError, check_count, check_latent
from saelab.index import relations
from saelab.index.examples import Found, Parts
from saelab.index.firings import Firings
from saelab.index.passages import Passages, around
from saelab.index.stats import histogram
from saelab.index.storage.digits import shortest
from saelab.index.storage.layout import AFTER, BEFORE
from saelab.widgets.tokens import grouped

if TYPE_CHECKING:
    import pandas as pd

_KINDS = ("decoder", "encoder", "coactivation")
_NEAR, _VOTES = 8, 10


def payload(index: Any, latent: int, **options: Any) -> dict[str, Any]:
    """:func:`payloads` of one latent."""
    return next(payloads(index, [latent], **options))


def payloads(
    index: Any,
    latents: Iterable[int],
    *,
    n: int = 20,
    seed: int = 0,
    bins: int = 40,
    context: int | None = None,
    one_per_document: bool = True,
) -> Iterator[dict[str, Any]]:
    """All that the dashboard draws of latents, as plain JSON, one after another.

    Parameters
    ----------
    index
        A :class:`saelab.LatentIndex`.
    n
        Examples of each kind.
    seed
        Of the random examples.
    context
        Tokens shown on each side of an example; 0: the whole row; None: ten before and five after.
    one_per_document
        Of each document the strongest example alone.

    Returns
    -------
    iterator of dict
        latent, d_sae, counted, excluded (positions), decoder_norm (None without an SAE), stats, histogram,
        examples (top, random), logits and nearest; where something cannot be had, ``{"reason": …}`` stands in
        its place.

    Raises
    ------
    SaelabError
        Before any work, if a latent is out of range.
    """
    wanted = [check_latent(i, index.d_sae) for i in latents]
    n, bins = check_count("n", n), check_count("bins", bins)
    return _payloads(index, wanted, n, seed, bins, one_per_document, sides(context))


def _payloads(
    index: Any, latents: list[int], n: int, seed: int, bins: int, thin: bool, around: dict[str, int]
) -> Iterator[dict[str, Any]]:
    for firings in Firings.groups(index, latents):
        stats, whole = index.stats_of(firings.latents), Parts.whole(index, firings)
        top, random = (
            _examples(index, firings, whole.found(*chosen), whole.copies(*chosen), **around)
            for chosen in (whole.strongest(n, thin), whole.at_random(n, seed))
        )
        votes = _each_or_reason(firings, lambda firings=firings: _votes(index, firings))
        near = {
            by: _each_or_reason(firings, lambda by=by, firings=firings: _nearest(index, firings, by))
            for by in _KINDS
        }
        norms = _decoder_norms(index, firings)
        for i, latent in enumerate(firings.latents.tolist()):
            edges, counts = histogram(firings.value[firings.ptr[i] : firings.ptr[i + 1]], bins)
            ends = edges.tolist()
            yield {
                "latent": latent,
                "d_sae": index.d_sae,
                "counted": index.n_counted,
                "excluded": index.n_tokens - index.n_counted,
                "decoder_norm": norms[i],
                "stats": {name: finite(value) for name, value in stats[i].items()},
                "histogram": {"lo": ends[:-1], "hi": ends[1:], "count": counts.tolist()},
                "examples": {"top": next(top), "random": next(random)},
                "logits": votes[i],
                "nearest": {by: of_each[i] for by, of_each in near.items()},
            }


def _decoder_norms(index: Any, firings: Firings) -> list[float | None]:
    """Activations of two SAEs, or here and on a public dashboard, compare only if their decoder rows are as long."""
    if index.sae is None:
        return [None] * len(firings)
    rows = index.sae.W_dec[firings.latents.tolist()].detach().float()  # (L, d_out)
    return list(exact_list(rows.norm(dim=1).cpu().numpy()))


def sides(context: int | None) -> dict[str, int]:
    """Tokens before and after an example's own: ``context`` on each side, 0 for all of the row."""
    before, after = (BEFORE, AFTER) if context is None else (context or 1 << 30,) * 2
    return {"before": before, "after": after}


def examples(
    index: Any, latent: int, found: pd.DataFrame, *, before: int = BEFORE, after: int = AFTER
) -> list[dict[str, Any]]:
    """Lines of ``index.top``, ``random`` or ``interval`` with their tokens and the activation on each."""
    token = found["token_index"].to_numpy(dtype=np.int64)
    lines = Found(np.zeros(len(token), np.int64), token, found["value"].to_numpy(dtype=np.float32))
    firings = Firings.of(index, [latent])
    return next(_examples(index, firings, lines, found["count"].to_numpy(), before=before, after=after))


def _examples(
    index: Any, firings: Firings, found: Found, count: np.ndarray, *, before: int, after: int
) -> Iterator[list[dict[str, Any]]]:
    """Latent by latent its examples: what was found, with tokens and activations."""
    shown = around(index, firings, found.part, found.token, before, after, characters=True)
    ids, labels = shown.ids.tolist(), index.vocab.labels(shown.ids)
    values, cuts, special = exact_list(shown.values), shown.ptr.tolist(), _special(index, shown)
    lines = list(
        zip(
            cuts, cuts[1:], shown.center.tolist(), shown.start.tolist(), shown.row.tolist(),
            index.rows.doc[shown.row].tolist(), shortest(found.value).tolist(), count.tolist(), strict=False,
        )
    )  # fmt: skip

    def example(i: int) -> dict[str, Any]:
        a, b, centre, start, row, doc, value, copies = lines[i]
        text: dict[str, Any] = {"ids": ids[a:b]}
        if i in shown.groups:
            text |= grouped(*shown.groups[i], labels[a:b])
        else:
            text["text"] = labels[a:b]
        if i in special:
            text["special"] = special[i]
        return {
            "text": text, "values": values[a:b], "centre": centre, "start": start, "row": row,
            "position": start + centre, "doc": doc, "value": value, "count": copies,
        }  # fmt: skip

    # one latent's at a time: what nobody keeps is gone before the next
    return ([example(i) for i in range(a, b)] for a, b in found.each(len(firings)))


def _special(index: Any, shown: Passages) -> dict[int, list[int]]:
    """Places of special tokens, by the number of the passage that has some."""
    out: dict[int, list[int]] = {}
    place = np.flatnonzero(np.isin(shown.ids, list(index.vocab.special)))
    owner = np.searchsorted(shown.ptr, place, side="right") - 1
    for i, at in zip(owner.tolist(), (place - shown.ptr[owner]).tolist(), strict=True):
        out.setdefault(i, []).append(at)
    return out


def values_at(index: Any, latent: int, first: int, n: int) -> list[float]:
    """Activation on ``n`` tokens from flat index ``first`` on."""
    token, value = index.postings(latent)
    a, b = np.searchsorted(token, [first, first + n])
    values = np.zeros(n, np.float32)
    values[np.asarray(token[a:b]) - first] = value[a:b]
    return exact_list(values)


def exact_list(values: np.ndarray) -> list[float]:
    """float32 numbers in the fewest digits that give them back: they are rounded once, where they are drawn."""
    out = np.zeros(len(values), dtype=object)  # 0, not 0.0: most values are 0, and "0" is shorter
    place = np.flatnonzero(values)
    out[place] = shortest(values[place]).tolist()
    return out.tolist()


def finite(value: Any) -> Any:
    """A number as it is; None for an undefined one."""
    if not isinstance(value, float):
        return value
    return (value or 0) if math.isfinite(value) else None


def _each_or_reason(firings: Firings, call: Callable[[], list[Any]]) -> list[Any]:
    """An answer for each latent, or the same reason for each why there is none."""
    try:
        return call()
    except SaelabError as error:  # no SAE attached, a hook point without a logit lens: said in its place
        return [{"reason": str(error)}] * len(firings)


def _votes(index: Any, firings: Firings) -> list[dict[str, list[list[Any]]]]:
    return [
        {
            "up": [list(pair) for pair in zip(v.up, exact_list(v.up_value), strict=True)],
            "down": [list(pair) for pair in zip(v.down, exact_list(v.down_value), strict=True)],
        }
        for v in relations.logit_lens(index, firings.latents, _VOTES)
    ]


def _nearest(index: Any, firings: Firings, by: str) -> list[list[dict[str, Any]]]:
    if by != "coactivation" and index.need_sae("nearest").lazy:
        raise SaelabError("the SAE is loaded with lazy=True, and this reads all of it")
    found = relations.nearest(index, firings, by, _NEAR)
    every = np.concatenate([latent for latent, _ in found])
    about = zip(
        every.tolist(), [v for _, similarity in found for v in exact_list(similarity)],
        index.notes.labels(every.tolist()), top_tokens(index, every), strict=True,
    )  # fmt: skip
    lines = [{"latent": i, "similarity": v, "label": label, "token": token} for i, v, label, token in about]
    cuts = np.cumsum([0, *(len(latent) for latent, _ in found)]).tolist()
    return [lines[a:b] for a, b in pairwise(cuts)]


def top_tokens(index: Any, latents: Sequence[int] | np.ndarray) -> list[str | None]:
    """Labels of the tokens latents fire on most; None where one never fires."""
    peak = index.arrays["peak"][np.asarray(latents, dtype=np.int64)]
    labels = index.vocab.labels(index.rows.ids[np.maximum(peak, 0)]) if len(peak) else []
    return [label if p >= 0 else None for label, p in zip(labels, peak.tolist(), strict=True)]
