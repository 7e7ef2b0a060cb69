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
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from saelab import __version__
from saelab.doors import door
from saelab.errors import SaelabError
from saelab.formats import hub
from saelab.identity import meet
from saelab.sae import SAE

if TYPE_CHECKING:
    import pandas as pd


@runtime_checkable
class Measured(Protocol):
    """A report of :func:`saelab.evaluate`, as the card reads it."""

    @property
    def shown(self) -> list[str]:
        """The metrics a card has room for."""
        ...

    def to_frame(self) -> pd.DataFrame:
        """Per metric: value and meaning."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """What was measured of what: ``d_sae``, ``hook``, ``tokens``, ``documents``, ``excluded``, ``notes``."""
        ...


NAME = re.compile(r"[\w.-]+/[\w.-]+")
CARD = "README.md"


@door
def push_to_hub(
    sae: SAE,
    repo: str,
    *,
    license: str,
    evaluation: Measured | None = None,
    about: str = "",
    path: str = "",
    private: bool = False,
    overwrite: bool = False,
    token: str | None = None,
) -> str:
    """Write ``sae``, with a model card, into a repository of the Hugging Face hub; returns its address.

    ``saelab.load_sae(repo)`` gets it back.

    Parameters
    ----------
    sae
        Written in saelab's own form.
    repo
        ``org/name``; made if it does not exist.
    license
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

    Examples
    --------
    >>> sl.push_to_hub(sae, "my-sae", license="mit")
    Traceback (most recent call last):
    saelab.errors.SaelabError: a repository is called org/name, got 'my-sae'
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    _check(repo, license, path)
    api = HfApi(token=token)
    prefix = f"{path.strip('/')}/" if path else ""
    with tempfile.TemporaryDirectory() as temporary:
        folder = sae.save(Path(temporary) / "sae")
        text = card(sae, folder, repo, license, evaluation, about, path)
        (folder / CARD).write_text(text, encoding="utf-8")
        adds = [CommitOperationAdd(prefix + f.name, f.read_bytes()) for f in sorted(folder.iterdir())]
        try:
            api.create_repo(repo, private=private, exist_ok=True)
            there = {name for name in api.list_repo_files(repo) if name.startswith(prefix)}
            if f"{prefix}config.json" in there and not overwrite:
                raise SaelabError(
                    f"{repo}/{prefix} holds an SAE already; overwrite=True replaces it, path='…' puts this one "
                    "beside it"
                )
            message = f"SAE of {sae.config.hook_in or 'unnamed hook'}"
            done = api.create_commit(repo, adds, commit_message=message)
        except SaelabError:
            raise
        except Exception as error:
            raise hub.explain(repo, error) from error
    return str(done.repo_url)


def _check(repo: str, license: str, path: str) -> None:
    if not NAME.fullmatch(repo):
        raise SaelabError(f"a repository is called org/name, got {repo!r}")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", license or ""):
        raise SaelabError(
            f"license is the hub's short name, such as 'mit', 'apache-2.0', 'cc-by-4.0' or 'other'; got {license!r}"
        )
    inner = PurePosixPath(path)
    if inner.is_absolute() or ".." in inner.parts or "\\" in path:
        raise SaelabError(f"path {path!r} leads out of the repository")


def card(
    sae: SAE, folder: Path, repo: str, license: str, evaluation: Measured | None = None, about: str = "",
    path: str = "",
) -> str:  # fmt: skip
    """The model card of ``sae`` as saved in ``folder``."""
    c = sae.config
    head = {"license": license, "library_name": "saelab", "tags": ["sparse-autoencoder", "saelab", c.arch]}
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
    lines += ["", f"Written by saelab {__version__}. License of the weights: {license}.", ""]
    return "\n".join(lines)


def _plain(text: Any) -> str:
    """On one line, without what Markdown or HTML would make something of."""
    return re.sub(r"([<>|`*_\[\]])", r"\\\1", " ".join(str(text).split()))


def _facts(sae: SAE) -> list[str]:
    c = sae.config
    norm = {
        "none": "raw activations",
        "scale": f"activations times {c.scale}",
        "layer_norm": "layer-normalized activations, undone on the output",
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


def _measured(sae: SAE, report: Measured | None) -> list[str]:
    lines = ["No evaluation was made for this card."] if report is None else _metrics(sae, report)
    if len(sae.history):
        last = sae.history.iloc[-1]
        lines += [
            "", f"At the end of training, on the text it was trained on: explained variance "
            f"{last['explained_variance']:.4f}, L0 {last['l0']:.1f}, {int(last['dead'])} dead latents.",
        ]  # fmt: skip
    return lines


def _metrics(sae: SAE, report: Measured) -> list[str]:
    if not isinstance(report, Measured):
        raise SaelabError(
            f"evaluation is a report of sl.evaluate(model, sae, texts), got {type(report).__name__}"
        )
    of, c = report.to_dict(), sae.config
    if (of["d_sae"], of["hook"]) != (c.d_sae, c.hook_in):
        raise SaelabError(
            f"the report is of an SAE with {of['d_sae']} latents at {of['hook']}, this one has {c.d_sae} at "
            f"{c.hook_in}"
        )
    meet(report, sae)
    lines = [
        f"On {of['tokens']:,} tokens of {of['documents']:,} documents ({of['excluded']:,} special tokens left "
        "out):", "", "| metric | value | meaning |", "|---|---|---|",
    ]  # fmt: skip
    for name, row in report.to_frame().loc[report.shown].iterrows():
        value = "undefined" if row["value"] is None else f"{row['value']:.4g}"
        lines.append(f"| {name} | {value} | {_plain(row['meaning'])} |")
    return [*lines, "", *(f"- {_plain(note)}" for note in of["notes"])]


def _recipe(sae: SAE) -> list[str]:
    record = sae.record
    if "loaded" in record:
        loaded = record["loaded"]
        source = _plain(loaded.get("source", "a file"))
        return [f"Loaded from {source} in the format {_plain(loaded['format'])}."]
    if "recipe" not in record:
        return ["Nothing about its training is recorded."]
    kept = {
        "tokens": record.get("tokens"), "ended": record.get("ended"), "recipe": record["recipe"],
        "options": record.get("options"), "data": record.get("data"), "versions": record.get("versions"),
        **({"init": record["init"]} if "init" in record else {}),
    }  # fmt: skip
    notes = [f"- {_plain(note)}" for note in record.get("notes", [])]
    return ["```json", json.dumps(kept, indent=1, ensure_ascii=False, default=str), "```", "", *notes]
