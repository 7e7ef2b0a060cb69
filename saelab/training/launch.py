"""A run from a file: ``saelab train spec.json``, in one process or in those of ``torchrun``."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saelab import files, identity, models
from saelab.activations.store import ActivationStore
from saelab.errors import SaelabError, check_path, unknown
from saelab.models import HookedModel, load_model
from saelab.training import sharded
from saelab.training.calls import train
from saelab.training.written import NOT_IN_A_FILE, OF_MODEL, TextFile


def read_spec(path: str | Path) -> dict[str, Any]:
    """The keywords of :func:`saelab.train` in a file, with ``model`` and ``texts``, or ``store``."""
    given = _settings(path, train, *OF_MODEL, "texts", "store")
    if ("store" in given) == ("texts" in given) or ("store" in given) == ("model" in given):
        raise SaelabError(
            f"{path} names either a store, or a model and texts (a .txt or .jsonl file; a run writes there what it was "
            "given as a list of strings, and no other texts)"
        )
    if "out" not in given:
        raise SaelabError(f"{path} does not say where the SAE is to be saved: out")
    check_path(f"out in {path}", given["out"])
    return given


def _settings(path: str | Path, call: Callable[..., Any], *more: str) -> dict[str, Any]:
    """Those of a call that a file gives, and ``more``; another name is an error."""
    given = files.read_json(Path(path).expanduser(), dict)
    names = [n for n in inspect.signature(call).parameters if n not in NOT_IN_A_FILE] + list(more)
    for name in given:
        if name not in names:
            raise unknown(f"setting in {path}", name, names)
    return given


def _model(path: str | Path, given: dict[str, Any]) -> HookedModel:
    """The model of a file, taken out of what it gives, in the dtype it says: that of ``model_digest``, where it has one."""
    name, dtype, weights = (
        given.pop(n, default) for n, default in zip(OF_MODEL, ("", "float32", ""), strict=True)
    )
    model = load_model(name, dtype=dtype)
    here = models.digest(model)
    if identity.same_model(here, str(weights)) is False:
        raise SaelabError(
            f"{path} is of {name!r} with other weights ({identity.told(weights)}) than it has here "
            f"({identity.told(here)}): another checkpoint, or folded or centered weights. In Python, sl.train(model, …, "
            "resume=True) goes on with that model; without model_digest in the file a run begins with the weights here"
        )
    return model


def harvest(path: str | Path, timeout: float = 600.0, progress: bool = True) -> str:
    """Write a store as the file says, which has the keywords of ``ActivationStore.write``, with ``model`` and ``texts``."""
    given = _settings(path, ActivationStore.write, *OF_MODEL, "texts")
    for name in ("model", "texts", "hooks", "path"):
        if name not in given:
            raise SaelabError(f"{path} does not say {name}")
    with sharded.together(timeout) as ranks:
        model, texts = _model(path, given), TextFile(given.pop("texts"))
        store = ActivationStore.write(model, texts, progress=progress, ranks=ranks, **given)
        return "" if ranks.rank else str(store)


def run(path: str | Path, timeout: float = 600.0, progress: bool = True) -> str:
    """Train as the file says; what there is to tell, on the first rank."""
    given = read_spec(path)
    with sharded.together(timeout) as ranks:
        source = ActivationStore.open(given.pop("store")) if "store" in given else _model(path, given)
        texts = TextFile(given.pop("texts")) if "texts" in given else None
        if "init" in given:
            from saelab.formats import load_sae

            given["init"] = load_sae(given["init"])
        sae = train(source, texts, progress=progress and ranks.rank == 0, **given)  # type: ignore[arg-type]
        if ranks.rank:
            return ""
        last = sae.history.iloc[-1]
        facts = {"explained_variance": float(last["explained_variance"]), "l0": float(last["l0"])}
        by = "one process" if ranks.alone else f"{ranks.size} ranks"
        sent = {n: f"{b:,}" for n, b in ranks.sent.items()}
        return f"{sae} trained by {by}, saved in {given['out']}: {json.dumps(facts)}" + (
            f"; bytes received by the first rank: {json.dumps(sent)}" if sent else ""
        )
