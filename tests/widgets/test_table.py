from __future__ import annotations

import numpy as np
import pytest
from helpers import SENTENCES

import saelab as sl
from saelab.errors import SaelabError
from saelab.widgets import LatentDashboard, LatentTable


@pytest.fixture
def own(tiny, sae, tmp_path):
    """An index whose labels may be changed."""
    return sl.LatentIndex.build(tiny, sae, SENTENCES, path=tmp_path / "i", progress=False)


def test_a_display_is_small_however_many_latents_there_are(index):  # C63
    table = index.table()
    state = table.state()
    assert len(str(state)) < 5_000  # the rows come when the view asks, as bytes
    answer = table.methods()["columns"]()
    assert len(answer.buffers[0]) == 4 * (5 + len(table.measures)) * index.d_sae
    sent = []
    table.send = lambda content, buffers=None: sent.append((content, buffers))
    table._receive(table, {"request": "a", "method": "columns"}, [])
    assert sent == [({"request": "a", "result": {"tokens": answer.value["tokens"]}}, list(answer.buffers))]


def test_columns_kept_beside_the_index_are_measures_of_the_table(own):
    found = own.interest()
    table = own.table()
    assert table.measures == ["burst", "lookup_f1", "tokens"]
    assert table.measure == "burst"
    body = np.frombuffer(table.methods()["columns"]().buffers[0], "<f4").reshape(-1, own.d_sae)
    for name, column in zip(table.measures, body[5:], strict=True):
        np.testing.assert_array_equal(column, found[name].to_numpy(np.float32))
    saved = table.export_state(latents=[3, 1])
    assert saved["measures"] == table.measures
    np.testing.assert_array_equal(
        np.frombuffer(saved["packed"], "<f4")[-2:], found["tokens"].to_numpy(np.float32)[[3, 1]]
    )
    with pytest.raises(SaelabError, match="measure 'burts'.*burst"):
        own.table(measure="burts")


def test_a_search_is_the_index_s(index):
    table = index.table(query="fox")
    want = index.search("fox", n=2000)
    assert [row[0] for row in table.found["rows"]] == want["latent"].tolist()
    assert table.found["matches"] == want.attrs["matches"] > 0
    assert (table.sort, table.descending) == ("f1", True)
    assert table.found_frame().equals(want)
    table.mode, table.query = "regex", r"\d+ \+"
    assert [r[0] for r in table.found["rows"]] == index.search(regex=r"\d+ \+", n=2000)["latent"].tolist()
    table.query = "zebra"
    assert table.found["rows"] == []
    assert table.found["matches"] == 0  # no error: the table itself says that nothing was found
    assert not table.error
    table.mode = "name"
    assert table.found == {}
    with pytest.raises(SaelabError, match="nothing is searched"):
        table.found_frame()


def test_a_bad_regular_expression_is_said_in_the_table(index):  # C66
    table = index.table(mode="regex", query="(")
    assert "not a regular expression" in table.error["message"]
    assert table.found["rows"] == []
    assert "matches" not in table.found  # L24: it does not occur 0 times, nothing was searched
    assert "not a regular expression" in table.found["failed"]
    table.query = "fox"
    assert table.error == {}


def test_begins_where_it_is_told(index):
    assert index.table().latent == int(index.counts.argmax())
    assert index.table(3).latent == 3
    for wrong in (-1, 64, 1.0):
        with pytest.raises(SaelabError, match="latent"):
            index.table(wrong)
    table = index.table()
    with pytest.raises(SaelabError, match="latent"):
        table.latent = 64
    with pytest.raises(SaelabError, match="latent"):
        table.selected = [1, 64]
    with pytest.raises(SaelabError, match="unknown sort 'maks'.*Did you mean 'max'"):
        index.table(sort="maks")


def test_frames(index):
    table = index.table(selected=[5, 2])
    assert table.to_frame().equals(index.to_frame())
    assert table.frame.equals(index.to_frame())
    assert table.to_frame(selected=True).index.tolist() == [5, 2]


def test_a_label_written_anywhere_is_seen_everywhere(own):
    table, map_, dashboard = own.table(), own.map(method="pca"), own.dashboard(3)
    own.set_label(3, "from Python")
    assert table.labels == map_.labels == {"3": "from Python"}
    assert dashboard.label == "from Python"
    dashboard.label = "from the dashboard"
    assert table.labels == {"3": "from the dashboard"}
    table.methods()["label"](3, "from the table")
    assert dashboard.label == own.label(3) == "from the table"
    dashboard.note = "kept"
    assert own.note(3) == "kept"
    assert own.label(3) == "from the table"
    table.close()
    own.set_label(3, "")
    assert map_.labels == {}


def test_links_to_other_widgets(own):
    from ipywidgets import link

    table, dashboard, map_ = own.table(), own.dashboard(0), own.map(method="pca")
    link((table, "latent"), (dashboard, "latent"))
    link((map_, "latent"), (table, "latent"))
    table.latent = 9
    assert dashboard.payload["latent"] == map_.latent == 9
    dashboard.latent = 4
    assert table.latent == map_.latent == 4
    map_.latent = 8
    assert dashboard.payload["latent"] == table.latent == 8


def test_a_saved_table_holds_its_rows_and_examples(index, latent, tmp_path, parsed):
    table = LatentTable(index, latent, selected=[latent, 1], query="fox")
    text = table.export_html(tmp_path / "t.html", latents=[latent, 2]).read_text(encoding="utf-8")
    (stored,) = parsed(text).stored()["widgets"]
    state = stored["state"]
    assert state["selected"] == [latent]
    assert state["latent"] == latent
    assert (state["query"], state["found"], state["sort"]) == ("", {}, "count")
    assert state["texts"][0].split("\n\n")[0] == index.top(latent, 1)["text"].item()
    assert len(state["packed"]["$bytes"]) == 56  # 2 rows of 20 bytes, as base64
    with pytest.raises(SaelabError, match="0…63"):
        table.export_html(tmp_path / "t.html", latents=[64])


def test_all_dead(tiny, sae, tmp_path):  # C55
    import copy

    import torch

    dead = copy.deepcopy(sae)
    with torch.no_grad():
        dead.W_enc.zero_(), dead.b_enc.fill_(-1)
    index = sl.LatentIndex.build(tiny, dead, SENTENCES, path=tmp_path / "i", progress=False)
    table = index.table(query="fox")
    assert table.found["rows"] == []
    assert "0 fire on" in table.fallback()
    assert not np.frombuffer(table.methods()["columns"]().buffers[0], "<u4")[64:].any()
    assert LatentDashboard(index, 3).payload["stats"]["n"] == 0
    assert index.map(method="pca").fallback()
