"""A whole index as one page."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import SENTENCES

import saelab as sl
from saelab.errors import SaelabError


def test_a_page_holds_a_table_and_a_dashboard_of_every_latent(index, tmp_path, parsed):
    chosen = [int(i) for i in np.argsort(-index.counts)[:3]]
    path = index.export_html(tmp_path / "new" / "i.html", latents=chosen, title="<My> latents", n=4)
    page = parsed(path.read_text(encoding="utf-8"))
    table, dashboard = page.stored()["widgets"]
    assert (table["module"], dashboard["module"]) == ("table", "dashboard")
    assert table["link"] == dashboard["link"] != ""
    assert dashboard["state"]["available"] == chosen
    assert sorted(dashboard["replies"]) == sorted(f'open {{"latent":{i}}}' for i in chosen)
    assert len(table["state"]["texts"]) == 3
    for latent in chosen:
        payload = dashboard["replies"][f'open {{"latent":{latent}}}']["payload"]
        assert [e["row"] for e in payload["examples"]["top"]] == index.top(latent, 4)["row"].tolist()
    assert "<My> latents" in "".join(page.text)
    assert f"3 of the {index.d_sae} latents" in "".join(page.text)


def test_the_densest_that_fire_are_taken_when_none_are_named(index, tmp_path, parsed):
    page = parsed(index.export_html(tmp_path / "i.html").read_text(encoding="utf-8"))
    held = page.stored()["widgets"][1]["state"]["available"]
    assert held == [int(i) for i in np.argsort(-index.counts, kind="stable") if index.counts[i]][:100]


def test_wrong_latents_are_refused_before_work(index, tmp_path):
    for wrong in ([64], [-1], [1.0], "3"):
        with pytest.raises(SaelabError, match="0…63"):
            index.export_html(tmp_path / "i.html", latents=wrong)
    with pytest.raises(SaelabError, match="latents is empty"):
        index.export_html(tmp_path / "i.html", latents=[])
    with pytest.raises(SaelabError, match="n must be at least 1"):
        index.export_html(tmp_path / "i.html", n=0)
    assert not (tmp_path / "i.html").exists()


def test_a_hundred_latents_of_the_zoo_fit_in_a_megabyte(tmp_path, parsed):
    model, sae = sl.load_model("zoo"), sl.zoo.load_sae()
    index = sl.LatentIndex.build(model, sae, sl.zoo.texts(150, seed=5), progress=False)
    path = index.export_html(tmp_path / "zoo.html")
    assert path.stat().st_size <= 1_000_000
    stored = parsed(path.read_text(encoding="utf-8")).stored()
    assert len(stored["widgets"][1]["replies"]) == 100


def test_a_page_of_dead_latents(tiny, sae, tmp_path):  # C55
    import copy

    import torch

    dead = copy.deepcopy(sae)
    with torch.no_grad():
        dead.W_enc.zero_(), dead.b_enc.fill_(-1)
    index = sl.LatentIndex.build(tiny, dead, SENTENCES, path=tmp_path / "i", progress=False)
    assert index.export_html(tmp_path / "i.html").stat().st_size > 1000


def test_a_page_of_some_latents_says_which(index, tmp_path, parsed, monkeypatch):
    from saelab.widgets import export

    monkeypatch.setattr(export, "MOST", 2)
    text = "".join(parsed(index.export_html(tmp_path / "i.html").read_text(encoding="utf-8")).text)
    assert f"2 of the {index.d_sae} latents" in text
    assert "These are those that fire on most tokens" in text
