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


def test_D32_a_file_is_one_document_its_source_or_its_docstrings(installed):
    source = (
        '"""Module words."""\nclass A:\n    """Class words."""\n    def f(self):\n        "Function words."\n'
    )
    joined = "Module words.\n\nClass words.\n\nFunction words."
    installed(
        {f"{name}.py": f"{source}# {name}\n" for name in "abcdefgh"}
        | {"LICENSE": "You may.", "data.bin": "no"}
    )
    got = list(package_texts(min_chars=1))
    assert got.count(joined) == 1, "the same docstrings come once"
    sources = [t for t in got if t.startswith('"""Module')]
    assert 0 < len(sources) < 8
    assert set(got) == {joined, "You may.", *sources}
    installed({"a.py": source, "b.py": source})
    assert all(t.startswith('"""Module') for t in package_texts(min_chars=len(joined) + 1)), (
        "docstrings too short"
    )


def test_the_same_text_comes_once_and_short_ones_never(installed):
    installed({"a.txt": "licence " * 100, "b.txt": "licence " * 100, "c.txt": "short"})
    assert list(package_texts()) == ["licence " * 100]


def test_unreadable_and_broken_files_are_passed_over(installed):
    installed({"a.txt": b"\xff\xfe\xfa", "b.py": "def broken(:\n", "c.py": "\0", "d.md": "fine"})
    assert "fine" in list(package_texts(min_chars=1))


def test_other_peoples_invalid_escapes_raise_no_warning(installed):
    installed({f"{n}.py": '"""Words."""\nx = "\\d"\n' for n in "abcdefgh"})
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
