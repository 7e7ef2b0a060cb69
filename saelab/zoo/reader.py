"""A judge that knows the zoo's truth and reads words literally: what a perfect judge would score is known by it."""

from __future__ import annotations

import json
import re
from bisect import bisect_right

from saelab.words.calls import Messages
from saelab.zoo.corpus import CONCEPTS, Document

_STRING = r'"(?:[^"\\]|\\.)*"'


class Reader:
    """A function from messages to text, which answers the prompts of :mod:`saelab.words` without a language model.

    A description that names concepts (``http.header_name``) fits where one of them is in the text, by the truth of the
    ``documents`` that the text is from. One that quotes tokens fits where one of the first three quoted is in the text. Any
    other, such as an empty one, gets 0.5. It takes lists of texts (detection); marks and tokens it does not understand.
    """

    name = "reader"

    def __init__(self, documents: list[Document]):
        self._documents = documents
        self._starts = [0]
        for d in documents:
            self._starts.append(self._starts[-1] + len(d.text) + 1)
        self._all = "\n".join(d.text for d in documents)

    def __call__(self, messages: Messages) -> str:
        asked = messages[-1]["content"]
        description = json.loads(re.findall(rf"Description: ({_STRING})", asked)[0])
        texts = [json.loads(t) for t in re.findall(rf"^\d+: ({_STRING})$", asked, re.MULTILINE)]
        named = {c for c in CONCEPTS if re.search(rf"(?<![\w.]){re.escape(c)}(?![\w.])", description)}
        quotes = [json.loads(q) for q in re.findall(_STRING, description)[:3]]
        return json.dumps([self._fits(text, named, quotes) for text in texts])

    def _fits(self, text: str, named: set[str], quotes: list[str]) -> float:
        if named:
            return float(bool(named & self._concepts(text)))
        return float(any(q in text for q in quotes)) if quotes else 0.5

    def _concepts(self, text: str) -> set[str]:
        whole = max(re.split(r"(?:\\x[0-9a-f]{2})+", text), key=len)  # halves of characters at the ends
        at = self._all.find(whole)
        if at < 0:
            return set()
        number = bisect_right(self._starts, at) - 1
        a = at - self._starts[number]
        return {c for x, y, c in self._documents[number].spans if x < a + len(whole) and a < y}
