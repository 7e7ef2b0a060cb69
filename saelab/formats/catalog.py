"""Published SAEs by name, from ``catalog.json``, which ``tests/formats/catalog_build.py`` makes.

The file has one object per release: ``release``, ``repo``, ``model``, ``format``, ``arch`` ("" where that is
not public), perhaps ``given`` (facts the files do not hold), ``model_options`` (what the model was loaded with) and
``note``, ``hook`` with ``{layer}`` in it, perhaps ``d_sae`` and ``l0`` for all, ``pages`` (Neuronpedia ids with
``{layer}`` in them), and ``saes``: each with ``id``, and where they differ ``path``, ``hook``, ``d_sae``, ``l0``,
``scale`` and ``page`` (a number in ``pages``).

An SAE is called ``<model>/<release>/<id>``; the release alone, with ``sae_id``, does as well."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saelab import files, models
from saelab.doors import door
from saelab.errors import SaelabError, nearest, unknown
from saelab.models import HookedModel
from saelab.sae import SAE

if TYPE_CHECKING:
    import pandas as pd

DATA = Path(__file__).with_name("catalog.json")
COLUMNS = (
    "name",
    "release",
    "model",
    "hook",
    "d_sae",
    "l0",
    "arch",
    "format",
    "repo",
    "path",
    "neuronpedia",
    "note",
)
# names other libraries use for a model, and the one it is loaded by
MODELS = {
    "gpt2-small": "gpt2",
    "gemma-2-2b": "google/gemma-2-2b",
    "gemma-2-9b": "google/gemma-2-9b",
    "pythia-70m-deduped": "EleutherAI/pythia-70m-deduped",
    "pythia-160m-deduped": "EleutherAI/pythia-160m-deduped",
    "mistral-7b": "mistralai/Mistral-7B-v0.1",
}
LAYER = re.compile(r"(?:blocks\.|layer_?|resid_post_layer_|^l|/L|_L)(\d+)")


def _short(model: str) -> str:
    """The model as it stands in names: as other libraries call it, without the organization."""
    return next((short for short, full in MODELS.items() if full == model), model.rsplit("/", 1)[-1])


@functools.cache
def entries() -> dict[str, dict[str, Any]]:
    """Every SAE of the catalog: name -> its facts."""
    out: dict[str, dict[str, Any]] = {}
    for release in files.read_json(DATA):
        shared = {key: release[key] for key in ("release", "repo", "model", "format", "arch")}
        shared |= {"note": release.get("note", ""), "model_options": release.get("model_options", {})}
        for sae in release["saes"]:
            path = sae.get("path", sae["id"])
            layer = LAYER.search(sae["id"]) or LAYER.search(path)
            hook = sae.get("hook", release["hook"])
            given = dict(release.get("given", {})) | ({"scale": sae["scale"]} if "scale" in sae else {})
            page, number = release.get("pages", ()), sae.get("page", release.get("page"))
            name = f"{_short(release['model'])}/{release['release']}/{sae['id']}"
            out[name] = shared | {
                "name": name, "id": sae["id"], "path": path, "given": given,
                "hook": hook.replace("{layer}", layer[1] if layer else ""),
                "neuronpedia": "" if number is None else page[number].replace("{layer}", layer[1] if layer else ""),
                "d_sae": sae.get("d_sae", release.get("d_sae")), "l0": sae.get("l0", release.get("l0")),
            }  # fmt: skip
    return out


@functools.cache
def _by_release() -> dict[str, dict[str, dict[str, Any]]]:
    """Release -> id -> facts."""
    out: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in entries().values():
        out.setdefault(entry["release"], {})[entry["id"]] = entry
    return out


@functools.cache
def _by_place() -> dict[tuple[str, str], dict[str, Any]]:
    """(repository, path in it) -> facts; of releases that list the same files, the first."""
    out: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in entries().values():
        out.setdefault((entry["repo"], entry["path"]), entry)
    return out


def at(repo: str, path: str) -> dict[str, Any] | None:
    """The facts of the SAE at this place of the hub; None if it is not of the catalog."""
    return _by_place().get((repo, path))


def facts(entry: dict[str, Any] | None) -> dict[str, Any]:
    """What an entry says about an SAE where its files do not: architecture, model, hook points, scale."""
    if entry is None:
        return {}
    out = {"arch": entry["arch"], "model": entry["model"], "model_options": entry["model_options"]} | entry[
        "given"
    ]
    if entry["format"] != "circuit_tracer_clt":  # it writes to every later layer, which its config lists
        out["hook_in"] = entry["hook"]
        if entry["hook"].endswith("mlp.hook_in"):
            out["hook_out"] = entry["hook"].removesuffix("mlp.hook_in") + "hook_mlp_out"
    return {key: value for key, value in out.items() if value}


def find(source: str, sae_id: str | None = None) -> dict[str, Any] | None:
    """The facts of one SAE, by its name or by release and id; None if ``source`` is not of the catalog.

    Raises
    ------
    SaelabError
        If ``source`` is a release, and ``sae_id`` none of its SAEs, or missing where there are several.
    """
    parts = source.split("/")
    short = source if parts[0] in _by_release() else "/".join(parts[1:])  # without the model
    if sae_id is None and source in entries():
        return entries()[source]
    release, _, inner = short.partition("/")
    if release not in _by_release():
        return None
    saes, wanted = _by_release()[release], sae_id or inner
    if not wanted and len(saes) == 1:
        return next(iter(saes.values()))
    if wanted in saes:
        return saes[wanted]
    if not wanted:
        few = ", ".join(map(repr, list(saes)[:4]))
        raise SaelabError(f"the release {release!r} has {len(saes)} SAEs; say which: sae_id={few} …")
    raise unknown(f"SAE of the release {release!r}:", wanted, saes)


def suggest(source: str) -> list[str]:
    """Names of the catalog that look most like ``source``."""
    parts = source.split("/")
    releases = nearest(parts[1] if len(parts) > 1 else parts[0], _by_release(), n=1, cutoff=0.6)
    if not releases:
        return []
    saes = {entry["name"]: None for entry in _by_release()[releases[0]].values()}
    return nearest(source, saes, n=2) or list(saes)[:1]


@door
def catalog(query: str = "") -> pd.DataFrame:
    """Published SAEs in whose name, model, hook point, architecture, format or repository every word of
    ``query`` occurs.

    ``l0`` is the published mean number of active latents, ``d_sae`` their number; both may be missing, as may
    ``arch``. ``neuronpedia`` is the id of its public dashboards, at ``https://neuronpedia.org/<id>``, "" where there are
    none. ``sl.load_sae(name)`` loads one.

    Raises
    ------
    SaelabError
        If nothing matches; with the nearest models and releases.

    Examples
    --------
    >>> sl.catalog("gemma-2-2b resid_post 16384").loc[0, "name"]
    'gemma-2-2b/gemma-scope-2b-pt-res/layer_0/width_16k/average_l0_105'
    """
    import pandas as pd

    table = _table()
    words = query.encode("utf-8", "replace").decode().lower().split()
    keep = pd.Series(True, index=table.index)
    for word in words:
        keep &= table["text"].str.contains(word, regex=False)
    if words and not keep.any():
        models = sorted(set(table["model"]) | {_short(m) for m in set(table["model"])})
        raise unknown("model or release", query, [*models, *_by_release()])
    return pd.DataFrame(table.loc[keep, list(COLUMNS)]).reset_index(drop=True)


@functools.cache
def _table() -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame([{key: e[key] for key in COLUMNS} for e in entries().values()])
    table["d_sae"], table["l0"] = table["d_sae"].astype("Int64"), table["l0"].astype("Float64")
    text = table["name"]
    for key in ("model", "hook", "arch", "format", "repo", "neuronpedia"):
        text = text + " " + table[key]
    text = text + " " + table["d_sae"].astype("string").fillna("")
    return table.assign(text=text.str.lower())


@door
def load_model_for(sae: SAE, **options: Any) -> HookedModel:
    """The model ``sae`` reads, as :func:`saelab.load_model` gives it: weights as published, neither centered
    nor folded.

    ``options`` are those of ``load_model``; the device is the SAE's, if nothing else is said.

    Raises
    ------
    SaelabError
        If the SAE names no model, or several.

    Examples
    --------
    >>> sl.load_model_for(sl.load_sae("zoo")).cfg.d_model
    128
    """
    name = sae.config.model
    if not name:
        raise SaelabError("this SAE does not say which model it reads; load it with sl.load_model(name)")
    if "+" in name:
        raise SaelabError(
            f"this crosscoder reads several models ({name}); load each with sl.load_model(name)"
        )
    return models.load_model(MODELS.get(name, name), **{"device": str(sae.W_dec.device), **options})
