import dataclasses
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import shared_tiny
from hypothesis import given, settings
from hypothesis import strategies as st

import saelab as sl
from saelab import models
from saelab.errors import SaelabError


@pytest.mark.parametrize(
    ("amount", "tokens"),
    [
        (5, 5),
        (2e6, 2_000_000),
        ("2M", 2_000_000),
        (" 2 m ", 2_000_000),
        ("500_000", 500_000),
        ("1.5k", 1500),
        ("1.001M", 1_001_000),  # 1.001 * 10**6 is 1000999.9999999999 in floats
        ("0.3B", 300_000_000),
        (np.int32(7), 7),
        (np.float64(7), 7),
    ],
)
def test_parse_tokens(amount, tokens):
    got = models.parse_tokens(amount)
    assert got == tokens
    assert type(got) is int


@pytest.mark.parametrize(
    "amount",
    [
        "",
        "2 million",
        "M",
        "-3",
        "1e6",
        "2MM",
        "0",
        0,
        -1,
        0.5,
        "0.1",
        True,
        None,
        float("inf"),
        float("nan"),
    ],
)
def test_parse_tokens_refuses_what_is_no_count(amount):
    with pytest.raises(SaelabError, match="a token budget"):
        models.parse_tokens(amount)


@given(st.integers(0, 10**4), st.integers(0, 999), st.sampled_from(["", "K", "M", "B"]))
def test_parse_tokens_is_exact(whole, thousandths, unit):
    exact = Fraction(f"{whole}.{thousandths:03d}") * {"": 1, "K": 10**3, "M": 10**6, "B": 10**9}[unit]
    text = f"{whole}.{thousandths:03d}{unit}"
    if exact.denominator == 1 and exact >= 1:
        assert models.parse_tokens(text) == exact
    else:
        with pytest.raises(SaelabError):
            models.parse_tokens(text)


# ----------------------------------------------------------------------------------------- token rows


def rows_of(lengths, bos=True):
    return models.rows_from([(i, 0, list(range(100 * i, 100 * i + n))) for i, n in enumerate(lengths)], bos)


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 200))
@settings(max_examples=150, deadline=None)
def test_batches_cover_every_token_exactly_once(lengths, max_tokens):
    rows = rows_of(lengths)
    seen = np.zeros(rows.n_tokens, dtype=int)
    for batch in rows.batches(max_tokens):
        mask = batch.mask.numpy()
        assert batch.ids.shape == mask.shape == batch.flat.shape
        assert mask.size <= max_tokens or len(batch.row) == 1
        assert ((batch.flat == -1) == ~mask).all()
        seen[batch.flat[mask]] += 1
        for row, ids, real in zip(batch.row, batch.ids.numpy(), mask, strict=True):
            assert (ids[real] == rows[row]).all()
            assert (real == (np.arange(len(real)) < real.sum())).all(), "padding is on the right"
        at_row, place = rows.locate(batch.flat[mask])
        assert (at_row == np.repeat(batch.row, mask.sum(1))).all()
        assert (place == np.nonzero(mask)[1]).all()
    assert (seen == 1).all()


def test_batches_are_the_same_each_time_and_pad_little():
    lengths = np.random.default_rng(0).integers(1, 33, 500)
    rows = rows_of(lengths)
    first, second = (list(rows.batches(256)) for _ in range(2))
    assert all((a.row == b.row).all() for a, b in zip(first, second, strict=True))
    assert sum(b.mask.numel() for b in first) < 1.2 * lengths.sum()


def test_rows_are_a_sequence():
    rows = rows_of([2, 3])
    assert len(rows) == 2
    assert rows[1].tolist() == rows[-1].tolist() == [100, 101, 102]
    assert [len(r) for r in rows] == [2, 3]
    for bad in (2, -3):
        with pytest.raises(IndexError, match="there are 2 rows"):
            rows[bad]


def test_locate_takes_any_shape():
    row, place = rows_of([2, 3, 1]).locate([[0, 1, 2], [3, 4, 5]])
    assert row.tolist() == [[0, 0, 1], [1, 1, 2]]
    assert place.tolist() == [[0, 1, 0], [1, 2, 0]]


def test_concatenate():
    joined = models.TokenRows.concatenate([rows_of([2, 3]), rows_of([1]), rows_of([4])])
    assert [len(r) for r in joined] == [2, 3, 1, 4]
    assert joined.offsets.tolist() == [0, 2, 5, 6, 10]
    assert joined.doc.tolist() == [0, 1, 0, 0]
    with pytest.raises(SaelabError, match="no rows"):
        models.TokenRows.concatenate([])
    with pytest.raises(SaelabError, match="BOS"):
        models.TokenRows.concatenate([rows_of([2]), rows_of([2], bos=False)])


# ------------------------------------------------------------------------------------- tokenize_texts


@given(
    st.lists(st.text(max_size=60), min_size=1, max_size=6),
    st.integers(2, 32),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_rows_are_the_documents_cut_and_never_mixed(texts, context, bos):
    model = shared_tiny()
    whole = [models.tokenize(model, t, bos=False) if t else [] for t in texts]
    if not any(whole):
        with pytest.raises(SaelabError, match="no text"):
            models.tokenize_texts(model, texts, context=context, bos=bos)
        return
    rows = models.tokenize_texts(model, texts, context=context, bos=bos)
    back = [[] for _ in texts]
    for i, row in enumerate(rows):
        row = row.tolist()
        assert 1 <= len(row) <= context
        if bos:
            assert row.pop(0) == 0
        assert rows.start[i] == len(back[rows.doc[i]])
        back[rows.doc[i]] += row
    assert back == whole


def test_C30_no_padding_enters_the_rows(tiny):
    texts = ["red fox", "The red fox ran over the hill and the ant sat"]
    rows = models.tokenize_texts(tiny, texts)
    lengths = [len(models.tokenize(tiny, t)) for t in texts]
    assert rows.n_tokens == sum(lengths)
    kept = sum(int(models.valid_mask(tiny, b.ids, b.mask).sum()) for b in rows.batches())
    assert kept == sum(lengths) - 2
    row, place = rows.locate(np.arange(rows.n_tokens))
    assert np.bincount(row).tolist() == lengths
    assert place.tolist() == [*range(lengths[0]), *range(lengths[1])]


def test_C32_a_small_corpus_without_padding_token_gives_short_rows(tiny):
    tokenizer = tiny.tokenizer
    before = len(tokenizer), tokenizer.pad_token, dict(tokenizer.special_tokens_map)
    rows = models.tokenize_texts(tiny, ["red fox", "jay", "an ant sat"])
    assert len(rows) == 3
    for batch in rows.batches():
        assert int(batch.ids.min()) >= 0
        assert int(batch.ids.max()) < models.vocab_size(tiny)
    assert (len(tokenizer), tokenizer.pad_token, dict(tokenizer.special_tokens_map)) == before


def test_C71_longer_texts_are_cut_into_several_rows(tiny):
    ids = models.tokenize(tiny, "7 * 8 = 56 " * 30)
    rows = models.tokenize_texts(tiny, ["7 * 8 = 56 " * 30], context=32)
    assert len(rows) == -(-(len(ids) - 1) // 31)
    assert rows.start.tolist() == [31 * i for i in range(len(rows))]


@pytest.mark.parametrize("context", [0, 1, 33, -5])
def test_C71_a_context_the_model_cannot_take_gives_both_numbers(tiny, context):
    with pytest.raises(SaelabError, match=rf"between 2 and the model's 32 tokens, got {context}"):
        models.tokenize_texts(tiny, ["red"], context=context)


def test_C49_no_text_is_an_error_and_never_a_stop_iteration(tiny):
    used = iter(["red fox"])
    list(used)
    for texts in ([], ["", ""], used, ["<|bos|>"]):
        with pytest.raises(SaelabError, match="there is no text"):
            models.tokenize_texts(tiny, texts)


def test_one_string_is_not_taken_for_a_list_of_letters(tiny):
    rows = models.tokenize_texts(tiny, "red fox")
    assert rows[0].tolist() == models.tokenize(tiny, "red fox")
    assert len(rows) == 1


def test_a_budget_stops_an_endless_iterator(tiny):
    import itertools

    rows = models.tokenize_texts(tiny, itertools.repeat("red fox"), tokens=100)
    one = len(models.tokenize(tiny, "red fox"))
    assert len(rows) == -(-100 // one)


def test_rows_made_before_pass_through_unless_their_bos_is_another(tiny):
    rows = models.tokenize_texts(tiny, ["red fox"], bos=True)
    assert models.tokenize_texts(tiny, rows) is rows
    assert models.tokenize_texts(tiny, rows, bos=True) is rows
    with pytest.raises(SaelabError, match="bos=False was asked for, but these rows were made with bos=True"):
        models.tokenize_texts(tiny, rows, bos=False)


def test_C18_rows_begin_with_one_bos_or_none(tiny):
    for text in ("red fox", "<|bos|>red fox"):
        assert models.tokenize_texts(tiny, [text], bos=True).ids.tolist().count(0) == 1
        assert models.tokenize_texts(tiny, [text], bos=False).ids.tolist().count(0) == 0


# ----------------------------------------------------------------------------------------- valid_mask


def test_C14_what_counts_goes_by_id_not_by_column():
    pad, bos, a, b, c, d = range(6)
    model = SimpleNamespace(
        tokenizer=SimpleNamespace(all_special_ids=[pad, bos]), cfg=SimpleNamespace(d_vocab=9)
    )
    ids = torch.tensor([[pad, pad, bos, a, b], [bos, a, b, c, d], [bos, a, bos, b, c]])
    keep = models.valid_mask(model, ids)
    assert keep.tolist() == [[0, 0, 0, 1, 1], [0, 1, 1, 1, 1], [0, 1, 0, 1, 1]]
    assert int(keep.sum()) == 9
    assert (models.valid_mask(model, ids.numpy()) == keep.numpy()).all()
    mask = torch.ones_like(ids, dtype=torch.bool)
    mask[1, 3:] = False
    assert int(models.valid_mask(model, ids, mask).sum()) == 7


def test_valid_mask_without_special_tokens():
    model = SimpleNamespace(tokenizer=SimpleNamespace(all_special_ids=[]), cfg=SimpleNamespace(d_vocab=9))
    assert models.valid_mask(model, torch.tensor([[0, 1]])).all()
    assert models.valid_mask(model, np.array([0, 1])).all()


def test_C29_a_batch_of_one_row_keeps_its_axes(tiny):
    rows = models.tokenize_texts(tiny, ["red"] * 5)
    sizes = []
    for batch in rows.batches(2 * len(rows[0])):
        sizes.append(len(batch.row))
        assert batch.ids.ndim == batch.mask.ndim == batch.flat.ndim == 2
        keep = models.valid_mask(tiny, batch.ids, batch.mask)
        assert not keep[:, 0].any()
        assert keep[:, 1:].all()
    assert sizes == [2, 2, 1]


def test_D62_copies_of_a_document_are_one(tiny):
    texts = ["The fox", "An ant", "The fox", "x " * 60, "x " * 60, "x " * 59]
    rows = models.tokenize_texts(tiny, texts, context=16)
    assert np.unique(np.stack([rows.doc, rows.distinct()]), axis=1).T.tolist() == [
        [0, 0], [1, 1], [2, 0], [3, 2], [4, 2], [5, 3],
    ]  # fmt: skip
    alone = rows.distinct(np.arange(len(rows)))  # rows that are alike, wherever they stand
    for i in range(len(rows)):
        assert [j for j in range(len(rows)) if alone[j] == alone[i]] == [
            j for j in range(len(rows)) if rows[j].tolist() == rows[i].tolist()
        ]
    order = np.random.default_rng(0).permutation(len(rows))
    parts = [rows[i] for i in order]
    mixed = dataclasses.replace(
        rows, ids=np.concatenate(parts), offsets=np.cumsum([0, *map(len, parts)]), doc=rows.doc[order],
        start=rows.start[order],
    )  # fmt: skip
    same = mixed.distinct()
    assert all((same[i] == same[j]) == (rows.distinct()[order[i]] == rows.distinct()[order[j]])
               for i in range(len(order)) for j in range(len(order)))  # fmt: skip


def test_D62_many_rows_are_compared_in_parts():
    g = np.random.default_rng(1)
    n = (1 << 14) + 100
    ids = g.integers(1, 9, (n, 3)).astype(np.int32)
    rows = models.TokenRows(ids.ravel(), np.arange(n + 1) * 3, np.arange(n) // 2, np.arange(n) % 2 * 3, False)
    pairs = ids.reshape(-1, 6)
    _, want = np.unique(pairs, axis=0, return_inverse=True)
    got = rows.distinct()[::2]
    assert len(np.unique(np.stack([got, want.ravel()]), axis=1).T) == got.max() + 1 == want.max() + 1
    assert got[np.sort(np.unique(got, return_index=True)[1])].tolist() == list(range(got.max() + 1))


@pytest.mark.parametrize("name", ["real.txt", "data/my.jsonl", "C:\\a.PARQUET"])
def test_the_name_of_a_file_is_no_text(name):
    with pytest.raises(SaelabError, match=r"looks like a file name.*open\("):
        models.each_text(name)
    assert models.each_text([name]) == [name]


def test_the_name_of_a_file_that_is_there_is_no_text(tmp_path):
    (tmp_path / "my text").write_text("The fox")
    with pytest.raises(SaelabError, match="looks like a file name"):
        models.each_text(str(tmp_path / "my text"))
    assert models.each_text("The fox read it. txt") == ["The fox read it. txt"]


def test_texts_without_an_end_are_refused_by_name_and_read_up_to_a_budget():
    tiny = shared_tiny()
    endless = sl.zoo.texts(seed=2)
    for call in (models.tokenize_texts, lambda model, texts: list(models.each_text(texts, model=model))):
        with pytest.raises(SaelabError, match=r"texts has no end: say how much of it is read, tokens='300k'"):
            call(tiny, endless)
    assert models.tokenize_texts(tiny, endless, tokens=100).n_tokens >= 100
    assert len(list(models.each_text(sl.zoo.texts(3)))) == 3
