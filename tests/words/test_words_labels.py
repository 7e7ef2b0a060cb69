"""Words become labels: with source and score, everywhere; edited, exported, read back; hostile ones inert."""

import gzip
import json

import numpy as np
import pytest
from words.conftest import literal

import saelab as sl
from saelab.errors import SaelabError
from saelab.index import LatentIndex
from saelab.index.notes import Notes

EVIL = "שלום <script>alert(1)</script> $x$ \"' \x00\x1b[2J\u202e</textarea> " + "é" * 600


@pytest.fixture
def labelled(planted):
    words = [
        sl.words.explain(planted, {1: " fox ran", 2: "<b>"}, source="me"),
        sl.words.explain(planted, [2, 4], by="tokens"),
    ]
    sl.words.score(words, sl.words.LLM(literal), progress=False).label()
    return planted


def test_the_best_explanation_is_the_label_with_source_and_score(labelled):
    frame = labelled.labels().set_index("latent")
    assert frame["source"].to_dict() == {1: "me", 2: "me", 4: "tokens"}
    assert frame["score"][2].startswith("detection 1.00")
    assert "not checked as a judge" in frame["score"][2]
    assert labelled.notes.source(1) == f"me: {frame['score'][1]}"
    assert labelled.to_frame()["label"][2] == "<b>"


def test_D76_a_label_that_is_the_best_of_several_says_so(labelled):
    """It was chosen on the documents that score it."""
    score = labelled.labels().set_index("latent")["score"]
    assert "best of 2 by judge" in score[2]
    assert "best of" not in score[1] + score[4]


def test_a_label_that_is_written_over_loses_source_and_score(labelled):
    labelled.set_note(2, "a note")
    assert labelled.notes.source(2), "a note changes nothing about the label"
    labelled.set_label(2, labelled.label(2))
    assert labelled.notes.source(2), "the same text again"
    labelled.set_label(2, "bold")
    assert labelled.notes.source(2) == ""
    labelled.set_label({1: "x", 4: "y"}, source="us")
    assert labelled.labels().set_index("latent")["source"].to_dict() == {1: "us", 2: "", 4: "us"}
    labelled.set_label(1, None)
    assert labelled.labels()["latent"].tolist() == [2, 4]
    again = LatentIndex.open(labelled.path)
    assert again.labels().equals(labelled.labels())
    assert Notes(labelled.path, labelled.config["identity"]["SAE"], 5).source(4) == "us"


def test_widgets_show_and_edit_source_and_score(labelled, tmp_path):
    dashboard, table, map_ = labelled.dashboard(2), labelled.table(), labelled.map(positions=np.zeros((5, 2)))
    said = labelled.notes.source(2)
    assert dashboard.source == said
    assert table.sources["2"] == map_.sources["2"] == said
    dashboard.label = "by hand"
    assert (labelled.label(2), dashboard.source, table.sources.get("2")) == ("by hand", "", None)
    dashboard.latent = 4
    assert dashboard.source.startswith("tokens: detection")
    table._label(4, "dollars")
    assert dashboard.source == ""
    page = labelled.export_html(tmp_path / "i.html", [1]).read_text()
    assert "detection 1.00" in page


def test_labels_are_exported_and_read_back(tiny, tmp_path):
    from helpers import SENTENCES, random_sae

    index = LatentIndex.build(
        tiny, random_sae(), [s + end for s in SENTENCES for end in ("", " Yes.", " No.")], progress=False
    )
    latents = np.argsort(-index.counts)[:2].tolist()
    sl.words.explain(index, {latents[0]: "foxes", latents[1]: "dots"}, source="my model").label()
    (path,) = index.to_neuronpedia(tmp_path, latents, model_id="tiny", source="0-x")
    feature = json.loads(path.read_text())["features"][0]
    assert feature["explanations"] == [{"text": "foxes", "methodName": "my model", "modelName": None}]
    index.set_label(dict.fromkeys(latents))
    words = sl.words.read_neuronpedia(index, path)
    assert (words[latents[0]], words.source) == ("foxes", "Neuronpedia, my model")
    words.label()
    assert index.labels()["source"].tolist() == ["Neuronpedia, my model"] * 2


LINES = [
    {"modelId": "m", "layer": "0-x", "index": "2", "description": " tags ", "explanationModelName": "a-model"},
    {"modelId": "m", "layer": "0-x", "index": "2", "description": "second", "explanationModelName": "b-model"},
    {"modelId": "m", "layer": "0-x", "index": "1", "description": EVIL, "explanationModelName": None},
]  # fmt: skip


def test_every_form_of_neuronpedia_is_read(planted, tmp_path):
    (tmp_path / "export.json").write_text(json.dumps(LINES))
    folder = tmp_path / "explanations"
    folder.mkdir()
    for i, line in enumerate(LINES):
        (folder / f"batch-{i}.jsonl.gz").write_bytes(gzip.compress(json.dumps(line).encode() + b"\n\n"))
    for path in (tmp_path / "export.json", folder):
        words = sl.words.read_neuronpedia(planted, path)
        assert list(words.items) == [1, 2]
        assert words[2] == "tags"
        assert words.source == "Neuronpedia"
        assert sl.words.read_neuronpedia(planted, path, model="b-model")[2] == "second"
        with pytest.raises(SaelabError, match="no explanation by 'c-model'"):
            sl.words.read_neuronpedia(planted, path, model="c-model")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "has no explanation"), ("3", "not of the form"), ("{", "not valid JSON"),
        ('[{"index": "9", "description": "x"}]', "latent 9"),
        ('[{"index": "x", "description": "x"}]', "index must be a whole number"), ('{"features": 3}', "not of the form"),
        ('[{"index": 1}]', "not of"),
        ('[{"index": -1, "description": "x"}]', "latent -1"),
    ],
)  # fmt: skip
def test_other_files_are_refused_by_name(planted, tmp_path, text, said):
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(SaelabError, match=said) as error:
        sl.words.read_neuronpedia(planted, tmp_path / "f.json")
    assert "f.json" in str(error.value)
    with pytest.raises(SaelabError, match="no file"):
        sl.words.read_neuronpedia(planted, tmp_path / "g.json")
    (tmp_path / "f.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(SaelabError, match=r"f\.jsonl\.gz"):
        sl.words.read_neuronpedia(planted, tmp_path / "f.jsonl.gz")


def test_hostile_words_are_inert_everywhere(planted, tmp_path, parsed):
    def evil(messages):
        return f"EXPLANATION: {EVIL}"

    words = sl.words.explain(planted, [1, 2], by=sl.words.LLM(evil, name=EVIL, path=tmp_path / "kept"))
    assert len(words[1]) <= 512
    assert not set(words[1]) & set("\x00\x1b\u202e\n")
    found = sl.words.score(words, sl.words.LLM(lambda m: "[1, 1, 1, 1, 1]" + EVIL, name=EVIL), progress=False)
    found.label()
    shown = [
        words._repr_html_(),
        found._repr_html_(),
        planted.labels()._repr_html_(),
        planted.dashboard(1).fallback(),
    ]
    shown += [planted.table().fallback(), found.plot().to_html(include_plotlyjs=False)]
    for html in shown[:-1]:
        page = parsed(html)
        assert "script" not in page.tags
        assert "<script>alert" not in html
        assert "$x$" not in html, "a front end would draw it as maths"
    assert len(planted.label(1)) <= 200
    page = parsed(planted.export_html(tmp_path / "i.html", [1, 2]).read_text(encoding="utf-8"))
    assert page.tags.count("script") == 2
    assert "alert(1)" not in page.scripts[1][1]
    again = LatentIndex.open(planted.path)
    assert again.label(1) == planted.label(1)


@pytest.mark.parametrize("odd", ["\u2028", "\u0085", "\x0b"])
def test_lines_of_neuronpedia_end_with_a_newline_alone(odd, planted, tmp_path):
    line = json.dumps({"index": 1, "description": f"a{odd}b"}, ensure_ascii=False)
    (tmp_path / "f.jsonl").write_text(f"\ufeff{line}\n{line}\n", encoding="utf-8")
    assert sl.words.read_neuronpedia(planted, tmp_path / "f.jsonl")[1] == "a b"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"index": 1.9, "description": "x"}, "index must be a whole number, got 1.9"),
        ({"index": True, "description": "x"}, "index must be a whole number, got True"),
        ({"index": 1, "description": ["x"]}, "description must be a string"),
        ({"index": 1, "description": {}}, "description must be a string"),
        ({"index": 1, "description": False}, "description must be a string"),
        ({"features": [{"index": 1, "explanations": [{"text": None}]}]}, "text must be a string, got None"),
    ],
)
def test_odd_values_of_neuronpedia_are_refused_by_name(line, said, planted, tmp_path):
    (tmp_path / "f.json").write_text(json.dumps(line if "features" in line else [line]))
    with pytest.raises(SaelabError, match=said):
        sl.words.read_neuronpedia(planted, tmp_path / "f.json")


def test_a_label_written_by_hand_stays_where_every_answer_failed(planted):
    planted.set_label(1, "mine")
    words = sl.words.explain(planted, [1], by="tokens")
    sl.words.score(words, lambda messages: "no", progress=False).label()
    assert planted.label(1) == "mine"
    scores = sl.words.score(words, lambda messages: "[1, 0, 1, 0, 1]", progress=False)
    scores.label(overwrite=True)
    assert planted.label(1) == words[1][:200]


def test_a_label_that_a_person_wrote_is_kept(planted):
    planted.set_label(1, "mine")
    words = sl.words.explain(planted, [1, 2], by="tokens")
    with pytest.warns(UserWarning, match=r"a person wrote are kept, of latents 1;"):
        words.label()
    assert (planted.label(1), planted.label(2)) == ("mine", words[2][:200])
    with pytest.warns(UserWarning, match="kept"):
        sl.words.score(words, lambda messages: "[1, 0, 1, 0, 1]", progress=False).label()
    assert (planted.label(1), planted.notes.source(2)[:6]) == ("mine", "tokens")
    words.label(overwrite=True)
    assert planted.label(1) == words[1][:200]
