"""Published SAEs by name."""

import contextlib
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
    assert asked == [("gpt2", {"dtype": "bfloat16", "device": "cpu"})]
    with pytest.raises(SaelabError, match="does not say which model"):
        sl.load_model_for(load_sae(FIXTURES / "sparsify/layers.10"))
    with pytest.raises(SaelabError, match="several models"):
        sl.load_model_for(load_sae(FIXTURES / "crosscoder/relu", given={"scale": [1.0, 1.0]}))


def test_D14_the_catalog_knows_neuronpedias_ids():
    table = sl.catalog()
    known = table[table["neuronpedia"] != ""].set_index("name")["neuronpedia"]
    assert len(known) == 2437
    assert known.str.fullmatch(r"[\w.-]+/(\d+|e)-[\w.-]+").all()
    for name, page in (
        (
            "gemma-2-2b/gemma-scope-2b-pt-res-canonical/layer_20/width_16k/canonical",
            "gemma-2-2b/20-gemmascope-res-16k",
        ),
        ("gpt2-small/gpt2-small-res-jb/blocks.8.hook_resid_pre", "gpt2-small/8-res-jb"),
        ("gpt2-small/gpt2-small-res-jb/blocks.11.hook_resid_post", "gpt2-small/12-res-jb"),
        (
            "gemma-3-4b-pt/gemma-scope-2-4b-pt-res/layer_17_width_16k_l0_medium",
            "gemma-3-4b/17-gemmascope-2-res-16k",
        ),
    ):
        assert known[name] == page
    assert set(sl.catalog("gpt2-small/8-res-jb")["neuronpedia"]) == {"gpt2-small/8-res-jb"}


SOURCE = """
gemma-scope-2b-pt-res:
  conversion_func: gemma_2
  model: gemma-2-2b
  repo_id: google/gemma-scope-2b-pt-res
  saes:
  - {id: embedding/width_4k/average_l0_6, path: embedding/width_4k/average_l0_6, l0: 6}
  - {id: layer_3/width_1m/average_l0_9, path: layer_3/width_1m/average_l0_9, l0: 9, neuronpedia: gemma-2-2b/3-a}
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
    assert (scope["pages"], scope["page"]) == (["gemma-2-2b/{layer}-a"], 0)
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


# ------------------------------------------------------------------- what only the catalog knows (D07)

# release and id, fixture in its place, what is left out of the files, what the files say themselves
LISTED = {
    "linear_pair": ("deepseek-r1-distill-llama-8b-qresearch", None, "linear_pair/relu", (), {}),
    "saelens": ("gpt2-small-res-jb", "blocks.8.hook_resid_pre", "saelens/v2_relu",
                ("model_name", "hook_point", "activation_fn_str"), {}),
    "gemma_scope_2": ("gemma-scope-2-12b-it-att", "layer_12_width_16k_l0_big", "gemma_scope_2/res", (),
                      {"model": "google/gemma-3-1b-pt", "hook_in": "blocks.7.hook_resid_post"}),
    "gemma_scope": ("gemma-scope-27b-pt-res", "layer_10/width_131k/average_l0_106", "gemma_scope/res", (), {}),
    "goodfire": ("goodfire-llama-3.1-8b-instruct", None, "goodfire/relu", (), {}),
    "dictionary_learning": ("gpt-oss-20b-andyrdt", "resid_post_layer_3_trainer_0",
                            "dictionary_learning/BatchTopKSAE", ("trainer.lm_name", "trainer.submodule_name"), {}),
    "llama_scope": ("llama_scope_lxa_32x", "l0a_32x", "llama_scope/jumprelu", (),
                    {"hook_in": "blocks.8.hook_resid_post"}),
    "r1_distill": ("llama_scope_r1_distill", "l15r_800m_slimpajama", "llama_scope/distilled", (), {}),
    "circuit_tracer": ("mwhanna-qwen3-14b-transcoders", "layer_3", "circuit_tracer/relu", ("config.yaml",), {}),
    "qwen_scope": ("qwen-scope-3-1.7b-base-w32k-l100", "layer7", None, (), {}),
}  # fmt: skip


@pytest.fixture
def listed(cache):
    """Put files where an entry of the catalog says that they are, without the keys ``left_out``."""
    import shutil

    def put(entry, fixture, left_out):
        target = cache / f"models--{entry['repo'].replace('/', '--')}"
        place = target / "snapshots" / ("0" * 40) / entry["path"]
        place.parent.mkdir(parents=True)
        (target / "refs").mkdir()
        (target / "refs" / "main").write_text("0" * 40)
        if fixture is None:  # Qwen Scope's: k = 100 needs more latents than a fixture has
            shapes = {"W_enc": (128, 8), "W_dec": (8, 128), "b_enc": (128,), "b_dec": (8,)}
            torch.save({name: torch.zeros(shape) for name, shape in shapes.items()}, place)
            return
        single = place.suffix in (".pt", ".pth", ".safetensors")
        folder = place.parent if single else place
        shutil.copytree(FIXTURES / fixture, folder, dirs_exist_ok=True)
        if single:
            next(p for p in folder.iterdir() if p.suffix == place.suffix).rename(place)
        for path in [p for p in folder.iterdir() if p.suffix in (".json", ".yaml")]:
            if path.name in left_out:
                path.unlink()
                continue
            config = json.loads(path.read_text())
            for key in left_out:
                part, _, last = key.rpartition(".")
                (config[part] if part else config).pop(last)
            path.write_text(json.dumps(config))

    return put


def test_D07_every_format_of_the_catalog_is_tried():
    tried = {(catalog.find(release, sae_id) or {})["format"] for release, sae_id, *_ in LISTED.values()}
    # numbered files say both; those of cross-layer transcoders have a config.yaml that does
    assert tried | {"numbered", "circuit_tracer_clt"} == set(sl.catalog()["format"])


@pytest.mark.parametrize("by", ["name", "repository"])
@pytest.mark.parametrize("case", LISTED)
def test_D07_model_and_hook_point_come_from_the_catalog(case, by, listed):
    release, sae_id, fixture, left_out, said = LISTED[case]
    entry = catalog.find(release, sae_id)
    assert entry is not None
    listed(entry, fixture, left_out)
    where = (release, sae_id) if by == "name" else (entry["repo"], entry["path"])
    said_too = "loaded with center_writing_weights=True" if entry["model_options"] else None
    with pytest.warns(UserWarning, match=said_too) if said_too else contextlib.nullcontext():
        config = load_sae(where[0], sae_id=where[1]).config
    wanted = {"model": entry["model"], "hook_in": entry["hook"]} | said  # files outrank the catalog
    assert {key: getattr(config, key) for key in wanted} == wanted
    if entry["hook"].endswith("mlp.hook_in"):
        assert config.hook_out == "blocks.3.hook_mlp_out"
    if case in ("dictionary_learning", "circuit_tracer"):  # names of files say nothing there
        other = "blocks.5.hook_resid_post"  # the user outranks the catalog
        facts = {"hook_in": other, "hook_out": other}
        assert load_sae(where[0], sae_id=where[1], given=facts).config.hook_in == other
