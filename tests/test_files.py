import json
import os
import resource
import signal
import subprocess
import sys

import pytest
import torch

from saelab import files
from saelab.errors import SaelabError


def leftovers(folder):
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


def test_atomic_write_replaces_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    files.write_text(path, "one")
    files.write_text(path, "two")
    assert path.read_text() == "two"
    assert not leftovers(path.parent)


def fail_half_way(path, error):
    with files.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise error


def test_C51_an_exception_in_the_middle_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    for kind in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(kind):
            fail_half_way(path, kind)
    assert path.read_text() == "old"
    assert not leftovers(tmp_path)


def test_C51_kill_in_the_middle_of_a_save_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    program = (
        "import os, signal, sys; from saelab import files\n"
        "with files.atomic_write(sys.argv[1]) as t:\n"
        "    t.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    files.write_text(path, "new")  # what the killed save left behind is not in the way
    assert path.read_text() == "new"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_written_files_follow_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        files.write_text(tmp_path / "a", "x")
        files.write_tensors(tmp_path / "b", {"x": torch.zeros(2)})
        for name in "ab":
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o644
        assert os.umask(0o022) == 0o022, "the process's umask was changed"
    finally:
        os.umask(before)


def test_json_round_trip_and_refusals(tmp_path):
    path = tmp_path / "a.json"
    value = {"text": "日本\u2028</script>", "n": [1, 2.5, None]}
    files.write_json(path, value)
    assert files.read_json(path) == value
    with pytest.raises(ValueError, match="Out of range float"):
        files.write_json(path, {"x": float("nan")})
    assert files.read_json(path) == value


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe\x00", b"PK\x03\x04"])
def test_C51_a_cut_or_foreign_json_file_is_named(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(SaelabError, match=r"a\.json is not valid JSON"):
        files.read_json(path)


def test_a_missing_file_is_named(tmp_path):
    for read in (files.read_json, files.read_tensors):
        with pytest.raises(SaelabError, match="no file .*nowhere"):
            read(tmp_path / "nowhere")


TENSORS = {
    "a": torch.arange(12.0).reshape(3, 4).T,  # not contiguous
    "b": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "c": torch.tensor(3),
    "d": torch.zeros(0, 2, dtype=torch.int32),
}


def test_tensors_round_trip(tmp_path):
    path = tmp_path / "t.safetensors"
    files.write_tensors(path, TENSORS, {"format": "x"})
    got, metadata = files.read_tensors_and_metadata(path)
    assert metadata == {"format": "x"}
    assert got.keys() == TENSORS.keys()
    for name, t in TENSORS.items():
        assert got[name].dtype == t.dtype
        assert torch.equal(got[name], t)


def test_a_file_of_another_writer_has_no_checksum_and_is_read(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2)}, tmp_path / "t.safetensors")
    assert torch.equal(files.read_tensors(tmp_path / "t.safetensors")["a"], torch.ones(2))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.99])
def test_C51_a_truncated_tensor_file_is_named_with_its_size(tmp_path, share):
    path = tmp_path / "t.safetensors"
    files.write_tensors(path, {"a": torch.randn(50, 50)})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(
        SaelabError, match=rf"t\.safetensors \({int(share * len(whole))} bytes\) is not a whole"
    ):
        files.read_tensors(path)


def test_C51_a_flipped_bit_anywhere_is_an_error_or_changes_nothing(tmp_path):
    path = tmp_path / "t.safetensors"
    files.write_tensors(path, {"weights": torch.randn(3, 4), "bias": torch.randn(4)}, {"k": "4"})
    whole = path.read_bytes()
    tensors, metadata = files.read_tensors_and_metadata(path)
    refused = 0
    for place in range(0, 8 * len(whole), 5):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            got, found = files.read_tensors_and_metadata(path)
        except SaelabError:
            refused += 1
        else:  # only the word "crc32" itself, or white space, can be hit unnoticed
            assert got.keys() == tensors.keys()
            assert all(torch.equal(got[n], t) for n, t in tensors.items())
            assert metadata.items() <= found.items()
    assert refused > 0.9 * 8 * len(whole) / 5


@pytest.mark.skipif(os.name == "nt", reason="Windows has no resource limits")
def test_C51_a_disk_that_is_full_names_the_file_and_the_sizes(tmp_path):
    path = tmp_path / "t.safetensors"
    files.write_tensors(path, {"a": torch.ones(10)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(
            SaelabError, match=r"could not write .*t\.safetensors: 400,000 bytes of tensors, .* free"
        ):
            files.write_tensors(path, {"a": torch.ones(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert torch.equal(files.read_tensors(path)["a"], torch.ones(10))
    assert not leftovers(tmp_path)


def test_json_files_end_in_a_newline(tmp_path):
    files.write_json(tmp_path / "a.json", [1])
    assert json.loads((tmp_path / "a.json").read_text()) == [1]
    assert (tmp_path / "a.json").read_text().endswith("\n")


def test_D60_a_key_that_stands_twice_is_named(tmp_path):
    path = tmp_path / "a.json"
    for text, key in (('{"k": 32, "arch": "topk", "k": 64}', "k"), ('[{"a": {"b": 1, "b": 1}}]', "b")):
        path.write_text(text)
        with pytest.raises(SaelabError, match=f"a.json: the key '{key}' stands twice"):
            files.read_json(path)


def test_D61_half_a_character_is_not_blamed_on_the_disk(tmp_path):
    with pytest.raises(SaelabError, match=r"the text holds half a character, '\\ud800'$"):
        files.write_json(tmp_path / "a.json", {"label": "\ud800"})
