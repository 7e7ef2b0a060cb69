import json
import subprocess
import sys

import numpy as np
import pytest

from index.makers import rows_of, write
from saelab import files
from saelab.errors import SaelabError
from saelab.index import LatentIndex
from saelab.index.notes import Notes


@pytest.fixture
def index(tmp_path):
    return write(tmp_path / "i", rows_of([[0, 1, 2]]), np.ones((3, 4), np.float32) * [[0], [1], [1]])


def test_labels_are_kept_beside_the_index(index):
    assert index.label(2) == index.note(2) == ""
    assert len(index.labels()) == 0
    index.set_label(np.int64(2), " names of foxes 日 <b> ")
    index.set_note(2, "fires on\ntwo lines")
    index.set_label(1, "the")
    again = LatentIndex.open(index.path)
    assert again.label(2) == "names of foxes 日 <b>"
    assert again.note(2) == "fires on\ntwo lines"
    assert again.labels().values.tolist() == [
        [1, "the", "", "", ""],
        [2, "names of foxes 日 <b>", "fires on\ntwo lines", "", ""],
    ]
    assert "2 latents" in repr(index)
    again.set_label(2, "")
    again.set_note(2, None)
    assert index.labels()["latent"].tolist() == [1]  # the first object sees the other's change
    assert json.loads((index.path / "labels.json").read_text())["latents"] == {"1": {"label": "the"}}


def test_two_objects_do_not_undo_each_other(index):
    other = LatentIndex.open(index.path)
    index.set_label(0, "a")
    other.set_label(1, "b")
    index.set_label(2, "c")
    assert other.labels()["label"].tolist() == ["a", "b", "c"]


def test_a_foreign_file_is_named_and_kept(index):
    (index.path / "labels.json").write_text('{"latents": 3}')
    with pytest.raises(SaelabError, match="labels.json is not a file of latent labels"):
        index.label(0)
    with pytest.raises(SaelabError, match="labels.json"):
        index.set_label(0, "x")
    assert (index.path / "labels.json").read_text() == '{"latents": 3}'


def test_D55_many_labels_are_one_write(index, monkeypatch):
    index.set_note(1, "kept")
    writes = []
    real = files.write_json
    monkeypatch.setattr(files, "write_json", lambda *a, **k: (writes.append(a), real(*a, **k)))
    index.set_label({0: "a", np.int64(1): "b", 2: "c", 3: None})
    assert len(writes) == 1
    assert LatentIndex.open(index.path).labels().values.tolist() == [
        [0, "a", "", "", ""],
        [1, "b", "kept", "", ""],
        [2, "c", "", "", ""],
    ]
    with pytest.raises(SaelabError, match="latent 4 is out of range"):
        index.set_label({0: "x", 4: "y"})
    assert index.label(0) == "a"


LABELLING = """
import sys
from pathlib import Path
from saelab.index.notes import Notes
notes = Notes(Path(sys.argv[1]), sys.argv[2], 1000)
for i in range(int(sys.argv[3]), 60, 2):
    notes.set("label", {i: str(i)})
"""


def test_D49_labels_of_two_processes_are_all_kept(tmp_path):
    command = [sys.executable, "-c", LABELLING, str(tmp_path), "sae"]
    both = [subprocess.Popen([*command, n]) for n in "01"]
    assert [p.wait() for p in both] == [0, 0]
    assert Notes(tmp_path, "sae", 1000).frame()["label"].tolist() == [str(i) for i in range(60)]
    assert [p.name for p in tmp_path.iterdir()] == ["labels.json"]


@pytest.mark.parametrize(
    "latents", [{"9": {"label": "x"}}, {"-1": {}}, {"x": {}}, {"0": {"label": ["x"]}}, {"0": "x"}, []]
)  # fmt: skip
def test_D54_labels_that_do_not_fit_are_refused_by_name(index, latents):
    text = json.dumps({"format": "saelab-labels", "sae": index.config["identity"]["SAE"], "latents": latents})
    (index.path / "labels.json").write_text(text)
    for call in (lambda: index.label(0), index.labels, lambda: index.set_label(0, "x"), index.table):
        with pytest.raises(SaelabError, match=r"labels\.json"):
            call()
    assert (index.path / "labels.json").read_text() == text


def test_labels_of_another_sae_are_set_aside_each_time(index):
    for i, sae in enumerate(["../other", "../other"]):
        files.write_json(index.path / "labels.json", {"format": "saelab-labels", "sae": sae, "latents": {}})
        index.set_label(0, str(i))
    assert len(list(index.path.glob("labels-*.json"))) == 2


def test_D55_a_label_among_thousands_is_one_line(tmp_path, monkeypatch):
    notes, other = Notes(tmp_path, "sae", 9000), Notes(tmp_path, "sae", 9000)
    notes.set("label", {i: f"label {i}" for i in range(5000)})
    (base,) = tmp_path.iterdir()
    content = base.read_bytes()
    for i in range(200):
        (notes, other)[i % 2].set("label", {i: f"new {i}"})
        notes.set("note", {7: str(i)})
    assert base.read_bytes() == content
    (log,) = tmp_path.glob("labels.*.jsonl")
    with log.open("ab") as f:
        f.write(b"half a li")  # its writer was killed
    other.set("label", {8000: "last", 5: None})
    again = Notes(tmp_path, "sae", 9000)
    for seen in (notes, other, again):
        assert seen.get(199, "label") == "new 199"
        assert seen.get(7, "note") == "199"
        assert seen.get(8000, "label") == "last"
        assert seen.get(5, "label") == ""
        assert seen.get(4999, "label") == "label 4999"
        assert len(seen.frame()) == 5000
    line = log.read_bytes()
    log.write_bytes(line[:-5] + b"X" + line[-4:])
    with pytest.raises(SaelabError, match=r"labels\..*jsonl is damaged"):
        Notes(tmp_path, "sae", 9000).all()
    log.write_bytes(line)
    for i in range(400):  # the changes go into the next file, and both stay in step
        (notes, other)[i % 2].set("label", {i: f"later {i}"})
    assert base.read_bytes() != content
    assert len(list(tmp_path.iterdir())) == 2
    for seen in (notes, other, Notes(tmp_path, "sae", 9000)):
        assert [seen.get(i, "label") for i in (0, 399, 8000, 4999)] == [
            "later 0",
            "later 399",
            "last",
            "label 4999",
        ]
