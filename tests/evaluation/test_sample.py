import numpy as np
import pytest
import torch
from handmade import acts, corpus
from helpers import SENTENCES, random_sae

from saelab import models
from saelab.errors import SaelabError
from saelab.evaluation.sample import pick, sample, written


@pytest.mark.parametrize("config", [{}, {"normalize": "layer_norm"}])
def test_it_holds_what_the_model_and_the_sae_say_about_its_tokens(tiny, config):
    rows, labels = corpus()
    sae = random_sae(**config)
    s = sample(tiny, sae, rows, labels, concepts=["even"], examples=15, batch_tokens=100)
    x = acts(tiny, rows, s.token)
    torch.testing.assert_close(s.x, x, rtol=1e-4, atol=1e-5)
    assert s.y is not None
    torch.testing.assert_close(s.y, s.x)
    torch.testing.assert_close(s.codes.dense(), sae.encode(s.x).detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(sae.decode(s.codes).detach(), sae(s.x).recon.detach(), rtol=1e-4, atol=1e-5)


def test_tasks_are_balanced_rightly_labelled_and_share_no_document(tiny):
    rows, labels = corpus()
    s = sample(tiny, random_sae(), rows, labels, examples=15)
    assert [t.name for t in s.tasks] == ["even", "third"], "never has no example"
    special = models.special_ids(tiny)
    for task in s.tasks:
        for part, y in ((task.train, task.y_train), (task.test, task.y_test)):
            token = s.token[part.numpy()]
            assert (labels[task.name][token] == y.numpy()).all()
            assert int(y.sum()) * 2 == len(y)
            assert len(y) <= 30
            assert len(set(token.tolist())) == len(token)
            assert not special & set(np.asarray(rows.ids)[token].tolist())
    documents = [
        {int(d) for t in s.tasks for d in rows.doc[rows.locate(s.token[getattr(t, side).numpy()])[0]]}
        for side in ("train", "test")
    ]
    assert not documents[0] & documents[1]


def test_seeds(tiny):
    rows, labels = corpus()
    a, b, c = (sample(tiny, random_sae(), rows, labels, examples=10, seed=i) for i in (0, 0, 1))
    assert (a.token == b.token).all()
    assert len(a.token) != len(c.token) or (a.token != c.token).any()


def test_latents_difference_pick_and_written_by_brute_force(tiny):
    rows, labels = corpus()
    sae = random_sae()
    s = sample(tiny, sae, rows, labels, examples=15)
    z = s.codes.dense()
    some = torch.tensor([5, 0, 5, 2])
    torch.testing.assert_close(pick(s.codes, some).dense(), z[some])
    torch.testing.assert_close(s.latents(some, torch.tensor([9, 3])), z[some][:, [9, 3]])
    task = s.tasks[1]
    zt = z[task.train]
    want = zt[task.y_train].mean(0) - zt[~task.y_train].mean(0)
    torch.testing.assert_close(s.difference(task).float(), want, rtol=1e-4, atol=1e-6)
    chosen = z.sum(0).argsort(descending=True)[:3]
    torch.testing.assert_close(written(sae, s.codes, chosen), z[:, chosen] @ sae.W_dec.detach()[chosen])


@pytest.mark.parametrize("config", [{"normalize": "scale", "scale": 0.4}, {"normalize": "layer_norm"}])
def test_what_a_latent_writes_is_in_the_outputs_units(tiny, config):
    rows, labels = corpus()
    sae = random_sae(**config)
    s = sample(tiny, sae, rows, labels, examples=10)
    chosen = torch.tensor([int(s.codes.indices[0])])
    without = s.codes.dense()
    without[:, chosen] = 0
    recon = sae.decode(s.codes) - sae.decode(without, s.codes.stats)
    torch.testing.assert_close(written(sae, s.codes, chosen), recon.detach(), rtol=1e-3, atol=1e-5)


def test_a_transcoder_is_compared_with_its_target(tiny):
    rows, labels = corpus()
    out = "blocks.0.hook_mlp_out"
    sae = random_sae(hook_in="blocks.0.mlp.hook_in", hook_out=out, input_bias="none")
    s = sample(tiny, sae, rows, labels, examples=10)
    torch.testing.assert_close(s.y, acts(tiny, rows, s.token, out), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(s.x, acts(tiny, rows, s.token, "blocks.0.mlp.hook_in"), rtol=1e-4, atol=1e-5)


def test_mistakes_are_named(tiny):
    rows, labels = corpus()
    sae = random_sae()
    with pytest.raises(SaelabError, match="Did you mean 'even'"):
        sample(tiny, sae, rows, labels, concepts=["evne"])
    with pytest.raises(SaelabError, match=r"use \['even'\]"):
        sample(tiny, sae, rows, labels, concepts="even")
    with pytest.raises(SaelabError, match="'never' has 0 examples"):
        sample(tiny, sae, rows, labels, concepts=["never"])
    with pytest.raises(SaelabError, match="no concept has 10 examples"):
        sample(tiny, sae, rows, {"never": labels["never"]})
    with pytest.raises(SaelabError, match="examples must be at least 10"):
        sample(tiny, sae, rows, labels, examples=3)
    with pytest.raises(SaelabError, match="token rows they were made for"):
        sample(tiny, sae, SENTENCES, labels)
    with pytest.raises(SaelabError, match="cover 3 tokens"):
        sample(tiny, sae, rows, {"a": [True, False, True]})


def test_D62_a_document_and_its_copies_are_in_one_half(tiny):
    rows = models.tokenize_texts(tiny, [f"The red fox ran {i} times over the hill" for i in range(12)] * 4)
    s = sample(tiny, random_sae(), rows, {"even": rows.ids % 2 == 0}, examples=15)
    assert s.halves == (6, 6)
    (task,) = s.tasks
    document = rows.doc[rows.locate(s.token)[0]] % 12
    assert not set(document[task.train.numpy()]) & set(document[task.test.numpy()])
