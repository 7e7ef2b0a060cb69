"""What the libraries that own the formats made is read with their own outputs, and they read what we
write."""

import json

import numpy as np
import pytest
import table
import torch
from cases import FIXTURES, FOREIGN, READ, WRITE, inputs, load, make, outputs, refusal, structure

import saelab as sl
from saelab.formats import FORMATS
from saelab.formats.source import SAEFiles


@pytest.mark.parametrize("name", READ)
def test_read_equal(name):
    want = np.load(FIXTURES / f"{name}.npz")
    sae = load(name)
    assert sae.record["loaded"]["format"] == name.split("/")[0]
    z, recon = (t.float() for t in outputs(sae, torch.from_numpy(want["x"])))
    assert ((z > 0).numpy() == (want["latents"] > 0)).all()  # the same latents are active
    np.testing.assert_allclose(z.numpy(), want["latents"], atol=1e-5, rtol=0)
    # in half precision the order of a sum shows: one unit in the last place of numbers below 8
    near = 1e-5 if sae.config.dtype == "float32" else 2**-5
    np.testing.assert_allclose(recon.numpy(), want["recon"], atol=near, rtol=0)
    dense = sae.encode(torch.from_numpy(want["x"])).detach().float()
    np.testing.assert_allclose(dense, want["latents"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", READ)
def test_reading_needs_no_hint_of_the_format(name):
    form = name.split("/")[0]
    found = [f for f, module in FORMATS.items() if module.detect(SAEFiles(FIXTURES / name))]
    assert found == [form]


def test_every_format_has_a_fixture():
    assert {name.split("/")[0] for name in READ} == set(FORMATS) - {"saelab"}


@pytest.mark.parametrize("form", FOREIGN)
@pytest.mark.parametrize("kind", WRITE)
def test_write(kind, form, tmp_path):
    why = refusal(kind, form, tmp_path / "sae")
    verified = json.loads((FIXTURES / "written.json").read_text())
    if why is not None:
        assert f"{form}/{kind}" not in verified
        assert not (tmp_path / "sae").exists()  # nothing half-written
        assert len(why) > 20  # says the reason
        return
    assert verified[f"{form}/{kind}"] == structure(tmp_path / "sae")
    before, after = make(kind), sl.load_sae(tmp_path / "sae")
    assert after.record["loaded"]["format"] == form
    z, recon = outputs(before, inputs())
    z2, recon2 = outputs(after, inputs())
    torch.testing.assert_close(z2, z, atol=1e-5, rtol=0)
    torch.testing.assert_close(recon2, recon, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", WRITE)
def test_native_is_exact(kind, tmp_path):
    sae = make(kind)
    sae.save(tmp_path / "sae")
    again = sl.load_sae(tmp_path / "sae")
    assert again.config == sae.config
    for a, b in zip(outputs(again, inputs()), outputs(sae, inputs()), strict=True):
        assert torch.equal(a, b)


def test_table_is_current():
    assert table.stored() == table.generate(), "run python tests/formats/table.py"
    assert "**wrong**" not in table.stored()
    assert "not read by the original library" not in table.stored()


def test_saving_does_not_change_the_sae(tmp_path):
    for kind in ("relu_scale", "gated_own_bias", "topk_tied"):
        sae = make(kind)
        before = {name: p.clone() for name, p in sae.named_parameters()}
        sl.save_sae(sae, tmp_path / kind, format="saelens")
        assert all(torch.equal(p, before[name]) for name, p in sae.named_parameters())
