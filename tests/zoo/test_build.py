from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest
import torch

import saelab as sl
from saelab import models, zoo
from saelab.bundled import MODELS, SAES
from saelab.errors import SaelabError
from saelab.zoo import build, corpus, pretrain


def test_a_quick_build_makes_files_that_load(tmp_path, monkeypatch, capsys):
    small = pretrain.Settings(vocab=600, tokenizer_documents=200, steps=3, batch_tokens=600, warmup=1)
    monkeypatch.setattr(pretrain, "QUICK", small)
    assert build.main(["--quick", "--only", "model", "--out", str(tmp_path)]) == 0
    assert "held-out loss" in capsys.readouterr().out
    model = sl.load_model(tmp_path / "model")
    assert model.cfg.n_ctx == 128
    assert next(model.parameters()).dtype == torch.float32
    record = json.loads((tmp_path / "model" / "training.json").read_text())
    assert record["settings"]["vocab"] == 600
    assert len(record["loss"]) == 1


def test_quick_never_replaces_the_bundle(capsys):
    with pytest.raises(SystemExit):
        build.main(["--quick"])
    assert "--out" in capsys.readouterr().err


def test_the_sae_stage_needs_the_model(tmp_path, capsys):
    assert build.main(["--only", "sae", "--out", str(tmp_path)]) == 1
    assert str(tmp_path / "model") in capsys.readouterr().err


def test_missing_files_say_how_to_make_them(tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "zoo", tmp_path / "model")
    monkeypatch.setitem(SAES, "zoo", tmp_path / "sae")
    with pytest.raises(SaelabError, match="saelab.zoo.build --only model"):
        zoo.model_path()
    with pytest.raises(SaelabError, match="saelab.zoo.build --only sae"):
        zoo.load_sae()


def test_importing_the_zoo_loads_no_torch():
    code = (
        "import sys; from saelab import zoo; list(zoo.texts(3)); zoo.classify('GET / HTTP/1.1'); zoo.GENRES\n"
        "print(sorted({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# --------------------------------------------------------------------------------------- the bundled model


@pytest.fixture(scope="module")
def bundled():
    return sl.load_model("zoo")


def test_bundled_files_are_small():
    files = [p for p in zoo.model_path().parent.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in zoo.model_path().iterdir()) < 3_000_000
    assert sum(p.stat().st_size for p in files) < 18_000_000


def test_the_twin_is_another_model_with_an_sae_of_its_own(bundled):
    twin, sae = sl.load_model("zoo-twin"), sl.load_sae("zoo-twin")
    assert (twin.cfg.d_mlp, len(twin.tokenizer)) == (256, 2048)
    assert sae.config.model == twin.cfg.model_name == "zoo-twin"
    assert sae.config.hook_in == build.HOOK
    assert (sae.config.d_in, sae.config.d_sae) == (256, build.TWIN_D_SAE)
    text = next(corpus.texts(1, seed=9, genres=["dna"]))
    assert models.tokenize(twin, text) != models.tokenize(bundled, text)
    found = sl.evaluate(twin, sae, list(corpus.texts(40, seed=9)), progress=False)
    assert found.explained_variance > 0.85
    with pytest.raises(SaelabError, match="not of one model"):
        sl.evaluate(bundled, sae, ["a text"], progress=False)


def test_the_bridge_computes_what_hugging_face_computes(bundled):
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(zoo.model_path()).eval()
    assert plain.dtype == torch.float32
    rows = models.tokenize_texts(bundled, corpus.texts(6, seed=3))
    batch = rows.batch(range(6))
    with torch.no_grad():
        expected = plain(batch.ids, attention_mask=batch.mask.long()).logits
        got = bundled(batch.ids, attention_mask=batch.mask.long())
    torch.testing.assert_close(got[batch.mask], expected[batch.mask], rtol=1e-4, atol=1e-4)


def test_the_bundled_model_has_the_shape_it_is_told_to_have(bundled):
    cfg = bundled.cfg
    assert (cfg.n_layers, cfg.d_model, cfg.d_mlp, cfg.n_heads, cfg.n_ctx) == (1, 128, 512, 4, 128)
    ids = torch.tensor([models.tokenize(bundled, "GET /index.html HTTP/1.1\nHost: example.com\n")])
    x = models.run_to_hooks(bundled, ids, [build.HOOK])[build.HOOK]
    assert x.shape[-1] == 512
    assert (x >= 0).all()  # ReLU


def test_the_bundled_tokenizer_returns_every_genre(bundled):
    for genre in corpus.GENRES:
        for text in corpus.texts(10, seed=9, genres=[genre]):
            assert models.decode(bundled, models.tokenize(bundled, text, bos=False)) == text


def test_the_bundled_model_predicts_well(bundled):
    loss = pretrain.held_out_loss(bundled.original_model, bundled.tokenizer, pretrain.Settings(), n=3)
    recorded = json.loads((zoo.model_path() / "training.json").read_text())["held_out_loss"]
    assert abs(loss - recorded) < 0.2  # three batches only


def test_bundled_samples_are_recognisable(bundled):
    out = pretrain.sample(bundled.original_model, [[0]] * 40, new_tokens=50, seed=4)
    found = Counter(zoo.classify(models.decode(bundled, ids)) for ids in out)
    assert found[None] <= 8
    assert len(found) >= 10


@pytest.fixture(scope="module")
def continued(bundled):
    """genre -> continuations of the first ten tokens of documents of that genre, written in one batch."""
    prompts, genres = [], []
    for genre in corpus.GENRES:
        for d in corpus.documents(12, seed=41, genres=[genre]):
            ids = models.tokenize(bundled, d.text)[:11]
            if len({c for _, _, c in d.spans if "." not in c}) == 1 and len(ids) == 11:
                prompts.append(ids)
                genres.append(genre)
    out = pretrain.sample(bundled.original_model, prompts, new_tokens=25, seed=5, temperature=0.8)
    texts = [models.decode(bundled, p[1:] + o) for p, o in zip(prompts, out, strict=True)]
    return {g: [t for t, of in zip(texts, genres, strict=True) if of == g] for g in corpus.GENRES}


@pytest.mark.parametrize("genre", corpus.GENRES)
def test_a_short_prompt_sets_the_genre(continued, genre):
    texts = continued[genre]
    assert len(texts) >= 5
    wrong = [t for t in texts if zoo.classify(t) != genre]
    assert len(wrong) <= 0.34 * len(texts), wrong[:2]  # of 300 texts: 3 % on average, dates 12 %
