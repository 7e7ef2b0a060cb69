"""A small generative grammar whose symbols are the labels.

A rule set maps a symbol to its alternatives, all equally likely. An alternative is text with slots::

    <name>          expand that symbol          <^name>     the same, first letter in upper case
    <name*2-4>      two to four times           <name@key>  once per document, then the same text again
    <name=concept>  expand and label            <3..90>     a whole number from 3 to 90

A symbol named without a leading underscore is a concept (``http``, ``http.method``): all text it expands to
is labelled with it. So the labels are the derivation itself and cannot be wrong. A symbol may also be a
Python function that gets the :class:`Writer`; sums, checks and alphabets are easier that way.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from saelab.errors import SaelabError

Span = tuple[int, int, str]
Rule: TypeAlias = "Sequence[str] | Callable[[Writer], None]"

_SLOT = re.compile(
    r"<(?:(\d+)\.\.(\d+)|(\^?)([a-z_][a-z0-9_.]*)(?:\*(\d+)-(\d+))?(?:@(\w+))?(?:=([a-z0-9_.]+))?)>"
)


class _Slot(NamedTuple):
    symbol: str
    capital: bool
    low: int
    high: int
    key: str | None
    concept: str | None


class _Number(NamedTuple):
    low: int
    high: int


def writes(*concepts: str):
    """Declare which concepts a rule that is a function labels by itself."""

    def declare(rule: Callable[[Writer], None]) -> Callable[[Writer], None]:
        rule.concepts = concepts  # type: ignore[attr-defined]
        return rule

    return declare


def words(text: str) -> tuple[str, ...]:
    """Alternatives written with spaces between them."""
    return tuple(text.split())


def lines(text: str) -> tuple[str, ...]:
    r"""Alternatives written one a line; ``\n`` in a line is a newline."""
    return tuple(line.strip().replace("\\n", "\n") for line in text.strip().splitlines() if line.strip())


class Grammar:
    """Compiled rules.

    Raises
    ------
    SaelabError
        For a slot that names a symbol without a rule, or a concept whose parent does not exist.
    """

    def __init__(self, rules: Mapping[str, Rule]):
        self.functions = {s: r for s, r in rules.items() if callable(r)}
        self.rules = {s: [self._compile(a) for a in r] for s, r in rules.items() if not callable(r)}
        marked = {
            o.concept
            for r in self.rules.values()
            for a in r
            if type(a) is tuple
            for o in a
            if type(o) is _Slot and o.concept
        }
        declared = {c for f in self.functions.values() for c in getattr(f, "concepts", ())}
        self.concepts = tuple(sorted({s for s in rules if not s.startswith("_")} | marked | declared))
        for symbol, rule in self.rules.items():
            for alternative in rule:
                for op in alternative if type(alternative) is tuple else ():
                    if type(op) is _Slot and op.symbol not in rules:
                        raise SaelabError(f"the rule of {symbol!r} names {op.symbol!r}, which has no rule")
        for concept in self.concepts:
            if "." in concept and concept.rpartition(".")[0] not in self.concepts:
                raise SaelabError(f"concept {concept!r} has no parent concept")

    @staticmethod
    def _compile(alternative: str) -> str | tuple:
        ops, last = [], 0
        for slot in _SLOT.finditer(alternative):
            if slot.start() > last:
                ops.append(alternative[last : slot.start()])
            low, high, capital, symbol, least, most, key, concept = slot.groups()
            if symbol is None:
                ops.append(_Number(int(low), int(high)))
            else:
                concept = concept or (None if symbol.startswith("_") else symbol)
                ops.append(_Slot(symbol, bool(capital), int(least or 1), int(most or 1), key, concept))
            last = slot.end()
        if not ops:
            return alternative
        if last < len(alternative):
            ops.append(alternative[last:])
        return tuple(ops)

    def write(self, symbol: str, seed: int) -> tuple[str, tuple[Span, ...]]:
        """Text of one derivation of ``symbol`` and its spans, outermost first."""
        writer = Writer(self, seed)
        writer.expand(symbol, None if symbol.startswith("_") else symbol)
        # a span is noted when it ends, so of two over the same text the outer one comes later
        noted = [s for s in reversed(writer.spans) if s[0] < s[1]]
        spans = sorted(noted, key=lambda s: (s[0], -s[1]))
        return "".join(writer.parts), tuple(spans)

    def literals(self, symbol: str, apart: Collection[str] = ()) -> set[str]:
        """Literal text of all rules reached from ``symbol``, without what is labelled as one of ``apart``."""
        found: set[str] = set()
        seen, waiting = {symbol}, [symbol]
        while waiting:
            for alternative in self.rules.get(waiting.pop(), ()):
                for op in alternative if type(alternative) is tuple else (alternative,):
                    if type(op) is str:
                        found.add(op)
                    elif type(op) is _Slot and op.symbol not in seen and op.concept not in apart:
                        seen.add(op.symbol)
                        waiting.append(op.symbol)
        return found


class Writer:
    """One document while it is written: its text so far, its spans and its random numbers.

    Only ``random.Random.random`` is used, the one method whose values Python promises never to change.
    """

    __slots__ = ("grammar", "length", "memory", "parts", "random", "spans")

    def __init__(self, grammar: Grammar, seed: int):
        self.grammar = grammar
        self.random = random.Random(seed).random
        self.parts: list[str] = []
        self.spans: list[Span] = []
        self.memory: dict[str, str] = {}
        self.length = 0

    def put(self, text: str, concept: str | None = None) -> None:
        """Append text, labelled if a concept is given."""
        start = self.length
        self.parts.append(text)
        self.length = start + len(text)
        if concept is not None:
            self.spans.append((start, self.length, concept))

    def mark(self, start: int, concept: str) -> None:
        """Label everything from position ``start`` on."""
        self.spans.append((start, self.length, concept))

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self.random() < probability

    def integer(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + int(self.random() * (high - low + 1))

    def pick(self, choices: Sequence):
        """One of the choices."""
        return choices[int(self.random() * len(choices))]

    def expand(self, symbol: str, concept: str | None = None) -> None:
        """Append a derivation of ``symbol``; label it with ``concept`` if one is given."""
        start = self.length
        rule = self.grammar.rules.get(symbol)
        if rule is None:
            self.grammar.functions[symbol](self)
        else:
            alternative = rule[int(self.random() * len(rule))]
            if type(alternative) is str:
                self.parts.append(alternative)
                self.length += len(alternative)
            else:
                for op in alternative:
                    if isinstance(op, str):
                        self.parts.append(op)
                        self.length += len(op)
                    elif isinstance(op, _Slot):
                        self._slot(op)
                    else:
                        self.put(str(self.integer(op.low, op.high)))
        if concept is not None:
            self.spans.append((start, self.length, concept))

    def _slot(self, slot: _Slot) -> None:
        first = len(self.parts)
        if slot.key is not None:
            if slot.key in self.memory:
                self.put(self.memory[slot.key], slot.concept)
            else:
                self.expand(slot.symbol, slot.concept)
                self.memory[slot.key] = "".join(self.parts[first:])
        else:
            times = slot.low if slot.low == slot.high else self.integer(slot.low, slot.high)
            for _ in range(times):
                self.expand(slot.symbol, slot.concept)
        if slot.capital and first < len(self.parts):
            text = self.parts[first]
            self.parts[first] = text[:1].upper() + text[1:]
