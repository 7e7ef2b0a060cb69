"""OpenAI's form of an explanation: nested dicts from token text to what comes before it.

As read from ``sparse_autoencoder/explanations.py`` of github.com/openai/sparse_autoencoder: ``token(*)`` is
any token, ``token(^)`` the start of the sequence, ``<saliency>`` holds the activation where a pattern ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from saelab.errors import SaelabError
from saelab.n2g.graph.tree import ROOT, Branch, End, Tree, attach, freeze

ANY, START, VALUE = "token(*)", "token(^)", "<saliency>"


def to_trie(tree: Tree, label: Callable[[int], str]) -> dict[str, Any]:
    """The tree as OpenAI's nested dicts; a node with alternatives becomes one entry for each.

    Raises
    ------
    SaelabError
        For gaps and exclusions, which that form cannot say, and for token texts that it reserves.
    """

    def below(node: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for child in (tree.nodes[i] for i in tree.children[node]):
            if child.kind in ("gap", "not"):
                raise SaelabError(f"OpenAI's form has no {child.kind} node (node {child.id})")
            names = {"any": [ANY], "start": [START]}.get(child.kind) or [label(i) for i in child.ids]
            for name in names:
                if child.kind == "tok" and name in (ANY, START, VALUE):
                    raise SaelabError(
                        f"OpenAI's form reserves the text {name!r}, which is a token of node {child.id}"
                    )
                if name in out:
                    raise SaelabError(f"two tokens of node {node or 'root'} have the same text {name!r}")
                out[name] = below(child.id)
        end = tree.nodes[node].end if node else None
        if end is not None:
            out[VALUE] = end.value
        return out

    return below(ROOT)


def from_trie(trie: Mapping[str, Any], token_id: Callable[[str], int]) -> Tree:
    """A tree from OpenAI's nested dicts. Empty branches, which predict nothing, are left out.

    Raises
    ------
    SaelabError
        If a text is no token (``token_id`` raises) or the dicts have another form.
    """

    def build(entry: Any, branch: Branch) -> Branch:
        if not isinstance(entry, Mapping):
            raise SaelabError(f"an OpenAI trie is nested dicts, got {type(entry).__name__}")
        if VALUE in entry:
            value = entry[VALUE]
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise SaelabError(f"{VALUE} holds a number, got {value!r}")
            branch.end = End(float(value))
        for name, inner in entry.items():
            if name != VALUE:
                child = Branch({ANY: "any", START: "start"}.get(name, "tok"))
                if child.kind == "tok":
                    child.ids = (int(token_id(name)),)
                build(inner, child)
                if child.children or child.end:
                    attach(branch, child)
        return branch

    return freeze(build(trie, Branch("root", id=ROOT)))
