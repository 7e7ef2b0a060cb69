import itertools

import numpy as np
import pytest
import torch
from helpers import SENTENCES

from saelab import files, models
from saelab.activations.buffer import ActivationBuffer
from saelab.activations.harvest import Harvester
from saelab.errors import HookError, SaelabError

HOOK, OTHER = "blocks.0.hook_resid_post", "blocks.1.mlp.hook_post"


RING = ("batch", "capacity", "seed")


def buffer(model, texts=None, hooks=(HOOK,), **options):
    options = {"batch": 8, "capacity": 40, "harvest_tokens": 64} | options
    ring = {n: options.pop(n) for n in RING if n in options}
    source = Harvester(model, SENTENCES if texts is None else texts, list(hooks), **options)
    return ActivationBuffer(source, **ring)


def wanted(model, texts, hook=HOOK, context=None):
    """Every counted activation, one text at a time."""
    found = []
    for row in models.tokenize_texts(model, texts, context=context):
        ids = torch.from_numpy(row.astype(np.int64))[None]
        found.append(models.run_to_hooks(model, ids, [hook])[hook][0, 1:])
    return torch.cat(found)


def sort_rows(x):
    return x[np.lexsort(x.numpy().round(4).T)]


@pytest.mark.parametrize("capacity", [16, 40, 1000])
def test_every_counted_activation_comes_exactly_once(tiny, capacity):
    got = torch.cat([x for (x,) in buffer(tiny, capacity=capacity)])
    want = wanted(tiny, SENTENCES)
    assert got.shape == want.shape
    torch.testing.assert_close(sort_rows(got), sort_rows(want), atol=1e-4, rtol=0)


def test_C16_bos_rows_never_enter(tiny):
    bos = models.run_to_hooks(tiny, torch.tensor([[0]]), [HOOK])[HOOK][0, 0]
    got = torch.cat([x for (x,) in buffer(tiny)])
    assert (got - bos).norm(dim=1).min() > 1e-3


def test_batches_are_full_but_the_last_and_shuffled_over_documents(tiny):
    texts = SENTENCES * 4
    source = buffer(tiny, texts, capacity=400)
    sizes, documents = [], []
    for (x,) in source:
        sizes.append(len(x))
        served = source.order[source.served - len(x) : source.served]
        documents.append(len(set(source.where[served, 0].tolist())))
    assert set(sizes[:-1]) == {8}
    assert sum(sizes) == len(wanted(tiny, texts))
    assert np.mean(documents[:-1]) > 4


def test_C30_each_row_knows_its_text_and_position(tiny):
    source = buffer(tiny, context=10)
    batch = next(source)[0]
    where = source.where[source.order[: len(batch)]]
    for x, (document, position) in zip(batch, where.tolist(), strict=True):
        ids = models.tokenize(tiny, SENTENCES[document], bos=False)
        begin = position // 9 * 9
        row = torch.tensor([[0, *ids[begin : begin + 9]]])
        alone = models.run_to_hooks(tiny, row, [HOOK])[HOOK][0, 1 + position - begin]
        torch.testing.assert_close(x, alone, atol=1e-4, rtol=0)


def test_several_hooks_give_aligned_rows(tiny):
    both = [torch.cat(parts) for parts in zip(*buffer(tiny, hooks=[HOOK, OTHER]), strict=True)]
    assert [b.shape[1] for b in both] == [16, 64]
    for i, hook in enumerate([HOOK, OTHER]):
        alone = torch.cat([x for (x,) in buffer(tiny, hooks=[hook])])
        torch.testing.assert_close(both[i], alone, atol=1e-5, rtol=0)


def test_the_order_follows_the_seed(tiny):
    one, again, other = (torch.cat([x for (x,) in buffer(tiny, seed=s)]) for s in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_C53_the_buffer_never_grows(tiny):
    source = buffer(tiny, itertools.repeat(SENTENCES[0]), capacity=40)
    next(source)
    size = source.store[0].data_ptr(), source.store[0].shape
    for _ in range(60):
        next(source)
        assert sum(len(p) for _, p in source.spare) <= 64 + 32
    assert (source.store[0].data_ptr(), source.store[0].shape) == size


def test_a_list_is_read_again_for_each_epoch_an_iterator_once(tiny):
    n = len(wanted(tiny, SENTENCES))
    assert sum(len(x) for (x,) in buffer(tiny, epochs=3)) == 3 * n
    assert sum(len(x) for (x,) in buffer(tiny, iter(SENTENCES), epochs=3)) == n


def test_C49_no_text_ends_at_once_and_a_list_of_nothing_does_not_loop(tiny):
    for texts in ([], [""], ["<|bos|>"], iter(())):
        assert list(buffer(tiny, texts, epochs=5)) == []


def test_a_limit_stops_the_harvest(tiny):
    source = buffer(tiny, itertools.repeat(SENTENCES[0]), limit=100)
    n = sum(len(x) for (x,) in source)
    assert 100 <= n <= 100 + 64 + 32


def test_rows_that_are_not_finite_are_left_out_and_counted(tiny):
    def spoil(x):
        x = x.clone()
        x[0, 1] = float("nan")
        x[0, 2, 3] = float("inf")
        return x

    with models.hooked(tiny, {HOOK: spoil}):
        source = buffer(tiny, SENTENCES[:1])
        got = torch.cat([x for (x,) in source])
    assert got.isfinite().all()
    assert source.source.outliers.not_finite == 2
    assert len(got) == len(wanted(tiny, SENTENCES[:1])) - 2


def test_peek_uses_nothing_up(tiny):
    peeked, plain = buffer(tiny), buffer(tiny)
    sample = peeked.peek(20)[0]
    assert sample.shape == (20, 16)
    assert torch.equal(torch.cat([x for (x,) in peeked]), torch.cat([x for (x,) in plain]))


def test_C41_activations_of_a_bfloat16_model_are_float32():
    from helpers import tiny_model

    assert next(buffer(tiny_model(dtype="bfloat16")))[0].dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "batch must be at least 1"),
        ({"batch": 30}, r"capacity \(40 rows\) must be at least two batches \(60\)"),
        ({"harvest_tokens": 0}, "harvest_tokens must be at least 1"),
        ({"epochs": 0}, "epochs must be at least 1"),
    ],
)
def test_C71_impossible_sizes_are_refused_at_once(tiny, options, message):
    with pytest.raises(SaelabError, match=message):
        buffer(tiny, **options)


def test_C11_an_unknown_hook_is_refused_at_once(tiny):
    with pytest.raises(HookError, match="hook_resid_post"):
        buffer(tiny, hooks=["blocks.0.hook_resid_pots"])


# -------------------------------------------------------------------------------------------- resuming

RESUME = {
    "plain": {},
    "two batches only": {"capacity": 16},
    "large": {"capacity": 10_000},
    "two hooks": {"hooks": [HOOK, OTHER]},
    "epochs": {"epochs": 3},
    "epochs, one forward pass for several": {"epochs": 4, "harvest_tokens": 500},
    "many spare rows": {"harvest_tokens": 500, "capacity": 16},
    "cut rows": {"context": 6},
    "limit": {"limit": 70, "epochs": 9},
    "odd batch": {"batch": 7, "capacity": 23},
    "without BOS": {"bos": False},
}


@pytest.mark.parametrize("name", RESUME)
def test_C48_a_resumed_buffer_gives_bit_equal_batches(tiny, tmp_path, name):
    options = RESUME[name]
    whole = list(buffer(tiny, **options))
    for stop in {*range(0, len(whole), 1 + len(whole) // 12), len(whole) - 1, len(whole)}:
        first = buffer(tiny, **options)
        for _ in range(stop):
            next(first)
        state = first.state_dict()
        files.write_tensors(tmp_path / "s", state["tensors"])
        files.write_json(tmp_path / "c", state["counters"])
        second = buffer(tiny, **options)
        second.load_state_dict(
            {"tensors": files.read_tensors(tmp_path / "s"), "counters": files.read_json(tmp_path / "c")}
        )
        assert second.source.state() == first.source.state()
        assert torch.equal(
            second.where[second.order[second.served :]], first.where[first.order[first.served :]]
        )
        rest = list(second)
        assert len(rest) == len(whole) - stop
        for got, want in zip(rest, whole[stop:], strict=True):
            assert all(torch.equal(g, w) for g, w in zip(got, want, strict=True))


def test_C48_an_iterator_is_resumed_from_a_fresh_one(tiny):
    texts = SENTENCES * 3
    whole = list(buffer(tiny, iter(texts)))
    first = buffer(tiny, iter(texts))
    for _ in range(5):
        next(first)
    second = buffer(tiny, iter(texts))
    second.load_state_dict(first.state_dict())
    for (got,), (want,) in zip(second, whole[5:], strict=True):
        assert torch.equal(got, want)


def test_C48_an_iterator_that_was_read_in_part_cannot_be_resumed(tiny):
    first, second = (buffer(tiny, iter(SENTENCES)) for _ in range(2))
    next(first)
    second.peek(1)
    with pytest.raises(SaelabError, match="read in part"):
        second.load_state_dict(first.state_dict())


def test_C48_taking_the_state_changes_nothing_and_stays_what_it_was(tiny):
    watched, plain = buffer(tiny, epochs=2), buffer(tiny, epochs=2)
    kept = []
    for (x,), (want,) in zip(watched, plain, strict=True):
        assert torch.equal(x, want)
        kept.append((watched.state_dict(), len(kept) + 1))
    whole = list(buffer(tiny, epochs=2))
    for state, n in kept[::3]:
        second = buffer(tiny, epochs=2)
        second.load_state_dict(state)
        assert torch.equal(
            torch.cat([torch.zeros(0, 16), *(x for (x,) in second)]),
            torch.cat([torch.zeros(0, 16), *(x for (x,) in whole[n:])]),
        )


def test_C48_a_forward_pass_of_special_tokens_alone_leaves_nothing_spare(tiny):
    """A state holds no empty part, so the buffer that goes on must not count one as something to serve."""
    source = buffer(tiny, ["a" + "<|bos|>" * 20], context=6, harvest_tokens=6)
    assert source._more()
    assert source._more()
    assert [len(place) for _, place in source.spare] == [1]


@pytest.mark.parametrize(
    ("other", "field"),
    [
        ({"batch": 4}, "batch"),
        ({"capacity": 48}, "capacity"),
        ({"hooks": [OTHER]}, "hooks"),
        ({"context": 8}, "context"),
        ({"bos": False}, "bos"),
        ({"harvest_tokens": 65}, "harvest_tokens"),
    ],
)
def test_C48_a_mismatch_names_the_field(tiny, other, field):
    first = buffer(tiny)
    next(first)
    with pytest.raises(SaelabError, match=f"cannot resume: the checkpoint's {field} is"):
        buffer(tiny, **other).load_state_dict(first.state_dict())
