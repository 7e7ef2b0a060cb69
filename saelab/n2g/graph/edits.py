"""What can be done to a pattern tree: each edit is a function from a tree and JSON arguments to a tree.

An edit never guesses: arguments say everything (values included), so that a history can be replayed on the
graph it began with and gives the same tree, node ids included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from saelab.errors import SaelabError, check_choice
from saelab.n2g.graph import render
from saelab.n2g.graph.tree import (
    ROOT,
    Branch,
    End,
    Item,
    Tree,
    absorb,
    attach,
    carve,
    chain,
    freeze,
    join,
    prune_dangling,
    thaw,
)


@dataclass
class _Work:
    root: Branch
    by_id: dict[int, Branch]

    def get(self, node: int, *kinds: str, change: bool = True) -> Branch:
        """The branch of a node id, of one of ``kinds`` and, if it will be changed, not locked."""
        if isinstance(node, bool) or not isinstance(node, int) or node not in self.by_id:
            known = sorted(self.by_id)
            shown = f"{known[0]}…{known[-1]}" if known else "none: the graph is empty"
            raise SaelabError(f"no node {node!r} in this graph; node ids are {shown}")
        branch = self.by_id[node]
        if kinds and branch.kind not in kinds:
            raise SaelabError(
                f"node {node} is of kind {branch.kind!r}; this edit is for {' or '.join(kinds)}"
            )
        if change and branch.locked:
            raise SaelabError(f"node {node} is locked; unlock it first")
        return branch


def _free_below(branch: Branch) -> None:
    for b in branch.walk():
        if b.locked:
            raise SaelabError(f"node {b.id} is locked; unlock it first")


def _ids(ids: Any) -> tuple[int, ...]:
    values = ids if isinstance(ids, (list, tuple)) else [ids]
    if not values or any(isinstance(i, bool) or not isinstance(i, int) or i < 0 for i in values):
        raise SaelabError(f"token ids are a list of whole numbers ≥ 0, got {ids!r}")
    return tuple(sorted(set(values)))


def _value(value: Any) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise SaelabError(f"a value is a finite number ≥ 0, got {value!r}")
    return float(value)


def _not_taken(branch: Branch, ids: tuple[int, ...]) -> None:
    assert branch.parent is not None
    for other in branch.parent.children:
        shared = set(other.ids) & set(ids) if other is not branch and other.kind == "tok" else None
        if shared:
            raise SaelabError(f"token {min(shared)} is already matched by node {other.id} beside this one")


# ---------------------------------------------------------------------------------------------- the edits


def delete(work: _Work, node: int) -> Branch | None:
    """Remove a node with everything below it, and ancestors that then lead nowhere."""
    branch = work.get(node)
    _free_below(branch)
    parent = branch.parent
    branch.detach()
    prune_dangling(parent)
    return parent


def wildcard(work: _Work, node: int) -> Branch:
    """Let a node match any token; joins an ``any`` that is beside it."""
    branch = work.get(node, "tok", "not")
    parent = branch.parent
    assert parent is not None
    branch.kind, branch.ids, branch.origin = "any", (), "user"
    twin = next((c for c in parent.children if c is not branch and c.kind == "any"), None)
    if twin is None:
        return branch
    absorb(twin, branch.detach())
    return twin


def specialise(work: _Work, node: int, ids: list[int]) -> Branch:
    """Let a node match the tokens ``ids`` alone."""
    branch = work.get(node, "tok", "any", "not")
    wanted = _ids(ids)
    _not_taken(branch, wanted)
    branch.kind, branch.ids, branch.origin = "tok", wanted, "user"
    return branch


def add_alternative(work: _Work, node: int, ids: list[int]) -> Branch:
    """Let a ``tok`` node match further tokens (a ``not`` node: exclude further tokens)."""
    branch = work.get(node, "tok", "not")
    wanted = _ids(ids)
    if branch.kind == "tok":
        _not_taken(branch, wanted)
    branch.ids, branch.origin = tuple(sorted({*branch.ids, *wanted})), "user"
    return branch


def remove_alternative(work: _Work, node: int, ids: list[int]) -> Branch:
    """The opposite of :func:`add_alternative`; at least one token must remain."""
    branch = work.get(node, "tok", "not")
    gone = set(_ids(ids))
    if not gone <= set(branch.ids):
        raise SaelabError(f"token {min(gone - set(branch.ids))} is not among the alternatives of node {node}")
    if gone == set(branch.ids):
        raise SaelabError(f"these are all the alternatives of node {node}; delete the node instead")
    branch.ids, branch.origin = tuple(sorted(set(branch.ids) - gone)), "user"
    return branch


def parse_items(items: list[Any]) -> list[Item]:
    """Items in reading order -> items from the activating token backwards.

    An item is a token id, a list of ids (alternatives), ``"*"``, ``"^"`` (row start, only first),
    ``{"not": [ids]}`` or ``{"gap": [lo, hi]}``.
    """
    if not isinstance(items, (list, tuple)) or not items:
        raise SaelabError(f"a path is a list of items in reading order, got {items!r}")

    def one(item: Any) -> Item:
        if item == "*":
            return "any", (), 0, 0
        if item == "^":
            return "start", (), 0, 0
        if isinstance(item, dict) and set(item) == {"not"}:
            return "not", _ids(item["not"]), 0, 0
        if isinstance(item, dict) and set(item) == {"gap"}:
            lo, hi = item["gap"]
            return "gap", (), int(lo), int(hi)
        return "tok", _ids(item), 0, 0

    return [one(i) for i in reversed(items)]


def add_path(work: _Work, items: list[Any], value: float) -> Branch:
    """Add a pattern, given in reading order (see :func:`parse_items`); an equal one gets the new value."""
    new = chain(parse_items(items), End(_value(value)), origin="user")
    freeze_check = Branch("root")
    freeze_check.put(new.copy())
    freeze(freeze_check)  # a fault in the new path is told in its own terms, before it meets the graph
    attach(work.root, new, override=True)
    return _follow(work.root, parse_items(items))


def _follow(branch: Branch, items: list[Item]) -> Branch:
    for item in items:
        if item[0] == "tok":  # alternatives may now be spread over several nodes; any of them will do
            branch = next(c for c in branch.children if c.kind == "tok" and set(c.ids) <= set(item[1]))
        else:
            branch = next(c for c in branch.children if c.item == item)
    return branch


def exclude(work: _Work, node: int, ids: list[int]) -> Branch:
    """Patterns through ``node`` no longer match where the token before it is one of ``ids``.

    The node's end and an ``any`` below it move to a ``not`` node; ``tok`` nodes below lose these ids. A gap
    below is left as it is.
    """
    branch = work.get(node, "tok", "any", "not")
    gone = set(_ids(ids))
    moved: list[Branch] = []
    for child in list(branch.children):
        if child.kind in ("tok", "not", "any") and child.locked:
            raise SaelabError(f"node {child.id} is locked; unlock it first")
        if child.kind == "tok" and gone & set(child.ids):
            child.ids = tuple(sorted(set(child.ids) - gone))
            if not child.ids:
                child.detach()
        elif child.kind in ("any", "not"):
            moved.append(child.detach())
    for child in moved:
        child.ids, child.kind, child.origin = tuple(sorted(gone | set(child.ids))), "not", "user"
        attach(branch, child)
    if branch.end is not None:
        attach(branch, Branch("not", tuple(sorted(gone)), end=branch.end, origin="user"))
        branch.end = None
    if not branch.children:
        prune_dangling(branch)
        return work.root
    return branch


def gap(work: _Work, node: int, lo: int, hi: int) -> Branch:
    """Set a gap's width, turn an ``any`` into a gap, or put a gap between a node and the one after it.

    ``hi`` 0 takes the gap away.
    """
    branch = work.get(node, "tok", "any", "not", "gap", "start")
    lo, hi = int(lo), int(hi)
    if branch.kind in ("gap", "any"):
        branch.kind, branch.lo, branch.hi, branch.origin = "gap", lo, hi, "user"
        if hi == 0:
            parent, below = branch.parent, list(branch.children)
            branch.detach()
            assert parent is not None
            for child in below:
                attach(parent, child.detach())
            return parent
        parent = branch.parent
        assert parent is not None
        branch.detach()
        attach(parent, branch)
        return branch if branch.parent else parent
    parent = branch.parent
    if parent is None or parent.kind == "root":
        raise SaelabError(f"node {node} is the token the latent fires on; a gap goes before it, not after")
    if hi == 0:
        raise SaelabError(f"there is no gap at node {node} to take away")
    branch.detach()
    new = Branch("gap", lo=lo, hi=hi, origin="user")
    new.put(branch)
    attach(parent, new)
    return branch


def anchor_start(work: _Work, node: int, on: bool = True) -> Branch:
    """Let the pattern that ends at ``node`` match only at the row's start, or anywhere again."""
    branch = work.get(node, "tok", "any", "not")
    start = next((c for c in branch.children if c.kind == "start"), None)
    if on:
        if branch.end is None:
            raise SaelabError(f"no pattern ends at node {node}, so there is nothing to anchor")
        attach(branch, Branch("start", end=branch.end, origin="user"), override=True)
        branch.end = None
        return branch
    if start is None:
        raise SaelabError(f"node {node} is not anchored to the row's start")
    branch.end = join(branch.end, start.detach().end)
    return branch


def set_value(work: _Work, node: int, value: float | None) -> Branch:
    """Set the value predicted where the pattern ends at ``node``; None: no pattern ends here any more."""
    branch = work.get(node, "tok", "any", "not", "start")
    if value is None:
        branch.end = None
        prune_dangling(branch)
    else:
        old = branch.end or End(0.0)
        branch.end = End(_value(value), old.n, old.n_fire, old.sum, old.sumsq)
    return branch


def set_ends(work: _Work, ends: dict[str, list[float]]) -> Branch:
    """Set many ends: ``{node id: [value, n, n_fire, sum, sumsq]}``; locked nodes stay as they are."""
    for key, numbers in ends.items():
        branch = work.get(int(key), change=False)
        if not branch.locked:
            value, n, n_fire, total, squares = numbers
            branch.end = End(_value(value), int(n), int(n_fire), float(total), float(squares))
    return work.root


def merge(work: _Work, a: int, b: int) -> Branch:
    """Make two ``tok`` siblings one node with the alternatives of both; patterns below are put together."""
    first, second = work.get(a, "tok"), work.get(b, "tok")
    if first is second or first.parent is not second.parent:
        raise SaelabError(f"nodes {a} and {b} are not two children of the same node")
    second.detach()
    first.ids, first.origin = tuple(sorted({*first.ids, *second.ids})), "user"
    absorb(first, second)
    return first


def split(work: _Work, node: int, ids: list[int] | None = None) -> Branch:
    """Give the alternatives ``ids`` a node of their own; without ``ids``, every alternative its own."""
    branch = work.get(node, "tok")
    if len(branch.ids) < 2:
        raise SaelabError(f"node {node} has one token only, there is nothing to split")
    wanted = None if ids is None else set(_ids(ids))
    if wanted is not None and not wanted < set(branch.ids):
        raise SaelabError(f"split needs some, not all, of the alternatives {list(branch.ids)}, got {ids!r}")
    for part in [wanted] if wanted else [{i} for i in branch.ids[1:]]:
        carve(branch, part)
    return branch


def lock(work: _Work, node: int, on: bool = True) -> Branch:
    """Protect a node from edits, and from being removed with an ancestor; or release it."""
    branch = work.get(node, change=False)
    branch.locked = bool(on)
    return branch


class Op(NamedTuple):
    """One edit: what it does, and how a history words it.

    ``words`` is a text in which ``{node}`` and ``{ids}`` are the tokens of the node and of the arguments, or a
    function from the arguments to such a text. The editor's tool for it is in ``widgets/n2g_tools.js``.
    """

    run: Callable[..., Branch | None]
    words: str | Callable[[Mapping[str, Any]], str]


OPS: dict[str, Op] = {
    "delete": Op(delete, "delete {node}"),
    "wildcard": Op(wildcard, "any token for {node}"),
    "specialise": Op(specialise, "{ids} for {node}"),
    "add_alternative": Op(add_alternative, "{ids} beside {node}"),
    "remove_alternative": Op(remove_alternative, "no longer {ids}"),
    "add_path": Op(add_path, "add {items}"),
    "exclude": Op(exclude, "not after {ids}: {node}"),
    "gap": Op(gap, lambda a: f"gap {a.get('lo')}–{a.get('hi')} at {{node}}"),
    "anchor_start": Op(anchor_start, lambda a: _if_on(a, "only at the start", "anywhere") + ": {node}"),
    "set_value": Op(set_value, lambda a: "value of {node}: " + _number(a.get("value"))),
    "set_ends": Op(set_ends, lambda a: f"fit the value{'s' if len(a.get('ends', ())) > 1 else ''} again"),
    "merge": Op(merge, "merge {node} with its neighbour"),
    "split": Op(split, "split {node}"),
    "lock": Op(lock, lambda a: _if_on(a, "lock", "unlock") + " {node}"),
}


def _if_on(args: Mapping[str, Any], yes: str, no: str) -> str:
    return yes if args.get("on", True) else no


def _number(value: float | None) -> str:
    return "no pattern ends here" if value is None else f"{value:.3g}"


def words(labels: Mapping[int, str], before: Tree, op: str, args: Mapping[str, Any]) -> str:
    """One step of a history in words; ``before``: the tree it was made on."""
    node, ids = before.nodes.get(args.get("node", args.get("a", 0))), args.get("ids")
    text = OPS[op].words
    return (text if isinstance(text, str) else text(args)).format(
        node=render.item(labels, node.item, 3) if node else "",
        ids=render.tokens(labels, ids, 3) if isinstance(ids, (list, tuple)) and ids else "",
        items=render.items(labels, parse_items(args["items"]), 3) if op == "add_path" else "",
    )


def apply(tree: Tree, op: str, args: dict[str, Any]) -> tuple[Tree, int]:
    """The edited tree, and the id of the node to look at afterwards (0 for the root).

    Raises
    ------
    SaelabError
        If the edit does not exist, its arguments do not fit, or the result would break a rule; ``tree`` is
        never changed.
    """
    check_choice("edit", op, OPS)
    root, by_id = thaw(tree)
    try:
        focus = OPS[op].run(_Work(root, by_id), **args)
    except TypeError as error:
        raise SaelabError(f"{op} does not take these arguments: {error}") from None
    after = freeze(root, tree.next_id)
    here = focus.id if focus is not None and focus.id in after.nodes else ROOT
    return after, here or ROOT
