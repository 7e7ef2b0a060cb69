"""Neuronpedia's upload JSON (body of ``POST /api/feature/upload-batch``): write and read.

A body is ``{modelId, source, features}`` with 1 to 128 features ``{index, density?, topLogits?,
bottomLogits?, explanations?, activations}``; an activation is ``{tokens, values, quantileMin?, quantileMax?,
quantileFraction?}``. The limits in :data:`LIMITS` are those of Neuronpedia's route; they are checked on
writing and on reading, so that a file that was written is one that is taken. Nothing is sent anywhere.

A latent that never fires has no activations, and Neuronpedia wants at least one: it is left out.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from saelab.doors import door
from saelab.errors import SaelabError, check_choice, check_count
from saelab.files import read_json, write_text
from saelab.index import relations
from saelab.index.examples import Found, Parts
from saelab.index.exports.records import Example, LatentRecord, examples, to_json, wanted
from saelab.index.firings import Firings
from saelab.index.queries import Queries
from saelab.index.storage.digits import shortest

LIMITS = {"features": 128, "index": 10_000_000, "logits": 20, "explanation": 512, "tokens": 1024}
_QUANTILE = ("quantileMin", "quantileMax", "quantileFraction")


@door
def write_neuronpedia(
    index: Queries, folder: str | Path, latents: Iterable[int] | None = None, *,
    model_id: str, source: str, **options: Any,
) -> list[Path]:  # fmt: skip
    """Write Neuronpedia's upload JSON, ``upload-0.json``, ``upload-1.json`` … into ``folder``.

    Parameters
    ----------
    latents
        Which; None takes all. Those that never fire are left out.
    model_id, source
        Neuronpedia's names of the model and of your source (``"{layer}-{set}"``), lower case.
    options
        As in :func:`saelab.index.exports.neuronpedia.chosen_examples`.

    Examples
    --------
    >>> [path.name for path in index.to_neuronpedia(folder, [latent], model_id="tiny", source="0-res")]
    ['upload-0.json']
    """
    paths = []
    for number, body in enumerate(
        upload_batches(index, latents, model_id=model_id, source=source, **options)
    ):
        paths.append(Path(folder) / f"upload-{number}.json")
        write_text(paths[-1], to_json(body))
    return paths


def upload_batches(
    index: Queries, latents: Iterable[int] | None = None, *, model_id: str, source: str, **options: Any
) -> Iterator[dict[str, Any]]:
    """The bodies that :func:`write_neuronpedia` writes, of at most 128 features each."""
    check_names(model_id=model_id, source=source)
    check_options(options)
    alive = [i for i in wanted(index, latents) if index.counts[i]]
    for start in range(0, len(alive), LIMITS["features"]):
        groups = Firings.groups(index, alive[start : start + LIMITS["features"]])
        features = [feature for firings in groups for feature in _features(index, firings, options)]
        body = {"modelId": model_id, "source": source, "features": features}
        check(body, "the upload")
        yield body


def check_names(slash: bool = True, **names: str) -> None:
    """Refuse names that are not lower case: Neuronpedia's are; without ``slash``, such as are no folder."""
    for what, name in names.items():
        if not name or name != name.lower() or ("/" in name and not slash) or "\0" in name:
            raise SaelabError(f"{what} must be a lower-case name, got {name!r}")


def check_options(options: dict[str, Any]) -> None:
    """Refuse what is none of :func:`chosen_examples`."""
    known = list(inspect.signature(chosen_examples).parameters)[2:]
    for name in options:
        check_choice("option of the export", name, known)


def _features(index: Queries, firings: Firings, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    of_each = zip(
        firings.latents.tolist(), index.stats_of(firings.latents), logits(index, firings.latents),
        chosen_examples(index, firings, **options), strict=True,
    )  # fmt: skip
    for latent, stats, ends, shown in of_each:
        label = index.notes.get(latent, "label")[: LIMITS["explanation"]]
        method = index.notes.get(latent, "source") or None
        explanation = {"text": label, "methodName": method, "modelName": None}
        explained = {"explanations": [explanation]} if label else {}
        activations = [{"tokens": texts(e), "values": list(e.values), **bounds} for e, bounds in shown]
        yield {"index": latent, "density": stats["density"], **ends, **explained, "activations": activations}


def texts(e: Example) -> list[str]:
    """An example's tokens; one without text (a piece the tokenizer cannot show) would be refused, so it gets its id."""
    return [t or f"<{i}>" for t, i in zip(e.tokens, e.token_ids or (), strict=True)]


@door
def chosen_examples(
    index: Queries, firings: Firings, *, n_top: int = 20, intervals: int = 5, n_interval: int = 5,
    before: int = 24, after: int = 23, seed: int = 0,
) -> Iterator[list[tuple[Example, dict[str, float]]]]:  # fmt: skip
    """Latent by latent the examples that are shown, each with its range; the strongest have none.

    They are the ``n_top`` strongest and ``n_interval`` from each of ``intervals`` equally wide ranges between
    0 and the maximum, each inside its range, with the share of all counted tokens that fall into it.
    """
    intervals = check_count("intervals", intervals)
    whole = Parts.whole(index, firings)
    top = whole.found(*whole.strongest(n_top))
    largest = index.arrays["moments"][firings.latents, 4]  # (L)
    edges = np.zeros((len(firings), intervals + 1), np.float32)
    edges[largest > 0] = np.linspace(0, largest[largest > 0], intervals + 1, axis=1)
    ranges = Parts.in_ranges(index, firings, edges)
    some = ranges.found(*ranges.by_value(*ranges.at_random(n_interval, seed)))
    owner, range_ = np.divmod(some.part, intervals)
    found = Found(*(np.concatenate(c) for c in zip(top, some._replace(part=owner), strict=True)))
    # the strongest, then range after range
    order = np.lexsort((np.append(np.zeros(len(top.part), np.int64), range_ + 1), found.part))
    found = Found(*(c[order] for c in found))
    kinds = iter(np.append(np.full(len(top.part), -1), some.part)[order].tolist())
    low, high = (shortest(e.ravel()).tolist() for e in (edges[:, :-1][:, ::-1], edges[:, 1:][:, ::-1]))
    share = (ranges.sizes / index.n_counted).tolist() if index.n_counted else []

    def bounds(kind: int) -> dict[str, float]:
        if kind < 0:
            return {}
        return {"quantileMin": low[kind], "quantileMax": high[kind], "quantileFraction": share[kind]}

    of_each = examples(index, firings, found, before, after)
    return ([(e, bounds(next(kinds))) for e in shown] for shown in of_each)


def logits(index: Queries, latents: np.ndarray) -> list[dict[str, Any]]:
    """The tokens each latent raises and lowers; nothing if it cannot be had."""
    if index.sae is None or index.model is None:
        return [{}] * len(latents)
    try:
        found = relations.logit_lens(index, latents, LIMITS["logits"])
    except SaelabError:  # the hook point does not write to the residual stream
        return [{}] * len(latents)
    return [
        {"topLogits": _pairs(lens.up, lens.up_value), "bottomLogits": _pairs(lens.down, lens.down_value)}
        for lens in found
    ]


def _pairs(tokens: list[str], values: np.ndarray) -> list[dict[str, Any]]:
    pairs = zip(tokens, shortest(values).tolist(), strict=True)
    return [{"token": token, "value": value} for token, value in pairs if token]


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
    shared = {key: body[key] for key in ("modelId", "source")}
    return [
        LatentRecord(
            feature["index"],
            {"activations": tuple(_parse(a) for a in feature["activations"])},
            shared | feature | {"activations": None},
        )
        for feature in body["features"]
    ]


def _parse(a: dict[str, Any]) -> Example:
    values = tuple(a["values"])
    extra = {k: v for k, v in a.items() if k not in ("tokens", "values")}
    return Example(tuple(a["tokens"]), values, center=int(np.argmax(values)), extra=extra)


def to_neuronpedia(records: Iterable[LatentRecord]) -> dict[str, Any]:
    """Records that were read, as the upload they came from."""
    records = list(records)
    if not records:
        raise SaelabError("an upload has at least one feature")
    shared = {key: records[0].facts[key] for key in ("modelId", "source")}
    features = []
    for r in records:
        activations = [
            {"tokens": list(e.tokens), "values": list(e.values), **e.extra} for e in r.groups["activations"]
        ]
        own = {k: v for k, v in r.facts.items() if k not in shared}
        features.append(own | {"activations": activations})
    return {**shared, "features": features}


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
