"""How well a pattern graph says where a latent fires, on documents it was not fitted to.

A position counts if the index counts it (no special tokens). The latent *fires* there if its activation is
above ``threshold``; the graph *predicts* it if the value of the winning pattern, times the scale when the
threshold is not 0, is above it. Then

- precision = tp / (tp + fp), over **all** counted positions of the split on which the graph predicts a
  firing; None (not 1) when it predicts none,
- recall = tp / (tp + fn), None when the latent never fires there,
- F1 = 2 tp / (2 tp + fp + fn),
- intervals are Wilson's at 95 %, F1's through tp / (tp + fp + fn), of which it is a function. Tokens of one
  document are not independent, so read them as the least uncertainty there is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from saelab.errors import SaelabError, unknown
from saelab.n2g import match
from saelab.n2g.corpus import SPLITS, Corpus, corpus, part_number

if TYPE_CHECKING:
    import pandas as pd

    from saelab.n2g.graph import PatternGraph
    from saelab.n2g.tree import Item, Tree

Interval = tuple[float, float]


@dataclass(frozen=True)
class Score:
    """See the module's docstring for precision, recall, f1 and their intervals.

    Attributes
    ----------
    split, unit, tokens
        Which part, what was shuffled to make it (``document`` or ``row``), its counted tokens.
    tp, fp, fn
        Positions: fires and predicted, predicted alone, fires alone.
    weighted_recall
        Share of the latent's total activation that is on predicted positions.
    r2
        1 - sum (a - scale·s)² / sum (a - mean a)², s being the predicted activation; None if a is constant.
    scale
        sum s·a / sum s² on the train split (the least-squares factor); None if nothing is predicted there.
    hard_negatives, hard_specificity
        Positions where the latent does not fire although the token is one it fires on elsewhere in the split,
        and the share of them on which the graph rightly keeps silent.
    """

    latent: int
    split: str
    unit: str
    threshold: float
    tokens: int
    tp: int
    fp: int
    fn: int
    precision: float | None
    recall: float | None
    f1: float | None
    precision_interval: Interval | None
    recall_interval: Interval | None
    f1_interval: Interval | None
    weighted_recall: float | None
    r2: float | None
    scale: float | None
    hard_negatives: int
    hard_specificity: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    def __repr__(self) -> str:
        def number(x: float | None) -> str:
            return "undefined" if x is None else f"{x:.3f}"

        return (
            f"Score(latent {self.latent}, {self.split}: precision {number(self.precision)}, "
            f"recall {number(self.recall)}, F1 {number(self.f1)}; tp {self.tp}, fp {self.fp}, fn {self.fn} "
            f"of {self.tokens} tokens; R² {number(self.r2)})"
        )


def wilson(hits: int, n: int, z: float = 1.959964) -> Interval | None:
    """Wilson's 95 % interval of a proportion, None for n = 0."""
    if n == 0:
        return None
    p, zz = hits / n, z * z / n
    centre, half = (p + zz / 2) / (1 + zz), z * ((p * (1 - p) + zz / 4) / n) ** 0.5 / (1 + zz)
    return max(0.0, centre - half), min(1.0, centre + half)


def f1_of(tp: int, fp: int, fn: int) -> float | None:
    """2 tp / (2 tp + fp + fn), None when all are 0."""
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None


@dataclass(frozen=True)
class _Sums:
    """All a score is made of, so that lookups and graphs are scored by the same formulas."""

    tp: int
    predicted: int
    predicted_hard: int  # false alarms on tokens the latent fires on elsewhere
    sa: float  # sum of s·a
    ss: float  # sum of s²
    hit_a: float  # sum of a on predicted positions


def _finish(c: Corpus, latent: int, split: str, threshold: float, sums: _Sums, scale: float | None) -> Score:
    part = part_number(split)
    at, a = _fires(c, latent, part, 0.0)
    strong = a > threshold
    n, fires = int(c.sizes[part]), int(strong.sum())
    tp, fp, fn = sums.tp, sums.predicted - sums.tp, fires - sums.tp
    total, squares = float(a.sum(dtype=np.float64)), float(np.square(a, dtype=np.float64).sum())
    n_hard = int(c.token_counts[part][_hard_tokens(c, at[strong])].sum()) - fires
    variance = squares - total**2 / n if n else 0.0
    factor = scale or 0.0
    error = squares - 2 * factor * sums.sa + factor**2 * sums.ss
    jaccard = wilson(tp, tp + fp + fn)
    strong_total = float(a[strong].sum(dtype=np.float64))
    return Score(
        latent=latent, split=split, unit=c.unit, threshold=threshold, tokens=n, tp=tp, fp=fp, fn=fn,
        precision=tp / (tp + fp) if tp + fp else None,
        recall=tp / fires if fires else None,
        f1=f1_of(tp, fp, fn),
        precision_interval=wilson(tp, tp + fp),
        recall_interval=wilson(tp, fires),
        f1_interval=jaccard and (2 * jaccard[0] / (1 + jaccard[0]), 2 * jaccard[1] / (1 + jaccard[1])),
        weighted_recall=sums.hit_a / strong_total if strong_total else None,
        r2=1 - error / variance if variance > 0 else None,
        scale=scale,
        hard_negatives=n_hard,
        hard_specificity=1 - sums.predicted_hard / n_hard if n_hard else None,
    )  # fmt: skip


def _fires(c: Corpus, latent: int, part: int, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    at, a, where = c.truth(latent)
    keep = (where == part) & (a > threshold)
    return at[keep], a[keep]


def _hard_tokens(c: Corpus, at: np.ndarray) -> np.ndarray:
    """(n_vocab,) bool: tokens that stand at one of ``at``."""
    table = np.zeros(c.tokens.n_vocab, dtype=bool)
    table[c.tokens.ids[at]] = True
    return table


def _activation_at(c: Corpus, latent: int, positions: np.ndarray) -> np.ndarray:
    """Activation of a latent at ascending counted positions, 0 where it does not fire."""
    at, a, _ = c.truth(latent)
    if not len(at):
        return np.zeros(len(positions), dtype=np.float32)
    if 16 * len(positions) > len(c.tokens):  # a table of all positions beats looking each of them up
        table = np.zeros(len(c.tokens), dtype=np.float32)
        table[at] = a
        return table[positions]
    place = np.minimum(np.searchsorted(at, positions), len(at) - 1)
    return np.where(at[place] == positions, a[place], 0.0)


# ------------------------------------------------------------------------------------------------ graphs


def _predicted(graph: PatternGraph, c: Corpus) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counted positions with a winning pattern of value > 0, its node, and the value."""
    at, nodes = match.winners(c.tokens, graph.tree, graph.rule)
    s = match.values(graph.tree, nodes)
    keep = (c.part[at] != 255) & (s > 0)
    return at[keep], nodes[keep], s[keep].astype(np.float64)


@dataclass(frozen=True)
class _Won:
    """What each node's patterns win: all of a score is a sum over nodes, so no number is made per position."""

    value: np.ndarray  # (next_id,) predicted activation of each node
    n: np.ndarray  # (next_id,) positions of the part it wins
    n_hard: np.ndarray  # (next_id,) of these, on tokens the latent fires on elsewhere in the part
    a: np.ndarray  # activations of the part that are above 0
    node: np.ndarray  # the node that wins each of them, 0 where none does

    @classmethod
    def of(
        cls,
        c: Corpus,
        latent: int,
        tree: Tree,
        at: np.ndarray,
        nodes: np.ndarray,
        part: int,
        threshold: float,
    ) -> _Won:
        """``at``, ``nodes``: the winners over the whole text."""
        inside = c.part[at] == part
        mine, size = nodes[inside], tree.next_id
        fires, a = _fires(c, latent, part, 0.0)
        hard = _hard_tokens(c, fires[a > threshold])[c.tokens.ids[at[inside]]]
        place = np.minimum(np.searchsorted(at, fires), max(len(at) - 1, 0))
        node = np.where(at[place] == fires, nodes[place], 0) if len(at) else np.zeros(len(fires), np.int64)
        return cls(
            match.values(tree, np.arange(size)).astype(np.float64),
            np.bincount(mine, minlength=size),
            np.bincount(mine[hard], minlength=size),
            a.astype(np.float64),
            node,
        )

    @property
    def sa(self) -> float:
        """Sum of s·a."""
        return float((self.value[self.node] * self.a).sum())

    @property
    def ss(self) -> float:
        """Sum of s²."""
        return float((self.n * self.value**2).sum())

    def sums(self, scale: float, threshold: float) -> _Sums:
        """The counts of the part."""
        loud = self.value * scale > threshold if threshold else self.value > 0
        hit = loud[self.node] & (self.a > threshold)
        tp = int(hit.sum())
        # every hit is on a token the latent fires on
        return _Sums(
            tp=tp, predicted=int(self.n[loud].sum()), predicted_hard=int(self.n_hard[loud].sum()) - tp,
            sa=self.sa, ss=self.ss, hit_a=float(self.a[hit].sum()),
        )  # fmt: skip


def score(graph: PatternGraph, index: Any, *, split: str = "valid", threshold: float = 0.0) -> Score:
    """Score a graph; see the module's docstring.

    Raises
    ------
    SaelabError
        For an unknown split or a negative threshold.
    """
    part = part_number(split)
    if not threshold >= 0:
        raise SaelabError(f"threshold must be at least 0, got {threshold!r}")
    c, latent = corpus(index, graph.seed), _latent(graph)
    at, nodes = match.winners(c.tokens, graph.tree, graph.rule)
    train = _Won.of(c, latent, graph.tree, at, nodes, 0, 0.0)
    scale = train.sa / train.ss if train.ss else None
    won = _Won.of(c, latent, graph.tree, at, nodes, part, float(threshold))
    return _finish(c, latent, split, float(threshold), won.sums(scale or 0.0, float(threshold)), scale)


def _latent(graph: PatternGraph) -> int:
    assert graph.latent is not None  # PatternGraph._index has said so in words
    return graph.latent


def fitted_ends(graph: PatternGraph, index: Any) -> dict[int, tuple[float, int, int, float, float]]:
    """Per end: (mean activation where it wins on the train split, positions, firings, sum, sum of squares).

    A pattern that wins nowhere keeps its value, and one of value 0 stays an exception.
    """
    c, latent = corpus(index, graph.seed), _latent(graph)
    at, nodes = match.winners(c.tokens, graph.tree, graph.rule)
    train = c.part[at] == 0
    at, nodes = at[train], nodes[train]
    a = _activation_at(c, latent, at).astype(np.float64)
    size = graph.tree.next_id
    n, fires = np.bincount(nodes, minlength=size), np.bincount(nodes[a > 0], minlength=size)
    total, squares = np.bincount(nodes, a, minlength=size), np.bincount(nodes, a * a, minlength=size)
    out = {}
    for p in graph.tree.patterns:
        i, old = p.node, p.end.value
        value = float(total[i] / n[i]) if n[i] and old > 0 and total[i] > 0 else old
        out[i] = (value, int(n[i]), int(fires[i]), float(total[i]), float(squares[i]))
    return out


def mean_where(index: Any, latent: int, items: tuple[Item, ...], seed: int) -> float:
    """Mean activation on the train positions that a pattern matches, 0 if it matches none."""
    c = corpus(index, seed)
    at = c.tokens.match(items)
    at = at[c.part[at] == 0]
    return float(_activation_at(c, latent, at).mean()) if len(at) else 0.0


def preview(
    graph: PatternGraph, index: Any, op: str, args: dict[str, Any], split: str = "valid"
) -> dict[str, Any]:
    """Scores before and after an edit that is not made, and the change in each number."""
    before = score(graph, index, split=split)
    after = score(graph.dry_run(op, args), index, split=split)
    delta = {
        name: None if x is None or y is None else y - x
        for name in ("tp", "fp", "fn", "precision", "recall", "f1")
        for x, y in [(getattr(before, name), getattr(after, name))]
    }
    return {"before": before, "after": after, "delta": delta}


def node_scores(graph: PatternGraph, index: Any, *, split: str = "valid") -> pd.DataFrame:
    """Per pattern: node (its end), text, value, wins, hits, false_alarms, precision, mean activation."""
    import pandas as pd

    from saelab.n2g import render

    part = part_number(split)
    c, latent = corpus(index, graph.seed), _latent(graph)
    at, nodes = match.winners(c.tokens, graph.tree, graph.rule)
    inside = c.part[at] == part
    at, nodes = at[inside], nodes[inside]
    a = _activation_at(c, latent, at)
    rows = []
    for p in reversed(graph.tree.patterns):
        mine = nodes == p.node
        wins, hits = int(mine.sum()), int((a[mine] > 0).sum())
        rows.append({
            "node": p.node, "text": render.pattern(graph.labels, p), "value": p.end.value, "wins": wins,
            "hits": hits, "false_alarms": wins - hits, "precision": hits / wins if wins else None,
            "mean": float(a[mine].mean()) if wins else None,
        })  # fmt: skip
    columns = ["node", "text", "value", "wins", "hits", "false_alarms", "precision", "mean"]
    return pd.DataFrame(rows, columns=columns)


KINDS = ("match", "hit", "miss", "false_alarm")


def examples(
    graph: PatternGraph, index: Any, kind: str, *, node: int | None = None, split: str = "valid", n: int = 20,
    seed: int = 0, before: int = 10, after: int = 5,
) -> pd.DataFrame:  # fmt: skip
    """Random positions of one kind, in the order of the text.

    Returns
    -------
    DataFrame
        token_index, row, position, doc, token, value (the latent's activation), predicted, node (that ends
        the winning pattern, 0 where none does), text.
    """
    import pandas as pd

    if kind not in KINDS:
        raise unknown("kind of example", kind, KINDS)
    if node is not None and node not in graph.tree.nodes:
        raise SaelabError(f"no node {node!r} in this graph")
    part = part_number(split)
    c, latent = corpus(index, graph.seed), _latent(graph)
    at, nodes, s = _predicted(graph, c)
    fires = _fires(c, latent, part, 0.0)[0]
    if kind == "miss":
        chosen = np.setdiff1d(fires, at, assume_unique=True)
    else:
        keep = c.part[at] == part
        if node is not None:
            through = [p.node for p in graph.tree.patterns if node in p.path]
            keep &= np.isin(nodes, through)
        if kind != "match":
            keep &= np.isin(at, fires) == (kind == "hit")
        chosen = at[keep]
    if len(chosen) > n:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, n, replace=False))
    chosen = chosen.astype(np.int64)
    place = np.searchsorted(at, chosen)
    won = (
        (place < len(at)) & (at[np.minimum(place, len(at) - 1)] == chosen)
        if len(at)
        else np.zeros(len(chosen), bool)
    )
    rows, positions = index.rows.locate(chosen)
    return pd.DataFrame({
        "token_index": chosen, "row": rows, "position": positions, "doc": np.asarray(index.rows.doc)[rows],
        "token": [_label(graph, index, int(i)) for i in c.tokens.ids[chosen]],
        "value": _activation_at(c, latent, chosen),
        "predicted": [float(s[i]) if w else 0.0 for i, w in zip(place, won, strict=True)],
        "node": [int(nodes[i]) if w else 0 for i, w in zip(place, won, strict=True)],
        "text": [_window_text(graph, index, c, int(i), before, after) for i in chosen],
    })  # fmt: skip


def _label(graph: PatternGraph, index: Any, token: int) -> str:
    vocab = getattr(index, "vocab", None)
    return vocab.label(token) if vocab is not None else graph.labels.get(token, f"#{token}")


def _window_text(graph: PatternGraph, index: Any, c: Corpus, at: int, before: int, after: int) -> str:
    low = at - min(before, int(c.tokens.place[at]))
    high = at + 1
    while high < len(c.tokens) and high <= at + after and c.tokens.place[high] > c.tokens.place[at]:
        high += 1
    ids = c.tokens.ids[low:high]
    vocab = getattr(index, "vocab", None)
    return vocab.decode(ids) if vocab is not None else "".join(_label(graph, index, int(i)) for i in ids)


def suggest(graph: PatternGraph, index: Any, node: int, *, k: int = 20, split: str = "train") -> pd.DataFrame:
    """Tokens that stand where ``node`` looks, the rest of its patterns matching.

    Returns
    -------
    DataFrame
        token (id), text, tp, fp: positions with that token that no pattern matches yet, on which the latent
        fires or does not. Most gained (tp - fp) first. For an ``any`` or ``not`` node, whose patterns match
        already, all its positions count: what :meth:`PatternGraph.specialise` would keep.
    """
    import pandas as pd

    if node not in graph.tree.nodes:
        raise SaelabError(f"no node {node!r} in this graph")
    here = graph.tree.nodes[node]
    path = [graph.tree.nodes[i] for i in graph.tree.path(node)]
    if here.kind not in ("tok", "any", "not") or any(n.kind == "gap" for n in path):
        raise SaelabError(
            f"node {node} ({here.kind}) has no place of its own: a gap or the row's start has no token"
        )
    part = part_number(split)
    c, latent = corpus(index, graph.seed), _latent(graph)
    back = len(path) - 1
    found = []
    for p in graph.tree.patterns:
        if node in p.path:
            items = list(p.items)
            items[back] = ("any", (), 0, 0)
            found.append(c.tokens.match(tuple(items)))
    at = np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)
    at = at[c.part[at] == part]
    if here.kind == "tok":
        at = np.setdiff1d(at, _predicted(graph, c)[0], assume_unique=True)
    there = c.tokens.ids[at - back]
    fires = _activation_at(c, latent, at) > 0
    ids, which = np.unique(there, return_inverse=True)
    tp = np.bincount(which[fires], minlength=len(ids))
    fp = np.bincount(which[~fires], minlength=len(ids))
    keep = ~np.isin(ids, here.ids) if here.kind == "tok" else np.ones(len(ids), dtype=bool)
    order = np.lexsort((ids, -tp, fp - tp))
    order = order[keep[order] & (tp[order] > 0)][:k]
    return pd.DataFrame({
        "token": ids[order].astype(int), "text": [_label(graph, index, int(i)) for i in ids[order]],
        "tp": tp[order], "fp": fp[order],
    })  # fmt: skip


# --------------------------------------------------------------------------------------------- baselines


def baselines(index: Any, latent: int, *, split: str = "valid", seed: int = 0) -> dict[str, Score]:
    """What simple tables reach on the same split.

    ``token``: fires on the tokens whose rate of firing in the train split is highest, as many of them as
    give the best F1 there; the value is the token's mean activation. ``bigram``: the same over pairs with the
    token before; a pair that train never saw is decided by its second token. ``always``: fires everywhere.
    """
    c = corpus(index, seed)
    part = part_number(split)
    pair, second, pair_counts = c.pairs
    at, a, where = c.truth(latent)
    by_token = _Lookup.learn(c.tokens.ids[at], a, where, c.token_counts, c.tokens.n_vocab)
    by_pair = _Lookup.learn(pair[at], a, where, pair_counts, len(second))
    unseen = pair_counts[0] == 0
    by_pair.value[unseen] = by_token.value[second[unseen]]
    everything = np.full(c.tokens.n_vocab, max(float(a[where == 0].sum()) / max(int(c.sizes[0]), 1), 1e-9))
    always = _Lookup(everything)
    keys = {"token": c.tokens.ids, "bigram": pair, "always": c.tokens.ids}
    counts = {"token": c.token_counts, "bigram": pair_counts, "always": c.token_counts}
    tokens_of = {"token": None, "bigram": second, "always": None}
    return {
        name: lookup.score(c, latent, split, part, keys[name], counts[name], tokens_of[name])
        for name, lookup in {"token": by_token, "bigram": by_pair, "always": always}.items()
    }


@dataclass(frozen=True)
class _Lookup:
    """A table key -> predicted activation (0: silent); a key is a token or a pair."""

    value: np.ndarray  # (n_keys,) float64

    @classmethod
    def learn(cls, keys: np.ndarray, a: np.ndarray, where: np.ndarray, counts: np.ndarray, n: int) -> _Lookup:
        train = where == 0
        fired, which = np.unique(keys[train], return_inverse=True)
        hits = np.bincount(which, minlength=len(fired))
        total = np.bincount(which, a[train], minlength=len(fired))
        seen = counts[0][fired]
        order = np.lexsort((fired, -hits, -(hits / np.maximum(seen, 1))))
        tp, predicted = np.cumsum(hits[order]), np.cumsum(seen[order])
        value = np.zeros(n)
        if len(order):
            best = int(np.argmax(2 * tp / (predicted + tp[-1])))
            chosen = order[: best + 1]
            value[fired[chosen]] = total[chosen] / seen[chosen]
        return cls(value)

    def score(
        self, c: Corpus, latent: int, split: str, part: int, keys: np.ndarray, counts: np.ndarray,
        second: np.ndarray | None,
    ) -> Score:  # fmt: skip
        at, a, where = c.truth(latent)

        def sums(p: int) -> _Sums:
            mine = where == p
            there, act = at[mine], a[mine].astype(np.float64)
            s = self.value[keys[there]]
            used = np.flatnonzero(self.value)
            hard = _hard_tokens(c, there)
            on_hard = used[hard[used if second is None else second[used]]]
            tp = int((s > 0).sum())
            return _Sums(
                tp=tp,
                predicted=int(counts[p][used].sum()),
                predicted_hard=int(counts[p][on_hard].sum()) - tp,
                sa=float((s * act).sum()),
                ss=float((counts[p][used] * self.value[used] ** 2).sum()),
                hit_a=float(act[s > 0].sum()),
            )

        train = sums(0)
        scale = train.sa / train.ss if train.ss else None
        return _finish(c, latent, split, 0.0, sums(part), scale)


__all__ = ["SPLITS", "Score", "baselines", "examples", "node_scores", "preview", "score", "suggest", "wilson"]
