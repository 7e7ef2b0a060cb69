import json

import numpy as np
import pytest

from index.makers import rows_of, write
from saelab.errors import SaelabError
from saelab.index import LatentIndex


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
        [1, "the", ""],
        [2, "names of foxes 日 <b>", "fires on\ntwo lines"],
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
