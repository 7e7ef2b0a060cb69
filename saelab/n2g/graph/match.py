"""Where patterns match: one documented rule, and the two of the originals.

A pattern is tried at every token, backwards from it; it never leaves its row and never matches the row's BOS.
All ways through the tree are tried (no choice made early hides a pattern), and where several patterns match

    **the one with the most exact tokens wins, then the longest, then the one with the higher value**

(a gap counts as its smallest width). Two other rules reproduce published implementations; both walk back
greedily, preferring an exact child over ``not`` and ``any``, without turning back:

- ``first``: stop at the first value met (Gao et al. 2024, OpenAI's ``NtgExplanation.predict``),
- ``longest``: go on as far as possible and take the last value met (Foote et al. 2023).

Positions come from an inverted index (token id -> ascending positions): a pattern starts from its rarest
exact token and touches nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saelab.errors import SaelabError, check_choice
from saelab.models import TokenRows
from saelab.n2g.graph.tree import ROOT, Item, Tree

RULES = ("specific", "first", "longest")
_KEPT = 16_000_000  # positions of patterns that are remembered per text


class Tokens:
    """Token rows prepared for matching.

    Attributes
    ----------
    ids
        (n,) int32 token ids, all rows one after another.
    place
        (n,) int32 position in the row, 0 for the first token after BOS, -1 for BOS itself.
    """

    def __init__(self, ids: np.ndarray, offsets: np.ndarray, bos: bool):
        self.ids = np.ascontiguousarray(ids, dtype=np.int32)
        lengths = np.diff(offsets)
        begin = np.repeat(np.asarray(offsets[:-1]), lengths)
        self.place = (np.arange(len(self.ids)) - begin - int(bos)).astype(np.int32)
        self.n_vocab = int(self.ids.max(initial=-1)) + 1
        inside = np.flatnonzero(self.place >= 0)
        kind = np.uint16 if self.n_vocab <= 1 << 16 else np.int32  # 16-bit keys get a radix sort
        order = np.argsort(self.ids[inside].astype(kind), kind="stable")
        self._order = inside[order].astype(np.int64 if len(self.ids) >= 1 << 31 else np.int32)
        self._ptr = np.zeros(self.n_vocab + 1, dtype=np.int64)
        np.cumsum(np.bincount(self.ids[inside], minlength=self.n_vocab), out=self._ptr[1:])
        self._kept: dict[tuple[Item, ...], np.ndarray] = {}
        self._n_kept = 0

    @classmethod
    def of(cls, rows: Tokens | TokenRows | Sequence[int] | np.ndarray) -> Tokens:
        """From ``TokenRows``, or from one sequence of ids, which is then one row without BOS.

        >>> len(sl.n2g.Tokens.of([5, 6, 5]))
        3
        """
        if isinstance(rows, Tokens):
            return rows
        if isinstance(rows, TokenRows):
            return cls(rows.ids, rows.offsets, rows.bos)
        ids = np.asarray(rows)
        if ids.ndim != 1 or (len(ids) and not np.issubdtype(ids.dtype, np.integer)):
            raise SaelabError(
                f"give TokenRows or one sequence of token ids, got shape {ids.shape} of {ids.dtype}"
            )
        return cls(ids, np.array([0, len(ids)]), bos=False)

    def __len__(self) -> int:
        return len(self.ids)

    def count(self, ids: Sequence[int]) -> int:
        """How often any of ``ids`` occurs.

        >>> sl.n2g.Tokens.of([5, 6, 5]).count([5])
        2
        """
        return sum(int(self._ptr[i + 1] - self._ptr[i]) for i in ids if i < self.n_vocab)

    def positions(self, ids: Sequence[int]) -> np.ndarray:
        """Ascending positions of any of ``ids``, BOS positions left out.

        >>> sl.n2g.Tokens.of([5, 6, 5]).positions([5]).tolist()
        [0, 2]
        """
        parts = [self._order[self._ptr[i] : self._ptr[i + 1]] for i in ids if i < self.n_vocab]
        if len(parts) == 1:
            return parts[0]
        return np.sort(np.concatenate(parts)) if parts else self._order[:0]

    # ----------------------------------------------------------------------------------------- matching

    def match(self, items: tuple[Item, ...]) -> np.ndarray:
        """Ascending positions on which a pattern (activating token first) ends; do not write into it.

        >>> sl.n2g.Tokens.of([5, 6, 5]).match((("tok", (5,), 0, 0), ("tok", (6,), 0, 0))).tolist()
        [2]
        """
        if items not in self._kept:
            if self._n_kept > _KEPT:
                self._kept, self._n_kept = {}, 0
            self._kept[items] = self._match(items)
            self._n_kept += len(self._kept[items])
        return self._kept[items]

    def _match(self, items: tuple[Item, ...]) -> np.ndarray:
        head = next((i for i, item in enumerate(items) if item[0] == "gap"), len(items))
        at = self._rarest(items[:head])
        if at is None:
            ends = np.flatnonzero(self.place >= 0)
        else:
            ends = self._shift(self.positions(items[at][1]).astype(np.int64), at)
        return self._rest(ends, items, 0, 0, skip=at)

    def _rarest(self, items: tuple[Item, ...]) -> int | None:
        exact = [(self.count(item[1]), i) for i, item in enumerate(items) if item[0] == "tok"]
        return min(exact)[1] if exact else None

    def _shift(self, positions: np.ndarray, by: int) -> np.ndarray:
        """Positions ``by`` later, as far as they are in the same row."""
        later = positions + by
        later = later[later < len(self.ids)]
        return later[self.place[later] == self.place[later - by] + by]

    def _rest(
        self, ends: np.ndarray, items: tuple[Item, ...], start: int, back: int, skip: int | None
    ) -> np.ndarray:
        """Of ``ends``, those where ``items[start:]`` match from ``back`` tokens before on."""
        for i in range(start, len(items)):
            if not len(ends):
                return ends
            kind, ids, lo, hi = items[i]
            if kind == "gap":
                found = []
                for width in range(lo, hi + 1):
                    there = ends[self.place[ends] >= back + width - 1] if width else ends  # its tokens exist
                    found.append(self._rest(there, items, i + 1, back + width, None))
                return np.unique(np.concatenate(found))
            if i != skip:
                ends = ends[self._holds(kind, ids, ends, back)]
            back += kind != "start"
        return ends

    def _holds(self, kind: str, ids: tuple[int, ...], ends: np.ndarray, back: int) -> np.ndarray:
        place = self.place[ends]
        if kind == "start":
            return place == back - 1
        if kind == "any":
            return place >= back
        there = np.take(self.ids, ends - back, mode="clip")
        if kind == "not":
            return (place < back) | ~self._among(there, ids)
        return (place >= back) & self._among(there, ids)

    def _among(self, tokens: np.ndarray, ids: tuple[int, ...]) -> np.ndarray:
        if len(ids) == 1:
            return tokens == ids[0]
        table = np.zeros(self.n_vocab + 1, dtype=bool)
        table[[i for i in ids if i < self.n_vocab]] = True
        return table[tokens]


def winners(tokens: Tokens, tree: Tree, rule: str = "specific") -> tuple[np.ndarray, np.ndarray]:
    """Where any pattern matches, and the node that ends the winning one.

    Returns
    -------
    positions
        (m,) ascending indices into the tokens.
    nodes
        (m,) int64 node ids.
    """
    check_choice("matching rule", rule, RULES)
    if rule != "specific":
        return _walk(tokens, tree, rule)
    winner = np.zeros(len(tokens), dtype=np.int64)
    for p in tree.patterns:  # lowest rank first, so that the highest is written last
        winner[tokens.match(p.items)] = p.node
    positions = np.flatnonzero(winner)
    return positions, winner[positions]


def values(tree: Tree, nodes: np.ndarray) -> np.ndarray:
    """Predicted activation (float32) of winning nodes."""
    table = np.zeros(tree.next_id, dtype=np.float32)
    for node in tree.nodes.values():
        if node.end is not None:
            table[node.id] = node.end.value
    return table[nodes]


def _walk(tokens: Tokens, tree: Tree, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """The greedy rules: all positions go down the tree together, one token further back at each step."""
    if any(node.kind == "gap" for node in tree.nodes.values()):
        raise SaelabError(f"match={rule!r} has no gaps; use match='specific'")
    winner = np.zeros(len(tokens), dtype=np.int64)
    groups = [(ROOT, np.flatnonzero(tokens.place >= 0))]
    back = 0
    while groups:
        following: list[tuple[int, np.ndarray]] = []
        for node, ends in groups:
            inside = tokens.place[ends] >= back
            _take_start(tree, node, ends[~inside], winner)
            for child, there in _descend(tokens, tree, node, ends[inside], back):
                if tree.nodes[child].end is not None:
                    winner[there] = child
                    if rule == "first":
                        continue
                following.append((child, there))
        groups = [(node, ends) for node, ends in following if len(ends)]
        back += 1
    positions = np.flatnonzero(winner)
    return positions, winner[positions]


def _take_start(tree: Tree, node: int, ends: np.ndarray, winner: np.ndarray) -> None:
    start = next((c for c in tree.children[node] if tree.nodes[c].kind == "start"), None)
    if start is not None:
        winner[ends] = start


def _descend(
    tokens: Tokens, tree: Tree, node: int, ends: np.ndarray, back: int
) -> list[tuple[int, np.ndarray]]:
    """Children that take the token ``back`` before each end: exact first, then ``not``, then ``any``."""
    out: list[tuple[int, np.ndarray]] = []
    there = tokens.ids[ends - back]
    order = {"tok": 0, "not": 1, "any": 2}
    children = [tree.nodes[c] for c in tree.children[node] if tree.nodes[c].kind in order]
    for child in sorted(children, key=lambda c: order[c.kind]):
        if child.kind == "any":
            hit = np.ones(len(ends), dtype=bool)
        else:
            hit = tokens._among(there, child.ids) == (child.kind == "tok")
        out.append((child.id, ends[hit]))
        ends, there = ends[~hit], there[~hit]
    return out
