"""Neuronpedia's upload JSON (body of ``POST /api/feature/upload-batch``): write and read.

A body is ``{modelId, source, features}`` with 1 to 128 features ``{index, density?, topLogits?,
bottomLogits?, explanations?, activations}``; an activation is ``{tokens, values, quantileMin?, quantileMax?,
quantileFraction?}``. The limits in :data:`LIMITS` are those of Neuronpedia's route; they are checked on
writing and on reading, so that a file that was written is one that is taken. Nothing is sent anywhere.

A latent that never fires has no activations, and Neuronpedia wants at least one: it is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saelab.errors import SaelabError, check_count, check_latent
from saelab.files import read_json, write_text
from saelab.index.records import Example, LatentRecord, example, shortest

if TYPE_CHECKING:
    from saelab.index.latent_index import LatentIndex

LIMITS = {"features": 128, "index": 10_000_000, "logits": 20, "explanation": 512, "tokens": 1024}
_QUANTILE = ("quantileMin", "quantileMax", "quantileFraction")


def neuronpedia_feature(
    index: LatentIndex, latent: int, *, n_top: int = 20, intervals: int = 5, n_interval: int = 5,
    before: int = 24, after: int = 23, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """One feature as plain JSON data.

    Its activations are the ``n_top`` strongest and ``n_interval`` from each of ``intervals`` equally wide
    ranges between 0 and the maximum, each inside its range, with the share of all counted tokens that fall
    into it. The label is the explanation. Logits are there when the SAE and the model are attached and the
    hook point allows it.
    """
    latent = check_latent(latent, index.d_sae)
    stats = index.latent_stats(latent)
    if stats["dead"]:
        raise SaelabError(
            f"latent {latent} never fires, and Neuronpedia takes no feature without activations"
        )

    feature: dict[str, Any] = {"index": latent, "density": stats["density"], **logits(index, latent)}
    label = index.label(latent)
    if label:
        feature["explanations"] = [
            {"text": label[: LIMITS["explanation"]], "methodName": None, "modelName": None}
        ]
    chosen = chosen_examples(
        index,
        latent,
        n_top=n_top,
        intervals=intervals,
        n_interval=n_interval,
        before=before,
        after=after,
        seed=seed,
    )
    feature["activations"] = [
        {"tokens": texts(e), "values": list(e.values), **bounds} for e, bounds in chosen
    ]
    return feature


def texts(e: Example) -> list[str]:
    """An example's tokens; one without text (a piece the tokenizer cannot show) would be refused, so it gets its id."""
    return [t or f"<{i}>" for t, i in zip(e.tokens, e.token_ids or (), strict=True)]


def chosen_examples(
    index: LatentIndex, latent: int, *, n_top: int = 20, intervals: int = 5, n_interval: int = 5, before: int = 24,
    after: int = 23, seed: int = 0,
) -> list[tuple[Example, dict[str, float]]]:  # fmt: skip
    """The examples of :func:`neuronpedia_feature`, each with its range; those of the strongest have none."""
    out: list[tuple[Example, dict[str, float]]] = [
        (example(index, latent, int(t), before, after), {})
        for t in index.top(latent, check_count("n_top", n_top))["token_index"]
    ]
    value = index.postings(latent).value
    largest = index.latent_stats(latent)["max"]
    edges = np.linspace(0, largest, check_count("intervals", intervals) + 1).astype(np.float32)
    for low, high in zip(edges[::-1][1:], edges[::-1], strict=False):  # strongest first
        share = float(((value > low) & (value <= high)).sum() / index.n_counted)
        # the range is open below: an activation on an edge is in one range, not in two
        found = index.interval(
            latent, float(np.nextafter(low, np.float32(np.inf))), float(high), n_interval, seed
        )
        below, above = shortest(np.array([low, high]))
        bounds: dict[str, float] = {"quantileMin": below, "quantileMax": above, "quantileFraction": share}
        out += [(example(index, latent, int(t), before, after), bounds) for t in found["token_index"]]
    return out


def logits(index: LatentIndex, latent: int) -> dict[str, Any]:
    if index.sae is None or index.model is None:
        return {}
    try:
        lens = index.logit_lens(latent, LIMITS["logits"])
    except SaelabError:  # the hook point does not write to the residual stream
        return {}
    return {
        key: [
            {"token": token, "value": value}
            for token, value in zip(
                lens[f"{side}_token"], shortest(lens[f"{side}_value"].to_numpy()), strict=True
            )
            if token
        ]
        for key, side in (("topLogits", "up"), ("bottomLogits", "down"))
    }


def upload_batches(
    index: LatentIndex, latents: Iterable[int] | None = None, *, model_id: str, source: str, **options: Any
) -> Iterator[dict[str, Any]]:
    """Bodies of at most 128 features for ``latents`` (None: all); those that never fire are left out.

    ``model_id`` and ``source`` are Neuronpedia's names of the model and of your source
    (``"{layer}-{set}"``); both are lower case there. ``options`` go to :func:`neuronpedia_feature`.
    """
    for what, name in (("model_id", model_id), ("source", source)):
        if not name or name != name.lower():
            raise SaelabError(f"{what} must be a lower-case name, got {name!r}")
    wanted = range(index.d_sae) if latents is None else latents
    chosen = list(dict.fromkeys(check_latent(i, index.d_sae) for i in wanted))
    alive = [i for i in chosen if index.counts[i]]
    for i in range(0, len(alive), LIMITS["features"]):
        features = [neuronpedia_feature(index, j, **options) for j in alive[i : i + LIMITS["features"]]]
        body = {"modelId": model_id, "source": source, "features": features}
        check(body, "the upload")
        yield body


def write_neuronpedia(
    index: LatentIndex, folder: str | Path, latents: Iterable[int] | None = None, *,
    model_id: str, source: str, **options: Any,
) -> list[Path]:  # fmt: skip
    """Write ``upload-0.json``, ``upload-1.json`` … into ``folder``; see :func:`upload_batches`."""
    paths = []
    for number, body in enumerate(
        upload_batches(index, latents, model_id=model_id, source=source, **options)
    ):
        paths.append(Path(folder) / f"upload-{number}.json")
        write_text(paths[-1], json.dumps(body, ensure_ascii=False, allow_nan=False))
    return paths


def read_neuronpedia(source: str | Path | dict[str, Any]) -> list[LatentRecord]:
    """The features of an upload, from a file or parsed JSON, checked against Neuronpedia's rules.

    Raises
    ------
    SaelabError
        Naming the file and what in it breaks a rule.
    """
    name = "the upload" if isinstance(source, dict) else str(source)
    body = source if isinstance(source, dict) else read_json(source)
    check(body, name)
    records = []
    for feature in body["features"]:
        examples = tuple(_parse(a) for a in feature["activations"])
        facts = {"modelId": body["modelId"], "source": body["source"], **{k: None if k == "activations" else v
                 for k, v in feature.items()}}  # fmt: skip
        records.append(LatentRecord(feature["index"], {"activations": examples}, facts))
    return records


def _parse(a: dict[str, Any]) -> Example:
    values = tuple(a["values"])
    extra = {k: v for k, v in a.items() if k not in ("tokens", "values")}
    return Example(tuple(a["tokens"]), values, centre=int(np.argmax(values)), extra=extra)


def to_neuronpedia(records: Iterable[LatentRecord]) -> dict[str, Any]:
    """Records that were read, as the upload they came from."""
    records = list(records)
    if not records:
        raise SaelabError("an upload has at least one feature")
    features = []
    for r in records:
        data = {k: v for k, v in r.facts.items() if k not in ("modelId", "source")}
        data["activations"] = [
            {"tokens": list(e.tokens), "values": list(e.values), **e.extra} for e in r.groups["activations"]
        ]
        features.append(data)
    return {
        "modelId": records[0].facts["modelId"],
        "source": records[0].facts["source"],
        "features": features,
    }


# ---------------------------------------------------------------------------------------------- the rules


def check(body: Any, name: str) -> None:
    """Raise a :class:`SaelabError` if Neuronpedia's route would refuse ``body``."""

    def rule(ok: bool, what: str) -> None:
        if not ok:
            raise SaelabError(f"{name} is not a Neuronpedia upload: {what}")

    rule(isinstance(body, dict), "it is no object")
    for key in ("modelId", "source"):
        rule(_text(body.get(key)) and body[key] == body[key].lower(), f"{key} must be a lower-case name")
    features = body.get("features")
    rule(
        isinstance(features, list) and 1 <= len(features) <= LIMITS["features"],
        "features must be a list of 1 to 128",
    )
    for feature in features:
        where = f"feature {feature.get('index')!r}"
        rule(_integer(feature.get("index")) and 0 <= feature["index"] <= LIMITS["index"], f"{where}: index")
        density = feature.get("density", 0)
        rule(_number(density) and 0 <= density <= 1, f"{where}: density must be in 0…1, got {density!r}")
        for key in ("topLogits", "bottomLogits"):
            logits = feature.get(key, [])
            good = all(_text(x.get("token")) and _number(x.get("value")) for x in logits)
            rule(
                good and len(logits) <= LIMITS["logits"],
                f"{where}: {key} must be at most 20 of token and value",
            )
        for e in feature.get("explanations", []):
            rule(
                _text(e.get("text")) and len(e["text"]) <= LIMITS["explanation"],
                f"{where}: an explanation's text",
            )
        rule(len(feature.get("activations") or []) > 0, f"{where} has no activations")
        for i, a in enumerate(feature["activations"]):
            tokens, values = a.get("tokens", []), a.get("values", [])
            rule(
                1 <= len(tokens) <= LIMITS["tokens"] and all(map(_text, tokens)),
                f"{where}, activation {i}: tokens",
            )
            rule(len(values) == len(tokens) and all(map(_number, values)), f"{where}, activation {i}: values")
            rule(all(_number(a[k]) for k in _QUANTILE if k in a), f"{where}, activation {i}: quantiles")
    indices = [f["index"] for f in features]
    rule(len(set(indices)) == len(indices), "an index is there twice")


def _text(x: Any) -> bool:
    return isinstance(x, str) and x != ""


def _integer(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool)


def _number(x: Any) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool) and np.isfinite(x)
