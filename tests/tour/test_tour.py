"""The tour on the zoo, with a tenth of the work, and what the bundled SAE must be good for."""

from __future__ import annotations

import re
import socket

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
