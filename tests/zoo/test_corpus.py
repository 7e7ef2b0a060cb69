from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saelab.errors import SaelabError
from saelab.zoo import corpus

# of 200 documents; the bundled model and SAE were trained on texts of exactly these rules
DIGEST = "070be5ec3e076f4d89e877a3c8405d4b01a60541250bb3c12861abe6b4c3e2fc"


def digest(n: int = 200) -> str:
    h = hashlib.sha256()
    for d in corpus.documents(n, seed=5):
        h.update(repr((d.text, d.spans)).encode())
    return h.hexdigest()


def test_the_generator_is_the_one_the_model_was_trained_on():
    assert digest() == DIGEST, "the corpus changed: train the zoo again, then put the new digest here"


def test_another_process_writes_the_same():
    code = (
        "import hashlib; from saelab.zoo import corpus; h = hashlib.sha256()\n"
        "for d in corpus.documents(200, seed=5): h.update(repr((d.text, d.spans)).encode())\n"
        "print(h.hexdigest())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "77", "PATH": "", "PYTHONPATH": ":".join(p for p in sys.path if p)},
    )
    assert run.stdout.strip() == DIGEST


@settings(max_examples=200)
@given(st.integers(0, 10**9), st.integers(0, 50), st.sampled_from(corpus.GENRES))
def test_spans_nest_and_cover(index, seed, genre):
    d = corpus.document(index, seed=seed, genres=[genre])
    assert d.text
    assert d.genre == genre
    assert d.spans[0] == (0, len(d.text), genre)
    assert list(d.spans) == sorted(d.spans, key=lambda s: (s[0], -s[1]))
    for a, b, concept in d.spans:
        assert 0 <= a < b <= len(d.text)
        assert concept in corpus.CONCEPTS
        parent = concept.rpartition(".")[0]
        if parent:
            assert any(x <= a and b <= y and c == parent for x, y, c in d.spans), (concept, d)
    for (a, b, _), (x, y, _) in itertools.combinations(d.spans, 2):
        assert b <= x or y <= b, "two spans cross"
        assert a <= x


def test_a_document_does_not_depend_on_how_it_is_asked_for():
    first = list(corpus.documents(30, seed=3))
    assert first == list(itertools.islice(corpus.documents(seed=3), 30))
    assert first[17] == corpus.document(17, seed=3)
    assert [d.text for d in first] == list(corpus.texts(30, seed=3))
    one = corpus.document(4, seed=3, genres=["dna"])
    assert one in (corpus.document(4, seed=3, genres=["dna", "dna"]),)


def test_seeds_give_other_documents():
    a, b = (set(corpus.texts(2000, seed=s)) for s in (0, 1))
    assert len(a) > 1990  # hardly any text comes twice
    assert len(a & b) < 5


def test_genres_are_equally_frequent_and_mixed_documents_are_few():
    found = list(corpus.documents(3600, seed=2))
    counts = {g: sum(d.genre == g for d in found) for g in corpus.GENRES}
    assert min(counts.values()) > 140  # 200 expected, 14 its standard deviation
    assert max(counts.values()) < 260
    mixed = [d for d in found if len({c for _, _, c in d.spans if "." not in c}) > 1]
    assert 0.02 < len(mixed) / len(found) < 0.2


def test_every_concept_is_written_in_a_few_thousand_documents():
    seen = {c for d in corpus.documents(4000, seed=8) for _, _, c in d.spans}
    assert seen == set(corpus.CONCEPTS)
    assert set(corpus.GENRES) == {c for c in corpus.CONCEPTS if "." not in c}


def test_what_is_labelled_is_what_it_says():
    found = {
        g: list(corpus.documents(150, seed=1, genres=[g])) for g in ("http", "dna", "arithmetic", "base64")
    }
    methods = {m for d in found["http"] for m in d.concepts("http.method")}
    assert methods == {"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"}
    assert all(s == "ATG" for d in found["dna"] for s in d.concepts("dna.start_codon"))
    assert {s for d in found["dna"] for s in d.concepts("dna.stop_codon")} == {"TAA", "TAG", "TGA"}
    assert {p for d in found["base64"] for p in d.concepts("base64.padding")} == {"=", "=="}


def test_sums_are_true():
    checked = 0
    for d in corpus.documents(200, seed=1, genres=["arithmetic"]):
        for line in d.text.replace(";", "\n").replace(",", "\n").splitlines():
            left, equals, right = line.partition(" = ")
            terms = left.replace("x", "*").replace("÷", "/").split()
            if equals and len(terms) == 3 and terms[0].isdigit() and right.strip().isdigit():
                assert eval(" ".join(terms)) == int(right), line
                checked += 1
    assert checked > 300


def test_wrong_arguments():
    with pytest.raises(SaelabError, match="'hebrew'"):
        corpus.documents(1, genres=["hebrw"])
    with pytest.raises(SaelabError, match="genres must be a list of strings, got 'dna'"):
        corpus.texts(1, genres="dna")
    with pytest.raises(SaelabError, match="empty"):
        corpus.documents(1, genres=[])
    with pytest.raises(SaelabError, match="seed"):
        corpus.documents(1, seed=-1)
    with pytest.raises(SaelabError, match="n must"):
        corpus.documents(-2)


def test_it_is_fast():
    next(corpus.texts(1))
    began, size = time.process_time(), 0
    for text in corpus.texts(3000, seed=4):
        size += len(text)
    assert size / (time.process_time() - began) > 300_000  # characters a second; measured: 4 million
