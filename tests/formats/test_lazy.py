"""An SAE whose weights stay in their file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from kinds import D_IN, KINDS, make

import saelab as sl
from saelab import files, identity
from saelab.errors import SaelabError
from saelab.sae import saving


@pytest.mark.parametrize("kind", KINDS)
def test_T20_an_sae_in_its_file_gives_the_same(kind, tmp_path, monkeypatch):
    sae = make(kind)
    lazy = sl.load_sae(sae.save(tmp_path / "sae"), lazy=True)
    assert lazy.lazy
    assert not any(p.requires_grad for p in lazy.parameters())
    x = torch.randn(200, D_IN)
    for a, b in [(sae, lazy), (lazy, sae)]:
        codes = a.encode_sparse(x)
        assert torch.equal(codes.dense(), b.encode_sparse(x).dense())
        torch.testing.assert_close(a.decode(codes), b.decode(codes))
    assert lazy.config == sae.config
    monkeypatch.setattr(identity, "digest", None)  # it is in the file: nothing is read for it
    assert identity.sae_digest(lazy) == identity.sae_digest(sae)
    assert "lazy" in lazy._repr_html_()
    assert torch.equal(lazy.to("cpu").W_dec, sae.W_dec)


def test_T20_what_would_copy_all_weights_is_refused(tmp_path):
    sae = make("topk")
    lazy = sl.load_sae(sae.save(tmp_path / "sae"), lazy=True)
    for call in (
        lambda: lazy.to(torch.bfloat16),
        lazy.half,
        lazy.fold,
        lambda: sl.save_sae(lazy, tmp_path / "theirs", format="sparsify"),
        lambda: sl.load_sae(tmp_path / "sae", lazy=True, dtype="float16"),
        lambda: sl.train(sl.ActivationStore.of({"a": torch.randn(9, D_IN)}), init=lazy, batch=4),
    ):
        with pytest.raises(SaelabError, match="lazy=True"):
            call()
    sl.save_sae(sae, tmp_path / "theirs", format="sparsify")
    with pytest.raises(SaelabError, match="only saelab's own"):
        sl.load_sae(tmp_path / "theirs", lazy=True)
    again = lazy.save(tmp_path / "again")  # a file from a file
    assert torch.equal(sl.load_sae(again).W_enc, sae.W_enc)


@pytest.mark.parametrize("kind", KINDS)
def test_D75_a_file_that_was_written_to_is_not_believed(kind, tmp_path):
    sae = make(kind)
    path = sae.save(tmp_path / "sae") / saving.WEIGHTS
    _, inside = files.map_tensors(path)
    inside.pop(files.CHECKSUM)
    other = {n: p.detach() for n, p in sae.named_parameters()} | {"W_dec": 2 * sae.W_dec.detach()}
    files.write_tensors(path, other, inside)
    with pytest.raises(SaelabError, match="other weights than were saved"):
        sl.load_sae(tmp_path / "sae", lazy=True)
    inside.pop(saving.SAMPLE)
    files.write_tensors(path, other, inside)  # of an earlier saelab: its digest is no more than its word
    lazy = sl.load_sae(tmp_path / "sae", lazy=True)
    assert (
        identity.sae_digest(lazy)
        == identity.sae_digest(sl.load_sae(tmp_path / "sae"))
        != inside[saving.DIGEST]
    )


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says what memory is the process's own")
def test_T20_nothing_is_read_before_it_is_asked_for(tmp_path):
    def anonymous() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024

    sl.SAE(sl.SAEConfig("topk", 64, 1 << 16, k=4)).save(tmp_path / "sae")
    size = (tmp_path / "sae" / "weights.safetensors").stat().st_size
    assert size > 32e6
    before = anonymous()
    lazy = sl.load_sae(tmp_path / "sae", lazy=True)
    assert float(lazy.W_dec[5].sum() + lazy.W_enc[:, 5].sum()) == 0
    assert anonymous() - before < size / 8


@pytest.mark.skipif(sys.platform != "linux", reason="other systems are not asked to take pages back")
def test_T20_pages_that_were_read_for_many_rows_are_given_back(tmp_path, monkeypatch):
    """And a weight that was changed in memory is not."""

    def of_files() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssFile")) * 1024

    sl.SAE(sl.SAEConfig("topk", 64, 1 << 17, k=4)).save(tmp_path / "sae")
    before = of_files()
    lazy = sl.load_sae(tmp_path / "sae", lazy=True)
    monkeypatch.setattr("saelab.sae.sae._TOGETHER", 1 << 20)  # tiles of 4,096 latents
    lazy.W_enc[3, 77] = 5.0
    lazy.encode_sparse(torch.eye(64))  # of few rows they stay
    held, half = of_files(), 2 * lazy.W_enc.numel()  # half of its bytes
    if held - before < half:
        pytest.skip("the system counts no pages of files in this folder")
    codes = lazy.encode_sparse(torch.eye(64).repeat(4, 1))
    assert held - of_files() > half
    assert codes.dense()[3, 77] == 5.0 == float(lazy.W_enc[3, 77])
