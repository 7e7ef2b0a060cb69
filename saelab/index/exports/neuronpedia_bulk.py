"""Neuronpedia's bulk-import folder: what ``neuronpedia_export.py`` of that project makes from SAEDashboard's files.

``{folder}/{model_id}/{layer}-{set}/`` holds ``release.jsonl``, ``model.jsonl``, ``sourceset.jsonl``,
``source.jsonl`` (one line each), ``features/batch-N.jsonl.gz`` and ``activations/batch-N.jsonl.gz`` (one JSON object
a line, the keys of the published exporter in its order). Nothing is sent anywhere. A latent that never fires is a
feature without activations. What an index does not know (neuron alignments, loss values) is an empty list or null.
"""

from __future__ import annotations

import datetime
import gzip
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from saelab import files
from saelab.doors import door
from saelab.errors import SaelabError, check_count
from saelab.index import relations
from saelab.index.exports.neuronpedia import check_names, check_options, chosen_examples, logits, texts
from saelab.index.exports.records import Example, to_json, wanted
from saelab.index.firings import Firings
from saelab.index.queries import Queries
from saelab.index.stats import histogram
from saelab.index.storage.digits import shortest

_BATCH = 128  # features a file
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@door
def write_neuronpedia_bulk(
    index: Queries, folder: str | Path, latents: Iterable[int] | None = None, *,
    model_id: str, layer: int, set_name: str, creator_id: str, creator_name: str = "",
    created: datetime.datetime | None = None, **options: Any,
) -> Path:  # fmt: skip
    """Write Neuronpedia's bulk-import folder for ``latents`` (None: all).

    Parameters
    ----------
    model_id, layer, set_name
        Neuronpedia's names: the source is ``{layer}-{set_name}``. Lower case.
    creator_id, creator_name
        Whose data they are there.
    created
        Time written into every line; None: now.
    options
        As in :func:`saelab.index.exports.neuronpedia.chosen_examples`.

    Returns
    -------
    Path
        ``{folder}/{model_id}/{layer}-{set_name}``.

    Examples
    --------
    >>> names = {"model_id": "tiny", "layer": 0, "set_name": "res", "creator_id": "me"}
    >>> sorted(path.name for path in index.to_neuronpedia_bulk(folder, [latent], **names).glob("s*.jsonl"))
    ['source.jsonl', 'sourceset.jsonl']
    """
    check_names(slash=False, model_id=model_id, set_name=set_name)
    check_options(options)
    if not creator_id:
        raise SaelabError("creator_id must say whose data these are, got an empty text")
    source = f"{check_count('layer', layer, 0)}-{set_name}"
    chosen = wanted(index, latents)
    time = (created or datetime.datetime.now(datetime.UTC)).isoformat()
    common = {"modelId": model_id, "layer": source}
    out = Path(folder) / model_id / source
    for number, start in enumerate(range(0, len(chosen), _BATCH)):
        features, activations = [], []
        for firings in Firings.groups(index, chosen[start : start + _BATCH]):
            features += _features(index, firings, common, creator_id, time, set_name)
            of_each = chosen_examples(index, firings, **options)
            for latent, shown in zip(firings.latents.tolist(), of_each, strict=True):
                activations += [
                    _activation(latent, i, e, bounds, common, creator_id, time)
                    for i, (e, bounds) in enumerate(shown)
                ]
        _write_lines(out / "features" / f"batch-{number}.jsonl.gz", features)
        _write_lines(out / "activations" / f"batch-{number}.jsonl.gz", activations)
    about = _about(index, model_id, source, set_name, creator_id, creator_name, time)
    for name, line in about.items():
        files.write_text(out / f"{name}.jsonl", to_json(line) + "\n")
    return out


def _write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    text = "".join(to_json(line) + "\n" for line in lines)
    with files.atomic_write(path) as temporary:
        temporary.write_bytes(gzip.compress(text.encode("utf-8"), 5, mtime=0))


def _identity(*parts: Any) -> str:
    """25 characters in the form of a cuid; the same for the same activation, so that writing again changes nothing."""
    number = int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=16).digest())
    text = ""
    for _ in range(24):
        number, digit = divmod(number, 36)
        text += _DIGITS[digit]
    return "c" + text


def _activation(
    latent: int, i: int, e: Example, bounds: dict[str, float], common: dict[str, Any], creator: str, time: str
) -> dict[str, Any]:
    values = list(e.values)
    strongest = int(np.argmax(values))
    # the group of the strongest has no range: -1 stands for it there
    low, high, share = bounds.values() if bounds else (-1, max(values), -1)
    return {
        "id": _identity(common["modelId"], common["layer"], latent, i), "tokens": texts(e), "index": latent,
        "layer": common["layer"], "modelId": common["modelId"], "maxValue": values[strongest],
        "maxValueTokenIndex": strongest, "minValue": min(values), "values": values, "creatorId": creator,
        "dataSource": None, "dataIndex": None, "dfaValues": [], "dfaTargetIndex": None, "dfaMaxValue": None,
        "createdAt": time, "lossValues": [], "logitContributions": None, "binMin": low,
        "binMax": high, "binContains": share, "qualifyingTokenIndex": e.center, "zIndices": None, "zValues": None,
    }  # fmt: skip


def _features(
    index: Queries, firings: Firings, common: dict[str, Any], creator: str, time: str, set_name: str
) -> Iterator[dict[str, Any]]:
    nothing = [(np.zeros(0, np.int64), np.zeros(0, np.float32))] * len(firings)
    near = nothing if index.sae is None else relations.nearest(index, firings, "decoder", 50)
    of_each = zip(
        firings.latents.tolist(), near, relations.coactive(index, firings, 3), logits(index, firings.latents),
        strict=True,
    )  # fmt: skip
    hook = index.config["hook"]
    for latent, (alike, cosines), (together, similarity), ends in of_each:
        edges, heights = histogram(index.postings(latent).value, 50)
        up, down = (ends.get(side, [])[:10] for side in ("topLogits", "bottomLogits"))
        yield {
            "modelId": common["modelId"], "layer": common["layer"], "index": latent, "creatorId": creator,
            "createdAt": time, "maxActApprox": float(index.arrays["moments"][latent, 4]), "hasVector": False,
            "vector": [], "vectorLabel": None, "vectorDefaultSteerStrength": 10,
            "hookName": hook if hook.startswith("blocks.") else None,
            "topkCosSimIndices": alike.tolist(), "topkCosSimValues": shortest(cosines).tolist(),
            "neuron_alignment_indices": [], "neuron_alignment_values": [], "neuron_alignment_l1": [],
            "correlated_neurons_indices": [], "correlated_neurons_pearson": [], "correlated_neurons_l1": [],
            "correlated_features_indices": together.tolist(), "correlated_features_pearson": [],
            "correlated_features_l1": similarity.tolist(),  # what their format calls l1 is the cosine
            "neg_str": [x["token"] for x in down], "neg_values": [x["value"] for x in down],
            "pos_str": [x["token"] for x in up], "pos_values": [x["value"] for x in up],
            "frac_nonzero": float(index.counts[latent] / max(index.n_counted, 1)),
            "freq_hist_data_bar_heights": heights.tolist(),
            "freq_hist_data_bar_values": ((edges[:-1] + edges[1:]) / 2).tolist(),
            "logits_hist_data_bar_heights": [], "logits_hist_data_bar_values": [], "decoder_weights_dist": [],
            "sourceSetName": set_name,
        }  # fmt: skip


def _about(
    index: Queries, model: str, source: str, set_name: str, creator: str, name: str, time: str
) -> dict[str, dict[str, Any]]:
    release = f"{model}-{set_name}"
    rows, longest = len(index.rows), int(np.diff(index.rows.offsets).max(initial=0))
    return {
        "release": {
            "name": release, "description": "", "creatorName": name, "creatorId": creator, "visibility": "PUBLIC",
            "isNewUi": True, "featured": False, "descriptionShort": "", "urls": [], "creatorEmail": None,
            "creatorNameShort": name, "defaultSourceSetName": set_name, "defaultSourceId": source,
            "defaultUmapSourceIds": [], "createdAt": time,
        },
        "model": {
            "id": model, "instruct": False, "creatorId": creator, "displayNameShort": model, "displayName": model,
            "tlensId": None, "dimension": 0, "visibility": "PUBLIC", "defaultSourceSetName": set_name,
            "defaultSourceId": source, "inferenceEnabled": False, "layers": 0, "neuronsPerLayer": 0,
            "createdAt": time, "owner": name, "updatedAt": time, "website": None,
        },
        "sourceset": {
            "modelId": model, "name": set_name, "creatorId": creator, "hasDashboards": True, "visibility": "PUBLIC",
            "description": "", "type": index.config["sae"]["arch"], "creatorName": name, "urls": [],
            "creatorEmail": None, "releaseName": release, "defaultOfModelId": None, "defaultRange": 1,
            "defaultShowBreaks": True, "showDfa": False, "showCorrelated": False, "showHeadAttribution": False,
            "showUmap": False, "createdAt": time,
        },
        "source": {
            "id": source, "modelId": model, "setName": set_name, "creatorId": creator, "hasDashboards": True,
            "inferenceEnabled": False, "inferenceHosts": [], "saelensConfig": None, "saelensRelease": None,
            "saelensSaeId": None, "hfRepoId": None, "hfFolderId": None, "visibility": "PUBLIC",
            "defaultOfModelId": None, "hasUmap": False, "hasUmapLogSparsity": False, "hasUmapClusters": False,
            "num_prompts": rows, "num_tokens_in_prompt": longest, "dataset": None, "notes": None, "createdAt": time,
        },
    }  # fmt: skip
