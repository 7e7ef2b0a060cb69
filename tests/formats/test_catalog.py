"""Published SAEs by name."""

import json
import re

import catalog_build
import pytest
import torch
from cases import FIXTURES

import saelab as sl
from saelab.errors import SaelabError
from saelab.formats import FORMATS, catalog, load_sae
from saelab.models import hook_layer
from saelab.sae.archs import ARCHS


def test_every_entry_is_whole():
    table = sl.catalog()
    assert len(table) > 13_000
    assert table["name"].is_unique
    assert set(table["format"]) <= set(FORMATS)
    assert set(table["arch"]) <= {*ARCHS, ""}
    assert table["repo"].str.fullmatch(r"[\w.-]+/[\w.-]+").all()
    points = table["hook"].map(lambda hook: re.sub(r"blocks\.\d+\.", "", hook)).unique()
    assert set(points) == {
        "hook_resid_pre", "hook_resid_mid", "hook_resid_post", "hook_mlp_out", "hook_attn_out", "attn.hook_z",
        "mlp.hook_in",
    }  # fmt: skip
    assert table["hook"].map(hook_layer).between(0, 80).all()
    assert table["d_sae"].dropna().between(512, 1 << 20).all()
    assert (table["l0"].dropna() > 0).all()
    assert not table["path"].str.contains(r"^/|(?:^|/)\.\.(?:/|$)").any()


def test_what_is_public_about_some_of_them():
    facts = catalog.find("gemma-2-2b/gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82")
    assert facts is not None
    assert (facts["hook"], facts["d_sae"], facts["l0"]) == ("blocks.12.hook_resid_post", 16384, 82)
    assert facts["model"] == "google/gemma-2-2b"
    jb = catalog.find("gpt2-small-res-jb", "blocks.8.hook_resid_pre")
    assert jb is not None
    assert (jb["repo"], jb["d_sae"]) == ("jbloom/GPT2-Small-SAEs-Reformatted", 24576)
    assert "centered" in jb["note"]
    scope = catalog.find("llama_scope_lxr_8x/l15r_8x")
    assert scope is not None
    assert (scope["path"], scope["d_sae"], scope["given"]) == ("Llama3_1-8B-Base-L15R-8x", 32768, {})
    assert "scale" in (catalog.find("llama_scope_r1_distill", "l15r_800m_slimpajama") or {})["given"]
    instruct = catalog.find("gemma-scope-9b-it-res-canonical", "layer_9/width_16k/canonical")
    assert instruct is not None
    assert instruct["model"] == "google/gemma-2-9b-it"


def test_queries():
    table = sl.catalog("gemma-2-2b")
    assert {"name", "release", "hook", "d_sae", "l0", "format"} <= set(table.columns)
    assert set(table["model"]) == {"google/gemma-2-2b"}
    assert set(sl.catalog("gpt2 topk resid_post")["d_sae"]) == {32768, 131072}
    with pytest.raises(SaelabError, match="Did you mean .*gemma-2-2b"):
        sl.catalog("gemma-2-2x")


@pytest.mark.parametrize(
    ("source", "sae_id"),
    [
        ("gpt2-small/gpt2-small-resid-mid-v5-32k/blocks.0.hook_resid_mid", None),
        ("gpt2-small-resid-mid-v5-32k", "blocks.0.hook_resid_mid"),
        ("gpt2-small-resid-mid-v5-32k/blocks.0.hook_resid_mid", None),
    ],
)
def test_a_name_goes_to_its_repository(cache, source, sae_id):
    target = cache / "models--jbloom--GPT2-Small-OAI-v5-32k-resid-mid-SAEs"
    (cache / "models--somebody--saes").rename(target)
    (target / "snapshots" / ("0" * 40) / "layer_0").rename(
        target / "snapshots" / ("0" * 40) / "v5_32k_layer_0"
    )
    sae = load_sae(source, sae_id=sae_id)
    assert sae.record["loaded"]["source"] == "jbloom/GPT2-Small-OAI-v5-32k-resid-mid-SAEs/v5_32k_layer_0"


def test_the_model_of_an_sae(monkeypatch):
    from saelab import models

    asked = []
    monkeypatch.setattr(models, "load_model", lambda name, **options: asked.append((name, options)))
    sl.load_model_for(load_sae(FIXTURES / "transcoder_circuits/relu"), dtype="bfloat16")
    assert asked == [("gpt2", {"dtype": "bfloat16"})]
    with pytest.raises(SaelabError, match="does not say which model"):
        sl.load_model_for(load_sae(FIXTURES / "sparsify/layers.10"))
    with pytest.raises(SaelabError, match="several models"):
        sl.load_model_for(load_sae(FIXTURES / "crosscoder/relu", given={"scale": [1.0, 1.0]}))


SOURCE = """
gemma-scope-2b-pt-res:
  conversion_func: gemma_2
  model: gemma-2-2b
  repo_id: google/gemma-scope-2b-pt-res
  saes:
  - {id: embedding/width_4k/average_l0_6, path: embedding/width_4k/average_l0_6, l0: 6}
  - {id: layer_3/width_1m/average_l0_9, path: layer_3/width_1m/average_l0_9, l0: 9}
odd-release:
  conversion_func: null
  model: mistral-7b
  repo_id: org/saes
  config_overrides: {normalize_activations: constant_norm_rescale}
  saes:
  - {id: blocks.8.hook_z, path: here, norm_scaling_factor: 0.5}
  - {id: blocks.9.hook_resid_pre_3072, path: blocks.9.hook_resid_pre_3072, l0: 12.5}
gone:
  conversion_func: temporal
  model: x
  repo_id: a/b
  saes: []
"""


def test_the_data_are_made_from_a_list(tmp_path, capsys):
    (tmp_path / "list.yaml").write_text(SOURCE)
    catalog_build.main([str(tmp_path / "list.yaml"), "--out", str(tmp_path / "out.json")])
    assert capsys.readouterr().out == "2 releases, 3 SAEs; not readable: gone\n"
    scope, odd = json.loads((tmp_path / "out.json").read_text())
    assert scope["saes"] == [{"id": "layer_3/width_1m/average_l0_9"}]
    assert (scope["d_sae"], scope["l0"], scope["hook"]) == (1 << 20, 9, "blocks.{layer}.hook_resid_post")
    assert odd["given"] == {"normalize": "constant_norm"}
    assert odd["model"] == "mistralai/Mistral-7B-v0.1"
    first, second = odd["saes"]
    assert first["scale"] == 0.5
    assert {first.get("hook", odd["hook"]), second.get("hook", odd["hook"])} == {
        "blocks.{layer}.attn.hook_z", "blocks.{layer}.hook_resid_pre"
    }  # fmt: skip
    assert (second["d_sae"], second["l0"]) == (3072, 12.5)
    (tmp_path / "list.yaml").write_text("- a list")
    with pytest.raises(SaelabError, match="not a list of releases"):
        catalog_build.build(tmp_path / "list.yaml")


def test_a_normalization_that_only_the_catalog_knows(tmp_path):
    """A flat config without the key says nothing; one that says something is not overruled."""
    import shutil

    folder = shutil.copytree(FIXTURES / "saelens/v2_relu", tmp_path / "old")
    config = json.loads((folder / "cfg.json").read_text())
    with pytest.raises(SaelabError, match="you say normalize='constant_norm'"):
        load_sae(folder, given={"normalize": "constant_norm"})
    del config["normalize_activations"]
    (folder / "cfg.json").write_text(json.dumps(config))
    assert load_sae(folder).config.normalize == "none"
    sae = load_sae(folder, given={"normalize": "constant_norm"})
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sae.encode(3 * x), sae.encode(x))


def test_embeddings_are_refused(tmp_path):
    import shutil

    place = tmp_path / "gemma-scope-2b-pt-res" / "embedding/width_4k/average_l0_6"
    shutil.copytree(FIXTURES / "gemma_scope/res", place)
    with pytest.raises(SaelabError, match="token embeddings, in units that the files do not say"):
        load_sae(tmp_path / "gemma-scope-2b-pt-res", sae_id="embedding/width_4k/average_l0_6")
