"""Files: killed writers, cut and foreign files, two writers."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from index.makers import codes_of, files, open_writer, random_codes, rows_of, write
from saelab.errors import SaelabError
from saelab.index import LatentIndex
from saelab.index.storage import layout

ROWS = rows_of([[0, 1, 2, 3, 1], [0, 3], [0, 5, 6, 1], [0, 2, 2, 2]])
Z = random_codes(np.random.default_rng(0), ROWS.ids != 0, 70, 0.3)

KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import numpy as np
from pathlib import Path
from index.makers import codes_of, open_writer
from index.test_writer import ROWS, Z
import saelab.index.storage.writer as w
w._SYNC_SECONDS = 0.0
writer = open_writer(Path({folder!r}), ROWS, ROWS.ids != 0, Z.shape[1])
for row in range({n}):
    stop = int(ROWS.offsets[row + 1])
    writer.append(stop, *codes_of(Z[writer.positions:stop]))
if {n} == 4:
    def die(*_): os.kill(os.getpid(), signal.SIGKILL)
    w.layout.seal = die
    writer.finish()
writer._latent.append(np.arange(9))
writer._latent.file.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("n", [2, 4])
def test_a_killed_writer_leaves_nothing_that_opens_and_is_gone_on_with(tmp_path, n):
    """Killed with half-written data behind the journal (n = 2), and after the sort (n = 4)."""
    folder = tmp_path / "part"
    code = KILLED.format(tests=str(Path(__file__).parents[1]), folder=str(folder), n=n)
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert result.returncode == -signal.SIGKILL, result.stderr
    with pytest.raises(SaelabError, match="never finished"):
        LatentIndex.open(folder)
    with open_writer(folder, ROWS, ROWS.ids != 0, Z.shape[1]) as writer:
        assert writer.positions == ROWS.offsets[n]
        writer.append(ROWS.n_tokens, *codes_of(Z[writer.positions :]))
        writer.finish()
    write(tmp_path / "whole", ROWS, Z)
    assert files(folder) == files(tmp_path / "whole")


def test_two_writers_in_one_folder(tmp_path):
    with (
        open_writer(tmp_path / "i", ROWS, ROWS.ids != 0, 70),
        pytest.raises(SaelabError, match="another process"),
    ):
        open_writer(tmp_path / "i", ROWS, ROWS.ids != 0, 70)


def test_codes_that_do_not_fit_are_refused(tmp_path):
    with open_writer(tmp_path / "i", ROWS, ROWS.ids != 0, 70) as writer:
        counts, latent, value = codes_of(Z[:5])
        with pytest.raises(SaelabError, match="do not fit together"):
            writer.append(4, counts, latent, value)
        with pytest.raises(SaelabError, match="do not fit together"):
            writer.append(5, counts, latent, value[1:])
        with pytest.raises(SaelabError, match="only 0 of 15 positions"):
            writer.finish()


def test_wide_saes_use_wide_latent_ids(tmp_path):
    d_sae = (1 << 16) + 10
    z = np.zeros((ROWS.n_tokens, d_sae), np.float32)
    z[1, [3, d_sae - 1]] = 1, 2
    z[6, [65535, 65536]] = 3, 4
    index = write(tmp_path / "i", ROWS, z, memory=10**6)
    assert index.arrays["code_latent"].dtype == np.int32
    assert index.postings(d_sae - 1).value.tolist() == [2]
    assert index.postings(65536).token.tolist() == [6]
    assert index.postings(65535).token.tolist() == [6]
    assert layout.latent_type(65536) == np.uint16


@pytest.mark.parametrize("name", layout.ARRAYS)
def test_cut_missing_and_foreign_files_are_named(tmp_path, name):
    write(tmp_path / "i", ROWS, Z)
    path = tmp_path / "i" / f"{name}.npy"
    whole = path.read_bytes()
    for damage in (whole[:-1], whole[:90], b"", b"PK\x03\x04 something else", None):
        path.unlink()
        if damage is not None:
            path.write_bytes(damage)
        with pytest.raises(SaelabError, match=f"{name}.npy"):
            LatentIndex.open(tmp_path / "i")
        path.write_bytes(whole)
    np.save(path, np.zeros(3, np.float16))
    with pytest.raises(SaelabError, match=rf"{name}.npy holds float16 \(3,\), but .* belongs there"):
        LatentIndex.open(tmp_path / "i")


def test_wrong_folders_and_descriptions(tmp_path):
    with pytest.raises(SaelabError, match="no such folder"):
        LatentIndex.open(tmp_path / "nowhere")
    with pytest.raises(SaelabError, match="has no index.json"):
        LatentIndex.open(tmp_path)
    write(tmp_path / "i", ROWS, Z)
    path = tmp_path / "i" / "index.json"
    good = json.loads(path.read_text())
    del good["crc32"]  # of one edited by hand
    for change, message in [
        ("{", "not valid JSON"),
        ("[]", "not the description"),
        (json.dumps({"format": "other"}), "not the description"),
        (json.dumps({**good, "version": 99}), "version 99; this saelab reads 1"),
        (json.dumps({**good, "files": {}}), "does not describe tokens.npy"),
    ]:
        path.write_text(change)
        with pytest.raises(SaelabError, match=message):
            LatentIndex.open(tmp_path / "i")
