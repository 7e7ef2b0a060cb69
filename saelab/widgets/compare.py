"""LatentCompare: a latent and its partner in another SAE, side by side on the same text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import traitlets

from saelab.doors import door
from saelab.errors import SaelabError, check_count, check_latents
from saelab.matching import LatentMatch
from saelab.widgets.base import Widget
from saelab.widgets.page import request_key
from saelab.widgets.payload import examples, finite, payload
from saelab.widgets.tokens import MONO, escape, frame, spans

_LISTED, _SAVED = 1000, 30  # pairs in the list beside; pairs in a saved page where none are named
_KINDS = {"both": "both fire", "a": "only a fires", "b": "only b fires"}


@door
class LatentCompare(Widget):
    """A latent and its partner side by side: what each is, and texts where both fire, or one alone.

    A token where both fire is orange; where this latent fires and the other is silent, blue; where the other fires and
    this one is silent, underlined.

    Parameters
    ----------
    match
        What :func:`saelab.match` gave for two indexes.
    latent
        The latent of ``a`` to open; None: the first of the list.
    latents
        Latents of ``a`` to list, such as ``match.unmatched().index``; None: the 1,000 best scores.
    n
        Texts of each kind.
    state
        Traits to begin with: ``show_whitespace``.

    Attributes
    ----------
    latent
        The latent of ``a`` that is shown; assign to open another pair.
    pairs
        The list: latent, partner, score, matched, and the token either is strongest on.
    payload
        What is drawn, plain JSON.

    Examples
    --------
    >>> shown = sl.match(index, index, by="activation").compare(latent)
    >>> shown.payload["positions"]["a"], shown.payload["positions"]["b"]  # where one fires alone
    (0, 0)
    """

    latent = traitlets.Int(0).tag(sync=True)
    show_whitespace = traitlets.Bool(False).tag(sync=True)
    # set by Python alone
    pairs = traitlets.List().tag(sync=True)
    n_pairs = traitlets.Int(0, help="pairs that could be listed").tag(sync=True)
    about = traitlets.Dict(help="what is compared, and who a and b are").tag(sync=True)
    payload = traitlets.Dict().tag(sync=True)
    read_only = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self, match: LatentMatch, latent: int | None = None, *, latents: Any = None, n: int = 6, **state: Any
    ):
        _ = match.aligned  # refused before anything is drawn, if there is no text
        self._n = check_count("n", n)
        found: Any = match.frame
        has = found[found["partner"].notna()].sort_values("score", ascending=False, kind="stable")
        if latents is not None:
            wanted = check_latents(latents, match.a.d_sae)
            has = found.loc[[i for i in wanted if i in has.index]]
        if has.empty:
            raise SaelabError("none of these latents has a partner, so there is no pair to show")
        if latent is None:
            latent = int(has.index[0])
        super().__init__(**state)
        self._held = match
        with self.hold_sync():
            self.n_pairs, self.pairs = len(has), _lines(has[:_LISTED])
            self.about = {"by": match.by, "of": match.of, "a": _name(match.a), "b": _name(match.b)}
            self.latent = self._partnered({"value": latent})
            self._load()

    @traitlets.validate("latent")
    def _partnered(self, proposal: Any) -> int:
        match, latent = getattr(self, "_held", None), proposal["value"]
        if match is not None:
            match.pair(latent)
        return latent

    @traitlets.observe("latent")
    def _opened(self, change: Any) -> None:
        if getattr(self, "_held", None) is not None and self.payload:
            self._load()

    def _load(self) -> None:
        with self._lock:
            self.payload = _payload(self._source, self.latent, self._n)

    def methods(self) -> dict[str, Any]:
        return {"open": self._open}

    def _open(self, latent: int) -> None:
        self.latent = latent

    # -------------------------------------------------------------------------------------------- export

    def to_frame(self) -> pd.DataFrame:
        """Every position at which either of the two fires; see :meth:`saelab.LatentMatch.pair`.

        Examples
        --------
        >>> sl.match(index, index, by="activation").compare(latent).to_frame().columns.tolist()[:3]
        ['doc', 'token_a', 'token_b']
        """
        return self._source.pair(self.latent)

    def export_options(self) -> tuple[str, ...]:
        return ("latents",)

    def _exported(self, latents: Iterable[int] | None) -> list[int]:
        if latents is not None:
            return check_latents(latents, self._source.a.d_sae)
        listed = [p["latent"] for p in self.pairs]
        return list(dict.fromkeys([self.latent, *listed]))[:_SAVED]

    def replies(self, latents: Iterable[int] | None = None, **options: Any) -> dict[str, dict[str, Any]]:
        """With ``latents=[…]`` a saved page holds those pairs; without, the first 30 of the list.

        Examples
        --------
        >>> len(sl.match(index, index, by="activation").compare(latent).replies(latents=[latent]))
        1
        """
        super().replies(**options)
        return {
            request_key("open", latent=i): {"payload": _payload(self._source, i, self._n), "latent": i}
            for i in self._exported(latents)
        }

    def export_state(self, latents: Iterable[int] | None = None, **options: Any) -> dict[str, Any]:
        held = self._exported(latents)
        found: Any = self._source.frame.loc[held].sort_values("score", ascending=False, kind="stable")
        first = self.latent if self.latent in held else held[0]
        shown = {"latent": first, "payload": _payload(self._source, first, self._n)}
        return {**super().export_state(), "pairs": _lines(found), **shown}

    def title(self) -> str:
        return f"Latent {self.latent} of a and latent {self.payload['partner']} of b"

    def fallback(self) -> str:
        data = self.payload
        lines = [f"<b>{escape(self.title())}</b>, {escape(self.about['of'])}: {data['score']:.3f}"]
        for kind, name in _KINDS.items():
            lines.append(f"{name}: {data['positions'][kind]:,} positions")
            for pair in data["texts"][kind][:3]:
                for side in "ab":
                    high, e = data["sides"][side]["stats"]["max"], pair[side]
                    text = spans(e["text"], e["values"], high)
                    lines.append(
                        f'<span style="opacity:.6">{side} {e["value"]:.3g}</span> <bdi style="{MONO}">{text}</bdi>'
                    )
        return frame(*lines)


def _lines(found: pd.DataFrame) -> list[dict[str, Any]]:
    """The list beside: a line per latent of ``match.frame``."""
    names = {"partner": int, "score": float, "matched": bool, "token": str, "partner_token": str}
    columns = [[f(v) for v in found[c]] for c, f in names.items()]
    return [
        {"latent": int(i), **dict(zip(names, line, strict=True))}
        for i, *line in zip(found.index, *columns, strict=True)
    ]


def _name(index: Any) -> str:
    """Model, hook point and size of one side."""
    facts = [index.sae.config.model, *index.sae.config.hooks] if index.sae is not None else []
    return " · ".join([str(f) for f in facts if f] + [f"{index.d_sae:,} latents"])


def _payload(match: LatentMatch, latent: int, n: int) -> dict[str, Any]:
    """What widgets/compare.js draws of one pair, as plain JSON.

    Returns
    -------
    dict
        latent, partner, score, second, null_quantile, q, matched, mutual; sides: of a and b what the dashboard's panels
        draw; positions: how many of each kind; texts: of each kind its passages, both sides' tokens with ``values`` of
        the latent itself and ``other``, the largest of the other one on each token.
    """
    found: Any = match.pair(latent)
    line: Any = match.frame.loc[latent]
    latents = {"a": latent, "b": int(line["partner"])}
    indexes = {"a": match.a, "b": match.b}
    sides = {}
    for side, index in indexes.items():
        whole = payload(index, latents[side], n=1)
        left_out = ("examples", "nearest")
        sides[side] = {k: v for k, v in whole.items() if k not in left_out} | {
            "label": index.label(latents[side])
        }
    high = {side: max(sides[side]["stats"]["max"] or 0, 1e-9) for side in "ab"}
    # how strong a place is, as a share of each latent's maximum: where both fire, the weaker of the two counts
    share = {side: found[side] / high[side] for side in "ab"}
    strength = np.where(found["fires"] == "both", np.minimum(share["a"], share["b"]), share["a"] + share["b"])
    order = found.assign(strength=strength, row=match.a.rows.locate(found["token_a"].to_numpy())[0])
    order = order[order["doc"].isin(match.a.originals)]  # a copy shows nothing new
    order: Any = order.sort_values("strength", ascending=False, kind="stable")
    texts = {}
    for kind in _KINDS:
        chosen = order[order["fires"] == kind].drop_duplicates("row")[:n]
        shown = {side: _shown(indexes[side], latents[side], side, chosen, found) for side in "ab"}
        texts[kind] = [{"a": a, "b": b} for a, b in zip(shown["a"], shown["b"], strict=True)]
    counts = found["fires"].value_counts()
    keys = ("score", "second", "null_quantile", "q", "matched", "mutual")
    kept = {k: finite(v.item() if hasattr(v, "item") else v) for k, v in line.items() if k in keys}
    return {
        "latent": latent, "partner": latents["b"], **kept, "sides": sides, "texts": texts,
        "positions": {kind: int(counts.get(kind, 0)) for kind in _KINDS},
    }  # fmt: skip


def _shown(index: Any, latent: int, side: str, chosen: pd.DataFrame, found: Any) -> list[dict[str, Any]]:
    """Passages of one side, with the other's activation on each token."""
    other: Any = found.groupby(f"token_{side}")["b" if side == "a" else "a"].max()
    at = pd.DataFrame({"token_index": chosen[f"token_{side}"], "value": chosen[side], "count": 1})
    out = examples(index, latent, at)
    for e in out:
        first = int(index.rows.offsets[e["row"]]) + e["start"]
        there = other.reindex(range(first, first + len(e["values"]))).fillna(0)
        e["other"] = [float(f"{v:.4g}") for v in there]
    return out
