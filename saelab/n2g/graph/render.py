"""A pattern tree for the eye: text, DOT, HTML, and the labels they use."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence

from saelab.display import escape, isolated
from saelab.n2g.graph.tree import Item, Pattern, Tree

_VISIBLE = {"\n": "↵", "\t": "⇥", "\r": "␍"}


def show(label: str) -> str:
    r"""A token's label on one line: newline as ``↵``, other invisible characters as escapes."""
    out = []
    for c in label:
        if c in _VISIBLE:
            out.append(_VISIBLE[c])
        elif c.isprintable():
            out.append(c)
        else:
            out.append(c.encode("unicode_escape").decode())
    return "".join(out)


def label_of(labels: Mapping[int, str], token: int) -> str:
    """The text of a token id, or ``#id`` when the graph was never told."""
    return labels.get(token, f"#{token}")


class Labels(dict[int, str]):
    """Token id -> text, in the order in which alternatives are shown."""

    _place: dict[int, int] | None = None

    @property
    def place(self) -> dict[int, int]:
        """Token id -> its number in the order."""
        if self._place is None or len(self._place) != len(self):
            self._place = {token: n for n, token in enumerate(self)}
        return self._place


def ordered(labels: Mapping[int, str], ids: Iterable[int]) -> list[int]:
    """Ids in the order of the labels, unlabelled ones last."""
    place = labels.place if isinstance(labels, Labels) else Labels(labels).place
    return sorted(ids, key=lambda i: (place.get(i, len(place)), i))


def tokens(labels: Mapping[int, str], ids: Sequence[int], limit: int = 6) -> str:
    """Alternatives as ```GET`|`POST`|+3``."""
    ids = ordered(labels, ids)
    shown = "|".join(f"`{show(label_of(labels, i))}`" for i in ids[:limit])
    return shown + (f"|+{len(ids) - limit}" if len(ids) > limit else "")


def item(labels: Mapping[int, str], part: Item, limit: int = 6) -> str:
    """One item of a pattern as text."""
    kind, ids, lo, hi = part
    if kind == "tok":
        return tokens(labels, ids, limit)
    if kind == "not":
        return f"¬({tokens(labels, ids, limit)})"
    if kind == "gap":
        return f"…{{{lo},{hi}}}"
    return {"any": "*", "start": "^"}[kind]


def items(labels: Mapping[int, str], parts: Sequence[Item], limit: int = 6) -> str:
    """```Host` `:` * → `example```: context in reading order, then the token the latent fires on."""
    *context, last = [item(labels, i, limit) for i in reversed(parts)]
    return " ".join([*context, "→", last])


def pattern(labels: Mapping[int, str], p: Pattern, limit: int = 6) -> str:
    """The items of a pattern as text."""
    return items(labels, p.items, limit)


def best_first(tree: Tree) -> list[Pattern]:
    """The pattern that explains most activation first."""
    return sorted(tree.patterns, key=lambda p: (-p.end.sum, -p.end.value, p.node))


def text(tree: Tree, labels: Mapping[int, str], *, n: int | None = None, limit: int = 6) -> str:
    """One line per pattern, the one that explains most activation first."""
    ordered = best_first(tree)
    lines = []
    for p in ordered[:n]:
        counts = f", fires on {p.end.n_fire} of {p.end.n}" if p.end.n else ""
        lines.append(f"{pattern(labels, p, limit)}  ({p.end.value:.3g}{counts})")
    if n is not None and len(ordered) > n:
        lines.append(f"… {len(ordered) - n} more")
    return "\n".join(lines)


_SIGNS = (
    "A pattern reads from left to right and fires on the bold token. “|” or; +3: and 3 more tokens; * any token; "
    "¬ any but these; · a space; ↵ a new line; \\x9c a byte of a letter that the tokenizer cuts in pieces"
)
_TOKEN = 'style="white-space:pre;padding:0 .25em;border:1px solid currentColor;border-radius:3px;font-family:monospace'


def to_html(tree: Tree, labels: Mapping[int, str], *, n: int = 12, limit: int = 8) -> str:
    """A table with one line per pattern, the one that explains most activation first: no script, every label escaped
    and isolated, so that neither markup nor the direction of a script leaks out of it."""

    def chips(ids: Sequence[int], strong: bool) -> str:
        """One box for a position, with ``|`` between what may stand there."""
        ids = ordered(labels, ids)
        names = [show(label_of(labels, i)).replace(" ", "·") for i in ids[:limit]]
        shown = " | ".join(isolated(name, "", escape(name)) for name in names)
        more = f" | +{len(ids) - limit}" if len(ids) > limit else ""
        return f'<span {_TOKEN}{";font-weight:bold" if strong else ""}">{shown}{more}</span>'

    def part(given: Item, strong: bool = False) -> str:
        if given[0] == "tok":
            return chips(given[1], strong)
        return f"¬ ({chips(given[1], False)})" if given[0] == "not" else escape(item(labels, given))

    def run(given: Sequence[Item]) -> str:
        if given[0][0] == "any" and len(given) > 2:
            return f"* × {len(given)}"
        return " ".join(map(part, given))

    left, right = 'style="text-align:left;line-height:1.9"', 'style="text-align:right;white-space:nowrap"'
    lines, every = [], best_first(tree)
    for p in every[:n]:
        *context, last = reversed(p.items)
        runs = [run(list(group)) for _, group in itertools.groupby(context, key=lambda i: i[0])]
        shown = " ".join([*runs, "→", part(last, strong=True)])
        fires = f"{p.end.n_fire} of {p.end.n}" if p.end.n else ""
        lines.append(
            f"<tr><td {left}>{shown}</td><td {right}>{p.end.value:.3g}</td><td {right}>{fires}</td></tr>"
        )
    more = f"<div>… and {len(every) - n} more</div>" if len(every) > n else ""
    head = f"<tr><th {left}>pattern</th><th {right}>activation</th><th {right}>fires on</th></tr>"
    table = f'<div style="overflow-x:auto"><table>{head}{"".join(lines)}</table></div>'
    return f'{table}{more}<div style="opacity:.7">{escape(_SIGNS)}</div>'


def dot(tree: Tree, labels: Mapping[int, str], limit: int = 6) -> str:
    """Graphviz source, drawn so that it reads from left to right; red is the activating token."""
    largest = max((p.end.value for p in tree.patterns), default=0.0) or 1.0
    lines = ["digraph n2g {", "  rankdir=RL;", '  node [shape=box, style="rounded,filled", fillcolor=white];']
    for node in tree.nodes.values():
        name = item(labels, node.item, limit)
        look = [f"label={json.dumps(name, ensure_ascii=False)}"]
        if node.parent == 0:
            look.append('color="#c03030"')
        if node.end is not None:
            shade = 255 - round(120 * min(1.0, node.end.value / largest))
            look += [f'penwidth=2, fillcolor="#ff{shade:02x}{shade:02x}", tooltip="{node.end.value:.4g}"']
        lines.append(f"  n{node.id} [{', '.join(look)}];")
        if node.parent:
            lines.append(f"  n{node.parent} -> n{node.id} [dir=back];")
    return "\n".join([*lines, "}"]) + "\n"
