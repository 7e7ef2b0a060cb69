"""One text with everything that breaks displays, through every widget, export and DataFrame."""

from __future__ import annotations

import copy
import dataclasses
import gzip
import json

import numpy as np
import pytest

import saelab as sl
from saelab import models
from saelab.errors import SaelabError
from saelab.index.exports.neuronpedia import read_neuronpedia
from saelab.index.exports.openai import read_openai
from saelab.widgets import LatentDashboard, heatmap

EVIL = "你好 Привет שלום é 😀 <script>alert(1)</script> $x$ \n\t "
ALLOWED = {"div", "span", "b", "i", "bdi"}


@pytest.fixture(scope="module")
def pieces(tiny):
    """The text in parts that fit the tiny model's context."""
    ids = models.tokenize(tiny, EVIL, bos=False)
    out, start = [], 0
    for stop in range(len(ids) + 1):  # cut only between whole characters
        text = models.decode(tiny, ids[start:stop])
        if stop - start > 24 and "\\x" not in text:
            out.append(text)
            start = stop
    out.append(models.decode(tiny, ids[start:]))
    assert "".join(out) == EVIL
    return out


@pytest.fixture(scope="module")
def evil(tiny, sae, pieces, tmp_path_factory):
    index = sl.LatentIndex.build(
        tiny, sae, pieces, path=tmp_path_factory.mktemp("evil") / "i", progress=False
    )
    for latent in np.argsort(-index.counts)[:4]:
        index.set_label(int(latent), EVIL)
        index.set_note(int(latent), EVIL)
    return index


def dense(index):
    return [int(i) for i in np.argsort(-index.counts)[:4]]


def test_data_frames_hold_the_text_as_it_is(evil, pieces):
    texts, halves = set(), set()
    for latent in np.flatnonzero(evil.counts):
        for frame in (evil.top(latent, 99), evil.random(latent, 99), evil.interval(latent)):
            for text, token in zip(frame["text"], frame["token"], strict=True):
                halves |= {token} if "\\x" in token else set()
                inside = text.encode().decode("unicode_escape", "ignore") if "\\x" in text else None
                assert inside is not None or any(text in p for p in pieces)
                texts.add(text)
    assert halves, "no token is half a character, so this shows nothing"
    assert any("<script>" in t for t in texts)
    assert any("$x$" in t for t in texts)
    table = evil.to_frame()
    assert table["label"].tolist().count(EVIL.strip()) == 4
    assert evil.table().frame.equals(table)
    assert evil.search("<script>", n=5).attrs["matches"] == 1
    assert evil.search("你好", n=5).attrs["matches"] == 1
    assert evil.search(regex=r"\$x\$ \n\t $", n=5).attrs["matches"] == 1


def widgets_of(index, tiny, sae, pieces):
    first = dense(index)[0]
    dashboard = LatentDashboard(index, first)
    dashboard.prompt = pieces[1]
    dashboard._trying.jobs.thread.join(60)
    assert dashboard.tried["prompt"] == pieces[1]
    steering = sl.steering_panel(index, edits={first: 2.0}, prompt=pieces[0][:6], max_new_tokens=3)
    steering.run(wait=True)
    graph = sl.n2g.PatternGraph(
        target={"latent": first}, labels={i: index.vocab.label(i) for i in range(len(index.vocab))}
    )
    graph.add_path([int(i) for i in index.rows[0][1:4]], value=1.0)
    graph.index = index
    return {
        "dashboard": dashboard,
        "compare": sl.match(index, index, by="activation").compare(first),
        "table": index.table(),
        "map": index.map(method="pca", colour="label"),
        "heatmap": heatmap(tiny, sae, pieces, dense(index), index=index),
        "steering": steering,
        "n2g": graph.edit(),
        "effects": sl.widgets.effect_map(tiny, sae, pieces[1], first),
    }


def test_every_widget_and_its_saved_page(evil, tiny, sae, pieces, tmp_path, parsed):  # C03, C04, C05, C67
    for name, widget in widgets_of(evil, tiny, sae, pieces).items():
        fallback = parsed(widget.fallback())
        assert set(fallback.tags) <= ALLOWED, name
        assert not fallback.scripts, name
        text = widget.export_html(tmp_path / f"{name}.html").read_text(encoding="utf-8")
        page = parsed(text)
        assert page.tags.count("script") == 2, name
        assert "alert(1)" not in page.scripts[1][1], name
        stored = json.dumps(page.stored()["widgets"], ensure_ascii=False)
        assert "<script>" in stored or "label" not in stored or name in ("steering", "effects"), name
        assert "$x$" not in widget.fallback(), f"{name}: a front end would draw it as maths"
        assert "\ufffd" not in stored, name
        widget.close()


def test_the_heatmap_gives_the_text_back(evil, tiny, sae, pieces):
    state = heatmap(tiny, sae, pieces, [0], index=evil).state()
    shown = ["".join(s["text"][1:]) for s in state["sequences"]]  # without BOS
    assert shown == pieces
    whole = heatmap(tiny, sae, pieces, [0]).to_frame()
    assert whole["token"].str.contains(r"\\x", regex=True).any(), "a token of half a character has a label"


def test_the_page_of_the_index(evil, tmp_path, parsed):
    text = evil.export_html(tmp_path / "i.html", title=EVIL).read_text(encoding="utf-8")
    page = parsed(text)
    assert page.tags.count("script") == 2
    table, dashboard = page.stored()["widgets"]
    assert EVIL.strip() in table["state"]["labels"].values()
    shown = {
        "".join(e["text"]["text"])
        for reply in dashboard["replies"].values()
        for e in reply["payload"]["examples"]["top"]
    }
    assert any("<script>" in t for t in shown)
    assert not any("\ufffd" in t for t in shown)
    assert EVIL.split("\n")[0] in "".join(page.text).replace("\xa0", " ")


def test_files_for_other_tools(evil, tmp_path):
    chosen = dense(evil)
    evil.to_openai(tmp_path / "viewer", chosen)
    for latent in chosen:
        record = read_openai(tmp_path / "viewer" / "atoms" / f"{latent}.json")
        for group in record.groups.values():
            for e in group:
                assert list(e.tokens) == evil.vocab.labels(e.token_ids)
    (path,) = evil.to_neuronpedia(tmp_path / "np", chosen, model_id="tiny", source="0-evil")
    records = {r.latent: r for r in read_neuronpedia(path)}
    assert records[chosen[0]].facts["explanations"][0]["text"] == EVIL.strip()
    seen = {t for r in records.values() for e in r.groups["activations"] for t in e.tokens}
    assert seen <= set(evil.vocab.labels(range(len(evil.vocab))))


def test_bulk_import_files(evil, tmp_path):
    chosen = dense(evil)
    folder = evil.to_neuronpedia_bulk(
        tmp_path, chosen, model_id="tiny", layer=0, set_name="evil", creator_id="me", creator_name=EVIL
    )
    lines = {
        kind: [
            json.loads(x)
            for x in gzip.decompress((folder / kind / "batch-0.jsonl.gz").read_bytes()).splitlines()
        ]
        for kind in ("features", "activations")
    }
    assert [f["index"] for f in lines["features"]] == chosen
    known = set(evil.vocab.labels(range(len(evil.vocab))))
    for activation in lines["activations"]:
        assert set(activation["tokens"]) <= known
    found = {t for a in lines["activations"] for t in a["tokens"]}
    assert any("\\x" in t for t in found), "no token is half a character, so this shows nothing"
    assert any("<script" in "".join(a["tokens"]) for a in lines["activations"])
    assert json.loads((folder / "release.jsonl").read_text(encoding="utf-8"))["creatorName"] == EVIL


def test_parquet_files(evil, pieces, tmp_path):
    pd, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    folder = evil.to_parquet(tmp_path / "parquet")
    tokens, latents = (pd.read_parquet(folder / f"{name}.parquet") for name in ("tokens", "latents"))
    assert tokens["token"].tolist() == evil.vocab.labels(evil.rows.ids)
    assert tokens["token"].str.contains(r"\\x", regex=True).any()
    assert latents["label"].tolist() == evil.to_frame()["label"].tolist()
    assert latents["label"].tolist().count(EVIL.strip()) == 4
    whole = tokens[~tokens["token"].str.contains(r"\\x", regex=True)].groupby("row")["token"].agg("".join)
    assert any("<script>" in text for text in whole)
    assert any("$x$" in text for text in whole)


def test_the_training_monitor(trained, tmp_path, parsed):  # C03, C04, C66, C67
    sae = copy.copy(trained)
    sae.config = dataclasses.replace(trained.config, hook_in=EVIL, hook_out=EVIL)
    sae.record = {**trained.record, "notes": [EVIL]}
    w = sl.training_monitor(sae)
    assert EVIL in w.heading
    assert w.hints == [EVIL]
    fallback = parsed(w.fallback())
    assert set(fallback.tags) <= ALLOWED
    assert not fallback.scripts
    assert "$x$" not in w.fallback(), "a front end would draw it as maths"
    assert EVIL.strip() in "".join(fallback.text)
    w.show_error(SaelabError(EVIL))
    page = parsed(w.export_html(tmp_path / "w.html").read_text(encoding="utf-8"))
    assert page.tags.count("script") == 2
    assert "alert(1)" not in page.scripts[1][1]
    (stored,) = page.stored()["widgets"]
    assert stored["state"]["hints"] == [EVIL]
    assert EVIL in stored["state"]["heading"]
    assert "<table" in w.to_frame()._repr_html_()
    w.close()


def test_no_table_is_drawn_as_maths(evil, tiny, sae, pieces, parsed):  # C67
    first = dense(evil)[0]
    w = evil.dashboard(first, prompt=pieces[2])
    frames = {
        "top": evil.top(first), "head of random": evil.random(first).head(2), "all": evil.to_frame(),
        "lens": evil.logit_lens(first), "labels": evil.labels(),
        "heatmap": heatmap(tiny, sae, pieces, [0]).to_frame(), "prompt": w.to_frame("prompt"),
        "map": evil.map(method="pca").to_frame(), "table": evil.table().to_frame(selected=True),
    }  # fmt: skip
    for name, frame in frames.items():
        page = parsed(frame._repr_html_())
        (classes,) = [v for k, v in page.attributes if k == "class" and "dataframe" in v]
        assert "tex2jax_ignore" in classes, name
        assert not page.scripts, name
    assert "tex2jax_ignore" in evil._repr_html_()
