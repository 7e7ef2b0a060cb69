from __future__ import annotations

import itertools

import pytest
import torch

from saelab.zoo import corpus, pretrain

SMALL = pretrain.Settings(vocab=600, tokenizer_documents=200, steps=3, batch_tokens=600, warmup=1, context=32)


@pytest.fixture(scope="module")
def tokenizer():
    return pretrain.train_tokenizer(SMALL)


def test_the_tokenizer_returns_what_it_got(tokenizer):
    for d in corpus.documents(100, seed=6):
        ids = tokenizer(d.text, verbose=False)["input_ids"]
        assert tokenizer.decode(ids) == d.text
        assert 0 not in ids
    assert tokenizer.bos_token_id == tokenizer.eos_token_id == tokenizer.pad_token_id == 0


def test_digits_stay_single_and_codons_whole(tokenizer):
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("x 1234\nATGGCCTAA\nCATALOG")["input_ids"])
    assert "".join(pieces[:5]) == "xĠ1234"
    assert [p for p in pieces if p.strip("Ġ").isdigit()] == ["Ġ1", "2", "3", "4"]
    dna = " ".join(pieces).split(" Ċ ")[1].split()
    assert "".join(dna) == "ATGGCCTAA"
    assert {3, 6} <= set(itertools.accumulate(map(len, dna)))  # no piece crosses the end of a codon


def test_rows_hold_one_document_and_predict_its_end(tokenizer):
    part = next(pretrain.rows(tokenizer, 32, seed=1, chunk=40))
    documents = [tokenizer(t, verbose=False)["input_ids"] for t in corpus.texts(40, seed=1)]
    assert len(part) == sum(-(-len(d) // 31) for d in documents)
    at = 0
    for d in documents:
        for begin in range(0, len(d), 31):
            expected = [0, *([*d, 0][begin : begin + 32])]
            assert part[at] == expected
            at += 1


def test_batches_mask_padding_and_shift_by_one(tokenizer):
    for ids, targets in itertools.islice(pretrain.batches(tokenizer, SMALL, seed=1), 5):
        assert ids.numel() <= SMALL.batch_tokens
        assert (ids[:, 0] == 0).all()
        real = targets >= 0
        assert torch.equal(ids[:, 1:][real[:, 1:]], targets[:, :-1][real[:, 1:]])
        assert (ids[~real] == 0).all()
        assert (real.long().diff(dim=1) <= 0).all()  # padding is on the right


def test_the_chunked_loss_is_cross_entropy(tokenizer):
    model = pretrain.new_model(SMALL, len(tokenizer))
    ids, targets = next(pretrain.batches(tokenizer, SMALL, seed=1))
    logits = model(ids).logits
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    expected.backward()
    wanted = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    loss = pretrain.loss_of(model, ids, targets)
    loss.backward()
    torch.testing.assert_close(loss, expected)
    for p, g in zip(model.parameters(), wanted, strict=True):
        torch.testing.assert_close(p.grad, g, rtol=1e-4, atol=1e-6)


def test_training_is_repeatable_and_leaves_the_global_generator_alone(tokenizer):
    before = torch.random.get_rng_state()
    one, losses = pretrain.train_model(tokenizer, SMALL, progress=False)
    two, again = pretrain.train_model(tokenizer, SMALL, progress=False)
    assert torch.equal(before, torch.random.get_rng_state())
    assert losses == again
    assert losses[-1] < losses[0]
    for p, q in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(p, q)


def test_sampling_stops_at_the_end_of_the_text(tokenizer):
    model = pretrain.new_model(SMALL, len(tokenizer))
    out = pretrain.sample(model, [[0], [0]], new_tokens=5, seed=0)
    assert out == pretrain.sample(model, [[0], [0]], new_tokens=5, seed=0)
    with torch.no_grad():  # final norm and embedding such that token 0 is certain
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.fill_(1.0)
        model.lm_head.weight[0] = 10.0
    assert pretrain.sample(model, [[0, 5]], new_tokens=5, seed=0) == [[]]
