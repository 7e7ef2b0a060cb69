from __future__ import annotations

import numpy as np
import pytest

from saelab import models
from saelab.errors import SaelabError
from saelab.zoo import corpus
from saelab.zoo.labels import labelled_rows


def by_hand(model, document):
    """Concepts of every token, from the bytes of the tokens alone."""
    owner = [i for i, c in enumerate(document.text) for _ in c.encode()]  # byte -> character
    of_char = [{c for a, b, c in document.spans if a <= i < b} for i in range(len(document.text))]
    table, at, out = models.token_bytes(model), 0, []
    for token in models.tokenize(model, document.text, bos=False):
        size = len(table[token])
        out.append(set().union(*(of_char[owner[b]] for b in range(at, at + size))))
        at += size
    assert at == len(owner)
    return out


@pytest.mark.parametrize("bos", [True, False])
def test_labels_against_characters_by_brute_force(tiny, bos):
    rows, labels = labelled_rows(tiny, 60, seed=4, bos=bos)
    expected = []
    for d, document in enumerate(corpus.documents(60, seed=4)):
        of_tokens = by_hand(tiny, document)
        lengths = [len(rows[r]) - bos for r in np.flatnonzero(rows.doc == d)]
        assert sum(lengths) == len(of_tokens)
        for n in lengths:
            expected.extend([set()] * bos + of_tokens[:n])
            of_tokens = of_tokens[n:]
    assert labels.matrix.shape == (rows.n_tokens, len(corpus.CONCEPTS))
    assert [set(labels.of(i)) for i in range(rows.n_tokens)] == expected


@pytest.mark.parametrize("genre", ["hebrew", "japanese", "russian"])
def test_every_byte_of_a_character_is_labelled(tiny, genre):
    rows, labels = labelled_rows(tiny, 5, seed=4, bos=True, genres=(genre,))
    real = rows.ids != models.bos_id(tiny)
    assert np.array_equal(labels.column(genre), real)
    assert labels.column(f"{genre}.question").sum() > 0


def test_the_rows_are_those_of_tokenize_texts(tiny):
    rows, _ = labelled_rows(tiny, 25, seed=2, context=20)
    same = models.tokenize_texts(tiny, corpus.texts(25, seed=2), context=20)
    for name in ("ids", "offsets", "doc", "start"):
        assert np.array_equal(getattr(rows, name), getattr(same, name)), name
    assert rows.bos == same.bos


def test_wrong_arguments(tiny):
    with pytest.raises(SaelabError, match="context must be between 2 and the model's 32"):
        labelled_rows(tiny, 3, context=33)
    with pytest.raises(SaelabError, match="n_docs"):
        labelled_rows(tiny, 0)
    _, labels = labelled_rows(tiny, 2)
    with pytest.raises(SaelabError, match=r"'http\.method'"):
        labels.column("http.methd")
