import itertools
import random
import warnings
from importlib import metadata
from types import SimpleNamespace

import pytest

from saelab.texts import package_texts


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Pretend that these files are all that is installed."""

    def install(files):
        for name, content in files.items():
            path = tmp_path / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        paths = [tmp_path / name for name in files] + [tmp_path / "gone.txt"]
        fake = SimpleNamespace(files=paths, locate_file=lambda p: p)
        monkeypatch.setattr(metadata, "distributions", lambda: [fake, SimpleNamespace(files=None)])

    return install


def test_documents_are_files_and_joined_docstrings(installed):
    source = (
        '"""Module words."""\nclass A:\n    """Class words."""\n    def f(self):\n        "Function words."\n'
    )
    installed({"a.py": source, "LICENSE": "You may.", "data.bin": "no"})
    got = set(package_texts(min_chars=1))
    assert got == {source, "Module words.\n\nClass words.\n\nFunction words.", "You may."}


def test_the_same_text_comes_once_and_short_ones_never(installed):
    installed({"a.txt": "licence " * 100, "b.txt": "licence " * 100, "c.txt": "short"})
    assert list(package_texts()) == ["licence " * 100]


def test_unreadable_and_broken_files_are_passed_over(installed):
    installed({"a.txt": b"\xff\xfe\xfa", "b.py": "def broken(:\n", "c.py": "\0", "d.md": "fine"})
    assert "fine" in list(package_texts(min_chars=1))


def test_other_peoples_invalid_escapes_raise_no_warning(installed):
    installed({"a.py": '"""Words."""\nx = "\\d"\n'})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "Words." in list(package_texts(min_chars=1))


def test_C46_the_order_follows_the_seed_and_leaves_the_global_generator_alone(installed):
    installed({f"{i}.txt": f"text {i}" for i in range(30)})
    before = random.getstate()
    one, again, other = (list(package_texts(seed, min_chars=1)) for seed in (0, 0, 1))
    assert random.getstate() == before
    assert one == again
    assert one != other
    assert sorted(one) == sorted(other)


def test_this_machine_has_real_text():
    texts = list(itertools.islice(package_texts(), 20))
    assert len(texts) == 20
    assert all(len(t) >= 400 for t in texts)
