"""The small tools: arrays in files, orders, fingerprints, the vocabulary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.makers import random_rows, vocab
from saelab import models
from saelab.errors import SaelabError, parse_bytes
from saelab.index.storage import windows
from saelab.index.storage.arrays import GrowingArray, blocks, highest, ranges, stable_order
from saelab.index.storage.vocab import Vocab


def test_growing_array(tmp_path):
    path = tmp_path / "a.npy"
    with GrowingArray(path, np.int32) as a:
        for i in range(5):
            a.append(np.arange(i))
    assert np.load(path).tolist() == [0, 0, 1, 0, 1, 2, 0, 1, 2, 3]
    with GrowingArray(path, np.int32, keep=3) as a:
        a.append([9])
    assert np.load(path).tolist() == [0, 0, 1, 9]
    with GrowingArray(path, np.int32):
        pass
    assert np.load(path, mmap_mode="r").shape == (0,)
    with pytest.raises(SaelabError, match="shorter"):
        GrowingArray(path, np.int32, keep=3)


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(1, 6))
def test_blocks_cover_all_rows_once(sizes, limit):
    ptr = np.cumsum([0, *sizes])
    cut = list(blocks(ptr, limit))
    assert [i for a, b in cut for i in range(a, b)] == list(range(len(sizes)))
    assert all(ptr[b] - ptr[a] <= limit or b == a + 1 for a, b in cut)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=10))
def test_ranges(parts):
    starts, counts = (np.array([p[i] for p in parts], dtype=np.int64) for i in (0, 1))
    assert ranges(starts, counts).tolist() == [i for s, n in parts for i in range(s, s + n)]


@given(st.lists(st.integers(0, 2**31 - 1) | st.integers(0, 3), max_size=50))
def test_stable_order(keys):
    for dtype in (np.uint16, np.int32):
        array = (np.array(keys, dtype=np.int64) % (1 << 16) if dtype == np.uint16 else np.array(keys)).astype(
            dtype
        )
        assert stable_order(array).tolist() == np.argsort(array.astype(np.int64), kind="stable").tolist()


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 12))
def test_highest(scores, n):
    want = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:n]
    assert highest(np.array(scores, dtype=np.float32), n).tolist() == want


def test_parse_bytes():
    assert parse_bytes("256MB") == 256_000_000 == parse_bytes(256_000_000) == parse_bytes("0.256 gb")
    for bad in ("", "12", "MB", "-5MB", 0, 1.5, True, None):
        with pytest.raises(SaelabError):
            parse_bytes(bad)


@given(st.integers(0, 2**32 - 1), st.integers(0, 4), st.integers(0, 4))
@settings(max_examples=40, deadline=None)
def test_fingerprints_are_equal_exactly_for_equal_windows(seed, before, after):
    rows = random_rows(np.random.default_rng(seed), 6, 8, n_vocab=3)
    token = np.arange(rows.n_tokens)
    row, _ = rows.locate(token)
    low, high = rows.offsets[row], rows.offsets[row + 1]
    texts = [
        tuple(int(rows.ids[i]) if low[t] <= i < high[t] else None for i in range(t - before, t + after + 1))
        for t in token
    ]
    marks = windows.fingerprints(rows, token, before, after)
    assert len(set(zip(texts, marks.tolist(), strict=True))) == len(set(texts)) == len(set(marks.tolist()))


def test_vocab_says_what_the_model_says(tiny):
    v = Vocab.of_model(tiny)
    ids = models.tokenize(tiny, "日本語 🙂 é <b>$\n") + [models.bos_id(tiny)]
    assert v.labels(ids) == models.token_labels(tiny, ids)
    assert v.decode(ids) == models.decode(tiny, ids)
    assert v.decode(ids[2:4]) == models.decode(tiny, ids[2:4])
    assert v.table() == models.token_bytes(tiny)
    assert v.table(hide_special=True)[models.bos_id(tiny)] == b""
    with pytest.raises(SaelabError, match="outside the vocabulary"):
        v.label(len(v))
    assert vocab().hash() != v.hash()
