"""Half precision: each file is read as its own library loads it, and nothing is rounded where weights are changed."""

import json
import shutil

import pytest
import table
import torch
from cases import COMPUTES, FIXTURES, FOREIGN, HALF, READ, WRITE, inputs, load, make, outputs, refusal
from safetensors.torch import load_file, save_file

import saelab as sl
from saelab.errors import SaelabError

DTYPES = ("bfloat16", "float16")
# key of a format's config that names a dtype which its library follows
NAMED = {
    "saelens/topk": ("cfg.json", "dtype", "bfloat16"),
    "llamascopium/relu": ("config.json", "dtype", "torch.bfloat16"),
    "batchtopk_code/topk_normed": ("config.json", "dtype", "torch.bfloat16"),
    "crosscoder/relu": ("cfg.json", "enc_dtype", "bf16"),
    "numbered/relu": ("25_cfg.json", "enc_dtype", "bf16"),
}


@pytest.mark.parametrize("name", READ)
def test_D13_the_dtype_is_that_of_the_librarys_own_loader(name):
    sae = load(name)
    wanted = COMPUTES.get(name, "float32")
    assert sae.config.dtype == wanted
    assert {str(p.dtype) for p in sae.parameters()} == {f"torch.{wanted}"}


def test_D13_there_are_half_precision_fixtures():
    stored = {name.split("/")[0] for name in HALF}
    assert stored >= {
        *FOREIGN,
        "circuit_tracer",
        "circuit_tracer_clt",
        "llama_scope",
        "gemma_scope_2",
        "goodfire",
    }


@pytest.mark.parametrize("name", NAMED)
def test_D13_a_config_that_names_a_dtype_is_followed(name, tmp_path):
    folder = shutil.copytree(FIXTURES / name, tmp_path / "sae")
    file, key, value = NAMED[name]
    config = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(config | {key: value}))
    assert load(name, folder).config.dtype == "bfloat16"
    assert "config" in table.LOADS[name.split("/")[0]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", FOREIGN)
@pytest.mark.parametrize("kind", WRITE)
def test_D13_a_write_rounds_nothing(kind, form, dtype, tmp_path):
    """What comes back, in float32, is what the half-precision weights stand for."""
    if refusal(kind, form, tmp_path / "can"):
        pytest.skip("the format has no such SAE")
    narrow = sl.load_sae(make(kind).save(tmp_path / "own"), dtype=dtype)
    wide = sl.load_sae(narrow.save(tmp_path / "narrow"), dtype="float32")
    back = sl.load_sae(sl.save_sae(narrow, tmp_path / "sae", format=form), dtype="float32")
    for got, want in zip(outputs(back, inputs()), outputs(wide, inputs()), strict=True):
        torch.testing.assert_close(got, want, atol=2e-5, rtol=0)
    same = kind in ("topk", "jumprelu", "gated", "relu") and form in ("saelens", "dictionary_learning")
    # a decoder with rows of any length goes into the class that subtracts nothing
    if same and (kind, form) != (
        "relu",
        "dictionary_learning",
    ):  # nothing had to change, so the file stays as small as it was
        path = next(p for p in (tmp_path / "sae").iterdir() if p.suffix in (".pt", ".safetensors"))
        tensors = load_file(path) if path.suffix == ".safetensors" else torch.load(path)
        assert next(str(t.dtype) for t in tensors.values() if t.ndim == 2) == f"torch.{dtype}"


# ----------------------------------------------------------------------------------------------- a floor (D15)


def test_D15_the_bundled_sae_can_be_exported(tmp_path):
    sae, model = sl.load_sae("zoo"), sl.load_model("zoo")
    for form in FOREIGN:
        with pytest.raises(SaelabError, match=r"format='saelab' holds it\. .*as_jumprelu\(\)"):
            sl.save_sae(sae, tmp_path / form, format=form)
        assert not (tmp_path / form).exists()
    store = sl.ActivationStore.write(model, sl.zoo.texts(60, seed=9), sae.config.hook_in, tmp_path / "store")
    rows = store.rows(0, 2000)
    want, recon = outputs(sae, rows)
    for form in ("saelens", "dictionary_learning"):
        back = sl.load_sae(sl.save_sae(sae.as_jumprelu(), tmp_path / form, format=form))
        got, recon_back = outputs(back, rows)
        torch.testing.assert_close(got, want, atol=1e-4, rtol=0)
        torch.testing.assert_close(recon_back, recon, atol=1e-4, rtol=0)


# --------------------------------------------------------------------------- rows of length 0 (D20)


def test_D20_a_decoder_row_of_length_0_in_saelens(tmp_path):
    folder = shutil.copytree(FIXTURES / "saelens/topk_decoder_norm", tmp_path / "sae")
    path = folder / "sae_weights.safetensors"
    tensors = load_file(path)
    tensors["W_dec"][7] = 0
    save_file(tensors, path)
    sae, x = sl.load_sae(folder), inputs()
    z, recon = outputs(sae, x)
    pre = (x - tensors["b_dec"]) @ tensors["W_enc"] + tensors["b_enc"]
    length = tensors["W_dec"].norm(dim=1)
    value, place = (pre * length).topk(4)
    want = torch.zeros_like(pre).scatter(1, place, value.relu())  # its encode, by hand
    torch.testing.assert_close(z, want, atol=1e-5, rtol=0)
    rows = tensors["W_dec"] / length.where(length > 0, torch.tensor(1.0))[:, None]
    torch.testing.assert_close(recon, want @ rows + tensors["b_dec"], atol=1e-5, rtol=0)
    assert torch.isfinite(sae.decode(sae.encode(x))).all()


@pytest.mark.parametrize("name", ["llama_scope/jumprelu", "llamascopium/jumprelu_lengths", "e2e_sae/relu"])
def test_D20_a_decoder_row_of_length_0_elsewhere(name, tmp_path):
    folder = shutil.copytree(FIXTURES / name, tmp_path / "sae")
    path = next(p for p in folder.rglob("*") if p.suffix in (".safetensors", ".pt"))
    tensors = load_file(path) if path.suffix == ".safetensors" else torch.load(path)
    decoder = next(key for key in tensors if "decoder.weight" in key or key == "W_D")
    turned = decoder != "W_D"  # (d_out, d_sae) there
    (tensors[decoder].T if turned else tensors[decoder])[7] = 0
    (save_file if path.suffix == ".safetensors" else torch.save)(tensors, path)
    sae = load(name, folder)
    z, recon = outputs(sae, inputs() * 100)
    assert torch.isfinite(recon).all()
    assert all(torch.isfinite(p).all() for p in sae.parameters())
    if name != "e2e_sae/relu":  # 0 times anything is below the threshold
        assert not z[:, 7].any()
