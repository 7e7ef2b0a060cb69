"""The tour on the zoo, with a tenth of the work, and what the bundled SAE must be good for."""

from __future__ import annotations

import re
import socket
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

import saelab as sl
from saelab import files, zoo
from saelab.tour import tour


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("tour") / "out"
    said = []

    def refuse(*_):
        raise OSError("the tour of the zoo needs no network")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        report = tour.run("zoo", out=out, quick=True, say=said.append)
    assert report == out / "report.html"
    assert any(line.startswith("train") for line in said)
    return out


def test_report_is_one_offline_page(folder):
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert len(text) < 3_000_000
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", text)
    for heading in ("Training", "Which latent stands for what", "Latents", "Their patterns", "Steering"):
        assert f">{heading}</h" in text
    for genre in zoo.GENRES:
        assert f"<code>{genre}</code>" in text


def test_numbers_are_kept_beside_it(folder):
    found = files.read_json(folder / tour.MARK)
    assert found["finished"] is True
    assert found["report"]["explained_variance"] > 0.7
    assert {c["concept"] for c in found["concepts"] if c["genre"]} == set(zoo.GENRES)
    assert len(found["chosen"]) == tour.QUICK_ZOO.explain == len(found["n2g"])


def test_D33_what_chose_is_not_what_is_shown(folder):
    """The concept table again: latents by one half of the documents, numbers by the other."""
    found, text = files.read_json(folder / tour.MARK), (folder / "report.html").read_text(encoding="utf-8")
    index = sl.LatentIndex.open(folder / "index", sae=sl.load_sae(folder / "sae"))
    documents = np.random.default_rng(0).permutation(np.unique(index.rows.doc))
    half = len(documents) // 2
    rows, labels = zoo.labelled_rows(sl.load_model("zoo"), len(documents), seed=3_000, context=128)
    assert np.array_equal(rows.ids, index.rows.ids)
    chosen, scored = (index.concepts(labels, documents=part) for part in (documents[:half], documents[half:]))
    for line in found["concepts"][:20]:
        best = chosen[chosen.concept == line["concept"]]
        sure = best[(best.precision >= 0.95) & (best.fires >= 25)]
        assert line["sure latents"] == len(sure)
        first = int((sure if len(sure) else best)["latent"].iloc[0])
        assert line["best latents"][0] == first
        here = scored[(scored.concept == line["concept"]) & (scored.latent == first)]
        assert line["f1"] == pytest.approx(here["f1"].iloc[0] if len(here) else 0)
        assert line["still sure"] <= line["sure latents"]
    mean = np.mean([found["n2g"][str(i)]["f1"] for i in found["chosen"]])
    assert found["n2g_f1"]["shown"] == {"mean": pytest.approx(mean), "graphs": len(found["chosen"])}
    assert "one half of the documents" in text
    assert f"of all {found['n2g_f1']['fitted']['graphs']} that were fitted" in text


def test_D33_graphs_of_an_unlabelled_model_are_chosen_on_valid_documents():
    """Latent 1 looks best on the test documents, latent 0 on the valid ones."""
    f1 = {0: {"valid": 0.9, "test": 0.5}, 1: {"valid": 0.2, "test": 1.0}, 2: {"valid": 0.8, "test": 0.6}}
    graphs = {
        i: SimpleNamespace(score=lambda index, split, i=i: SimpleNamespace(f1=f1[i][split])) for i in f1
    }
    made = tour.Tour("other", tour.QUICK_ZOO, *cast(Any, [None] * 4))
    made.graphs, made.scores = graphs, {i: {"f1": f1[i]["test"]} for i in f1}
    assert made.by_valid_f1([0, 1, 2])[:2] == [0, 2]
    made.chosen = [0, 2]
    assert made.mean_f1()["shown"] == {"mean": pytest.approx(0.55), "graphs": 2}
    assert made.mean_f1()["fitted"] == {"mean": pytest.approx(0.7), "graphs": 3}


def test_what_a_steer_turns_is_counted_on_fresh_texts_and_said(folder):
    found, text = (
        files.read_json(folder / tour.MARK)["steering"],
        (folder / "report.html").read_text(encoding="utf-8"),
    )
    assert len(found.get("fresh", [])) == found["shown"]
    for line in found.get("fresh", []):
        assert line["genre"] in zoo.GENRES
        some = f"{line['with_latent']} of 8 fresh texts are {line['genre']}, {line['without']} without"
        assert ("no effect seen: " if line["with_latent"] <= line["without"] else "; ") + some in text
    assert "no text turned to the genre, or it was not whole" in text or found["tried"] == found["shown"]


def test_its_parts_can_be_opened(folder):
    sae = sl.load_sae(folder / "sae")
    index = sl.LatentIndex.open(folder / "index", sae=sae)
    found = files.read_json(folder / tour.MARK)
    latent = found["chosen"][0]
    graph = sl.n2g.PatternGraph.from_json(files.read_json(folder / "n2g" / f"{latent}.json"))
    assert graph.score(index, split="test").f1 == pytest.approx(found["n2g"][str(latent)]["f1"])


def test_a_second_tour_needs_force(folder):
    with pytest.raises(sl.SaelabError, match="--force"):
        tour.run("zoo", out=folder, quick=True)
    assert (folder / "report.html").is_file()


def test_a_tour_that_was_broken_off_is_named_so(tmp_path):
    files.write_json(tmp_path / tour.MARK, {"model": "zoo", "finished": False})
    with pytest.raises(sl.SaelabError, match=r"a tour that did not finish.*--force"):
        tour.run("zoo", out=tmp_path, quick=True)


def test_bundled_sae_has_latents_for_every_genre():
    model, sae = sl.load_model("zoo"), sl.load_sae("zoo")
    report = sl.evaluate(model, sae, zoo.texts(seed=2_500), tokens="30k", progress=False)
    assert report.explained_variance >= 0.9
    assert report.l0 <= 32
    rows, labels = zoo.labelled_rows(model, 3000, seed=3_500)
    index = sl.LatentIndex.build(model, sae, rows, progress=False)
    assert (index.counts == 0).mean() < 0.07
    table = tour.genre_table(index.concepts(labels), zoo.GENRES).set_index("concept")
    short = {g: int(table.loc[g, "sure latents"]) for g in zoo.GENRES if table.loc[g, "sure latents"] < 5}
    assert not short, f"fewer than 5 latents with precision 0.95 and 50 firings: {short}"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The tour of SmolLM2 from the bundled SAE, on text of packages."""
    from saelab.models.load import resolve

    try:
        resolve("smollm2")
    except sl.SaelabError as error:
        pytest.skip(f"SmolLM2 cannot be had here: {error}")
    out = tmp_path_factory.mktemp("real") / "out"
    tour.run("smollm2", out=out, quick=True)
    return out


def test_D62_a_copy_of_what_is_measured_is_not_trained_on(monkeypatch):
    monkeypatch.setattr(tour, "english_texts", lambda seed: [f"text {i % 700}" for i in range(1400)])
    texts, held, _ = tour._texts("another", 0)
    assert list(held) == [f"text {i}" for i in range(600)]
    assert set(texts) == {f"text {i}" for i in range(600, 700)}


def test_a_real_model_begins_with_the_bundled_sae(real):
    found, text = files.read_json(real / tour.MARK), (real / "report.html").read_text(encoding="utf-8")
    assert found["finished"] is True
    assert "train" not in found["seconds"]
    assert found["plan"]["sae"] == "smollm2"
    assert found["report"]["loss_recovered_mean"] > 0.9
    assert len(found["chosen"]) == found["plan"]["explain"] == len(found["n2g"])
    assert "8,192 latents come with the package" in text
    assert "the training may have seen some" in text
    assert "held-out tokens" not in text
    index = sl.LatentIndex.open(real / "index", sae=sl.load_sae("smollm2"))
    kinds = index.interest()["kind"].loc[found["chosen"]]
    assert set(kinds) & {"topic", "context", "mixed"}


def test_steers_of_a_real_model_are_judged_by_the_rule_that_is_said(real):
    found, text = files.read_json(real / tour.MARK), (real / "report.html").read_text(encoding="utf-8")
    lines = found["steering"]["recognized"]
    assert len(lines) == found["plan"]["steer"]
    for line in lines:
        inside = line["above"] >= 0.5 and line["ratio"] <= 10 and line["strength"] > 0
        assert line["recognized"] == inside
    assert f"{sum(line['recognized'] for line in lines)} of the {len(lines)} latents" in text
    assert found["steering"]["shown"] <= sum(line["recognized"] for line in lines)
