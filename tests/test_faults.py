"""Files of every kind under every fault: bits that flip, cuts, strangers' contents, kills, disks that are full.

What is on disk is whole, or named as not; a file from a stranger can at worst be refused.
"""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from faults import Killed, dies_at
from helpers import random_sae
from index.makers import files as contents
from index.makers import open_writer, random_codes, rows_of, write
from toy import ToyModel, texts

import saelab as sl
from saelab import files
from saelab.course import student
from saelab.errors import SaelabError
from saelab.index import LatentIndex
from saelab.index.storage import layout
from saelab.training import checkpoint
from saelab.words.calls import ask_all

ROWS = rows_of([[0, 1, 2, 3, 1], [0, 3], [0, 5, 6, 1], [0, 2, 2, 2]])
Z = random_codes(np.random.default_rng(0), ROWS.ids != 0, 24, 0.3)
OTHER = random_codes(np.random.default_rng(1), ROWS.ids != 0, 24, 0.3)


@dataclass(frozen=True)
class Kind:
    """How one kind of thing is saved into a folder, and what is read of it: all of it, with its checksums."""

    save: Callable[[Path], Any]
    read: Callable[[Path], Any]


def _index(folder: Path) -> None:
    write(folder, ROWS, Z).set_label({3: "three", 4: "four"})


def _read_index(folder: Path) -> Any:
    index = LatentIndex.open(folder)
    index.verify()
    repr(index), index.table().to_frame(), index.top(3), index.map
    arrays = {name: a.tobytes() for name, a in index.arrays.items()}
    return arrays, index.config | {"files": None}, index.labels().values.tolist()


def _store(folder: Path) -> None:
    sl.ActivationStore.write(
        ToyModel(), texts(30), "first", folder, tokens=150, shard_rows=100, context=16, progress=False
    )


def _read_store(folder: Path) -> Any:
    store = sl.ActivationStore.open(folder)
    store.verify()
    return (
        store.rows(0, len(store)).numpy().tobytes(),
        store.where(0, len(store)).numpy().tobytes(),
        store.origin,
    )


def _graph(folder: Path) -> None:
    graph = sl.n2g.PatternGraph(labels={4: "a", 9: "b"}, target={"latent": 3})
    graph.add_path([4, 9], value=1.5)
    graph.save(folder / "graph.json")


def _sae(folder: Path) -> None:
    sae = random_sae()
    sae.history, sae.record = (
        pd.DataFrame({"step": [1, 2], "loss": [0.5, None]}),
        {"seed": 7, "data": {"a": [1]}},
    )
    sae.save(folder)


def _read_sae(folder: Path) -> Any:
    sae = sl.load_sae(folder)
    return (
        sae.config,
        sae.record,
        sae.history.to_json(),
        [p.detach().numpy().tobytes() for p in sae.parameters()],
    )


def _checkpoint(folder: Path) -> None:
    sl.train(
        ToyModel(), texts(60), hook="first", d_sae=24, k=4, tokens=400, batch=50, buffer=200, out=folder,
        checkpoint_every=100, on_log=lambda t: t.done < 5, progress=False,
    )  # fmt: skip
    for path in folder.glob("*.*"):
        path.unlink()  # the SAE as it was then


def _read_checkpoint(folder: Path) -> Any:
    state, tensors, _ = checkpoint.load(folder)
    return state, {name: t.numpy().tobytes() for name, t in tensors.items()}


def facts(thing: Any) -> Any:
    return {
        name: v.tolist() if isinstance(v, torch.Tensor) else v
        for name, v in vars(thing).items()
        if name != "folder"
    }


def _columns(folder: Path) -> None:
    index = write(folder, ROWS, Z)
    index.kept.put(np.array([1, 2]), {"steer_best": np.array([2.0, 4.0])}, {"by": "a test"})


def _read_columns(folder: Path) -> Any:
    index = LatentIndex.open(folder)
    index.verify()
    return index.to_frame().to_json()


def _llm(folder: Path) -> sl.words.LLM:
    return sl.words.LLM(lambda messages: "asked again", name="a test", path=folder)


def _answers(folder: Path) -> None:
    llm = sl.words.LLM(lambda messages: "yes, " + messages[0]["content"], name="a test", path=folder)
    ask_all(llm, [([{"role": "user", "content": text}], str) for text in ("one", "two")], progress=False)


def _read_answers(folder: Path) -> Any:
    asked = [([{"role": "user", "content": text}], str) for text in ("one", "two")]
    return [str(a.value) for a in ask_all(_llm(folder), asked, progress=False)]


def _direction(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    sl.Direction(np.arange(1.0, 9.0), "first", name="mine", maximum=2.0).save(folder / "along.safetensors")


def _course(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    ada = student.Student("Ada", folder)
    ada.note("w1.1", "0123", SimpleNamespace(passed=True, mistake="", score=0.5))


KINDS = {
    "index": Kind(_index, _read_index),
    "store": Kind(_store, _read_store),
    "graph": Kind(_graph, lambda f: sl.n2g.PatternGraph.load(f / "graph.json").to_json()),
    "intervention": Kind(
        lambda f: sl.Intervention.make(random_sae(), {3: 2.0}).save(f / "push.json"),
        lambda f: sl.Intervention.load(f / "push.json").to_json(),
    ),
    "columns": Kind(_columns, _read_columns),
    "answers": Kind(_answers, _read_answers),
    "direction": Kind(_direction, lambda f: facts(sl.Direction.load(f / "along.safetensors"))),
    "course": Kind(_course, lambda f: facts(student.read(f / "course-ada.json"))),
    "sae": Kind(_sae, _read_sae),
    "checkpoint": Kind(_checkpoint, _read_checkpoint),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """kind -> a folder with one."""
    made = {name: tmp_path_factory.mktemp(name) / name for name in KINDS}
    for name, kind in KINDS.items():
        kind.save(made[name])
    return made


def read_or_refuse(kind: str, folder: Path, at: str) -> Any:
    """What is read, or None where it is refused; any other error, and one that does not name the folder, is a fault."""
    try:
        return KINDS[kind].read(folder)
    except SaelabError as error:
        refused = str(error)
    assert str(folder) in refused, f"{at}: {refused}"
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_D48_a_flipped_bit_is_harmless_or_named(kind, saved, tmp_path):
    folder = tmp_path / kind
    shutil.copytree(saved[kind], folder)
    whole, named = KINDS[kind].read(folder), 0
    for path in (p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        places = np.unique(np.linspace(0, 8 * len(content) - 1, 31).astype(int)) if content else []
        for place in places:
            byte, bit = divmod(int(place), 8)
            at = f"{path.name}: bit {bit} of byte {byte}"
            damaged = content[:byte] + bytes([content[byte] ^ (1 << bit)]) + content[byte + 1 :]
            path.write_bytes(damaged)
            found = read_or_refuse(kind, folder, at)
            assert found is None or found == whole, at
            named += found is None
        path.write_bytes(content)
    assert named > 10
    assert KINDS[kind].read(folder) == whole


@pytest.mark.parametrize("kind", KINDS)
def test_D51_D54_a_cut_file_is_named(kind, saved, tmp_path):
    folder = tmp_path / kind
    shutil.copytree(saved[kind], folder)
    whole = KINDS[kind].read(folder)
    for path in (p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        for length in {0, 1, 8, len(content) // 10, len(content) // 2, len(content) - 2}:
            path.unlink()  # a new file: cutting one that is mapped would end this process
            path.write_bytes(content[:length])
            found = read_or_refuse(kind, folder, f"{path.name} cut to {length}")
            beside = kind == "sae" and path.name in (
                "history.json",
                "record.json",
            )  # copies of what is in the weights
            if kind == "answers" and length == 0:
                assert found is not None, "nothing was kept there, so it is asked again"
                continue
            assert found == whole if beside else found is None, f"{path.name} cut to {length}"
        path.unlink()
        path.write_bytes(content)


def strange(value: dict[str, Any]) -> list[Any]:
    """What a stranger may write in place of a JSON object."""
    odd = [None, [], {}, "x", "../../x", -1, 1 << 40, 0.5, True, [[[]]], {"a": None}, ["|O"]]
    changed: list[Any] = []
    for key, own in value.items():
        changed += [{k: v for k, v in value.items() if k != key}, *({**value, key: o} for o in odd)]
        if isinstance(own, dict):
            changed += [{**value, key: {**own, k: o}} for k in list(own)[:8] for o in odd[:8]]
        if isinstance(own, list) and own:
            changed += [{**value, key: [o, *own[1:]]} for o in odd]
    return changed


RAW = (
    "[" * 100_000,
    '{"a":' * 5000,
    "1" * 5000,
    '{"a": ' + "9" * 5000 + "}",
    '"\\ud800"',
    "NaN",
    "[1e999]",
    "{}",
    '"x"',
)


@pytest.mark.parametrize("kind", KINDS)
def test_D54_json_of_a_stranger_is_read_or_refused_by_name(kind, saved, tmp_path):
    folder = tmp_path / kind
    shutil.copytree(saved[kind], folder)
    for path in folder.rglob("*.json"):
        content = path.read_text()
        value = json.loads(content)
        value.pop("crc32", None)
        for text in [*RAW, *(json.dumps(v) for v in strange(value))]:
            path.write_text(text)
            read_or_refuse(kind, folder, f"{path.name} is {text[:300]}")
        path.write_text(content)


def header(descr: str, shape: str) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize("name", layout.ARRAYS)
def test_D50_no_array_has_another_dtype_or_shape_than_its_own(name, saved, tmp_path):
    folder = tmp_path / "index"
    shutil.copytree(saved["index"], folder)
    path, described = folder / f"{name}.npy", json.loads((folder / "index.json").read_text())
    del described["crc32"]
    good, content = described["files"][name], path.read_bytes()
    shape = "(" + ", ".join(map(str, good["shape"])) + ",)"
    heads = [header(repr(d), shape) for d in ("|O", "|i1", "<f2", ">i8", "|V64", "<U9")]
    heads += [
        header(repr(good["dtype"]), s)
        for s in ("()", "(10**12,)", "(1000000000000,)", "(-1,)", "(1, 1, 1)", "x")
    ]
    heads += [
        header("[('a', '|O')]", shape),
        header("(" * 60, shape),
        b"\x93NUMPY\x03\x00\xff\xff\xff\xff",
        b"\x93NUMPY\x01\x00\xff\xff",
    ]
    for head in heads:
        described["files"][name] = good | {"dtype": "|O"}
        for said in (good, good | {"dtype": "|O"}):
            described["files"][name] = said
            (folder / "index.json").write_text(json.dumps(described))
            path.unlink()
            path.write_bytes(head + content[128:])
            with pytest.raises(SaelabError, match=rf"{name}\.npy"):
                LatentIndex.open(folder)


def test_D50_a_small_store_json_does_not_fill_the_memory(saved, tmp_path):
    folder = tmp_path / "store"
    shutil.copytree(saved["store"], folder)
    meta = json.loads((folder / "store.json").read_text())
    del meta["crc32"]
    meta["end"]["shards"] = 10**9
    (folder / "store.json").write_text(json.dumps(meta))
    with pytest.raises(SaelabError, match="the activation store lacks"):
        sl.ActivationStore.open(folder)


OPERATIONS = ("rename", "replace", "unlink", "rmdir", "mkdir", "fsync", "open")


@pytest.mark.parametrize("n", [*range(1, 30), *range(30, 110, 5), 10_000])
def test_D49_a_kill_while_an_index_is_replaced_leaves_the_old_or_the_new_one(tmp_path, monkeypatch, n):
    folder = tmp_path / "i"
    write(folder, ROWS, Z).set_label(3, "kept")
    old = {name: a.tobytes() for name, a in LatentIndex.open(folder).arrays.items()}
    with monkeypatch.context() as patch:
        died = dies_at(patch, n, OPERATIONS)
        try:
            replace(folder, OTHER)
        except Killed:
            assert died
    index = LatentIndex.open(folder)
    index.verify()
    assert index.label(3) == "kept"
    found = {name: a.tobytes() for name, a in index.arrays.items()}
    assert died or found != old
    if found != old:
        np.testing.assert_array_equal(index.counts, (OTHER > 0).sum(0))
    replace(folder, OTHER)
    names = {p.name for p in folder.iterdir()}
    assert len(names) == 3, names
    assert {"index.json", "labels.json"} < names
    LatentIndex.open(folder).verify()


def replace(folder: Path, z: np.ndarray) -> None:
    with open_writer(folder, ROWS, ROWS.ids != 0, z.shape[1], overwrite=True) as writer:
        position, latent = np.nonzero(z)
        writer.append(ROWS.n_tokens, np.bincount(position, minlength=len(z)), latent, z[position, latent])
        writer.finish()


def test_D49_overwrite_honours_the_lock(tmp_path):
    write(tmp_path / "i", ROWS, Z)
    with open_writer(tmp_path / "i", ROWS, ROWS.ids != 0, 24, overwrite=True):
        before = contents(tmp_path / "i")
        with pytest.raises(SaelabError, match="another process is building an index"):
            open_writer(tmp_path / "i", ROWS, ROWS.ids != 0, 24, overwrite=True)
        with pytest.raises(SaelabError, match="another process is building an index"):
            LatentIndex.merge([write(tmp_path / "part", ROWS, Z).path], tmp_path / "i", overwrite=True)
        assert contents(tmp_path / "i") == before


def test_D51_who_has_an_index_open_keeps_it_when_it_is_replaced(tmp_path):
    index = write(tmp_path / "i", ROWS, Z)
    for z in (OTHER, Z, OTHER):
        replace(tmp_path / "i", z)
        np.testing.assert_array_equal(np.diff(index.arrays["post_ptr"]), (Z > 0).sum(0))
        index.verify()
        np.testing.assert_array_equal(LatentIndex.open(tmp_path / "i").counts, (z > 0).sum(0))


def test_D49_two_harvests_do_not_mix(tmp_path):
    class Second(ToyModel):
        tried = False

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            if not self.tried and (tmp_path / "s").exists():
                self.tried = True
                with pytest.raises(SaelabError, match="another process is harvesting activations"):
                    sl.ActivationStore.write(
                        ToyModel(), texts(9), "first", tmp_path / "s", tokens=150, context=16
                    )
            return super().forward(*args, **kwargs)

    parts = {"tokens": 150, "context": 16, "progress": False}
    model = Second()
    sl.ActivationStore.write(model, texts(30), "first", tmp_path / "s", **parts)
    assert model.tried


WRITERS: dict[str, Callable[[Path], Any]] = {
    **{name: KINDS[name].save for name in ("index", "store", "graph", "intervention", "sae")},
    "labels": lambda f: write(f.parent / "labelled", ROWS, Z).set_label(1, "x" * 60_000),
    "openai": lambda f: write(f.parent / "a", ROWS, Z).to_openai(f, [3]),
    "neuronpedia": lambda f: write(f.parent / "b", ROWS, Z).to_neuronpedia(
        f, [3], model_id="toy", source="0-x"
    ),
    "parquet": lambda f: write(f.parent / "c", ROWS, Z).to_parquet(f),
    "page": lambda f: write(f.parent / "d", ROWS, Z).export_html(f / "a.html", [3]),
}


@pytest.mark.parametrize("name", [n for n in WRITERS if n != "labels"])
def test_D55_a_folder_that_cannot_be_made_is_named(name, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(SaelabError, match="file"):
        WRITERS[name](tmp_path / "file" / "folder" if name != "index" else tmp_path / "file")
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize("name", WRITERS)
def test_D55_a_full_disk_is_an_error_that_names_the_file(name, tmp_path, monkeypatch):
    limit = {"index": 100, "graph": 100, "intervention": 100}.get(name, 20_000)
    limit = {"store": 4000, "sae": 4000}.get(name, limit)
    if name in ("openai", "neuronpedia", "parquet", "page"):
        WRITERS[name](tmp_path / "once")  # their indexes are there already
        limit = 300
        monkeypatch.setattr("test_faults.write", lambda folder, *_: LatentIndex.open(folder))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        with pytest.raises(SaelabError, match=rf"could not write {tmp_path}.* bytes free"):
            WRITERS[name](tmp_path / "folder")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_D55_a_writer_clears_up_after_one_that_was_killed(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    for n in range(1, 9):
        with monkeypatch.context() as patch:
            dies_at(patch, n, OPERATIONS)
            with contextlib.suppress(Killed):
                files.write_text(path, f"killed {n}")
    files.write_text(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    with files.atomic_write(path) as one, files.atomic_write(path) as two:  # one that lives is left alone
        one.write_text("one")
        two.write_text("two")
    assert path.read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("arch", ["topk", "relu", "jumprelu", "gated", "batchtopk", "matryoshka"])
@pytest.mark.parametrize("size", [64 * 4, 60])
def test_D52_rows_are_encoded_in_parts_where_a_dense_array_would_be_large(arch, size, monkeypatch):
    more = {"prefixes": (16, 64)} if arch == "matryoshka" else {}
    sae = random_sae(arch, k=4 if arch in ("topk", "batchtopk", "matryoshka") else None, **more)
    x = torch.randn(5, 7, 16)
    whole, seen = sae.encode_sparse(x), []
    monkeypatch.setattr("saelab.sae.sae._TOGETHER", size)
    monkeypatch.setattr("saelab.sae.sae._ROWS", 4)
    real = type(sae)._pre
    monkeypatch.setattr(type(sae), "_pre", lambda s, x, some: (seen.append(real(s, x, some)), seen[-1])[1])
    parts = sae.encode_sparse(x)
    assert max(tile.numel() for tile in seen) <= size
    assert sum(tile.numel() for tile in seen) == 35 * 64
    assert parts.lead == (5, 7)
    assert torch.equal(parts.offsets, whole.offsets)
    assert torch.equal(parts.dense() > 0, whole.dense() > 0)
    torch.testing.assert_close(parts.dense(), whole.dense())
