"""Push an SAE to the Hugging Face hub, with a model card that says only what is known.

The card's numbers come from an evaluation that is handed over (:func:`saelab.evaluate`), with the tokens they
were measured on; without one it says that nothing was measured. The curves of training are named as such.
The checksum of the weights ties the card to the files beside it."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from saelab import __version__
from saelab.errors import SaelabError
from saelab.formats import hub

if TYPE_CHECKING:
    from saelab.sae import SAE

# what the card shows of an evaluation, in this order
SHOWN = (
    "explained_variance", "l0", "cosine", "dead", "ce_clean", "ce_sae", "ce_zero", "loss_recovered_zero",
    "kl_sae",
)  # fmt: skip
NAME = re.compile(r"[\w.-]+/[\w.-]+")
CARD = "README.md"


def push(
    sae: SAE,
    repo: str,
    *,
    licence: str,
    evaluation: Any = None,
    about: str = "",
    path: str = "",
    private: bool = False,
    overwrite: bool = False,
    token: str | None = None,
) -> str:
    """Write ``sae`` and its model card into a repository of the hub; returns its address.

    Parameters
    ----------
    repo
        ``org/name``; made if it does not exist.
    licence
        Of the weights, as the hub writes it, such as ``"mit"`` or ``"cc-by-4.0"``. There is no default:
        nobody but you can know it.
    evaluation
        A report of :func:`saelab.evaluate`; its numbers go on the card.
    about
        A sentence or more of your own for the card, such as what text it was trained on.
    path
        Folder in the repository, for one of several SAEs; then the card stands in that folder.
    private
        Whether a new repository is private.
    overwrite
        Whether an SAE that is there already is replaced.
    token
        Of the hub; None: the one of ``hf auth login``.

    Raises
    ------
    SaelabError
        Before anything is sent, if a name is wrong or an SAE is there already; or which of not found, not
        allowed and offline it was.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    _check(repo, licence, path)
    api = HfApi(token=token)
    prefix = f"{path.strip('/')}/" if path else ""
    with tempfile.TemporaryDirectory() as temporary:
        folder = sae.save(Path(temporary) / "sae")
        (folder / CARD).write_text(
            card(sae, folder, repo, licence, evaluation, about, path), encoding="utf-8"
        )
        adds = [
            CommitOperationAdd(prefix + file.name, file.read_bytes()) for file in sorted(folder.iterdir())
        ]
        try:
            api.create_repo(repo, private=private, exist_ok=True)
            there = {name for name in api.list_repo_files(repo) if name.startswith(prefix)}
            if f"{prefix}config.json" in there and not overwrite:
                raise SaelabError(
                    f"{repo}/{prefix} holds an SAE already; overwrite=True replaces it, path='…' puts this one "
                    "beside it"
                )
            done = api.create_commit(
                repo, adds, commit_message=f"SAE of {sae.config.hook_in or 'unnamed hook'}"
            )
        except SaelabError:
            raise
        except Exception as error:
            raise hub.explain(repo, error) from error
    return str(done.repo_url)


def _check(repo: str, licence: str, path: str) -> None:
    if not NAME.fullmatch(repo):
        raise SaelabError(f"a repository is called org/name, got {repo!r}")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", licence or ""):
        raise SaelabError(
            f"licence is the hub's short name, such as 'mit', 'apache-2.0', 'cc-by-4.0' or 'other'; got {licence!r}"
        )
    parts = PurePosixPath(path).parts
    if PurePosixPath(path).is_absolute() or ".." in parts or "\\" in path:
        raise SaelabError(f"path {path!r} leads out of the repository")


def card(
    sae: SAE, folder: Path, repo: str, licence: str, evaluation: Any = None, about: str = "", path: str = ""
) -> str:
    """The model card of ``sae`` as saved in ``folder``."""
    c = sae.config
    head = {"license": licence, "library_name": "saelab", "tags": ["sparse-autoencoder", "saelab", c.arch]}
    if NAME.fullmatch(c.model):
        head["base_model"] = c.model
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in head.items()), "---", ""]
    lines += [f"# Sparse autoencoder of {c.hook_in or 'an unnamed hook point'}", ""]
    lines += [_plain(about), ""] if about else []
    where = f', sae_id="{path.strip("/")}"' if path else ""
    lines += ["```python", "import saelab as sl", "", f'sae = sl.load_sae("{repo}"{where})', "```", ""]
    lines += ["## What it is", "", *_facts(sae), ""]
    lines += ["## What was measured", "", *_measured(sae, evaluation), ""]
    lines += ["## How it was made", "", *_recipe(sae), ""]
    weights = folder / "weights.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    lines += ["## Files", "", f"`weights.safetensors`: {weights.stat().st_size:,} bytes, SHA-256 `{digest}`."]
    lines += ["", f"Written by saelab {__version__}. Licence of the weights: {licence}.", ""]
    return "\n".join(lines)


def _plain(text: Any) -> str:
    """On one line, without what Markdown or HTML would make something of."""
    return re.sub(r"([<>|`*_\[\]])", r"\\\1", " ".join(str(text).split()))


def _facts(sae: SAE) -> list[str]:
    c = sae.config
    norm = {
        "none": "raw activations",
        "scale": f"activations times {c.scale}",
        "layer_norm": "layer-normalised activations, undone on the output",
        "constant_norm": "activations brought to length √d, undone on the output",
    }[c.normalize]
    facts = {
        "architecture": c.arch + (f", k = {c.k}" if c.k else ""),
        "latents": f"{c.d_sae:,}",
        "model": c.model or "not said",
        "reads": f"{c.hook_in or 'not said'}, {c.d_in} wide",
        **({"writes": f"{c.hook_out}, {c.d_out} wide"} if c.hook_out != c.hook_in else {}),
        "expects": norm,
        "texts begin with BOS": "yes" if c.bos else "no",
        "tokens per row in training": c.context or "not said",
        "numbers": c.dtype,
    }
    return ["| | |", "|---|---|", *(f"| {name} | {_plain(value)} |" for name, value in facts.items())]


def _measured(sae: SAE, evaluation: Any) -> list[str]:
    lines = []
    if evaluation is None:
        lines.append("No evaluation was made for this card.")
    else:
        from saelab.evaluation.report import MEANING, Report

        if not isinstance(evaluation, Report):
            raise SaelabError(
                f"evaluation is a report of sl.evaluate(model, sae, texts), got {type(evaluation).__name__}"
            )
        if evaluation.d_sae != sae.config.d_sae or evaluation.hook != sae.config.hook_in:
            raise SaelabError(
                f"the report is of an SAE with {evaluation.d_sae} latents at {evaluation.hook}, this one has "
                f"{sae.config.d_sae} at {sae.config.hook_in}"
            )
        lines += [
            f"On {evaluation.tokens:,} tokens of {evaluation.documents:,} documents"
            f" ({evaluation.excluded:,} special tokens left out):", "", "| metric | value | meaning |", "|---|---|---|",
        ]  # fmt: skip
        for name in SHOWN:
            value = getattr(evaluation, name)
            text = "undefined" if value is None else f"{value:.4g}"
            lines.append(f"| {name} | {text} | {_plain(MEANING[name])} |")
        lines += ["", *(f"- {_plain(note)}" for note in evaluation.notes)]
    if len(sae.history):
        last = sae.history.iloc[-1]
        lines += [
            "", f"At the end of training, on the text it was trained on: explained variance "
            f"{last['explained_variance']:.4f}, L0 {last['l0']:.1f}, {int(last['dead'])} dead latents.",
        ]  # fmt: skip
    return lines


def _recipe(sae: SAE) -> list[str]:
    record = sae.record
    if "loaded" in record:
        loaded = record["loaded"]
        return [
            f"Loaded from {_plain(loaded.get('source', 'a file'))} in the format {_plain(loaded['format'])}."
        ]
    if "recipe" not in record:
        return ["Nothing about its training is recorded."]
    kept = {
        "tokens": record.get("tokens"), "ended": record.get("ended"), "recipe": record["recipe"],
        "options": record.get("options"), "data": record.get("data"), "versions": record.get("versions"),
        **({"init": record["init"]} if "init" in record else {}),
    }  # fmt: skip
    notes = [f"- {_plain(note)}" for note in record.get("notes", [])]
    return ["```json", json.dumps(kept, indent=1, ensure_ascii=False, default=str), "```", "", *notes]
