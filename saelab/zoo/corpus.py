"""The corpus of the zoo: generated documents in which every character is labelled.

    >>> from saelab.zoo import corpus
    >>> document = next(corpus.documents(seed=0, genres=["http"]))
    >>> document.genre, document.concepts("http.method")[0] in document.text
    ('http', True)

All texts come from the rules in ``saelab/zoo/genres``, word lists and templates written for this project: no
text was copied, nothing is downloaded. Names, addresses and case citations are made up. A document is a pure
function of (seed, number), the same on every platform.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from saelab.display import facts_html
from saelab.doors import door
from saelab.errors import SaelabError, check_choice, check_count
from saelab.zoo.genres import RULES
from saelab.zoo.grammar import Grammar, Span

GENRES: tuple[str, ...] = (
    "arithmetic", "base64", "chess", "dates", "dna", "email", "hebrew", "http", "japanese", "json", "latex",
    "legal", "log", "nutrition", "python", "recipe", "russian", "story",
)  # fmt: skip

GRAMMAR = Grammar(RULES)
CONCEPTS: tuple[str, ...] = GRAMMAR.concepts
_PER_SEED = 1 << 40  # documents that one seed can number


@dataclass(frozen=True)
class Document:
    """A generated text.

    Attributes
    ----------
    text
        The text.
    spans
        (start, stop, concept) in characters, outermost first. The first span is the genre and covers all
        of the text; a span of ``http.method`` lies inside one of ``http``. A document that quotes another
        genre (an HTTP body in JSON, a story with a recipe) carries that genre there as well.
    """

    text: str
    spans: tuple[Span, ...]

    def _repr_html_(self) -> str:
        names = list(dict.fromkeys(concept for _, _, concept in self.spans[1:]))
        found = [(name, "  ·  ".join(dict.fromkeys(self.concepts(name)))) for name in names]
        return facts_html(f"Document: {self.genre}", [("text", self.text), *found])

    @property
    def genre(self) -> str:
        """Genre of the whole document."""
        return self.spans[0][2]

    def concepts(self, name: str) -> list[str]:
        """The stretches of text that carry the concept ``name``."""
        return [self.text[a:b] for a, b, concept in self.spans if concept == name]


@door
def document(index: int, *, seed: int = 0, genres: Sequence[str] | None = None) -> Document:
    """Document number ``index`` of the stream that :func:`documents` gives for the same arguments."""
    return _document(index, seed, _checked(genres))


@door
def documents(
    n: int | None = None, *, seed: int = 0, genres: Sequence[str] | None = None
) -> Iterator[Document]:
    """Generated documents, endless if ``n`` is None.

    Parameters
    ----------
    n
        How many.
    seed
        0, 1, 2, …; another seed gives other documents.
    genres
        Only these, all equally often; None is all of :data:`GENRES`.

    Raises
    ------
    SaelabError
        For an unknown genre or a negative number; before the first document.
    """
    chosen = _checked(genres)
    seed = check_count("seed", seed, 0)
    numbers = itertools.count() if n is None else range(check_count("n", n, 0))
    return (_document(i, seed, chosen) for i in numbers)


@door
def texts(n: int | None = None, *, seed: int = 0, genres: Sequence[str] | None = None) -> Iterator[str]:
    """The texts of :func:`documents`."""
    return _Texts(documents(n, seed=seed, genres=genres), endless=n is None)


class _Texts(Iterator[str]):
    """Texts that know whether they end: what would read them to their end refuses endless ones."""

    def __init__(self, documents: Iterator[Document], *, endless: bool):
        self._documents, self.endless = documents, endless

    def __next__(self) -> str:
        return next(self._documents).text


def _document(index: int, seed: int, genres: tuple[str, ...]) -> Document:
    key = seed * _PER_SEED + index
    # a random stream of its own for the genre: the text then depends on it, not on which others there are
    genre = genres[int(random.Random(~key & ((1 << 96) - 1)).random() * len(genres))]
    return Document(*GRAMMAR.write(genre, key))


@functools.lru_cache(maxsize=64)
def _checked_tuple(genres: tuple[str, ...]) -> tuple[str, ...]:
    for genre in genres:
        check_choice("genre", genre, GENRES)
    if not genres:
        raise SaelabError(f"genres is empty; allowed: {', '.join(GENRES)}")
    return genres


def _checked(genres: Sequence[str] | None) -> tuple[str, ...]:
    if genres is None:
        return GENRES
    if isinstance(genres, str):
        raise SaelabError(f"genres must be a list of names, got the string {genres!r}; use [{genres!r}]")
    return _checked_tuple(tuple(genres))
