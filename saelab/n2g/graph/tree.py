"""The pattern tree: what a latent's explanation is made of.

A pattern is read backwards from the token the latent fires on: the children of the root describe that
token, their children the token before it, and so on. A node that has an ``end`` closes a pattern, and the
end's value is the activation the pattern predicts.

========  ===================================================================================================
kind      what it matches
========  ===================================================================================================
tok       one token whose id is among ``ids``
any       one token, whichever
not       one token whose id is not among ``ids``; also nothing at all, where the row begins (there is no such
          token there either)
gap       between ``lo`` and ``hi`` tokens, whichever
start     no token: the row begins here. A row's BOS is never matched; ``start`` is right after it
========  ===================================================================================================

Trees are frozen. Changes are made on a thawed copy (:class:`Branch`) and frozen again, so that an undo is
going back to the tree before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from saelab.errors import SaelabError, check_choice

KINDS = ("tok", "any", "gap", "not", "start")
MAX_GAP = 64  # a gap is matched by trying its widths, so it has to be bounded
ROOT = 0

Item = tuple[str, tuple[int, ...], int, int]  # kind, ids, lo, hi


@dataclass(frozen=True)
class End:
    """Where a pattern ends.

    Attributes
    ----------
    value
        Predicted activation, >= 0; 0 says "does not fire here", as an exception to a more general pattern.
    n, n_fire
        Training positions the pattern matched, and on how many of them the latent fired.
    sum, sumsq
        Sum of the activations there and of their squares, zeros included.
    """

    value: float
    n: int = 0
    n_fire: int = 0
    sum: float = 0.0
    sumsq: float = 0.0


@dataclass(frozen=True)
class Node:
    """One node; ``parent`` 0 is the root, which is no node itself."""

    id: int
    parent: int
    kind: str
    ids: tuple[int, ...] = ()
    lo: int = 0
    hi: int = 0
    imp: float | None = None
    end: End | None = None
    origin: str = "fit"
    locked: bool = False

    @property
    def item(self) -> Item:
        """What it matches."""
        return self.kind, self.ids, self.lo, self.hi


@dataclass(frozen=True)
class Pattern:
    """One path of the tree, from the token that fires to the earliest context."""

    items: tuple[Item, ...]
    path: tuple[int, ...]  # node ids, in the order of items
    end: End

    @property
    def node(self) -> int:
        """Id of the node that ends the pattern."""
        return self.path[-1]

    @property
    def exact(self) -> int:
        """Number of items that name their tokens."""
        return sum(kind == "tok" for kind, *_ in self.items)

    @property
    def length(self) -> int:
        """Number of items, a gap counting as its smallest width."""
        return sum(lo if kind == "gap" else 1 for kind, _, lo, _ in self.items)

    @property
    def rank(self) -> tuple[int, int, float]:
        """The pattern of highest rank wins where several match: most exact tokens, longest, highest value."""
        return self.exact, self.length, self.end.value


@dataclass(frozen=True)
class Tree:
    """A frozen pattern tree. ``next_id`` only grows, so that an id is never used for two nodes."""

    nodes: dict[int, Node] = field(default_factory=dict)
    next_id: int = 1

    @cached_property
    def children(self) -> dict[int, list[int]]:
        """Node id (0 for the root) -> ids of its children."""
        found: dict[int, list[int]] = {ROOT: []} | {i: [] for i in self.nodes}
        for node in self.nodes.values():
            found[node.parent].append(node.id)
        return found

    @cached_property
    def patterns(self) -> tuple[Pattern, ...]:
        """All patterns, lowest rank first; of equal ranks, the newest last."""
        found: list[Pattern] = []
        for node in self.nodes.values():
            if node.end is not None:
                path = self.path(node.id)
                found.append(Pattern(tuple(self.nodes[i].item for i in path), path, node.end))
        return tuple(sorted(found, key=lambda p: (p.rank, p.node)))

    def with_ends(self, ends: Mapping[int, End]) -> Tree:
        """The tree with other values at some of its ends.

        >>> node = graph.paths()[0]["node"]
        >>> graph.tree.with_ends({node: sl.n2g.End(2.0)}).nodes[node].end.value
        2.0
        """
        return Tree({i: replace(n, end=ends.get(i, n.end)) for i, n in self.nodes.items()}, self.next_id)

    def with_imps(self, imps: Mapping[int, float]) -> Tree:
        """The tree with other importances of some of its nodes.

        >>> graph.tree.with_imps({1: 0.5}).nodes[1].imp
        0.5
        """
        return Tree({i: replace(n, imp=imps.get(i, n.imp)) for i, n in self.nodes.items()}, self.next_id)

    def path(self, node: int) -> tuple[int, ...]:
        """Ids from the activating token to ``node``.

        >>> graph.tree.path(graph.paths()[0]["node"]) == tuple(graph.paths()[0]["nodes"])
        True
        """
        path = []
        while node != ROOT:
            path.append(node)
            node = self.nodes[node].parent
        return tuple(reversed(path))


# ------------------------------------------------------------------------------------------ thawed form


@dataclass(eq=False)
class Branch:
    """A node that may be changed, with its children. The root is a Branch of kind ``root``."""

    kind: str
    ids: tuple[int, ...] = ()
    lo: int = 0
    hi: int = 0
    imp: float | None = None
    end: End | None = None
    origin: str = "fit"
    locked: bool = False
    id: int | None = None
    parent: Branch | None = None
    children: list[Branch] = field(default_factory=list)

    def walk(self) -> Iterator[Branch]:
        """This branch and all under it, parents first."""
        todo: list[Branch] = [self]
        while todo:  # no recursion: a pattern may be longer than Python's stack is deep
            branch = todo.pop()
            yield branch
            todo.extend(reversed(branch.children))

    def put(self, child: Branch, after: Branch | None = None) -> Branch:
        """Make ``child`` a child, without looking for one like it."""
        child.parent = self
        self.children.insert(self.children.index(after) + 1 if after else len(self.children), child)
        return child

    def detach(self) -> Branch:
        """Take this branch out of its parent."""
        assert self.parent is not None
        self.parent.children.remove(self)
        self.parent = None
        return self

    def copy(self) -> Branch:
        """The branch with all under it, as new nodes."""
        twin = replace(self, id=None, parent=None, children=[])
        for child in self.children:
            twin.put(child.copy())
        return twin

    @property
    def item(self) -> Item:
        """What it matches."""
        return self.kind, self.ids, self.lo, self.hi


def thaw(tree: Tree) -> tuple[Branch, dict[int, Branch]]:
    """The root branch, and every branch by node id."""
    by_id = {
        n.id: Branch(n.kind, n.ids, n.lo, n.hi, n.imp, n.end, n.origin, n.locked, n.id)
        for n in tree.nodes.values()
    }
    root = Branch("root", id=ROOT)
    for node in tree.nodes.values():
        (by_id[node.parent] if node.parent else root).put(by_id[node.id])
    return root, by_id


def freeze(root: Branch, next_id: int = 1) -> Tree:
    """Check the branches and make a tree of them; new branches get new ids, parents before children."""
    nodes: dict[int, Node] = {}
    for b in root.walk():
        if b is root:
            continue
        if b.id is None:
            b.id, next_id = next_id, next_id + 1
        assert b.parent is not None
        ids, parent = tuple(sorted(b.ids)), b.parent.id or ROOT
        nodes[b.id] = Node(b.id, parent, b.kind, ids, b.lo, b.hi, b.imp, b.end, b.origin, b.locked)
    tree = Tree(nodes, max([next_id, *(i + 1 for i in nodes)]))
    check(tree)
    return tree


def attach(parent: Branch, branch: Branch, override: bool = False) -> None:
    """Add ``branch`` under ``parent`` so that siblings stay distinct.

    Where a child matches the same tokens, the two become one. A ``tok`` child that shares only some ids is
    cut in two parts with the same patterns below, and the branch joins the part it shares.
    """
    if branch.kind != "tok":
        twin = next((c for c in parent.children if c.item == branch.item), None)
        if twin is None:
            parent.put(branch)
        else:
            absorb(twin, branch, override)
        return
    left = set(branch.ids)
    for child in [c for c in parent.children if c.kind == "tok"]:
        shared = left & set(child.ids)
        if shared:
            target = child if len(shared) == len(child.ids) else carve(child, shared)
            absorb(target, branch.copy(), override)
            left -= shared
    if left:
        branch.ids = tuple(sorted(left))
        parent.put(branch)


def absorb(target: Branch, branch: Branch, override: bool = False) -> None:
    """Move the end and the children of ``branch`` into ``target``."""
    target.end = branch.end if override and branch.end else join(target.end, branch.end)
    imps = [i for i in (target.imp, branch.imp) if i is not None]
    target.imp = max(imps) if imps else None
    target.locked |= branch.locked
    for child in list(branch.children):
        attach(target, child.detach(), override)


def carve(branch: Branch, ids: Iterable[int]) -> Branch:
    """Split the alternatives ``ids`` off as a new sibling with a copy of everything below."""
    part = branch.copy()
    part.ids = tuple(sorted(ids))
    branch.ids = tuple(sorted(set(branch.ids) - set(ids)))
    assert branch.parent is not None
    return branch.parent.put(part, after=branch)


def join(a: End | None, b: End | None) -> End | None:
    """Two ends of the same pattern as one: values weighted by what each was counted on."""
    if a is None or b is None:
        return a or b
    n = a.n + b.n
    value = (a.value * a.n + b.value * b.n) / n if n else (a.value + b.value) / 2
    return End(value, n, a.n_fire + b.n_fire, a.sum + b.sum, a.sumsq + b.sumsq)


def prune_dangling(branch: Branch | None) -> None:
    """Remove ``branch`` and its ancestors as far as they lead to no end."""
    while branch is not None and branch.kind != "root" and not branch.children and branch.end is None:
        parent = branch.parent
        branch.detach()
        branch = parent


def chain(items: Iterable[Item], end: End, imps: Iterable[float | None] = (), origin: str = "fit") -> Branch:
    """A pattern as a branch; ``items`` from the activating token to the earliest context."""
    items, imps = list(items), list(imps)
    branch: Branch | None = None
    for i, (kind, ids, lo, hi) in reversed(list(enumerate(items))):
        new = Branch(kind, tuple(sorted(ids)), lo, hi, imps[i] if i < len(imps) else None, origin=origin)
        if branch is None:
            new.end = end
        else:
            new.put(branch)
        branch = new
    if branch is None:
        raise SaelabError("a pattern needs at least the token the latent fires on")
    return branch


def fold(branch: Branch) -> None:
    """Make sibling ``tok`` nodes with the same patterns below into one node with alternatives.

    Exact as to which positions match; the value of a merged end is the mean, weighted by counts.
    """
    for child in branch.children:
        fold(child)
    groups: dict[Any, Branch] = {}
    for child in list(branch.children):
        if child.kind != "tok" or child.locked:
            continue
        first = groups.setdefault(_shape(child), child)
        if first is not child:
            child.detach()
            first.ids = tuple(sorted({*first.ids, *child.ids}))
            absorb(first, child)


def _shape(branch: Branch) -> Any:
    below = sorted((*c.item, c.locked, _shape(c)) for c in branch.children)
    zero = branch.end is not None and branch.end.value == 0
    return branch.end is not None, zero, tuple(below)


# ----------------------------------------------------------------------------------------------- checks


def check(tree: Tree) -> None:
    """Raise :class:`SaelabError` naming the first node that breaks a rule of the module's docstring."""
    for node in tree.nodes.values():
        _check_node(tree, node)
    _check_connected(tree)
    for siblings in tree.children.values():
        _check_siblings([tree.nodes[i] for i in siblings])


def _check_node(tree: Tree, node: Node) -> None:
    def fault(text: str) -> SaelabError:
        return SaelabError(f"node {node.id} ({node.kind}): {text}")

    check_choice(f"kind of node {node.id}", node.kind, KINDS)
    if node.id < 1 or (node.parent != ROOT and node.parent not in tree.nodes):
        raise fault(f"id and parent must be nodes of the graph, got parent {node.parent}")
    if (node.kind in ("tok", "not")) != bool(node.ids):
        raise fault("a tok or not node names at least one token id, the other kinds name none")
    if any(i < 0 for i in node.ids) or len(set(node.ids)) != len(node.ids):
        raise fault(f"token ids are distinct and not negative, got {node.ids}")
    parent = tree.nodes[node.parent].kind if node.parent else "root"
    below = tree.children[node.id]
    if node.kind == "start" and (below or parent == "root"):
        raise fault("start stands at the earliest end of a pattern, after at least one token")
    if node.kind == "gap":
        if not 0 <= node.lo <= node.hi or not 1 <= node.hi <= MAX_GAP:
            raise fault(f"a gap is lo ≤ hi tokens wide with hi in 1…{MAX_GAP}, got {node.lo}…{node.hi}")
        if not below or node.end or parent in ("root", "gap"):
            raise fault("a gap stands between two other nodes")
    if not below and node.end is None:
        raise fault("a path must end in a value")
    if node.end is not None and not (math.isfinite(node.end.value) and node.end.value >= 0):
        raise fault(f"a value is a finite number ≥ 0, got {node.end.value}")


def _check_connected(tree: Tree) -> None:
    seen, todo = set(), list(tree.children[ROOT])
    while todo:
        node = todo.pop()
        seen.add(node)
        todo.extend(tree.children[node])
    loose = set(tree.nodes) - seen
    if loose:
        raise SaelabError(f"node {min(loose)} is not connected to the root")


def _check_siblings(siblings: list[Node]) -> None:
    seen: dict[Any, int] = {}
    for node in siblings:
        for key in [("tok", i) for i in node.ids] if node.kind == "tok" else [node.item]:
            other = seen.setdefault(key, node.id)
            if other != node.id:
                raise SaelabError(
                    f"nodes {other} and {node.id} are siblings that match the same token {key[1:]}"
                )
