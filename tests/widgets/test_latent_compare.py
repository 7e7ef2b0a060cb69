"""LatentCompare shows where a latent and its partner fire, and nothing else."""

import numpy as np
import pytest
from helpers import SENTENCES, random_sae

import saelab as sl
from saelab.errors import SaelabError


@pytest.fixture(scope="module")
def found(tiny, index, tmp_path_factory):
    other = random_sae(k=4)
    with_k = sl.LatentIndex.build(
        tiny,
        other,
        [s + " a" * i for i in range(4) for s in SENTENCES],
        path=tmp_path_factory.mktemp("b") / "i",
        progress=False,
    )
    return sl.match(index, with_k, by="activation")


@pytest.fixture(scope="module")
def chosen(found):
    """A latent whose partner fires less: the same SAE with a smaller k."""
    able = found.frame[found.frame["partner"].notna()]
    return next(int(i) for i in able.index if set(found.pair(int(i))["fires"]) >= {"both", "a"})


def test_the_pair_is_every_position_where_either_fires(found, chosen):
    pair = found.pair(chosen)
    for side, index, latent in (
        ("a", found.a, chosen),
        ("b", found.b, int(found.frame["partner"][chosen])),
    ):
        token, value = index.postings(latent)
        mine = pair[pair[side] > 0]
        assert mine[f"token_{side}"].tolist() == list(token)
        np.testing.assert_allclose(mine[side], value)
    alone = pair["fires"] == "a"
    assert (pair["b"][alone] == 0).all()
    assert (pair["a"][alone] > 0).all()


def test_what_is_shown_is_the_pair(found, chosen):
    shown = found.compare(chosen, n=3)
    data, pair = shown.payload, shown.to_frame()
    assert data["positions"] == {kind: int((pair["fires"] == kind).sum()) for kind in ("both", "a", "b")}
    assert data["partner"] == found.frame["partner"][chosen]
    assert data["sides"]["a"]["stats"]["n"] == (pair["a"] > 0).sum()
    for kind, texts in data["texts"].items():
        assert len(texts) <= 3
        for sides in texts:
            for side, other in ("ab", "ba"):
                e = sides[side]
                first = int(found.a.rows.offsets[e["row"]]) + e["start"]
                for k, (value, there) in enumerate(zip(e["values"], e["other"], strict=True)):
                    line = pair[pair["token_a"] == first + k]
                    assert value == pytest.approx(line[side].sum(), rel=1e-3)
                    assert there == pytest.approx(line[other].sum(), rel=1e-3)
                at = e["centre"]
                assert (e["values"][at] > 0) == (kind in ("both", side))
                assert (e["other"][at] > 0) == (kind in ("both", other))
    shown.close()


def test_another_pair_is_opened_and_a_lone_latent_is_refused(found, chosen):
    shown = found.compare(chosen)
    other = next(p["latent"] for p in shown.pairs if p["latent"] != chosen)
    shown.methods()["open"](latent=other)
    assert (shown.latent, shown.payload["latent"]) == (other, other)
    alone = found.frame.index[found.frame["partner"].isna()]
    if len(alone):
        with pytest.raises(SaelabError, match="no partner"):
            shown.latent = int(alone[0])
        assert shown.latent == other
    with pytest.raises(SaelabError, match="out of range|between"):
        shown.latent = 10_000
    shown.close()


def test_the_list_is_the_best_scores_or_those_that_are_named(found):
    shown = found.compare()
    scores = [p["score"] for p in shown.pairs]
    assert scores == sorted(scores, reverse=True)
    assert shown.latent == shown.pairs[0]["latent"]
    few = [p["latent"] for p in shown.pairs[2:4]]
    named = found.compare(latents=few)
    assert [p["latent"] for p in named.pairs] == few
    assert list(named.replies()) == [f'open {{"latent":{i}}}' for i in few]
    for w in (shown, named):
        w.close()


def test_saes_alone_have_no_text_to_show():
    sae = random_sae(k=4)
    with pytest.raises(SaelabError, match="match two indexes"):
        sl.match(sae, sae).compare()
    with pytest.raises(SaelabError, match="must be a LatentMatch"):
        sl.widgets.LatentCompare(sae)
