"""A model inside ``sl.steer`` as lm-evaluation-harness runs it."""

import json

import pytest
import torch

import saelab as sl
from saelab import models

DOCS = [
    {"q": "The red fox", "choices": [" ran over the hill", " opened", " 12"], "gold": 0},
    {"q": "GET", "choices": [" /index", " the"], "gold": 1},
    {"q": "Mix the flour and", "choices": [" 3 small eggs", " valley", " HTTP/1.1"], "gold": 2},
]


@pytest.fixture(scope="module")
def pair():
    return sl.load_model("zoo"), sl.load_sae("zoo")


def summed(model, question, choice):
    """Log-probability of ``choice`` behind ``question``, by a pass of our own over the ids that the harness makes."""
    before = models.tokenize(model, question)
    ids = [*before, *models.tokenize(model, choice, bos=False)]
    with torch.no_grad():
        logp = models.forward(model, torch.tensor([ids]))[0].log_softmax(-1)
    return float(logp[len(before) - 1 : -1].gather(-1, torch.tensor(ids[len(before) :])[:, None]).sum())


def test_the_model_of_transformers_inside_is_steered(pair):
    """Without the harness: rows of different lengths, filled up on the right and without a mask, as it gives them."""
    model, sae = pair
    rows = [models.tokenize(model, d["q"] + d["choices"][0]) for d in DOCS]
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(r) for r in rows], batch_first=True)
    with torch.no_grad(), sl.steer(model, sae, {5: 8.0}):
        together = model.original_model(ids).logits
        alone = [models.forward(model, torch.tensor([r]))[0] for r in rows]
    for row, logits in zip(together, alone, strict=True):
        torch.testing.assert_close(row[: len(logits)], logits, atol=1e-4, rtol=0)
    with torch.no_grad():
        assert (model.original_model(ids).logits - together).abs().max() > 0.1


def test_scores_of_the_harness_equal_those_of_the_hooked_model(pair, tmp_path):
    lm_eval = pytest.importorskip("lm_eval")
    ConfigurableTask = pytest.importorskip("lm_eval.api.task").ConfigurableTask
    HFLM = pytest.importorskip("lm_eval.models.huggingface").HFLM
    model, sae = pair
    path = tmp_path / "docs.json"
    path.write_text("\n".join(json.dumps(d) for d in DOCS))
    task = {
        "task": "three", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(path)}},
        "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "{{q}}", "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{gold}}", "target_delimiter": "",
    }  # fmt: skip

    def harness():
        lm = HFLM(model.original_model, tokenizer=model.tokenizer, add_bos_token=True, batch_size=4)
        found = lm_eval.simple_evaluate(lm, tasks=[ConfigurableTask(config=task)], bootstrap_iters=0)
        scored = {s["doc_id"]: [r[0] for r in s["filtered_resps"]] for s in found["samples"]["three"]}
        return [scored[i] for i in range(len(DOCS))], found["results"]["three"]["acc,none"]

    def ours():
        scores = [[summed(model, d["q"], c) for c in d["choices"]] for d in DOCS]
        return scores, sum(s.index(max(s)) == d["gold"] for s, d in zip(scores, DOCS, strict=True)) / len(
            DOCS
        )

    plain = harness()
    with sl.steer(model, sae, {5: 8.0, 678: 30.0}):
        steered, wanted = harness(), ours()
    assert steered[1] == wanted[1]
    for got, want, before in zip(steered[0], wanted[0], plain[0], strict=True):
        assert got == pytest.approx(want, abs=1e-3)
        assert got != pytest.approx(before, abs=0.1)
