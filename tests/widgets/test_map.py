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


def test_L19_neighbors_stay_near_where_two_directions_of_variance_do_not(index):
    """Share of each latent's five nearest by cosine that are among its ten nearest on the map."""
    rows = index.sae.W_dec.detach() / index.sae.W_dec.detach().norm(dim=1, keepdim=True)
    alike = (rows @ rows.T).fill_diagonal_(-2).topk(5).indices.numpy()

    def kept(places):
        xy = places.to_numpy()
        apart = ((xy[:, None] - xy[None]) ** 2).sum(-1)
        near = np.argsort(apart, 1)[:, 1:11]
        return np.mean([len(set(a) & set(b)) / 5 for a, b in zip(alike, near, strict=True)])

    shown = index.map(method="neighbors", groups={3: "dna"})
    assert kept(shown.positions) > kept(index.positions("pca")) + 0.1
    assert shown.colour == "label"
    again = index.map(method="neighbors")
    np.testing.assert_array_equal(shown.positions, again.positions)
    with pytest.raises(SaelabError, match="unknown method"):
        index.map(method="neighbours")


def test_L26_the_static_picture_of_a_map_has_its_points(index):
    page = index.map(method="pca", latent=3, selected=[5, 6]).fallback()
    dots = [c for c in page if 0x2800 < ord(c) <= 0x28FF]
    assert 20 < len(dots) <= index.d_sae
    assert page.count("background-color:rgba(79") == 1  # the latent
    assert page.count("background-color:rgba(245") in (1, 2)  # those chosen, which may share a letter
