r"""Which genre a text is of, by the generator's own rules.

Two kinds of evidence, both counted in characters. *Words*: a word that the rules of few genres can write
speaks for those (``tablespoons`` for recipes; ``the`` for none). *Form*: what has a shape rather than words,
such as ``12 + 7 = 19``, ``\frac{x}{y}`` or ``HTTP/1.1 404``. Nothing here is trained.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict

from saelab.zoo.corpus import GENRES, GRAMMAR
from saelab.zoo.genres.law_and_food import NUTRIENTS

_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
_DAY = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_NUTRIENT = "|".join(re.escape(n[0]) for n in NUTRIENTS)
_HEADER = (
    "Host|User-Agent|Accept(?:-Language|-Encoding)?|Cookie|Referer|Connection|Content-Length|Content-Type|Server|"
    "Cache-Control|ETag|Location|Set-Cookie|Vary|Authorization"
)

# genre -> (pattern, weight of each character it matches)
_FORMS: dict[str, list[tuple[str, float]]] = {
    "dna": [(r"\b[ACGT]{6,}\b", 3), (r"^>\S+.*$", 1.5), (r"^[ACGT]{3,}$", 3)],
    "base64": [
        (r"(?<![\w/.])(?=[A-Za-z0-9+/]*[a-z])(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*[0-9])"
         r"[A-Za-z0-9+/]{14,}={0,2}", 1.6),
        (r"(?<![\w/.])(?=[A-Za-z0-9+/]*[a-z][A-Z])[A-Za-z0-9+/]{16,}={0,2}", 1.2),
        (r"-----(?:BEGIN|END) [A-Z ]+-----|;base64,|Content-Transfer-Encoding: base64", 2),
    ],
    "hebrew": [(r"[\u0590-\u05ff]", 4)],
    "russian": [(r"[\u0400-\u04ff]", 4)],
    "japanese": [(r"[\u3001-\u30ff\u4e00-\u9fff]", 4)],
    "arithmetic": [
        (r"\(?\d+ [-+*/x÷] \d+\)?(?: [-+*/x÷] \d+)?(?: = \d+)?", 2),
        (r"Count: (?:\d+, )*", 3),
        (r"(?:\b\d+, ){3,}", 2),
        (r"^[+ ] +\d+$|^-{6}$", 2),
        (r"\b(?:What is|Solve:|correct!|Check that)(?= \(?\d|$|\n)", 2),
        (r"How many \w+ are (?:left|there now)\?|has \d+ \w+ and (?:buys|gives away) \d+", 2),
    ],
    "chess": [
        (r"\b\d+\. ?(?=[a-hNBRQKO])", 2),
        (r"\b(?:[NBRQK][a-h]?x?[a-h][1-8]|[a-h]x[a-h][1-8]|O-O(?:-O)?)[+#]?[!?]*", 2.5),
        (r"(?<= )[a-h][1-8](?:=Q)?[+#]?[!?]*(?= )", 2),
        (r'\[(?:White|Black|Event|Result) ".*"\]|1/2-1/2', 2),
    ],
    "dates": [
        (rf"\b(?:{_DAY})\b", 0.8),
        (rf"\b(?:[Ff]rom|until) \d{{4}}\b|(?:{_MONTH}) \d{{4}}\b", 1.2),
        (rf"\b\d{{1,2}} (?:{_MONTH})(?: \d{{4}})?\b|\b(?:{_MONTH}) \d{{1,2}}, \d{{4}}"
         rf"|\d(?:st|nd|rd|th) of (?:{_MONTH})", 1.3),
        (r"\b\d{1,2}[./]\d{1,2}[./]\d{4}\b|\b\d{4}-\d\d-\d\d(?:T\d\d:\d\d:00Z)?(?= [a-z|])", 1.5),
        (r"\b\d{1,2}:\d\d(?: am| pm|,|:(?= \w))|o'clock|noon|midnight", 1.2),
    ],
    "http": [
        (r"\b(?:GET|POST|PUT|DELETE|HEAD|PATCH|OPTIONS) /\S*(?: HTTP/[\d.]+$)?", 1.5),
        (r"^HTTP/[\d.]+(?: \d{3} .*)?", 2.5),
        (rf"^(?:{_HEADER}):", 2.5),
        (rf"(?<=^)(?:{_HEADER}):.*$", 1),
        (r"^Date: .* GMT", 2),
        (r"Mozilla/5.0.*|(?:text|application|image|font|audio)/[\w+-]+|;q=0\.\d|keep-alive|charset=utf-8", 1),
        (r"Path=/|session=\w+", 1),
    ],
    "log": [
        (r"\b\d\d:\d\d:\d\d(?:,\d{3})?\b", 1.5),
        (r"\b(?:INFO|DEBUG|WARNING|ERROR|CRITICAL)\b", 2.5),
        (r"\[?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", 1),
        (r"^[A-Z][a-z]{2} \d{1,2} \d\d:\d\d:\d\d", 1.5),
        (r"\d+\.\d+\.\d+\.\d+(?: - - \[.*?\])?", 1.5),
        (r'\d\d:\d\d:\d\d \+0000\] "[A-Z]+ .*|" \d{3} \d{3,4}$|HTTP/1.1" \d*', 2.5),
        (r"\b[a-z.]+\[\d+\]:", 2),
    ],
    "json": [
        (r'"\w*": ?', 1.6),
        (r'(?<=": )(?:"[^"\n]*"|true|false|null|[-\d.]+)', 1),
        (r'^[{}\[\]]$|^ *"\w+": .*$|\}, \{|\{"', 0.8),
        (r'"[^"\n]*",? ?(?=["\]}]|$)', 0.5),
    ],
    "latex": [
        (r"\\[A-Za-z]+(?:\{[^{}\n]*\})*", 1.8),
        (r"\$[^$\n]+\$", 1.3),
        (r"\\\\|\\\[|\\\]|[_^]\{?\w", 1),
    ],
    "email": [
        (r"^(?:From|To|Cc|Subject|Fwd|Re): ?.*$", 1),
        (r"^(?:From|To|Cc|Subject):", 3),
        (r"[\w.]+@[\w.-]+", 0.9),
        (r"\bin room \d+|\bI am out of the office|\bLet me know if|\bplease\b|\bThe train to", 1.5),
        (r"^(?:Dear|Hi|Hello|Good morning) [\w ]+,$", 2.5),
        (r"^(?:Best|Kind) regards,|^Thanks,|^Cheers, |^Yours sincerely,|^All the best|^See you soon,", 2.5),
    ],
    "nutrition": [
        (rf"\b(?:{_NUTRIENT})\b(?=[: \t(]*\d|$)", 1.5),
        (r"\b\d+(?:\.\d)? ?(?:g|mg|mcg|kcal|kJ)\b(?= *[(,.\n]|  )", 1.2),
        (r"\(?\d+%\)?", 1.2),
        (r"Nutrition|Serving size|Per serving|Amount per serving|May contain traces|Allergy "
         r"advice|Percent Daily Values", 1.5),
    ],
    "python": [
        (r"\b(?:def|class) \w+.*:$|^ +return\b.*$|\b(?:import|from) [a-z]+$|^(?:import|from) .*$", 1.5),
        (r"\bself(?:\.\w+)?|__\w+__|\blambda x:|\bprint\(|\bassert\b|\bexcept \w+:|\braise \w+", 1.8),
        (r"^ *(?:if|elif|for|while|with) .*:$|^ *(?:try|else):$", 1.5),
        (r"^ *[a-z_][\w.]*(?:\[.*\])?(?:, \w+)? \+?= .*$", 1.3),
        (r"\b\w+\((?:\w+|\"\w*\"|'\w*')?(?:, \w+)?\)|\.\w+\(", 1),
        (r"^ *# .*$|\"\"\".*\"\"\"", 1.2),
        (r" (?:==|!=|<=|>=|//|\*\*) ", 1),
    ],
    "recipe": [
        (r"\b\d+(?:/\d)? (?:\d/\d "
         r")?(?:tablespoons|teaspoons|cups|tbsp|tsp|cloves|slices|pints|grams)\b", 1.5),
        (r"^[-*] .*$|^(?:Step )?\d[.:)] [A-Z][a-z]+.*$", 0.4),
        (r"Ingredients:?$|^Method:|^Serves \d", 1.5),
    ],
    "legal": [
        (r"(?:Section|Article|Clause|Art\.|§) \d+(?:\.\d+)*(?:\(\w\))?", 1.5),
        (r"\b\w+ v\. \w+|\d+ (?:U\.S\.C?\.?|F\.3d)(?: § )? ?\d*", 2),
        (r"\b(?:shall|hereby|WHEREAS|THEREFORE|AGREEMENT|pursuant|notwithstanding|thereof)\b", 2),
    ],
    "story": [
        (r'"[A-Z][^"\n]*[,?!.]" ?', 0.6),
        (r"\b(?:[Ss]he|[Hh]e|[Hh]er|[Hh]is|him)\b", 1.5),
        (r"Once upon a time|[Ss]uddenly|happily ever after|From that day on", 2),
    ],
}  # fmt: skip

# of a text's characters, this share must be explained, or it is of no genre
_ENOUGH = 0.25
_WORD = re.compile(r"[^\W\d_]{3,}")


@functools.cache
def _patterns() -> dict[str, list[tuple[re.Pattern[str], float]]]:
    return {g: [(re.compile(p, re.MULTILINE), w) for p, w in forms] for g, forms in _FORMS.items()}


@functools.cache
def _lexicon() -> dict[str, tuple[tuple[str, ...], float]]:
    """word -> the genres whose rules can write it, and what one of its characters weighs for each."""
    genres: dict[str, set[str]] = defaultdict(set)
    for genre in GENRES:
        for text in GRAMMAR.literals(genre, apart=GENRES):
            for word in _WORD.findall(text):
                genres[word.lower()].add(genre)
    return {w: (tuple(sorted(g)), 1.0 / len(g) ** 1.5) for w, g in genres.items()}


def scores(text: str) -> dict[str, float]:
    """Evidence for each genre, per character of ``text`` that is not a space."""
    size = max(len(re.sub(r"\s", "", text)), 1)
    found = dict.fromkeys(GENRES, 0.0)
    for genre, forms in _patterns().items():
        for pattern, weight in forms:
            found[genre] += weight * sum(m.end() - m.start() for m in pattern.finditer(text))
    lexicon = _lexicon()
    for word in _WORD.findall(text):
        genres, weight = lexicon.get(word.lower(), ((), 0.0))
        for genre in genres:
            found[genre] += weight * len(word)
    return {g: v / size for g, v in found.items()}


def classify(text: str) -> str | None:
    """Genre of ``text``, or None if it looks like none of them.

    Meant for texts of a dozen tokens or more; where genres are mixed, the one with most characters.
    """
    best, value = max(scores(text).items(), key=lambda item: item[1])
    return best if value >= _ENOUGH else None
