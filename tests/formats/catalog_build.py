"""``python tests/formats/catalog_build.py pretrained_saes.yaml`` makes ``saelab/formats/catalog.json`` anew.

The source is SAELens's list of published SAEs (a file of that package): release names, repositories, paths,
models, published L0 and scale factors. What that library's loaders know beyond the list (hook points, widths
that stand in names) is stated here. Releases that saelab cannot read are left out and named at the end."""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

from saelab import files
from saelab.errors import SaelabError
from saelab.formats import catalog

FORMATS = {
    None: "saelens", "gemma_2": "gemma_scope", "gemma_2_transcoder": "gemma_scope", "gemma_3": "gemma_scope_2",
    "dictionary_learning_1": "dictionary_learning", "qwen_scope": "qwen_scope", "llama_scope": "llama_scope",
    "llama_scope_r1_distill": "llama_scope", "mwhanna_transcoder": "circuit_tracer",
    "mntss_clt_layer_transcoder": "circuit_tracer_clt", "goodfire": "goodfire",
    "connor_rob_hook_z": "numbered", "deepseek_r1": "linear_pair",
}  # fmt: skip
ARCHS = {
    "gemma_scope": "jumprelu", "gemma_scope_2": "jumprelu", "llama_scope": "jumprelu", "qwen_scope": "topk",
    "goodfire": "relu", "numbered": "relu", "linear_pair": "relu", "circuit_tracer": "relu",
}  # fmt: skip
# part of a release's name -> architecture; the first that fits
NAMED = (
    ("matryoshka-dc", "jumprelu"), ("v5-", "topk"), ("-jb", "relu"), ("pythia-70m-deduped-", "relu"), ("mlp-tm", "relu"),
    ("_vanilla_", "relu"), ("_standard_", "relu"), ("_panneal_", "relu"), ("_gated_", "gated"),
    ("_topk_", "topk"), ("saebench_", "matryoshka"), ("andyrdt", "batchtopk"),
)  # fmt: skip
# names of that list, and where the model is on the hub
MODELS = {
    "gpt2-small": "gpt2", "mistral-7b": "mistralai/Mistral-7B-v0.1",
    "pythia-70m-deduped": "EleutherAI/pythia-70m-deduped", "qwen3-0.6b": "Qwen/Qwen3-0.6B",
    "qwen3-1.7b": "Qwen/Qwen3-1.7B", "qwen3-4b": "Qwen/Qwen3-4B", "qwen3-8b": "Qwen/Qwen3-8B",
    "qwen3-14b": "Qwen/Qwen3-14B",
}  # fmt: skip
LAYER = re.compile(r"(?:blocks\.|layer_?|resid_post_layer_|^l|/L|_L)(\d+)")
# sizes as names write them: 16k is 2**14
WIDTH = re.compile(
    r"width_(\d+)([km])|width-2pow(\d+)|(?:-W|-v5-|w-)(\d+)[Kk](?:-|$)|-(\d+)x$|_ds(\d+)_|hook_[a-z_]+?_(\d{3,6})(?:$|[_:])"
)
# said by the library's loaders or the publishers, in no name
WIDTHS = {
    "gpt2-small-res-jb": 24576, "goodfire-llama-3.1-8b-instruct": 65536,
    "goodfire-llama-3.3-70b-instruct": 65536, "deepseek-r1-distill-llama-8b-qresearch": 65536,
}  # fmt: skip

# Neuronpedia ids of that list that are another SAE's: the id names layer 20 and eight times as many latents
NOT_THIS_ONE = {("gemma-scope-9b-pt-res", "layer_2/width_16k/average_l0_8")}


def model_of(name: str, repo: str) -> str:
    """Where the model is on the hub."""
    scope = re.search(r"gemma-scope-(2b|9b|27b)-(pt|it)", repo)  # the list is wrong about one of these
    if scope:
        return f"google/gemma-2-{scope[1]}" + ("-it" if scope[2] == "it" else "")
    if "/" in name:
        return name
    return MODELS.get(name, f"google/{name}" if name.startswith("gemma") else name)


def hook_of(kind: str | None, release: str, repo: str, sae_id: str, path: str, layer: int | None) -> str:
    """The hook point an SAE reads; "" if neither the list nor a loader says it."""
    named = re.match(r"(blocks\.\d+\.|)(?:attn\.)?(hook_\w+?)(?:_\d+|__trainer.*)?$", sae_id)
    if named:
        point = "attn.hook_z" if named[2] == "hook_z" else named[2]
        return named[1] + point
    if layer is None:
        return ""
    block = f"blocks.{layer}."
    if kind in ("gemma_2_transcoder", "mwhanna_transcoder") or path.startswith("transcoder"):
        return block + "mlp.hook_in"
    if kind == "mntss_clt_layer_transcoder":
        return block + "hook_resid_mid"
    if kind == "gemma_2":
        part = repo.rsplit("-", 1)[-1]
        return block + {"res": "hook_resid_post", "mlp": "hook_mlp_out", "att": "attn.hook_z"}[part]
    if kind == "gemma_3":
        part = re.match(r"resid_post|attn_out|mlp_out", path)
        if part is None:
            raise SaelabError(f"{release}: no hook point is known for {path!r}")
        return (
            block
            + {"resid_post": "hook_resid_post", "attn_out": "attn.hook_z", "mlp_out": "hook_mlp_out"}[part[0]]
        )
    if kind == "llama_scope":
        return (
            block
            + {"R": "hook_resid_post", "M": "hook_mlp_out", "A": "hook_attn_out"}[repo.split("-LX")[1][0]]
        )
    return block + "hook_resid_post"


def width_of(*names: str) -> int | None:
    """Number of latents, if one of the names says it."""
    for name in names:
        match = WIDTH.search(name)
        if match is None:
            continue
        short, unit, power, k, times, *written = match.groups()
        if short:
            return 1 << round(math.log2(int(short) * (10**6 if unit == "m" else 1000)))
        if power:
            return 2 ** int(power)
        if k:
            return int(k) * 1024
        return int(times) * 4096 if times else int(next(w for w in written if w))  # Llama's width is 4096
    return None


def entry_of(name: str, release: dict[str, Any]) -> dict[str, Any]:
    """One release as ``catalog.json`` holds it; see :mod:`saelab.formats.catalog`."""
    kind, repo = release.get("conversion_func"), release["repo_id"]
    form = FORMATS[kind]
    arch = ARCHS.get(form) or next((arch for part, arch in NAMED if part in name), "")
    overrides = release.get("config_overrides") or {}
    out: dict[str, Any] = {
        "release": name, "repo": repo, "model": model_of(release["model"], repo), "format": form, "arch": arch,
    }  # fmt: skip
    if options := overrides.get("model_from_pretrained_kwargs"):
        out["model_options"] = options
    if (options or {}).get("center_writing_weights"):
        out["note"] = "trained on the model with centered writing weights"
    if overrides.get("normalize_activations") == "constant_norm_rescale":
        out["given"] = {"normalize": "constant_norm"}
    layered = "{layer}"
    rows: list[dict[str, Any]] = []
    pages: list[str] = []  # Neuronpedia ids with {layer} in them
    for sae in release["saes"]:
        if "embedding/" in str(sae["path"]):  # see saelab.formats.readers.gemma_scope
            continue
        sae_id, path = str(sae["id"]), str(sae["path"])
        found = LAYER.search(sae_id) or LAYER.search(path)
        layer = int(found[1]) if found else None
        if form == "circuit_tracer_clt":
            path = f"W_enc_{path}.safetensors"
        hook = hook_of(kind, name, repo, sae_id, path, layer)
        row: dict[str, Any] = {"id": sae_id}
        if path != sae_id:
            row["path"] = path
        row["hook"] = hook
        l0 = sae.get("l0")
        if l0 is None and (said := re.search(r"average_l0_(\d+)", path)):
            l0 = int(said[1])
        row["l0"], row["d_sae"] = l0, WIDTHS.get(name) or width_of(sae_id, path, name, repo)
        scale = sae.get("norm_scaling_factor")
        if scale is not None and (kind is None or kind == "llama_scope_r1_distill"):
            row["scale"] = scale  # Llama Scope's own files hold it
        page = sae.get("neuronpedia")
        if page and (name, sae_id) not in NOT_THIS_ONE:
            page = page.replace(f"/{layer}-", f"/{layered}-")
            pages.extend({page} - set(pages))
            row["page"] = pages.index(page)
        rows.append({k: v for k, v in row.items() if v is not None})
    if pages:
        out["pages"] = pages
    for key in ("d_sae", "l0", "page"):
        values = {row.get(key) for row in rows}
        if len(values) == 1 and None not in values:
            out[key] = values.pop()
            for row in rows:
                row.pop(key)
    for row in rows:  # a hook point of the release's pattern needs not be written out
        row["hook"] = re.sub(r"^blocks\.\d+\.", f"blocks.{layered}.", row["hook"])
    hooks = [row["hook"] for row in rows]
    out["hook"] = max(set(hooks), key=hooks.count)
    for row in rows:
        if row["hook"] == out["hook"]:
            del row["hook"]
    return out | {"saes": rows}


def build(source: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """(releases, names of those left out)."""
    import yaml

    try:
        listed = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SaelabError(f"{source} cannot be read as YAML ({error})") from None
    if not isinstance(listed, dict) or not all(isinstance(r, dict) and "saes" in r for r in listed.values()):
        raise SaelabError(f"{source} is not a list of releases with 'saes'")
    kept = {n: r for n, r in listed.items() if r.get("conversion_func") in FORMATS}
    return [entry_of(n, kept[n]) for n in sorted(kept)], sorted(set(listed) - set(kept))


def write(releases: list[dict[str, Any]], path: Path) -> None:
    """One release per line."""
    lines = (json.dumps(r, ensure_ascii=False, separators=(",", ":")) for r in releases)
    files.write_text(path, "[\n" + ",\n".join(lines) + "\n]\n")


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="pretrained_saes.yaml of SAELens")
    parser.add_argument("--out", type=Path, default=catalog.DATA)
    args = parser.parse_args(arguments)
    releases, left_out = build(args.source)
    write(releases, args.out)
    count = sum(len(r["saes"]) for r in releases)
    sys.stdout.write(
        f"{len(releases)} releases, {count} SAEs; not readable: {', '.join(left_out) or 'none'}\n"
    )


if __name__ == "__main__":
    main()
