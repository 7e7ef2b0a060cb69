import sys
from pathlib import Path

import pytest
import torch

from saelab.formats import mapped
from saelab.formats.source import read_pickle

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pages are given back on Linux only")


def file_bytes() -> int:
    """Resident memory of this process that belongs to files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))


def test_pages_are_given_back_and_read_again(tmp_path):
    n = 1 << 23
    torch.save({"a": torch.arange(n), "b": torch.ones(3)}, tmp_path / "x.pt")
    t = read_pickle(tmp_path / "x.pt")["a"]
    before = file_bytes()
    assert int(t.sum()) == n * (n - 1) // 2
    assert file_bytes() - before > 0.9 * 8 * n
    mapped.release(t)
    assert file_bytes() - before < 0.1 * 8 * n
    assert int(t.sum()) == n * (n - 1) // 2


def test_other_memory_is_left_alone():
    t = torch.arange(1 << 16)
    mapped.release(t)
    assert torch.equal(t, torch.arange(1 << 16))
