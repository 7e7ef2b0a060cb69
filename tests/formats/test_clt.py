"""Cross-layer transcoders, and files that hold several SAEs."""

import json
import shutil

import pytest
import torch
from cases import FIXTURES
from safetensors.torch import load_file, save_file

from saelab.errors import SaelabError
from saelab.formats import hub, load_sae, save_sae


@pytest.mark.parametrize("kind", ["relu", "jumprelu"])
@torch.no_grad()
def test_the_layers_add_up_to_the_librarys_reconstruction(kind):
    folder = FIXTURES / "circuit_tracer_clt" / kind
    want = {
        k: torch.tensor(v) for k, v in json.loads(folder.with_name(f"{kind}_all.json").read_text()).items()
    }
    total = torch.zeros_like(want["recon"])  # (3, 12, 8)
    ids = hub.ids_in(folder)
    assert ids == [f"W_enc_{layer}.safetensors" for layer in range(3)]
    for layer, sae_id in enumerate(ids):
        sae = load_sae(folder, sae_id=sae_id)
        codes = sae.encode_sparse(want["x"][layer])
        torch.testing.assert_close(codes.dense(), want["latents"][layer], atol=1e-5, rtol=0)
        places = [int(name.split(".")[1]) for name in sae.config.hook_out.split("+")]
        assert places == list(range(layer, 3))
        for place, part in zip(places, sae.decode(codes).split(8, dim=1), strict=True):
            total[place] += part
    torch.testing.assert_close(total, want["recon"], atol=1e-5, rtol=0)


def test_a_layer_must_be_said():
    with pytest.raises(
        SaelabError, match="3 layers; each is one SAE: say which with sae_id='W_enc_0.safetensors'"
    ):
        load_sae(FIXTURES / "circuit_tracer_clt/relu")


def test_a_decoder_of_another_layer_or_none(tmp_path):
    folder = shutil.copytree(FIXTURES / "circuit_tracer_clt/relu", tmp_path / "clt")
    tensors = load_file(folder / "W_dec_1.safetensors")
    save_file({"W_dec_2": tensors["W_dec_1"]}, folder / "W_dec_1.safetensors")
    with pytest.raises(SaelabError, match="no tensor 'W_dec_1'"):
        load_sae(folder, sae_id="W_enc_1.safetensors")
    (folder / "W_dec_1.safetensors").unlink()
    with pytest.raises(SaelabError, match=r"no file .*W_dec_1\.safetensors"):
        load_sae(folder, sae_id="W_enc_1.safetensors")


def test_it_is_native_after_saving(tmp_path):
    sae = load_sae(FIXTURES / "circuit_tracer_clt/jumprelu", sae_id="W_enc_0.safetensors")
    again = load_sae(sae.save(tmp_path / "own"))
    assert again.config == sae.config
    assert again.config.d_out == 24
    with pytest.raises(SaelabError, match="cannot be saved as 'sparsify'"):
        save_sae(sae, tmp_path / "sparsify", format="sparsify")


def test_one_of_several_hook_points_in_a_file(tmp_path):
    state = torch.load(FIXTURES / "e2e_sae/relu/samples_400000.pt", weights_only=True)
    other = {k.replace("blocks-3", "blocks-5"): v + 1 for k, v in state.items()}
    torch.save({**state, **other}, tmp_path / "samples_1.pt")
    with pytest.raises(SaelabError, match="2 hook points; say which.*'blocks.3.hook_resid_pre', 'blocks.5"):
        load_sae(tmp_path / "samples_1.pt")
    sae = load_sae(tmp_path / "samples_1.pt", given={"hook_in": "blocks.5.hook_resid_pre"})
    assert sae.config.hook_in == "blocks.5.hook_resid_pre"
    torch.testing.assert_close(sae.b_enc.detach(), other["blocks-5-hook_resid_pre.encoder.0.bias"])
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(16))
    with pytest.raises(SaelabError, match="Did you mean 'blocks.5.hook_resid_pre'"):
        load_sae(tmp_path / "samples_1.pt", given={"hook_in": "blocks.5.hook_resid_pr"})
    torch.save({**state, "extra": torch.zeros(2)}, tmp_path / "samples_1.pt")
    with pytest.raises(SaelabError, match="'extra', which belongs to no SAE"):
        load_sae(tmp_path / "samples_1.pt")


def test_two_linear_layers_do_not_say_what_is_between_them(tmp_path):
    source = next((FIXTURES / "linear_pair/relu").iterdir())
    shutil.copy(source, tmp_path / "model.pt")
    with pytest.raises(SaelabError, match="does not say its activation function"):
        load_sae(tmp_path / "model.pt")
    assert load_sae(tmp_path / "model.pt", given={"arch": "relu"}).config.arch == "relu"
    with pytest.raises(SaelabError, match="enough for 'relu' only"):
        load_sae(tmp_path / "model.pt", given={"arch": "topk", "k": 4})
