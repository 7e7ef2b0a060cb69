"""Cut and bit-flipped files of every format: a named error, or an SAE; never a crash, a hang or another
exception.

Archives carry checksums, so there a flipped bit is either found or was of no consequence. ``SAELAB_FUZZ``
sets how many files of each kind are tried (1000 before a release)."""

import os
import shutil
import warnings

import numpy as np
import pytest
import torch
from cases import FIXTURES, READ, inputs, load, make, outputs

from saelab.errors import SaelabError

COUNT = int(os.environ.get("SAELAB_FUZZ", "25"))
ONE_EACH = sorted({name.split("/")[0]: name for name in READ}.values())
# of a cross-layer transcoder only layer 1 is read
OTHER_LAYERS = ("W_enc_0", "W_dec_0", "W_enc_2", "W_dec_2")
TARGETS = [
    (name, p.relative_to(FIXTURES / name).as_posix())
    for name in ONE_EACH for p in sorted((FIXTURES / name).rglob("*")) if p.is_file() and not p.name.startswith(OTHER_LAYERS)
] + [("native", "weights.safetensors"), ("native", "config.json")]  # fmt: skip


@pytest.fixture
def whole(tmp_path):
    def copy(name):
        if name == "native":
            make("matryoshka").save(tmp_path / "sae")
        else:
            shutil.copytree(FIXTURES / name, tmp_path / "sae")
        return tmp_path / "sae"

    return copy


def attempt(folder, name):
    """The SAE, or None after a SaelabError; anything else is raised."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sae = load(name, folder)
        return outputs(sae, inputs())
    except SaelabError:
        return None


@pytest.mark.parametrize(("name", "file"), TARGETS, ids=lambda v: v)
def test_cut(name, file, whole):
    folder = whole(name)
    path = folder / file
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for length in rng.choice(len(data), size=min(COUNT, len(data)), replace=False):
        path.write_bytes(data[:length])
        found = attempt(folder, name)
        if not file.endswith((".json", ".yaml")):
            assert found is None


@pytest.mark.parametrize(("name", "file"), TARGETS, ids=lambda v: v)
def test_flipped(name, file, whole):
    folder = whole(name)
    path = folder / file
    good = attempt(folder, name)
    assert good is not None
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(1)
    for _ in range(COUNT):
        place, bit = int(rng.integers(len(data))), int(rng.integers(8))
        data[place] ^= 1 << bit
        path.write_bytes(data)
        found = attempt(folder, name)
        data[place] ^= 1 << bit
        if found is not None and (file.endswith((".pt", ".pth", ".npz")) or name == "native"):
            if file == "config.json":
                continue
            assert all(torch.equal(a, b) for a, b in zip(found, good, strict=True)), (place, bit)


LYING = ([10**12, 10**12], [-1, 8], [2**63, 2], [0, 8], [7], [8, 16, 10**9], [1.5, 2], "8")
SAFETENSORS = [(name, file) for name, file in TARGETS if file.endswith(".safetensors")]


@pytest.mark.parametrize(("name", "file"), SAFETENSORS, ids=lambda v: v)
def test_shapes_that_lie(name, file, whole):
    """Of every tensor in the header, one at a time."""
    import json

    folder = whole(name)
    path = folder / file
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    for tensor in [key for key in header if key != "__metadata__"]:
        for shape in LYING:
            changed = json.dumps(header | {tensor: header[tensor] | {"shape": shape}}).encode()
            path.write_bytes(len(changed).to_bytes(8, "little") + changed + data[8 + size :])
            assert attempt(folder, name) is None, (tensor, shape)


def test_a_header_longer_than_the_file(whole):
    folder = whole("saelens/topk")
    path = folder / "sae_weights.safetensors"
    for length in (2**40, 2**63, 2**64 - 1):
        path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
        assert attempt(folder, "saelens/topk") is None
