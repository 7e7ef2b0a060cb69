"""Single formats: what their own libraries mean by a config (D05 to D12)."""

import json
import shutil

import pytest
import torch
from cases import FIXTURES, FOREIGN, inputs, load, make, outputs
from safetensors.torch import load_file, save_file

import saelab as sl
from saelab.errors import SaelabError
from saelab.formats import WRITABLE, load_sae, save_sae


@pytest.fixture
def copy(tmp_path):
    def put(name):
        folder = tmp_path / "x" / name.split("/")[-1]
        shutil.rmtree(folder, ignore_errors=True)
        return shutil.copytree(FIXTURES / name, folder)

    return put


def read(path):
    return json.loads(path.read_text())


def write(path, values):
    path.write_text(json.dumps(values))


def test_D05_llama_scope_follows_norm_activation(copy):
    folder = copy("llama_scope/jumprelu")
    config, x = read(folder / "hyperparams.json"), inputs()
    w = load_file(folder / "checkpoints/final.safetensors")
    w["decoder.weight"] = w["decoder.weight"] * torch.linspace(0.3, 3, 16)
    save_file(w, folder / "checkpoints/final.safetensors")
    length = w["decoder.weight"].norm(dim=0)
    size = 8**0.5

    def theirs(factor, by):
        pre = (x * factor) @ w["encoder.weight"].T + w["encoder.bias"]
        on = pre * by / (factor if by is not None and isinstance(factor, float) else 1.0) > 0.2
        z = torch.where(on, pre, 0.0)
        return z, (z @ w["decoder.weight"].T + w["decoder.bias"]) / factor

    for mode, factor in (
        ("dataset-wise", size / 4), ("inference", 1.0), ("none", 1.0), ("token-wise", size / x.norm(dim=1, keepdim=True)),
    ):  # fmt: skip
        for units in (True, False):
            changes = {"norm_activation": mode, "sparsity_include_decoder_norm": units}
            write(folder / "hyperparams.json", config | changes)
            got = outputs(load_sae(folder), x)
            want = theirs(factor, length if units else torch.ones(16))
            assert ((got[0] > 0) == (want[0] > 0)).all(), (mode, units)
            for a, b in zip(got, want, strict=True):
                torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    left_out = {k: v for k, v in config.items() if k != "sparsity_include_decoder_norm"}
    write(folder / "hyperparams.json", left_out)
    torch.testing.assert_close(
        outputs(load_sae(folder), x)[0], theirs(size / 4, length)[0], atol=1e-5, rtol=1e-5
    )
    for bad, message in (("batch-wise", "depend on the others"), ("nonsense", "'nonsense' is not one")):
        write(folder / "hyperparams.json", config | {"norm_activation": bad})
        with pytest.raises(SaelabError, match=message):
            load_sae(folder)
    subtracts = config | {"apply_decoder_bias_to_pre_encoder": True, "norm_activation": "inference"}
    write(folder / "hyperparams.json", subtracts)
    assert load_sae(folder).config.input_bias == "decoder"


def test_D05_r1_distilled_ones_are_compared_in_the_units_they_say(copy):
    folder = copy("llama_scope/distilled")
    config = read(folder / "config.json")
    plain = load("llama_scope/distilled", folder)
    write(folder / "config.json", config | {"sparsity_include_decoder_norm": True})
    scaled = load("llama_scope/distilled", folder)
    torch.testing.assert_close(scaled.threshold * scaled.W_dec.norm(dim=1), plain.threshold)
    for mode, normalize in (("token-wise", "constant_norm"), ("inference", "none")):
        write(folder / "config.json", config | {"norm_activation": mode})
        assert load_sae(folder).config.normalize == normalize
        with pytest.raises(SaelabError, match="would have no effect"):
            load_sae(folder, given={"scale": 0.5})


def test_D06_k_of_qwen_scope(copy):
    folder = copy("qwen_scope/topk")
    write(folder / "config.json", {"k": 5, "d_model": 8})
    assert load_sae(folder).config.k == 5
    named = shutil.copytree(folder, folder.parent / "SAE-Res-Qwen3-1.7B-Base-W32K-L0_4")
    sae = load_sae(named)
    assert (sae.config.k, sae.config.model) == (
        5,
        "Qwen/Qwen3-1.7B-Base",
    )  # the file outranks the folder's name
    with pytest.raises(SaelabError, match="you say k=6"):
        load_sae(folder, given={"k": 6})
    (named / "config.json").unlink()
    assert load_sae(named).config.k == 4
    assert load_sae(named, given={"k": 6}).config.k == 6  # and so does the user
    write(folder / "config.json", {"k": 5, "top_k": 6})
    with pytest.raises(SaelabError, match="contradicts itself"):
        load_sae(folder)


# a config as SAELens wrote them in February 2024
JB = {
    "model_name": "gpt2-small", "hook_point": "blocks.8.hook_resid_pre", "hook_point_layer": 8,
    "hook_point_head_index": None, "dataset_path": "Skylion007/openwebtext", "is_dataset_tokenized": False,
    "context_size": 128, "use_cached_activations": False, "cached_activations_path": "activations/x", "d_in": 8,
    "n_batches_in_buffer": 128, "total_training_tokens": 300000000, "store_batch_size": 32, "device": "mps", "seed": 42,
    "dtype": "torch.float32", "b_dec_init_method": "geometric_median", "expansion_factor": 32,
    "from_pretrained_path": None, "l1_coefficient": 8e-05, "lr": 0.0004, "lr_scheduler_name": None,
    "lr_warm_up_steps": 5000, "train_batch_size": 4096, "use_ghost_grads": False, "feature_sampling_window": 1000,
    "feature_sampling_method": None, "resample_batches": 1028, "feature_reinit_scale": 0.2,
    "dead_feature_window": 5000, "dead_feature_estimation_method": "no_fire", "dead_feature_threshold": 1e-08,
    "log_to_wandb": True, "wandb_project": "p", "wandb_entity": None, "wandb_log_frequency": 100, "n_checkpoints": 10,
    "checkpoint_path": "checkpoints/y", "d_sae": 16, "tokens_per_buffer": 67108864, "run_name": "r",
}  # fmt: skip


def test_D07_configs_from_before_the_activation_had_a_name(copy):
    folder = copy("saelens/v2_relu")
    write(folder / "cfg.json", JB)
    sae = load_sae(folder)
    assert (sae.config.arch, sae.config.input_bias, sae.config.context) == ("relu", "decoder", 128)
    assert (sae.config.hook_in, sae.config.model) == ("blocks.8.hook_resid_pre", "gpt2-small")
    for a, b in zip(outputs(sae, inputs()), outputs(load("saelens/v2_relu"), inputs()), strict=True):
        torch.testing.assert_close(a, b)
    later = {key: value for key, value in JB.items() if "hook_point" not in key}
    write(folder / "cfg.json", later | {"hook_name": "blocks.8.hook_resid_pre"})
    with pytest.raises(SaelabError, match="names neither"):  # TopK was known by then
        load_sae(folder)
    assert load_sae(folder, given={"arch": "relu"}).config.arch == "relu"
    write(folder / "cfg.json", JB | {"activation_fn_str": "tanh-relu"})
    with pytest.raises(SaelabError, match="'tanh-relu' is not one that saelab reads"):
        load_sae(folder)


def test_D08_latents_of_an_autoencoder_with_free_rows(tmp_path):
    """Its own loader brings rows to length 1, and the latents along."""
    g = torch.Generator().manual_seed(0)
    state = {
        "encoder.weight": torch.randn(16, 8, generator=g), "encoder.bias": torch.randn(16, generator=g),
        "decoder.weight": torch.randn(8, 16, generator=g) * 0.2, "bias": torch.randn(8, generator=g),
    }  # fmt: skip
    torch.save(state, tmp_path / "ae.pt")
    trainer = {"dict_class": "AutoEncoder", "activation_dim": 8, "dict_size": 16}
    write(tmp_path / "config.json", {"trainer": trainer})
    x, length = inputs(), state["decoder.weight"].norm(dim=0)
    want = ((x - state["bias"]) @ state["encoder.weight"].T + state["encoder.bias"]).relu() * length
    z, recon = outputs(load_sae(tmp_path), x)
    torch.testing.assert_close(z, want, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        recon, want @ (state["decoder.weight"] / length).T + state["bias"], atol=1e-5, rtol=1e-5
    )
    back = load_sae(save_sae(make("relu"), tmp_path / "written", format="dictionary_learning"))
    torch.testing.assert_close(outputs(back, x)[0], outputs(make("relu"), x)[0], atol=1e-5, rtol=1e-5)
    assert read(tmp_path / "written/config.json")["trainer"]["dict_class"] == "AutoEncoderNew"
    unit = make("relu").fold_norms()
    save_sae(unit, tmp_path / "unit", format="dictionary_learning")
    assert read(tmp_path / "unit/config.json")["trainer"]["dict_class"] == "AutoEncoder"


@pytest.mark.parametrize("form", [f for f in WRITABLE if f != "saelab"])
def test_D09_what_is_written_comes_back(form, tmp_path):
    kinds = {"sparsify": ("topk", "transcoder_topk"), "openai": ("relu", "topk_layer_norm")}
    for kind in kinds.get(form, ("relu", "topk")):
        sae = make(kind)
        got = load_sae(save_sae(sae, tmp_path / form / kind, format=form)).config
        for fact in ("model", "hook_in", "hook_out", "bos", "context"):
            assert getattr(got, fact) == getattr(sae.config, fact), (form, kind, fact)
    assert set(FOREIGN) == {f for f in WRITABLE if f != "saelab"}


@pytest.mark.parametrize(
    ("trainer", "buffer", "hook"),
    [
        ({"submodule_name": "resid_post_layer_3", "layer": 3}, {}, "blocks.3.hook_resid_post"),
        ({"submodule_name": "resid_post_layer_3"}, {"io": "in"}, "blocks.3.hook_resid_pre"),
        ({"submodule_name": "mlp_out_layer3"}, {"io": "out"}, "blocks.3.hook_mlp_out"),
        ({"submodule_name": "mlp_out_layer_3"}, {"io": "in"}, "blocks.3.mlp.hook_in"),
        ({"submodule_name": "blocks.0.mlp.hook_post"}, {}, "blocks.0.mlp.hook_post"),
        ({"submodule_name": "model.layers.2"}, {}, "blocks.2.hook_resid_post"),
        ({"submodule_name": "resid_post_layer_3", "layer": 4}, {}, None),
        ({"submodule_name": "resid_post_layer_3"}, {"io": "in_and_out"}, None),
        ({"submodule_name": "somewhere"}, {}, None),
    ],
)
def test_D09_module_names_of_dictionary_learning(trainer, buffer, hook, copy):
    folder = copy("dictionary_learning/BatchTopKSAE")
    config = read(folder / "config.json")
    kept = {key: value for key, value in config["trainer"].items() if key not in ("layer", "submodule_name")}
    write(folder / "config.json", {"trainer": kept | trainer, "buffer": {"ctx_len": 77} | buffer})
    if hook is None:
        with pytest.raises(SaelabError, match="layer 4|in_and_out|no module that saelab knows"):
            load_sae(folder)
        return
    found = load_sae(folder).config
    assert (found.hook_in, found.context) == (hook, 77)


def test_D09_the_config_of_a_run_of_sparsify(copy):
    folder = copy("sparsify/layers.10")
    run = {
        "sae": {"k": 4},
        "model": "EleutherAI/pythia-70m",
        "ctx_len": 256,
        "batch_size": 8,
        "loss_fn": "fvu",
    }
    write(folder.parent / "config.json", run)
    sae = load_sae(folder)
    assert (sae.config.model, sae.config.context) == ("EleutherAI/pythia-70m", 256)
    assert sae.config.hook_in == "blocks.10.hook_resid_post"
    write(folder.parent / "config.json", run | {"foo": 1})
    with pytest.raises(SaelabError, match="'foo'"):
        load_sae(folder)
    write(folder.parent / "config.json", {"architectures": ["GPT2"]})  # of something else
    assert load_sae(folder).config.model == ""
    listed = ["run/config.json", "run/layers.10/cfg.json", "run/layers.10/sae.safetensors"]
    assert sl.formats.hub.parts_of(listed, "run/layers.10") == listed


def test_D10_keys_that_people_write_beside_a_formats_own(copy):
    folder = copy("sparsify/layers.10")
    said = {
        "hook_layer": 10,
        "hook_name": "layers.10",
        "model_name": "gpt2",
        "prepend_bos": False,
        "context_size": 64,
    }
    write(folder / "cfg.json", read(folder / "cfg.json") | said)
    found = load_sae(folder).config
    assert (found.hook_in, found.model, found.bos, found.context) == (
        "blocks.10.hook_resid_post",
        "gpt2",
        False,
        64,
    )
    folder = copy("saelens/standard")
    config = read(folder / "cfg.json")
    same = {"model_name": "tiny", "hook_layer": 3, "context_size": 64, "prepend_bos": False}
    write(folder / "cfg.json", config | same)
    assert load_sae(folder).config.context == 64
    write(folder / "cfg.json", config | same | {"context_size": 65, "prepend_bos": True})
    with pytest.raises(SaelabError, match=r"prepend_bos False.*\n.*context_size 64"):
        load_sae(folder)
    write(folder / "cfg.json", config | {"_dl_threshold": 0.3})
    with pytest.raises(SaelabError, match=r"ignore=\('_dl_threshold',\)"):
        load_sae(folder)
    assert load_sae(folder, ignore="_dl_threshold").record["loaded"]["ignored"] == {"_dl_threshold": 0.3}


def test_D10_the_first_numbered_files(copy):
    folder = copy("numbered/relu")
    config = read(folder / "25_cfg.json")
    old = {
        k: v
        for k, v in config.items()
        if k not in ("act_size", "dict_size", "act_name", "model_name", "site", "layer")
    }
    write(folder / "25_cfg.json", old | {"d_mlp": 8, "dict_mult": 2})
    sae = load_sae(folder)
    assert (sae.config.d_sae, sae.config.model, sae.config.hook_in) == (
        16,
        "gelu-1l",
        "blocks.0.mlp.hook_post",
    )
    torch.testing.assert_close(outputs(sae, inputs()), outputs(load("numbered/relu"), inputs()))
    write(folder / "25_cfg.json", old | {"d_mlp": 8, "dict_mult": 3})
    with pytest.raises(SaelabError, match="d_sae = 24|says 24"):
        load_sae(folder)


def test_D10_gemma_scope_2_without_a_config(tmp_path):
    place = tmp_path / "gemma-scope-2-1b-pt" / "transcoder_all" / "layer_5_width_16k_l0_big"
    shutil.copytree(FIXTURES / "gemma_scope_2/transcoder", place)
    (place / "config.json").unlink()
    c = load_sae(place).config
    assert (c.arch, c.model) == ("jumprelu", "google/gemma-3-1b-pt")
    assert (c.hook_in, c.hook_out) == ("blocks.5.mlp.hook_in", "blocks.5.hook_mlp_out")


def test_D10_batchtopk_with_a_mean_k(copy):
    for name in ("batchtopk_training", "matryoshka_training"):
        folder = copy(f"saelens/{name}")
        write(folder / "cfg.json", read(folder / "cfg.json") | {"k": 3.5})
        sae = load_sae(folder)
        assert sae.config.arch == "jumprelu"
        for a, b in zip(outputs(sae, inputs()), outputs(load(f"saelens/{name}"), inputs()), strict=True):
            torch.testing.assert_close(a, b)
    folder = copy("saelens/topk")
    write(folder / "cfg.json", read(folder / "cfg.json") | {"k": 3.5})
    with pytest.raises(SaelabError, match="k must be a whole number"):
        load_sae(folder)


def test_D11_a_layer_without_the_threshold_that_others_have(copy):
    folder = copy("circuit_tracer_clt/jumprelu")
    path = folder / "W_enc_1.safetensors"
    save_file({k: v for k, v in load_file(path).items() if "threshold" not in k}, path)
    with pytest.raises(SaelabError, match="no threshold_1, as other layers have"):
        load_sae(folder, sae_id="W_enc_1.safetensors")


@pytest.mark.parametrize("off", [0.0, 1e-7, 2e-4, 5e-3, 1e-2])
def test_D12_topk_in_units_of_its_rows(off, copy):
    """A row off length 1 may change which latents are the k largest."""
    folder = copy("llamascopium/topk_unit")
    path = folder / "sae_weights.safetensors"
    w = load_file(path)
    g = torch.Generator().manual_seed(0)
    factor = 1 + off * torch.randn(16, generator=g)
    w["W_D"] = w["W_D"] / w["W_D"].norm(dim=1, keepdim=True) * factor[:, None]
    save_file(w, path)
    if off > 1e-5:
        with pytest.raises(SaelabError, match="length 1"):
            load_sae(folder)
        return
    x = torch.randn(4000, 8, generator=g)
    pre = (x * 8**0.5 / x.norm(dim=1, keepdim=True)) @ w["W_E"] + w["b_E"]
    ranked = pre.relu() * w["W_D"].norm(dim=1)
    wanted = torch.zeros_like(pre).scatter(-1, ranked.topk(4).indices, 1.0) * (pre > 0)
    z = outputs(load_sae(folder), x)[0]
    assert ((z > 0) == (wanted > 0)).all()
