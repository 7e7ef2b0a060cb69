import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from helpers import random_sae
from safetensors.torch import load_file, save_file

import saelab as sl
from saelab import files
from saelab.errors import SaelabError

KINDS = {
    "plain": {},
    "layer norm": {"normalize": "layer_norm"},
    "scale": {"normalize": "scale", "scale": 0.37},
    "own input bias": {"input_bias": "own"},
    "transcoder": {"input_bias": "none", "d_out": 8, "hook_in": "a", "hook_out": "b"},
    "bfloat16": {"dtype": "bfloat16"},
}


def rows(n=50):
    return torch.randn(n, 16, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("name", KINDS)
def test_C52_C36_save_load_gives_bit_equal_latents(tmp_path, name):
    sae = random_sae(**KINDS[name])
    back = sl.load_sae(sae.save(tmp_path / "sae"))
    assert back.config == sae.config
    x = rows()
    assert torch.equal(back.encode(x), sae.encode(x))
    assert torch.equal(back.decode(back.encode_sparse(x)), sae.decode(sae.encode_sparse(x)))
    assert back.W_enc.T.is_contiguous()


def test_C01_the_architecture_and_k_come_back(tmp_path):
    back = sl.load_sae(random_sae(k=4).save(tmp_path))
    z = back.encode(rows(100))
    pre = back.pre_activations(rows(100))
    assert torch.equal((z > 0).sum(1), (pre > 0).sum(1).clamp(max=4))


def test_C07_saving_does_not_change_the_sae(tmp_path):
    sae = random_sae(normalize="scale", scale=0.37)
    before = {n: p.clone() for n, p in sae.named_parameters()}
    sae.save(tmp_path)
    assert all(torch.equal(p, before[n]) for n, p in sae.named_parameters())


def test_history_and_record_come_back(tmp_path):
    sae = random_sae()
    sae.history = pd.DataFrame({"step": [1, 2], "loss": [0.5, float("nan")]})
    sae.record = {"seed": 0, "notes": ["ünïcode"], "variance": float("inf")}
    back = sl.load_sae(sae.save(tmp_path))
    assert back.history["step"].tolist() == [1, 2]
    assert back.history["loss"].isna().tolist() == [False, True], "a run that diverged can be saved"
    assert back.record == {"seed": 0, "notes": ["ünïcode"], "variance": None}


def test_saving_over_another_sae_leaves_none_of_its_history(tmp_path):
    old = random_sae()
    old.history, old.record = pd.DataFrame({"step": [1]}), {"seed": 7}
    old.save(tmp_path)
    back = sl.load_sae(random_sae(d_sae=32).save(tmp_path))
    assert len(back.history) == 0
    assert back.record == {}
    assert back.config.d_sae == 32


def test_half_precision_on_disk_computes_in_full(tmp_path):
    from saelab.sae import saving

    sae = random_sae()
    saving.save(sae, tmp_path, store=torch.float16)
    back = sl.load_sae(tmp_path)
    assert back.W_enc.dtype == torch.float32
    torch.testing.assert_close(back.W_enc, sae.W_enc, atol=1e-3, rtol=1e-3)


def test_a_missing_folder_a_file_and_a_foreign_folder_are_named(tmp_path):
    with pytest.raises(SaelabError, match="no folder .*nowhere"):
        sl.load_sae(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(SaelabError, match="no SAE of a known format.*found: file"):
        sl.load_sae(tmp_path / "file")
    for content in ({"model_type": "gpt2"}, ["a list"], "text", None):
        files.write_json(tmp_path / "other" / "config.json", content)
        with pytest.raises(SaelabError, match=r"holds no SAE of a known format.*config\.json"):
            sl.load_sae(tmp_path / "other")
        with pytest.raises(SaelabError, match="format version None|not of the form"):
            sl.load_sae(tmp_path / "other", format="saelab")
    with pytest.raises(SaelabError, match="unknown format 'saelb'.*Did you mean 'saelab'"):
        sl.load_sae(tmp_path, format="saelb")
    with pytest.raises(SaelabError, match="is a file; an SAE is saved as a folder"):
        random_sae().save(tmp_path / "file")


def edit(folder, change):
    head = json.loads((folder / "config.json").read_text())
    change(head)
    (folder / "config.json").write_text(json.dumps(head))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h.update(version=2), "has format version 2; this saelab reads version 1"),
        (lambda h: h.pop("version"), "has format version None"),
        (lambda h: h.pop("sae"), "has no SAE config"),
        (lambda h: h["sae"].pop("arch"), "no 'arch'; refusing to guess"),
        (lambda h: h["sae"].update(archh="topk"), "unknown SAE config key 'archh'"),
        (lambda h: h["sae"].update(k=8), r"saved with k=4, but the config.json beside it says k=8"),
        (lambda h: h["sae"].update(hook_in="x"), r"saved with hook_in='blocks.0.hook_resid_post'"),
    ],
)
def test_C01_C51_a_config_that_does_not_fit_is_refused(tmp_path, change, message):
    random_sae().save(tmp_path)
    edit(tmp_path, change)
    with pytest.raises(SaelabError, match=message):
        sl.load_sae(tmp_path)


def test_C02_tensors_that_are_missing_unknown_or_of_another_shape_are_named(tmp_path):
    random_sae().save(tmp_path)
    path = tmp_path / "weights.safetensors"
    good = load_file(path)
    for tensors, message in (
        ({**good, "foo": torch.ones(1)}, "unknown tensor in .*'foo'"),
        (
            {k: v for k, v in good.items() if k != "b_dec"},
            r"has no tensor 'b_dec'; found W_dec, W_enc, b_enc",
        ),
        ({**good, "b_enc": torch.ones(63)}, r"b_enc has shape \(63,\), its config says \(64,\)"),
    ):
        save_file(tensors, path)
        with pytest.raises(SaelabError, match=message):
            sl.load_sae(tmp_path)
    save_file(good, path)
    sl.load_sae(tmp_path)  # weights that another program wrote, without a checksum


def test_C51_config_without_weights(tmp_path):
    random_sae().save(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(SaelabError, match=r"no file .*weights\.safetensors"):
        sl.load_sae(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors"])
def test_C51_a_file_cut_to_60_percent_is_named(tmp_path, name):
    random_sae().save(tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(SaelabError, match=name.replace(".", r"\.")):
        sl.load_sae(tmp_path)


def test_C51_a_flipped_bit_in_the_weights_is_noticed(tmp_path):
    random_sae().save(tmp_path)
    path = tmp_path / "weights.safetensors"
    damaged = bytearray(path.read_bytes())
    damaged[-100] ^= 4
    path.write_bytes(damaged)
    with pytest.raises(SaelabError, match=r"weights\.safetensors is damaged"):
        sl.load_sae(tmp_path)


def test_C51_kill_in_the_middle_of_the_weights_keeps_the_old_sae(tmp_path):
    sae = random_sae()
    sae.save(tmp_path)
    done = run_and_kill(tmp_path, "safetensors.torch", "save_file")
    assert done.returncode == -signal.SIGKILL
    assert torch.equal(sl.load_sae(tmp_path).W_enc, sae.W_enc)


@pytest.mark.parametrize("n", range(1, 6))
def test_D49_kill_between_two_files_leaves_one_of_the_two_saes(tmp_path, n):
    old = random_sae(k=4)
    old.record = {"seed": 0}
    old.save(tmp_path)
    done = run_and_kill(tmp_path, "saelab.files", "sync_folder", n)
    assert done.returncode == (-signal.SIGKILL if n < 5 else 0)
    sae = sl.load_sae(tmp_path)
    new = random_sae(seed=1, k=9)
    assert sae.config.k == (4 if n == 1 else 9)
    assert sae.record == {"seed": 0 if n == 1 else 1}
    assert torch.equal(sae.W_enc, (old if n == 1 else new).W_enc)
    old.save(tmp_path)
    assert sl.load_sae(tmp_path).config.k == 4


def test_C51_weights_and_config_of_two_saes_are_noticed(tmp_path):
    random_sae(k=4).save(tmp_path / "a")
    random_sae(k=9).save(tmp_path / "b")
    shutil.copy(tmp_path / "b/weights.safetensors", tmp_path / "a")
    with pytest.raises(SaelabError, match="was saved with k=9, but the config.json beside it says k=4"):
        sl.load_sae(tmp_path / "a")


def run_and_kill(folder, module, function, n=1):
    """Save another SAE there in a process that dies when it calls ``module.function`` the ``n``-th time."""
    program = (
        "import importlib, os, signal, sys\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from helpers import random_sae\n"
        "sae = random_sae(seed=1, k=9)\n"
        "sae.record = {'seed': 1}\n"
        f"module = importlib.import_module('{module}')\n"
        f"real, calls = module.{function}, []\n"
        "def counted(*a, **k):\n"
        "    calls.append(1)\n"
        f"    return os.kill(os.getpid(), signal.SIGKILL) if len(calls) == {n} else real(*a, **k)\n"
        f"module.{function} = counted\n"
        "sae.save(sys.argv[1])"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(folder), str(Path(__file__).parents[1])], check=False
    )


@pytest.mark.parametrize("name", ["org-name run", "a:b", "deep/er/folder", "..x"])
def test_C50_odd_names_are_folders_like_others(tmp_path, name):
    assert torch.equal(sl.load_sae(random_sae().save(tmp_path / name)).b_enc, random_sae().b_enc)


@pytest.mark.parametrize(("run", "step"), [("text", 27), ("store", 13)])
def test_D14_a_run_that_was_killed_says_how_to_go_on(run, step, tmp_path):
    """What a killed training leaves behind is its checkpoints."""
    whole = Path(__file__).parents[1] / "fixtures/before/runs" / run
    shutil.copytree(whole / "checkpoints", tmp_path / "out/checkpoints")
    with pytest.raises(
        SaelabError, match=rf"did not end; its last checkpoint is of step {step}\..*resume=True"
    ):
        sl.load_sae(tmp_path / "out")


@pytest.mark.parametrize("format", ["saelab", "dictionary_learning", "sparsify", "saelens"])
def test_D63_what_is_not_an_sae_of_this_form_is_not_overwritten(format, tmp_path):
    sae = random_sae()
    theirs = "config.json" if format in ("saelab", "dictionary_learning") else "cfg.json"
    model = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
    (tmp_path / theirs).write_text(json.dumps(model))
    with pytest.raises(SaelabError, match=f"a {theirs} of something else"):
        sl.save_sae(sae, tmp_path, format=format)
    assert [p.name for p in tmp_path.iterdir()] == [theirs]
    assert json.loads((tmp_path / theirs).read_text()) == model
    folder = tmp_path / "mine"
    for _ in range(2):  # its own is replaced
        sl.save_sae(sae, folder, format=format)
    (folder / theirs).write_text('{"cut": ')
    sl.save_sae(sae, folder, format=format)
    assert sl.load_sae(folder).config.k == sae.config.k


def test_D63_weights_that_do_not_fit_float16_are_not_made_infinite(tmp_path):
    sae = random_sae()
    with torch.no_grad():
        sae.W_enc[0, 0] = 7e4
    sae.save(tmp_path)
    for call in (sae.half, lambda: sae.to(torch.float16), lambda: sl.load_sae(tmp_path, dtype="float16")):
        with pytest.raises(SaelabError, match=r"weights up to 7e\+04 do not fit float16"):
            call()
    assert sae.W_enc.dtype == torch.float32
    assert sae.to(torch.bfloat16).W_enc.isfinite().all()
