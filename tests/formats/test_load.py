"""Loading refuses what it cannot know, and says what is missing; the public cases of silent wrong loads."""

import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import FIXTURES, GIVEN, READ, SAE_ID, inputs, make, outputs
from helpers import random_sae
from safetensors.torch import load_file, save_file

from saelab.errors import SaelabError
from saelab.formats import catalog, hub, load_sae, save_sae
from saelab.formats.common import hook_of_module
from saelab.models import hook_layer


@pytest.fixture
def copy(tmp_path):
    def make_copy(name: str) -> Path:
        return Path(shutil.copytree(FIXTURES / name, tmp_path / name.replace("/", "-")))

    return make_copy


def edit(path: Path, **changes) -> None:
    config = json.loads(path.read_text())
    for key, value in changes.items():
        if value is None:
            config.pop(key, None)
        else:
            config[key] = value
    path.write_text(json.dumps(config))


# ----------------------------------------------------- no default architecture (C01), no ignored key (C02)


def test_c01_topk_in_an_old_config(copy):
    sae = load_sae(copy("saelens/v4_topk"))
    assert sae.config.k == 4
    pre = sae.pre_activations(inputs())
    assert torch.equal(sae.encode_sparse(inputs()).l0(), (pre > 0).sum(-1).clamp_max(4))


def test_c01_without_an_activation_nothing_is_assumed(copy):
    folder = copy("saelens/v4_topk")
    lost = dict.fromkeys(("architecture", "activation_fn_str", "activation_fn_kwargs", "hook_point"))
    edit(folder / "cfg.json", **lost, hook_name="blocks.3.hook_resid_pre")  # as TopK was already known
    with pytest.raises(SaelabError, match="names neither an 'architecture' nor an activation"):
        load_sae(folder)
    folder = copy("openai/relu_first_version")
    with pytest.raises(SaelabError, match="no 'activation' is stored"):
        load_sae(folder)
    folder = copy("dictionary_learning/BatchTopKSAE")
    edit(folder / "config.json", trainer={"k": 4})
    with pytest.raises(SaelabError, match="no 'dict_class'"):
        load_sae(folder)


@pytest.mark.parametrize(
    ("name", "config", "changes", "message"),
    [
        ("saelens/topk", "cfg.json", {"k": None}, "needs 'k'"),
        ("saelens/standard", "cfg.json", {"architecture": "standrad"}, "Did you mean 'standard'"),
        ("saelens/standard", "cfg.json", {"architecture": "temporal"}, "no counterpart"),
        (
            "saelens/standard",
            "cfg.json",
            {"normalize_activations": "covariance_whitening"},
            "covariance_whit",
        ),
        ("llamascopium/relu", "config.json", {"sae_type": "clt"}, "reads 'sae'"),
        ("llamascopium/relu", "config.json", {"act_fn": "batchtopk"}, "depends on the others"),
        ("llamascopium/relu", "config.json", {"act_fn": None}, "no 'act_fn'"),
        ("llamascopium/relu", "config.json", {"norm_activation": "batch-wise"}, "'token-wise'"),
        (
            "llamascopium/jumprelu_lengths",
            "config.json",
            {"act_fn": "topk"},
            "log_jumprelu_threshold|length 1",
        ),
        ("llamascopium/transcoder", "config.json", {"sparsity_include_decoder_norm": True}, "length 1"),
        ("batchtopk_code/topk_normed", "config.json", {"sae_type": "batchtopk"}, "depend on the batch"),
        ("batchtopk_code/topk_normed", "config.json", {"top_k": None}, "no 'top_k'"),
        (
            "batchtopk_code/jumprelu_normed",
            "config.json",
            {"sae_type": "vanilla"},
            "'jumprelu.log_threshold'",
        ),
        (
            "numbered/relu",
            "25_cfg.json",
            {"top_k": 4},
            "'top_k', which the code of this format does not know",
        ),
        ("numbered/relu", "25_cfg.json", {"act_size": 9}, "act_size|d_in"),
        ("saelens/standard", "cfg.json", {"apply_b_dec_to_input": None}, "no 'apply_b_dec_to_input'"),
        ("saelens/standard", "cfg.json", {"foo": 1}, "'foo'"),
        ("saelens/standard", "cfg.json", {"d_sae": 17}, "d_sae = 17"),
        ("sparsify/layers.10", "cfg.json", {"k": None}, "no 'k'"),
        ("sparsify/layers.10", "cfg.json", {"k": -1}, "k must be at least 1"),
        ("sparsify/layers.10", "cfg.json", {"k": 17}, "k=17 is more than"),
        ("sparsify/layers.10", "cfg.json", {"activation": "groupmax"}, "groupmax"),
        ("sparsify/layers.10", "cfg.json", {"signed": True}, "signed"),
        ("sparsify/layers.10", "cfg.json", {"num_latents": 10**12}, "d_sae = 1000000000000"),
        ("gemma_scope_2/res", "config.json", {"architecture": "relu"}, "'jump_relu'"),
        ("llama_scope/jumprelu", "hyperparams.json", {"use_glu_encoder": True}, "use_glu_encoder"),
        (
            "llama_scope/jumprelu",
            "hyperparams.json",
            {"dataset_average_activation_norm": {"in": 0.0}},
            "positive",
        ),
    ],
)
def test_a_config_that_cannot_be_followed(copy, name, config, changes, message):
    folder = copy(name)
    edit(folder / config, **changes)
    with pytest.raises(SaelabError, match=message):
        load_sae(folder)


def test_c02_the_threshold_is_used_and_further_keys_are_errors(copy, tmp_path):
    folder = copy("dictionary_learning/BatchTopKSAE")
    d = 4
    state = {
        "encoder.weight": torch.eye(d), "encoder.bias": torch.zeros(d), "decoder.weight": torch.eye(d),
        "b_dec": torch.zeros(d), "threshold": torch.tensor(0.3), "k": torch.tensor(2, dtype=torch.int),
    }  # fmt: skip
    torch.save(state, folder / "ae.pt")
    (folder / "config.json").write_text(json.dumps({"trainer": {"dict_class": "BatchTopKSAE", "k": 2}}))
    z = load_sae(folder).encode(torch.tensor([0.1, 0.29, 0.31, 2.0]))
    assert z.tolist() == pytest.approx([0, 0, 0.31, 2.0])
    torch.save(state | {"foo": torch.zeros(3)}, folder / "ae.pt")
    with pytest.raises(SaelabError, match="'foo'"):
        load_sae(folder)
    torch.save({k: v for k, v in state.items() if k != "threshold"}, folder / "ae.pt")
    with pytest.raises(SaelabError, match="'threshold'"):
        load_sae(folder)


def test_transposed_matrices_are_noticed(copy):
    folder = copy("saelens/standard")
    tensors = load_file(folder / "sae_weights.safetensors")
    save_file(tensors | {"W_enc": tensors["W_enc"].T.contiguous()}, folder / "sae_weights.safetensors")
    with pytest.raises(SaelabError, match="W_enc must have shape"):
        load_sae(folder)


# ------------------------------------------------------------------- scale factors (C07), layer norm (C36)


def test_c07_a_missing_scale_is_asked_for(copy):
    with pytest.raises(SaelabError, match="given={'scale'"):
        load_sae(copy("saelens/standard_scaled"))
    folder = copy("llama_scope/distilled")
    with pytest.raises(SaelabError, match="given={'scale'"):
        load_sae(folder)
    edit(folder / "config.json", norm_activation="inference")
    assert load_sae(folder).config.normalize == "none"


def test_c07_a_scale_survives_every_format(tmp_path):
    sae, x = make("relu_scale"), inputs()
    c = sae.config
    z = sae.arch.activate(sae, (x * c.scale - sae.b_dec) @ sae.W_enc + sae.b_enc)
    wanted = (z @ sae.W_dec + sae.b_dec) / c.scale
    for form in ("saelab", "saelens", "dictionary_learning", "openai"):
        save_sae(sae, tmp_path / form, format=form)
        torch.testing.assert_close(
            outputs(load_sae(tmp_path / form), x)[1], wanted.detach(), atol=1e-5, rtol=0
        )


def test_c36_layer_norm_is_stated_not_guessed(copy, tmp_path):
    sae = make("topk")  # trained without
    sae.save(tmp_path / "sae")
    torch.testing.assert_close(
        outputs(load_sae(tmp_path / "sae"), inputs())[1], outputs(sae, inputs())[1], atol=1e-6, rtol=0
    )
    assert load_sae(copy("openai/topk")).config.normalize == "layer_norm"
    with pytest.raises(SaelabError, match="layer_norm"):
        save_sae(sae, tmp_path / "openai", format="openai")
    assert load_sae(tmp_path / "openai-topk", given={"normalize": "none"}).config.normalize == "none"


def test_given_facts(copy):
    folder = copy("sparsify/layers.10")
    assert (
        load_sae(folder, given={"model": "gpt2", "hook_in": "blocks.10.hook_resid_post"}).config.model
        == "gpt2"
    )
    with pytest.raises(SaelabError, match="you say k=5"):
        load_sae(folder, given={"k": 5})
    with pytest.raises(SaelabError, match="Did you mean 'hook_in'"):
        load_sae(folder, given={"hook_ni": "x"})
    with pytest.raises(SaelabError, match="no name such as …-L0_50"):
        load_sae(copy("qwen_scope/topk"))


# -------------------------------------------------------------------------- dtypes (C41), damage (C51), C52


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_c41_any_dtype(copy, dtype, tmp_path):
    sae = load_sae(copy("saelens/topk"), dtype=dtype)
    assert {str(p.dtype) for p in sae.parameters()} == {f"torch.{dtype}"}
    for given in (torch.float32, torch.bfloat16, torch.float16):
        assert sae.decode(sae.encode_sparse(inputs().to(given))).shape == (12, 8)
    save_sae(sae, tmp_path / "again", format="saelens")
    assert load_sae(tmp_path / "again").config.dtype == dtype
    with pytest.raises(SaelabError, match="unknown dtype"):
        load_sae(FIXTURES / "saelens/topk", dtype="float8")


@pytest.mark.parametrize(
    "name", ["saelens/topk/sae_weights.safetensors", "openai/topk/8.pt", "gemma_scope/res/params.npz"]
)
def test_c51_a_cut_file_is_named(copy, name):
    folder = copy("/".join(name.split("/")[:2]))
    path = folder / name.split("/")[2]
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(SaelabError, match=path.name):
        load_sae(folder)


def test_c51_weights_missing(copy):
    folder = copy("saelens/topk")
    (folder / "sae_weights.safetensors").unlink()
    with pytest.raises(SaelabError, match="sae_weights.safetensors"):
        load_sae(folder, format="saelens")
    with pytest.raises(SaelabError, match=r"no SAE of a known format.*cfg.json"):
        load_sae(folder)


# ------------------------------------------------------------------------------ files that would do harm


class Harm:
    def __reduce__(self):
        return (os.mkdir, ("harm-was-done",))


def test_pickled_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for form in (None, "openai", "goodfire", "qwen_scope"):
        torch.save(
            {"encoder.weight": torch.zeros(4, 2), "pre_bias": Harm(), "latent_bias": torch.zeros(4)}, "x.pt"
        )
        with pytest.raises(SaelabError, match=r"x\.pt holds a pickled .*mkdir"):
            load_sae("x.pt", format=form)
        assert not Path("harm-was-done").exists()


def test_a_library_object_in_the_file_is_named(tmp_path):
    from saelab.sae import SAEConfig

    torch.save({"cfg": SAEConfig("relu", 4, 8), "state_dict": {}}, tmp_path / "t.pt")
    with pytest.raises(SaelabError, match=r"saelab\.sae\.config\.SAEConfig.*save its state dict"):
        load_sae(tmp_path / "t.pt")


def test_tensors_larger_than_the_file_are_refused(tmp_path):
    state = {
        "encoder_linear.weight": torch.zeros(1).expand(10**6, 10**6), "encoder_linear.bias": torch.zeros(10),
        "decoder_linear.weight": torch.zeros(4, 10), "decoder_linear.bias": torch.zeros(4),
    }  # fmt: skip
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(SaelabError, match="that the file does not hold"):
        load_sae(tmp_path / "x.pt")
    np.savez_compressed(
        tmp_path / "params.npz", **{k: np.zeros((2000, 2000), "f4") for k in ("W_enc", "W_dec", "threshold")}
    )
    with pytest.raises(SaelabError, match="claims to unpack"):
        load_sae(tmp_path / "params.npz")


def test_a_config_of_a_trillion_latents_costs_no_memory(tmp_path):
    make("relu").save(tmp_path / "sae")
    head = json.loads((tmp_path / "sae/config.json").read_text())
    head["sae"]["d_sae"] = 10**13
    (tmp_path / "sae/config.json").write_text(json.dumps(head))
    with pytest.raises(SaelabError):
        load_sae(tmp_path / "sae")


def test_sae_id_stays_inside(copy):
    folder = copy("saelens/topk")
    for bad in ("../saelens-topk", "/etc", "../../x"):
        with pytest.raises(SaelabError, match=r"leads out of|no SAE"):
            load_sae(folder, sae_id=bad)
    assert load_sae(folder.parent, sae_id=folder.name).config.k == 4
    with pytest.raises(SaelabError, match="Did you mean 'saelens-topk'"):
        load_sae(folder.parent, sae_id="saelens-topq")
    with pytest.raises(SaelabError, match="sae_id may be 'saelens-topk'"):
        load_sae(folder.parent)


# ----------------------------------------------------------------------------- hook names (C74)


@pytest.mark.parametrize(
    ("name", "point", "layer"),
    [
        ("blocks.1.hook_resid_post", "blocks.1.hook_resid_post", 1),
        ("model.layers.1", "blocks.1.hook_resid_post", 1),
        ("transformer.h.1.mlp", "blocks.1.hook_mlp_out", 1),
        ("gpt_neox.layers.1.attention", "blocks.1.hook_attn_out", 1),
        ("blocks.10.attn.hook_z", "blocks.10.attn.hook_z", 10),
        ("layers.30", "blocks.30.hook_resid_post", 30),
    ],
)
def test_c74_names_of_modules(name, point, layer):
    assert hook_of_module(name) == point
    assert hook_layer(point) == layer


def test_names_say_what_gemma_scope_files_do_not(tmp_path):
    place = tmp_path / "gemma-scope-2b-pt-res" / "layer_12/width_16k/average_l0_82"
    shutil.copytree(FIXTURES / "gemma_scope/res", place)
    sae = load_sae(tmp_path / "gemma-scope-2b-pt-res", sae_id="layer_12/width_16k/average_l0_82")
    assert (sae.config.hook_in, sae.config.model) == ("blocks.12.hook_resid_post", "google/gemma-2-2b")
    place.parent.rename(tmp_path / "transcoders")
    shutil.copytree(
        tmp_path / "transcoders/average_l0_82", tmp_path / "gemma-scope-2b-pt-transcoders/layer_3/x"
    )
    sae = load_sae(tmp_path / "gemma-scope-2b-pt-transcoders/layer_3/x")
    assert (sae.config.hook_in, sae.config.hook_out) == ("blocks.3.mlp.hook_in", "blocks.3.hook_mlp_out")


# ----------------------------------------------------------------------------------- the hub (C76)


def test_c76_offline_with_a_cache(cache):
    sae = load_sae("somebody/saes", sae_id="layer_1")
    assert sae.config.k == 4
    assert sae.record["loaded"]["source"] == "somebody/saes/layer_1"
    with pytest.raises(SaelabError, match=r"2 SAEs; say which: sae_id='layer_0', 'layer_1'"):
        load_sae("somebody/saes")
    with pytest.raises(SaelabError, match="Did you mean 'layer_0'"):
        load_sae("somebody/saes", sae_id="layer_00")


def test_c76_offline_without_a_cache(cache):
    with pytest.raises(SaelabError, match="offline"):
        load_sae("somebody/else")
    with pytest.raises(SaelabError, match="Did you mean 'blocks.8.hook_resid_pre'"):
        load_sae("gpt2-small/gpt2-small-res-jb/blocks.88.hook_resid_pre")
    with pytest.raises(
        SaelabError, match="Did you mean 'gpt2-small/gpt2-small-res-jb/blocks.8.hook_resid_pre'"
    ):
        load_sae("gpt2-small/gpt2-small-rez-jb/blocks.8.hook_resid_pre")
    with pytest.raises(SaelabError, match="13 SAEs; say which: sae_id='blocks.0.hook_resid_pre'"):
        load_sae("gpt2-small-res-jb")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("GatedRepoError", "gated: accept its terms"),
        ("RepositoryNotFoundError", "not found"),
        ("ConnectError", "offline"),
    ],
)
def test_c76_which_of_the_three_it_was(kind, message, monkeypatch, tmp_path):
    import huggingface_hub
    from huggingface_hub import constants

    error = type(kind, (OSError,), {})("no")

    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    with pytest.raises(SaelabError, match=message):
        load_sae("somebody/saes")


def test_ids_of_a_repository():
    listed = [
        "README.md",
        "a/b/params.npz",
        "x/cfg.json",
        "x/sae.safetensors",
        "L8R/checkpoints/final.safetensors",
        "layer5.sae.pt",
        "layer_3.safetensors",
        "../evil/params.npz",
        "model-00001.safetensors",
    ]
    assert hub.ids_of(listed) == ["L8R", "a/b", "layer5.sae.pt", "layer_3.safetensors", "x"]


@pytest.mark.parametrize("name", READ)
def test_what_is_fetched_is_enough_to_read(name, tmp_path):
    """Of a repository that holds the fixture beside other files."""
    folder = FIXTURES / name
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    listed = [f"x/{file}" for file in files] + ["README.md", "x/optimizer.pt", "x/model-00001.safetensors"]
    ids = [sae_id for sae_id in hub.ids_of(listed) if sae_id == "x" or sae_id.endswith(SAE_ID.get(name, ""))]
    if name.startswith("transcoder_circuits"):
        assert not ids, "its names say nothing"
        return
    assert len(ids) == 1
    for part in hub.parts_of(listed, ids[0]):
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / part.removeprefix("x/"), tmp_path / part)
    sae = load_sae(tmp_path / ids[0], given=GIVEN.get(name))
    assert sae.record["loaded"]["format"] == name.split("/")[0]


def test_a_broken_name_in_an_archive_is_damage(copy):
    folder = copy("crosscoder/relu")
    path = folder / "cc_weights.pt"
    data = path.read_bytes()
    place = data.index(b"/data/0")  # in the first local header
    flags = data.rindex(b"PK\x03\x04", 0, place) + 6
    path.write_bytes(data[:place] + b"\xec" + data[place + 1 :])
    with pytest.raises(SaelabError, match="cc_weights.pt"):
        load_sae(folder, given={"scale": [1.0, 1.0]})
    marked = bytearray(path.read_bytes())
    marked[flags + 1] |= 8  # the name is said to be UTF-8, which it is not
    path.write_bytes(marked)
    with pytest.raises(SaelabError, match="cc_weights.pt"):
        load_sae(folder, given={"scale": [1.0, 1.0]})


def test_a_floor_cannot_be_written_where_it_would_be_lost(tmp_path):
    sae = random_sae(floor=0.5)
    with pytest.raises(SaelabError, match="no place for a floor"):
        save_sae(sae, tmp_path / "sae", format="saelens")
    assert not (tmp_path / "sae").exists()


# --------------------------------------------------------------------- what the model was loaded with (D14)


@pytest.mark.parametrize("name", ["saelens/topk", "saelens/v2_relu"])
@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ({"center_writing_weights": True}, "center_writing_weights=True"),
        ({"fold_ln": True, "center_unembed": True}, "fold_ln=True:"),
        ({"refactor_factored_attn_matrices": True}, "refactor_factored_attn_matrices=True"),
        ({"center_writing_weights": False}, None),
        ({"n_devices": 2, "dtype": "bfloat16"}, None),
        ({}, None),
    ],
)
def test_D14_what_the_model_was_loaded_with_is_kept_and_said(copy, tmp_path, name, options, warned):
    folder = copy(name)
    config = json.loads((folder / "cfg.json").read_text())
    config.get("metadata", config)["model_from_pretrained_kwargs"] = options
    (folder / "cfg.json").write_text(json.dumps(config))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        sae = load_sae(folder)
    assert [warned in str(w.message) for w in seen] == ([True] if warned else [])
    for again in (sae, sae.fold(), native(sae, tmp_path / "own")):  # through our own form as well
        written = json.loads((save_sae(again, tmp_path / "again", format="saelens") / "cfg.json").read_text())
        assert written["metadata"].get("model_from_pretrained_kwargs", {}) == options


def native(sae, folder):
    return load_sae(sae.save(folder))


def test_D14_the_catalog_knows_what_the_model_was_loaded_with(cache):
    listed = catalog.facts(catalog.find("gpt2-small-res-jb", "blocks.8.hook_resid_pre"))
    assert listed["model_options"] == {"center_writing_weights": True}
