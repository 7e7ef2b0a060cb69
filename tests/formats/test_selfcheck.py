"""The self-check tells a good load from a wrong one, and names the cause."""

import warnings

import pytest
import torch

import saelab as sl
from saelab import models
from saelab.errors import SaelabError
from saelab.formats import load_sae
from saelab.formats.selfcheck import self_check
from saelab.sae import SAE, SAEConfig

HOOK = "blocks.0.hook_resid_post"


def perfect(model, hook=HOOK, *, scale=1.0, bos=True, shift=0.0) -> SAE:
    """An SAE that reconstructs the model's activations exactly: each axis once with either sign."""
    width = models.hook_width(model, hook)
    sae = SAE(SAEConfig("relu", width, 2 * width, hook_in=hook, bos=bos, context=32))
    eye = torch.eye(width)
    with torch.no_grad():
        sae.W_enc.copy_(torch.cat([eye, -eye], 1))
        sae.W_dec.copy_(torch.cat([eye, -eye]))
        sae.b_enc.fill_(-shift)
    return sae


def test_a_good_sae_passes_in_silence(tiny):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = self_check(tiny, perfect(tiny))
    assert result.explained_variance == pytest.approx(1, abs=1e-5)
    assert result.l0 == pytest.approx(16, abs=1e-3)
    assert result.tokens > 50
    assert result.problems == ()


class Plain:
    """What every architecture has."""

    select = None

    @staticmethod
    def parameters(config):
        return {}


class Band(Plain):
    """Latents of rows of about the length √d only, as if the SAE had been trained on scaled activations."""

    @staticmethod
    def activate(sae, pre):
        length = pre.norm(dim=1, keepdim=True) / 2**0.5  # of the input: each axis is there twice
        return pre.relu() * ((length > 2.12) & (length < 8))


def test_a_missing_scale_is_named(tiny):
    sae = perfect(tiny, "blocks.0.hook_resid_pre")  # its rows are 0.9 to 2.7 long, not about √16
    sae.arch = Band()
    with pytest.warns(
        UserWarning, match=r"multiplied by 2\.\d+ first \(a scale that is not in the file: given="
    ):
        result = self_check(tiny, sae)
    assert result.explained_variance < 0.5


def test_another_hook_point_is_named(tiny):
    sae = perfect(tiny, "blocks.0.hook_resid_pre")
    sae.arch = Far()
    with pytest.warns(UserWarning, match="it reads blocks.1.hook_resid_p"):
        self_check(tiny, sae)


class Far(Plain):
    """Latents of the long rows of later layers only."""

    @staticmethod
    def activate(sae, pre):
        length = pre.norm(dim=1, keepdim=True) / 2**0.5
        return pre.relu() * ((length > 3.1) & (length < 40)) * (length.mean() > 5)


class Activated(Plain):
    """Latents of rows that came out of a GELU, which lets nothing below -0.17 through."""

    @staticmethod
    def activate(sae, pre):
        half = pre.shape[1] // 2
        return pre.relu() * (pre[:, half:].amax(1, keepdim=True) < 0.18)


def test_before_and_after_the_activation_function_of_an_mlp(tiny):
    sae = perfect(tiny, "blocks.0.mlp.hook_pre")
    sae.arch = Activated()
    with pytest.warns(UserWarning, match="it reads blocks.[01].mlp.hook_post instead"):
        self_check(tiny, sae)


class Short(Plain):
    """Latents of rows whose components add up to almost nothing: those of a model with centered weights."""

    @staticmethod
    def activate(sae, pre):
        half = pre.shape[1] // 2
        total = (pre[:, :half].relu() - pre[:, half:].relu()).sum(1, keepdim=True)  # (rows, 1)
        return pre.relu() * (total.abs() < 1e-3)


def test_centered_weights_are_named(tiny):
    sae = perfect(tiny)
    sae.arch = Short()
    with pytest.warns(UserWarning, match="each activation's mean is removed .*center_writing_weights"):
        result = self_check(tiny, sae)
    assert result.explained_variance < 0.5


class Seen(Plain):
    """Latents of rows that a fixed set of activations holds: what the SAE was trained on."""

    def __init__(self, known):
        self.known = known

    def activate(self, sae, pre):
        half = pre.shape[1] // 2
        x = pre[:, :half].relu() - pre[:, half:].relu()  # (rows, width)
        return pre.relu() * (torch.cdist(x, self.known).min(1, keepdim=True).values < 1e-3)


@pytest.mark.parametrize("bos", [True, False])
def test_bos_is_named(tiny, bos):
    """Trained on texts that begin one way, and said to be of the other."""
    from saelab.formats.selfcheck import TEXT, _activations

    trained = perfect(tiny, bos=bos)
    known = _activations(tiny, trained, TEXT, bos)[0]
    said = perfect(tiny, bos=not bos)
    said.arch = Seen(known)
    with pytest.warns(UserWarning, match=f"texts begin {'with' if bos else 'without'} BOS"):
        result = self_check(tiny, said)
    assert result.explained_variance < 0.5
    right = perfect(tiny, bos=bos)
    right.arch = Seen(known)
    assert self_check(tiny, right).problems == ()


@pytest.mark.parametrize("name", ["layer_norm", "constant_norm"])
def test_a_normalization_that_was_not_there_is_named(tiny, name):
    from dataclasses import replace

    sae = perfect(tiny, "blocks.0.hook_resid_pre")
    with torch.no_grad():  # latents of raw rows only: those brought to one length are cut off
        sae.b_enc.fill_(0)
    sae.config = replace(sae.config, normalize=name)
    sae.arch = Uneven()
    with pytest.warns(UserWarning, match=f"it is used without {name}"):
        self_check(tiny, sae)


class Uneven(Plain):
    """Latents of rows that are not all of one length."""

    @staticmethod
    def activate(sae, pre):
        length = pre.norm(dim=1)
        return pre.relu() * float(length.std() > 0.02 * length.mean())


def test_nothing_repairs_noise(tiny):
    sae = perfect(tiny)
    with torch.no_grad():
        sae.W_dec.neg_()
    with pytest.warns(UserWarning, match="is it the right model"):
        result = self_check(tiny, sae)
    assert result.explained_variance < 0


def test_too_many_latents_are_noticed(tiny):
    sae = perfect(tiny)
    sae.record = {"loaded": {"source": "x/layer_0/width_16k/average_l0_2"}}
    with pytest.warns(UserWarning, match="16 latents are active per token, .* about 2"):
        self_check(tiny, sae)


def test_an_sae_that_cannot_read_the_model(tiny, tmp_path):
    sl.save_sae(perfect(tiny), tmp_path / "sae", format="saelens")
    load_sae(tmp_path / "sae", model=tiny)  # fits
    for hook, message in (("blocks.7.hook_resid_post", "blocks.7"), ("blocks.0.mlp.hook_post", "64 wide")):
        sae = perfect(tiny)
        sae.config = SAEConfig("relu", 16, 32, hook_in=hook)
        with pytest.raises(SaelabError, match=message):
            self_check(tiny, sae)
    sae.config = SAEConfig("relu", 16, 32)
    with pytest.raises(SaelabError, match="names no hook point"):
        self_check(tiny, sae)


def test_a_floor_leaves_fewer_than_k_without_a_warning():
    model = sl.load_model("zoo")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sae = sl.load_sae("zoo", model=model)
    found = sl.self_check(model, sae)
    assert found.l0 < sae.config.k / 3
    assert found.l0_said is None
