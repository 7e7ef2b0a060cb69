"""What users saved before still opens, and says the same; see ``fixtures/make_before.py`` for the files."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import before
import pytest
import torch

import saelab as sl
from saelab.errors import SaelabError
from saelab.n2g import fitting

FOLDER = before.FOLDER
# fvu was called unexplained then
EXPECTED = json.loads(
    (FOLDER / "expected.json").read_text(encoding="utf-8").replace('"unexplained"', '"fvu"')
)
CLOSE = 1e-6


def same(found: Any, expected: Any, within: float = CLOSE, at: str = "") -> None:
    """``found`` has all of ``expected`` (it may have further keys), floats up to ``within``."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert key in found, f"{at}: no {key!r}"
            same(found[key], value, within, f"{at}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), f"{at}: {len(found)} in place of {len(expected)}"
        for i, (f, e) in enumerate(zip(found, expected, strict=True)):
            same(f, e, within, f"{at}[{i}]")
    elif isinstance(expected, float):
        assert math.isclose(found, expected, rel_tol=within, abs_tol=within), f"{at}: {found} != {expected}"
    else:
        assert found == expected, f"{at}: {found!r} != {expected!r}"


@pytest.fixture(scope="module")
def model():
    return sl.load_model("zoo")


@pytest.fixture(scope="module")
def sae():
    return sl.load_sae(FOLDER / "trained")


@pytest.fixture
def copy(tmp_path):
    """A copy of one of the files or folders, for what writes beside it."""

    def make(name: str) -> Path:
        return Path(shutil.copytree(FOLDER / name, tmp_path / name))

    return make


@pytest.fixture(scope="module")
def index(model, sae):
    return before.open_index(model, sae, FOLDER / "index")


# ------------------------------------------------------------------------------------------------------ SAEs


@pytest.mark.parametrize("name", EXPECTED["saes"])
def test_saes(name):
    sae = sl.load_sae(FOLDER / "saes" / name)
    expected = EXPECTED["saes"][name]
    # half precision rounds each sum, and another machine sums in another order
    same(
        before.of_sae(sae),
        {k: v for k, v in expected.items() if k != "bits"},
        1e-2 if "bf" in name else CLOSE,
    )
    assert before.bits(*sae.parameters()) == expected["bits"]


@pytest.mark.parametrize("name", EXPECTED["saes"])
def test_saes_saved_again_are_the_same(name, tmp_path):
    sae = sl.load_sae(FOLDER / "saes" / name)
    back = sl.load_sae(sae.save(tmp_path))
    assert back.config == sae.config
    assert before.bits(*back.parameters()) == EXPECTED["saes"][name]["bits"]


@pytest.mark.parametrize("name", EXPECTED["foreign"])
def test_saes_written_in_other_formats(name):
    expected = EXPECTED["foreign"][name]
    if name == "dictionary_learning":  # the hook point stands in its config, and is read today
        hook = "blocks.0.hook_resid_post"
        expected = expected | {"config": expected["config"] | {"hook_in": hook, "hook_out": hook}}
    same(before.of_sae(sl.load_sae(FOLDER / "foreign" / name)), expected)


def test_a_trained_sae_with_its_record(sae):
    same(before.of_sae(sae) | before.of_run(sae), EXPECTED["trained"])


# ----------------------------------------------------------------------------------------------------- index


def test_the_index_answers_without_model_and_sae():
    index = before.open_index(None, None, FOLDER / "index")
    same(before.of_index(index, EXPECTED["index"]["latents"]), EXPECTED["index"]["answers"])


def test_the_index_with_model_and_sae(index):
    same(before.of_directions(index, EXPECTED["index"]["latents"][1]), EXPECTED["index"]["directions"], 1e-5)


def test_the_index_is_built_again_by_opening_it(model, sae, copy):
    folder = copy("index")
    files = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    index = before.build_index(model, sae, folder)
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == files
    assert len(index.labels()) == 3


def test_labels_and_notes_are_written_on(copy):
    folder = copy("index")
    latents = EXPECTED["index"]["latents"]
    before.open_index(None, None, folder).set_label(latents[0], "new")
    index = before.open_index(None, None, folder)
    assert len(index.labels()) == 4
    assert index.note(latents[1]).startswith("fires on headers")


def test_the_index_merges_with_one_of_today(model, sae, copy, tmp_path):
    folder = copy("index")
    other = [f"{text} again" for text in before.texts()]
    today = sl.LatentIndex.build(model, sae, other, path=tmp_path / "today", progress=False)
    both = sl.LatentIndex.merge([folder, tmp_path / "today"], tmp_path / "both")
    assert (both.counts == sl.LatentIndex.open(folder).counts + today.counts).all()
    assert len(both.labels()) == 3


# ------------------------------------------------------------------------------------------------------- N2G


@pytest.mark.parametrize("latent", EXPECTED["graphs"])
def test_graphs(latent, index):
    path = FOLDER / "graphs" / f"{latent}.json"
    graph = sl.n2g.PatternGraph.load(path)
    same(before.of_graph(graph, index), EXPECTED["graphs"][latent])
    kept = json.loads(path.read_text(encoding="utf-8"))
    same(graph.to_json(), kept, 0)
    assert graph == sl.n2g.PatternGraph.from_json(kept)


def test_edits_of_a_graph_are_undone(index):
    graph = sl.n2g.PatternGraph.load(FOLDER / "graphs" / f"{EXPECTED['edited']}.json")
    assert [e["note"] for e in graph.history if e["note"]] == [
        "seen in ünïcode", "kept", "false alarms", "after the edits",
    ]  # fmt: skip
    steps = len(graph.history)
    while graph.can_undo:
        graph.undo()
    same(before.of_graph(graph, index), EXPECTED["fitted"])
    while graph.can_redo:
        graph.redo()
    assert len(graph.history) == steps
    same(before.of_graph(graph, index), EXPECTED["graphs"][str(EXPECTED["edited"])])


def test_an_empty_graph_keeps_its_reason():
    graph = sl.n2g.PatternGraph.load(FOLDER / "empty_graph.json")
    assert (len(graph), graph.latent, graph.reason) == (0, 3, "it never fires")


def test_a_fit_reads_the_graphs_that_are_there(model, sae, index, copy, monkeypatch):
    """Edited ones too. Now that ``fit`` finds other graphs on purpose, it refuses to replace an edited one."""
    folder = copy("graphs")
    with pytest.raises(SaelabError, match="holds a graph with edits .* of another algorithm"):
        before.fit_graphs(model, sae, index, [EXPECTED["edited"]], folder)
    monkeypatch.setattr(fitting, "ALGORITHM", 1)  # the one that found them
    files = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    graphs = before.fit_graphs(model, sae, index, [int(i) for i in EXPECTED["graphs"]], folder)
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == files
    for latent, graph in graphs.items():
        same(before.of_graph(graph, index), EXPECTED["graphs"][str(latent)])


# -------------------------------------------------------------------------------------------- interventions


def test_an_intervention(model, sae):
    path = FOLDER / "intervention.json"
    kept = sl.Intervention.load(path)
    same(kept.to_json(), json.loads(path.read_text(encoding="utf-8")), 0)
    written = before.continued(model, sae, kept)
    assert written.ids == EXPECTED["intervention"]["ids"]
    same(written.logprobs, EXPECTED["intervention"]["logprobs"], 1e-4)


def test_an_intervention_for_another_sae_is_refused():
    with pytest.raises(sl.SaelabError):
        sl.Intervention.load(FOLDER / "intervention.json").check(sl.load_sae(FOLDER / "saes" / "topk"))


# -------------------------------------------------------------------------------------- stores and training


def test_the_store():
    store = sl.ActivationStore.open(FOLDER / "store")
    store.verify()
    same(before.of_store(store), EXPECTED["store"], 0)


def test_the_store_is_written_again_by_opening_it(model, copy):
    same(before.of_store(before.write_store(model, copy("store"))), EXPECTED["store"], 0)


def test_a_resumed_run_on_text(model, copy):
    resumed = before.train_on_text(model, copy("runs") / "text", resume=True)
    ends_as([resumed], ["text"], EXPECTED["finished"][:1])


def test_resumed_runs_on_a_store(copy):
    store = sl.ActivationStore.open(FOLDER / "store")
    resumed = before.train_on_store(store, copy("runs") / "store", resume=True)
    ends_as(resumed, ["store/0", "store/1"], EXPECTED["finished"][1:])


def ends_as(saes: list[Any], names: list[str], expected: list[dict[str, Any]]) -> None:
    """Bit by bit on the machine that made the files; elsewhere sums are of another order."""
    for sae, name, record in zip(saes, names, expected, strict=True):
        whole = sl.load_sae(FOLDER / "finished" / name)
        same(before.of_run(sae)["record"], {n: record["record"][n] for n in ("tokens", "steps", "ended")})
        assert len(sae.history) == record["lines"]
        for (parameter, a), b in zip(sae.named_parameters(), whole.parameters(), strict=True):
            torch.testing.assert_close(a, b, atol=CLOSE, rtol=CLOSE, msg=lambda m, p=parameter: f"{p}: {m}")


def test_runs_that_have_ended_are_loaded(model, copy):
    folder = copy("finished")
    text = before.train_on_text(model, folder / "text", resume=True)
    stored = before.train_on_store(sl.ActivationStore.open(FOLDER / "store"), folder / "store", resume=True)
    for sae, expected in zip([text, *stored], EXPECTED["finished"], strict=True):
        same(before.of_run(sae), expected)


@pytest.mark.parametrize("kind", ["runs", "finished"])
def test_the_curves_of_a_run_are_shown(kind):
    for name, expected in EXPECTED["curves"][kind].items():
        frame = before.shown_curves(FOLDER / kind / name)
        same([len(frame), float(frame["loss"].sum())], expected)
