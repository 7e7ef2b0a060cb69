from __future__ import annotations

import numpy as np
import pytest

import saelab as sl
from saelab.errors import SaelabError


def test_the_view_gets_places_after_the_columns(index):
    w = index.map(method="pca", selected=[3])
    (body,) = w.methods()["columns"]().buffers
    assert len(body) == 28 * index.d_sae
    xy = np.frombuffer(body, "<f4", offset=20 * index.d_sae).reshape(-1, 2)
    np.testing.assert_allclose(xy, index.positions("pca")[["x", "y"]], rtol=1e-6)
    assert w.positions["x"].tolist() == xy[:, 0].tolist()
    frame = w.to_frame(selected=True)
    assert frame.index.tolist() == [3]
    assert {"x", "y", "density", "top_token", "label"} <= set(frame.columns)
    assert "PCA of decoder directions" in w.about
    assert len(str(w.state())) < 5_000  # C63


def test_own_places_and_groups(index):
    places = np.arange(128).reshape(64, 2)
    w = index.map(positions=places, groups={3: "<b>dna</b>"}, colour="label")
    assert w.positions.to_numpy().tolist() == places.tolist()
    assert w.groups == {"3": "<b>dna</b>"}
    with pytest.raises(SaelabError, match=r"shape \(64, 2\), got \(64, 3\)"):
        index.map(positions=np.zeros((64, 3)))
    with pytest.raises(SaelabError, match="0…63"):
        index.map(positions=places, groups={64: "x"})
    with pytest.raises(SaelabError, match="unknown colour 'densty'.*'density'"):
        index.map(method="pca", colour="densty")
    with pytest.raises(SaelabError, match="unknown argument of LatentMap 'color'.*'colour'"):
        index.map(method="pca", color="label")


def test_a_saved_map_holds_the_points_asked_for(index, tmp_path, parsed):
    w = index.map(method="pca")
    text = w.export_html(tmp_path / "m.html", latents=[2, 1]).read_text(encoding="utf-8")
    (stored,) = parsed(text).stored()["widgets"]
    import base64

    body = base64.b64decode(stored["state"]["packed"]["$bytes"])
    assert np.frombuffer(body, "<u4", 2).tolist() == [2, 1]
    xy = np.frombuffer(body, "<f4", offset=40).reshape(2, 2)
    np.testing.assert_allclose(xy, w.positions.loc[[2, 1]])
    w.selected = [1]
    assert "selected: 1" in w.fallback()


def test_without_the_sae_it_says_so(index):
    with pytest.raises(SaelabError, match="needs the SAE"):
        sl.LatentIndex.open(index.path).map(method="pca")
