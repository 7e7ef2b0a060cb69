"""Push to a hub and pull from it again, through the real client library."""

import hashlib

import pandas as pd
import pytest
import torch
import yaml
from cases import inputs, make, outputs
from fake_hub import FakeHub
from helpers import SENTENCES, random_sae

import saelab as sl
from saelab.errors import SaelabError
from saelab.formats import publish


@pytest.fixture
def fake(tmp_path, monkeypatch):
    from huggingface_hub import constants

    hub = FakeHub()
    form = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", form)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("HF_TOKEN", hub.token)
    yield hub
    hub.close()


def test_there_and_back(fake):
    sae = make("topk_scale")
    assert (
        sl.push_to_hub(sae, "me/sae", license="mit", about="Trained on <b>nothing</b>.")
        == f"{fake.url}/me/sae"
    )
    assert set(fake.repos["me/sae"]) == {"README.md", "config.json", "weights.safetensors"}
    back = sl.load_sae("me/sae")
    assert back.config == sae.config
    for a, b in zip(outputs(back, inputs()), outputs(sae, inputs()), strict=True):
        assert torch.equal(a, b)


def test_one_of_several_and_none_is_replaced_unasked(fake):
    first, second = make("topk"), make("relu")
    sl.push_to_hub(first, "me/many", license="mit", path="layers/0")
    sl.push_to_hub(second, "me/many", license="mit", path="layers/1")
    assert sl.load_sae("me/many", sae_id="layers/1").config.arch == "relu"
    with pytest.raises(SaelabError, match="2 SAEs; say which"):
        sl.load_sae("me/many")
    before = dict(fake.repos["me/many"])
    with pytest.raises(SaelabError, match="holds an SAE already; overwrite=True"):
        sl.push_to_hub(second, "me/many", license="mit", path="layers/0")
    assert fake.repos["me/many"] == before
    sl.push_to_hub(second, "me/many", license="mit", path="layers/0", overwrite=True)
    assert len(fake.commits) == 3


def test_what_cannot_be_sent(fake, monkeypatch):
    sae = make("topk")
    for changes, message in (
        ({"repo": "no-organization"}, "called org/name, got 'no-organization'"),
        ({"license": ""}, "license is the hub's short name"),
        ({"license": "MIT License"}, "license is the hub's short name"),
        ({"path": "../up"}, "leads out of the repository"),
        ({"evaluation": {"l0": 4}}, "evaluation is a report of sl.evaluate"),
    ):
        options = {"repo": "me/x", "license": "mit"} | changes
        with pytest.raises(SaelabError, match=message):
            sl.push_to_hub(sae, **options)
    with pytest.raises(TypeError, match="license"):
        sl.push_to_hub(sae, "me/x")  # type: ignore[call-arg]
    assert "me/x" not in fake.repos
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(SaelabError, match="does not let you|not logged in"):
        sl.push_to_hub(sae, "me/x", license="mit")


def test_which_of_the_three_it_was(fake, monkeypatch):
    from huggingface_hub import constants

    with pytest.raises(SaelabError, match="me/nothing is not found on the hub"):
        sl.load_sae("me/nothing")
    sl.push_to_hub(make("topk"), "me/gated", license="mit")
    fake.gated.add("me/gated")
    with pytest.raises(SaelabError, match="me/gated is gated"):
        sl.load_sae("me/gated")
    fake.gated.clear()
    sl.load_sae("me/gated")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert sl.load_sae("me/gated").config.k == 4, "the cached copy is used"
    with pytest.raises(SaelabError, match="offline"):
        sl.load_sae("me/other")


def front(card: str) -> dict:
    return yaml.safe_load(card.split("---")[1])


def test_the_card_says_what_is_known_and_no_more(tmp_path, tiny):
    sae = random_sae(model="org/tiny", context=32)
    folder = sae.save(tmp_path / "sae")
    card = publish.card(sae, folder, "me/sae", "cc-by-4.0")
    assert front(card) == {
        "license": "cc-by-4.0", "library_name": "saelab", "tags": ["sparse-autoencoder", "saelab", "topk"],
        "base_model": "org/tiny",
    }  # fmt: skip
    assert "No evaluation was made" in card
    assert "Nothing about its training is recorded." in card
    digest = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    assert digest in card
    sl.allow_mismatch(tiny, sae)
    report = sl.evaluate(tiny, sae, SENTENCES, progress=False)
    card = publish.card(sae, folder, "me/sae", "mit", report, "See <script>alert(1)</script> | [x](y)")
    assert f"On {report.tokens:,} tokens of {report.documents:,} documents" in card
    assert f"| explained_variance | {report.explained_variance:.4g} |" in card
    assert "<script>" not in card
    other = random_sae(d_sae=32)
    with pytest.raises(SaelabError, match="report is of an SAE with 64 latents at blocks.0.hook_resid_post"):
        publish.card(other, folder, "me/sae", "mit", report)


def test_the_card_of_a_trained_and_of_a_loaded_sae(tmp_path):
    sae = make("topk")
    sae.history = pd.DataFrame({"explained_variance": [0.5, 0.81234], "l0": [9.0, 4.0], "dead": [0, 2]})
    sae.record = {
        "recipe": {"lr": 0.001},
        "tokens": 1000,
        "ended": True,
        "versions": {"torch": "x"},
        "notes": ["a < b"],
    }
    card = publish.card(sae, sae.save(tmp_path / "a"), "me/sae", "mit", path="x")
    assert "on the text it was trained on: explained variance 0.8123, L0 4.0, 2 dead" in card
    assert '"lr": 0.001' in card
    assert 'sae_id="x"' in card
    assert "- a \\< b" in card
    loaded = sl.load_sae(sl.save_sae(sae, tmp_path / "b", format="sparsify"))
    card = publish.card(loaded, loaded.save(tmp_path / "c"), "me/sae", "mit")
    assert "in the format sparsify" in card
