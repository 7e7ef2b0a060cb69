"""What is gathered for a class, with a pip that loads nothing; and the slides."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from saelab import __version__, cli
from saelab.course.pack import PLATFORMS, chosen, commands, pack
from saelab.course.slides import slides
from saelab.errors import SaelabError

OWN = f"saelab-{__version__}-py3-none-any.whl"


class Pip:
    """Writes the wheel that a real pip would choose for each call, and remembers the calls."""

    def __init__(self):
        self.calls = []

    def __call__(self, arguments):
        if arguments[0] == "wheel":  # of a package that has none
            (Path(arguments[arguments.index("--wheel-dir") + 1]) / "some-1-py3-none-any.whl").write_bytes(
                b"x"
            )
            return
        self.calls.append(arguments)
        where = Path(arguments[arguments.index("--dest") + 1])
        python = arguments[arguments.index("--python-version") + 1].replace(".", "")
        tags = [b for a, b in zip(arguments, arguments[1:], strict=False) if a == "--platform"]
        (where / f"torch-2.9.0-cp{python}-cp{python}-{tags[-1]}.whl").write_bytes(b"x" * 10)
        (where / "tqdm-4.67.0-py3-none-any.whl").write_bytes(b"x" * 5)


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "made" / OWN
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("saelab/__init__.py", "")
    return path


def test_each_platform_and_python_is_asked_for_once(tmp_path, wheel):
    pip = Pip()
    out = pack(tmp_path / "stick", ["windows", "mac"], ["3.11", "3.12"], wheel=wheel, run=pip)
    assert len(pip.calls) == 4
    for call in pip.calls:
        assert call[0] == "download"
        assert call[call.index("--only-binary") + 1] == ":all:"
        assert Path(call[-1]).name == OWN
        assert f"torch=={torch.__version__.partition('+')[0]}" in call
        assert {"abi3", "none"} < {b for a, b in zip(call, call[1:], strict=False) if a == "--abi"}
    held = json.loads((out / "pack.json").read_text())
    assert held["pairs"] == [["windows", "3.11"], ["windows", "3.12"], ["mac", "3.11"], ["mac", "3.12"]]
    assert len(held["wheels"]) == 4 + 3
    assert held["bytes"] == sum(p.stat().st_size for p in (out / "wheels").glob("*.whl"))
    assert (out / "notebooks/workshop/w1_read_a_latent.ipynb").is_file()
    assert (out / "notebooks/workshop/TEACHER.md").is_file()
    assert "with Python 3.11 or 3.12:" in (out / "README.txt").read_text(encoding="utf-8")
    compile((out / "install.py").read_text(encoding="utf-8"), "install.py", "exec")


def test_another_index_and_a_folder_of_wheels_are_handed_on(tmp_path):
    call = commands(tmp_path / OWN, tmp_path, "linux", "3.12", "https://example.org/cpu", tmp_path / "more")
    assert call[call.index("--extra-index-url") + 1] == "https://example.org/cpu"
    assert call[call.index("--find-links") + 1] == str(tmp_path / "more")


def test_every_platform_has_tags_of_its_own():
    assert all(tags and len(set(tags)) == len(tags) for tags in PLATFORMS.values())


def test_what_is_unknown_is_named_before_pip_is_called(tmp_path, wheel, capsys):
    with pytest.raises(SaelabError, match="windows"):
        chosen(["window"], ["3.12"])
    with pytest.raises(SaelabError, match=r"3\.12"):
        chosen(["mac"], ["3.2"])
    with pytest.raises(SaelabError, match="at least one"):
        chosen([], ["3.12"])
    with pytest.raises(SaelabError, match="own .whl"):
        pack(tmp_path / "s", ["mac"], ["3.12"], wheel=tmp_path / "no.whl", run=Pip())
    assert cli.main(["course", "pack", str(tmp_path / "s"), "--platform", "beos"]) == 2
    assert "beos" in capsys.readouterr().err


def test_install_refuses_another_python_with_a_sentence(tmp_path, wheel):
    out = pack(tmp_path / "stick", ["linux"], ["3.12"], wheel=wheel, run=Pip())
    held = json.loads((out / "pack.json").read_text())
    held["pairs"] = [["linux", "2.7"]]
    (out / "pack.json").write_text(json.dumps(held))
    done = subprocess.run(
        [sys.executable, out / "install.py", tmp_path / "home"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "wheels for 2.7" in done.stdout
    assert not (tmp_path / "home").exists()


def test_slides_come_from_the_notebooks_cells_and_need_no_network(tmp_path):
    paths = slides(tmp_path)
    assert [p.stem[:2] for p in paths] == ["w1", "w2", "w3", "w4", "w5", "w6"]
    text = paths[0].read_text(encoding="utf-8")
    assert text.count("<section>") == 1 + 4  # the title, and one for each exercise
    assert "Name the concept" in text
    assert "course.check(" in text
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)
    with pytest.raises(SaelabError, match="no workshop notebooks"):
        slides(tmp_path / "out", tmp_path)
