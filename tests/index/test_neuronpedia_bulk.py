"""The bulk-import folder: names, keys and their order as published, and numbers that are the index's."""

import datetime
import gzip
import json

import numpy as np
import pytest
from helpers import SENTENCES, random_sae

from saelab.errors import SaelabError
from saelab.index import LatentIndex

ACTIVATION = [
    "id",
    "tokens",
    "index",
    "layer",
    "modelId",
    "maxValue",
    "maxValueTokenIndex",
    "minValue",
    "values",
    "creatorId",
    "dataSource",
    "dataIndex",
    "dfaValues",
    "dfaTargetIndex",
    "dfaMaxValue",
    "createdAt",
    "lossValues",
    "logitContributions",
    "binMin",
    "binMax",
    "binContains",
    "qualifyingTokenIndex",
    "zIndices",
    "zValues",
]
FEATURE = [
    "modelId",
    "layer",
    "index",
    "creatorId",
    "createdAt",
    "maxActApprox",
    "hasVector",
    "vector",
    "vectorLabel",
    "vectorDefaultSteerStrength",
    "hookName",
    "topkCosSimIndices",
    "topkCosSimValues",
    "neuron_alignment_indices",
    "neuron_alignment_values",
    "neuron_alignment_l1",
    "correlated_neurons_indices",
    "correlated_neurons_pearson",
    "correlated_neurons_l1",
    "correlated_features_indices",
    "correlated_features_pearson",
    "correlated_features_l1",
    "neg_str",
    "neg_values",
    "pos_str",
    "pos_values",
    "frac_nonzero",
    "freq_hist_data_bar_heights",
    "freq_hist_data_bar_values",
    "logits_hist_data_bar_heights",
    "logits_hist_data_bar_values",
    "decoder_weights_dist",
    "sourceSetName",
]
NAMES = {"model_id": "tiny", "layer": 3, "set_name": "res-x", "creator_id": "me"}


def lines(path):
    text = gzip.decompress(path.read_bytes()).decode("utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def index(tiny):
    return LatentIndex.build(tiny, random_sae(d_sae=150, k=8), SENTENCES, progress=False)


def test_files_keys_and_numbers(index, tmp_path):
    when = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    out = index.to_neuronpedia_bulk(tmp_path, n_top=3, created=when, **NAMES)
    assert out == tmp_path / "tiny" / "3-res-x"
    names = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
    assert names == [
        "activations/batch-0.jsonl.gz", "activations/batch-1.jsonl.gz", "features/batch-0.jsonl.gz",
        "features/batch-1.jsonl.gz", "model.jsonl", "release.jsonl", "source.jsonl", "sourceset.jsonl",
    ]  # fmt: skip
    features = [f for i in range(2) for f in lines(out / "features" / f"batch-{i}.jsonl.gz")]
    assert [f["index"] for f in features] == list(range(150))
    stats = index.stats()
    for f in features:
        assert list(f) == FEATURE
        assert (f["layer"], f["modelId"], f["createdAt"]) == ("3-res-x", "tiny", "2026-01-02T00:00:00+00:00")
        assert f["frac_nonzero"] == pytest.approx(stats.loc[f["index"], "density"], rel=1e-12)
        assert f["maxActApprox"] == stats.loc[f["index"], "max"]
        assert sum(f["freq_hist_data_bar_heights"]) == stats.loc[f["index"], "n"]
        assert f["topkCosSimIndices"] == index.nearest(f["index"], "decoder", 50)["latent"].tolist()
    activations = [a for i in range(2) for a in lines(out / "activations" / f"batch-{i}.jsonl.gz")]
    assert {a["index"] for a in activations} == set(np.flatnonzero(index.counts).tolist())
    assert len({a["id"] for a in activations}) == len(activations)
    for a in activations:
        assert list(a) == ACTIVATION
        assert len(a["id"]) == 25
        assert len(a["tokens"]) == len(a["values"])
        assert a["values"][a["maxValueTokenIndex"]] == a["maxValue"] == max(a["values"])
        own = a["values"][a["qualifyingTokenIndex"]]
        if a["binContains"] == -1:
            assert a["binMin"] == -1
        else:
            assert np.float32(a["binMin"]) < np.float32(own) <= np.float32(a["binMax"])
    source = json.loads((out / "source.jsonl").read_text())
    assert (source["id"], source["setName"], source["num_prompts"]) == ("3-res-x", "res-x", len(index.rows))
    assert json.loads((out / "sourceset.jsonl").read_text())["releaseName"] == "tiny-res-x"
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    index.to_neuronpedia_bulk(tmp_path, n_top=3, created=when, **NAMES)
    assert before == {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}, (
        "writing again changes nothing"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_id": "GPT2"}, "model_id must be a lower-case name"),
        ({"set_name": "a/b"}, "set_name must be a lower-case name"),
        ({"layer": -1}, "layer must be at least 0"),
        ({"creator_id": ""}, "creator_id must say"),
        ({"latents": [150]}, "out of range"),
    ],
)
def test_wrong_names_are_refused_before_work(index, tmp_path, change, message):
    with pytest.raises(SaelabError, match=message):
        index.to_neuronpedia_bulk(tmp_path / "x", **{**NAMES, **change})
    assert not (tmp_path / "x").exists()
