"""Files for other tools: in their exact shape, checked, and the same after reading and writing again."""

import json
import math

import numpy as np
import pytest
from helpers import SENTENCES, random_sae
from hypothesis import given

from index.makers import rows_of, write
from index.test_latent_index import Case, cases, quick
from saelab.errors import SaelabError
from saelab.index import LatentIndex
from saelab.index.exports.neuronpedia import read_neuronpedia, to_neuronpedia, upload_batches
from saelab.index.exports.openai import openai_records, read_openai, to_openai
from saelab.index.exports.records import Example

# a record as published, shortened: one window of 4 tokens, and effects as the viewer's types name them
PUBLISHED = {
    "random": [],
    "top": [
        {
            "doc_id": 12, "idx": 2, "acts": [0.0, 0.0, 4.62858772277832, 0.0], "act": 4.62858772277832,
            "token_ints": [8623, 315, 12567, 13], "tokens": [" <b>", " of", " AND", "$"],
            "ablate_loss_diff": [0.0, 0.1, -0.2], "kl": [0.0, 0.0, 0.5],
        }
    ],
    "hist": {"0": 125829119, "24": 1},
    "density": 7.947286206899662e-09, "mean_act": 3.6e-08, "mean_act_squared": 1.7e-07,
    "mean_pos_act": 4.62858772277832,
    "skew": 11217.3, "kurtosis": 125829120.0, "bin_width": 0.2, "total_count": 125829120,
}  # fmt: skip


@pytest.fixture
def small(tmp_path):
    rows = rows_of([[0, 1, 2, 3, 1, 2], [0, 12, 13, 10, 1], [0, 4, 5, 6, 7, 8]])
    z = np.zeros((rows.n_tokens, 4), np.float32)
    z[[2, 5, 9], 1] = [3, 1, 0.1]
    z[[12, 14, 15], 2] = [0.7, 0.2, 5]
    z[rows.ids != 0, 3] = 1
    return write(tmp_path / "small", rows, z)


@given(cases)
@quick
def test_openai_records_agree_with_the_dense_codes(case):
    c = Case(**case)
    z, n = c.z[c.counted].astype(np.float64), int(c.counted.sum())
    records = list(openai_records(c.index, c.latents, window=6))
    assert len(records) == len(c.latents)
    for latent, record in zip(c.latents, records, strict=True):
        r = json.loads(json.dumps(record, allow_nan=False))
        a = z[:, latent]
        assert list(r) == [
            "random", "top", "hist", "density", "mean_act", "mean_act_squared", "mean_pos_act", "skew",
            "kurtosis", "bin_width", "total_count",
        ]  # fmt: skip
        assert r["total_count"] == n == sum(r["hist"].values())
        assert r["hist"]["0"] == (a == 0).sum()
        for bin_, count in r["hist"].items():
            assert count == (np.ceil(a / 0.2) == int(bin_)).sum()
        if n == 0:
            assert r["density"] is r["mean_act"] is r["mean_pos_act"] is r["skew"] is None
        else:
            np.testing.assert_allclose(r["mean_act"], a.mean(), rtol=1e-12)
            np.testing.assert_allclose(r["mean_act_squared"], (a**2).mean(), rtol=1e-12)
            assert r["density"] == (a > 0).mean()
        if not (a > 0).any():
            assert r["top"] == r["random"] == []
            assert r["mean_pos_act"] is r["skew"] is r["kurtosis"] is None  # C44: undefined is null
        for s in r["top"] + r["random"]:
            assert list(s) == ["doc_id", "idx", "acts", "act", "token_ints", "tokens"]
            assert s["act"] == s["acts"][s["idx"]] > 0
            assert len(s["acts"]) == len(s["tokens"]) == len(s["token_ints"]) <= 6
            begin = c.rows.offsets[s["doc_id"]]
            text = c.rows.ids[begin : c.rows.offsets[s["doc_id"] + 1]].tolist()
            places = [i for i in range(len(text)) if text[i : i + len(s["token_ints"])] == s["token_ints"]]
            assert any(
                np.array_equal(c.z[begin + i : begin + i + len(s["acts"]), latent], np.float32(s["acts"]))
                for i in places
            )


def test_openai_round_trip(small, tmp_path):
    folder = small.to_openai(tmp_path / "viewer")
    assert sorted(p.name for p in (folder / "atoms").iterdir()) == [
        "1.json",
        "2.json",
        "3.json",
    ]  # 0 never fires
    text = (folder / "atoms" / "2.json").read_text(encoding="utf-8")
    record = read_openai(folder / "atoms" / "2.json")
    assert record.latent == 2
    assert json.dumps(to_openai(record), ensure_ascii=False) == text
    *drawn, top = record.to_frame()[["group", "token", "value"]].values.tolist()
    assert top == ["top", "<b>", 5.0]  # the strongest of its document
    assert sorted(drawn) == [["random", "<b>", 5.0], ["random", "\\xa5", 0.2], ["random", "\\xe6", 0.7]]
    assert small.to_openai(tmp_path / "one", [np.int64(0)], n=3).joinpath("atoms/0.json").exists()
    with pytest.raises(SaelabError, match="out of range"):
        small.to_openai(tmp_path / "none", [1, 4])
    assert not (tmp_path / "none").exists()


def test_published_record_comes_back_as_it_was():
    """Key order, numbers and the effects' arrays, which we do not make ourselves, all survive."""
    record = read_openai(PUBLISHED)
    assert json.dumps(to_openai(record)) == json.dumps(PUBLISHED)
    assert record.to_frame()["text"].item() == " <b> of AND$"


def test_openai_records_that_contradict_themselves(tmp_path):
    def changed(**changes):
        return {**PUBLISHED, **changes}

    window = PUBLISHED["top"][0]
    for bad, message in [
        (changed(total_count=3), "hist counts 125829120 tokens, total_count says 3"),
        (changed(top=[{**window, "act": 1.0}]), r"top\[0\]: act is 1.0, but acts\[2\] is 4.6"),
        (changed(top=[{**window, "idx": 4}]), "cannot be about token 4"),
        (
            changed(random=[{**window, "tokens": ["a"]}]),
            r"random\[0\]: an example has 1 tokens, 4 activations",
        ),
        (changed(top=[{"idx": 0}]), "has no 'acts'"),
        ({"top": []}, "has no 'random'"),
    ]:
        with pytest.raises(SaelabError, match=message):
            read_openai(bad)
    (tmp_path / "5.json").write_text('{"top": [')
    with pytest.raises(SaelabError, match="5.json is not valid JSON"):
        read_openai(tmp_path / "5.json")
    (tmp_path / "6.json").write_text("[]")
    with pytest.raises(SaelabError, match="6.json is not a record"):
        read_openai(tmp_path / "6.json")


@given(cases)
@quick
def test_neuronpedia_examples_lie_in_their_range(case):
    c = Case(**case)
    alive = [i for i in c.latents if c.z[:, i].any()]
    bodies = list(upload_batches(c.index, model_id="m", source="0-set", n_top=3, before=2, after=1))
    features = [f for b in bodies for f in b["features"]]
    assert [f["index"] for f in features] == alive
    for f in features:
        a = c.z[:, f["index"]]
        a = a[a > 0]
        assert f["density"] == len(a) / c.counted.sum()
        shares = {}
        for e in f["activations"]:
            assert 1 <= len(e["tokens"]) == len(e["values"]) <= 4
            if "quantileMin" not in e:
                continue
            low, high = np.float32(e["quantileMin"]), np.float32(e["quantileMax"])
            assert ((np.float32(e["values"]) > low) & (np.float32(e["values"]) <= high)).any()
            shares[low] = e["quantileFraction"]
            assert math.isclose(e["quantileFraction"], ((a > low) & (a <= high)).sum() / c.counted.sum())
        assert math.isclose(sum(shares.values()), f["density"])  # every firing is in one range that is shown


def test_neuronpedia_round_trip(tmp_path, tiny):
    index = LatentIndex.build(tiny, random_sae(d_sae=200, k=8), SENTENCES, progress=False)
    first = int(np.flatnonzero(index.counts)[0])
    index.set_label(first, "x" * 600)
    paths = index.to_neuronpedia(tmp_path / "up", model_id="tiny", source="0-test")
    bodies = [json.loads(p.read_text(encoding="utf-8")) for p in paths]
    assert sum(len(b["features"]) for b in bodies) == (index.counts > 0).sum()
    assert all(len(b["features"]) <= 128 for b in bodies)
    feature = bodies[0]["features"][0]
    assert list(feature) == ["index", "density", "topLogits", "bottomLogits", "explanations", "activations"]
    assert feature["explanations"] == [{"text": "x" * 512, "methodName": None, "modelName": None}]
    lens = index.logit_lens(first, 20)
    assert [x["token"] for x in feature["topLogits"]] == lens["up_token"].tolist()
    assert [x["token"] for x in feature["bottomLogits"]] == lens["down_token"].tolist()
    for path, body in zip(paths, bodies, strict=True):
        records = read_neuronpedia(path)
        assert to_neuronpedia(records) == body
        assert [r.latent for r in records] == [f["index"] for f in body["features"]]


def test_neuronpedia_rules(small):
    good = next(upload_batches(small, [1, 2], model_id="m", source="0-x"))
    f = good["features"][0]
    a = f["activations"][0]
    for bad, message in [
        ({**good, "modelId": "GPT2"}, "modelId must be a lower-case name"),
        ({**good, "features": []}, "list of 1 to 128"),
        ({**good, "features": [f] * 129}, "list of 1 to 128"),
        ({**good, "features": [f, f]}, "there twice"),
        ({**good, "features": [{**f, "index": -1}]}, "feature -1: index"),
        ({**good, "features": [{**f, "density": 1.5}]}, "density must be in 0…1, got 1.5"),
        ({**good, "features": [{**f, "topLogits": [{"token": "", "value": 1}]}]}, "topLogits"),
        ({**good, "features": [{**f, "explanations": [{"text": "y" * 513}]}]}, "explanation"),
        ({**good, "features": [{**f, "activations": []}]}, "has no activations"),
        ({**good, "features": [{**f, "activations": [{**a, "values": [1.0]}]}]}, "activation 0: values"),
        (
            {**good, "features": [{**f, "activations": [{"tokens": [""], "values": [1]}]}]},
            "activation 0: tokens",
        ),
        ({**good, "features": [{**f, "activations": [{"tokens": ["a"], "values": [math.nan]}]}]}, "values"),
    ]:
        with pytest.raises(SaelabError, match=message):
            read_neuronpedia(bad)
    with pytest.raises(SaelabError, match="lower-case"):
        next(upload_batches(small, model_id="GPT2", source="0-x"))
    with pytest.raises(SaelabError, match="out of range"):
        next(upload_batches(small, [9], model_id="m", source="0-x"))
    assert list(upload_batches(small, [0], model_id="m", source="0-x")) == []  # never fires


def test_examples_must_fit_together():
    with pytest.raises(SaelabError, match="2 tokens, 1 activations and no token ids"):
        Example(("a", "b"), (1.0,), 0)
    with pytest.raises(SaelabError, match="cannot be about token 2"):
        Example(("a", "b"), (1.0, 0.0), 2)


def test_parquet(small, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet", reason="to_parquet needs pyarrow")
    folder = small.to_parquet(tmp_path / "sql")
    postings = pq.read_table(folder / "postings.parquet").to_pandas()
    for latent in range(small.d_sae):
        part = postings[postings["latent"] == latent]
        token, value = small.postings(latent)
        assert part["token_index"].tolist() == token.tolist()
        assert part["value"].tolist() == value.tolist()
    tokens = pq.read_table(folder / "tokens.parquet").to_pandas()
    assert tokens["token"].tolist() == small.vocab.labels(small.rows.ids)
    assert tokens["counted"].tolist() == small.counted.tolist()
    assert tokens["position"].tolist()[:8] == [0, 1, 2, 3, 4, 5, 0, 1]
    latents = pq.read_table(folder / "latents.parquet").to_pandas()
    assert latents["n"].tolist() == [0, 3, 3, 14]
    assert latents["top_token"].tolist() == ["", " fox", "<b>", "the"]
