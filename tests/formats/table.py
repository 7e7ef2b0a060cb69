"""The table of formats and architectures, from what the fixtures show: ``python table.py`` writes
TABLE.md."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch
from cases import FIXTURES, FOREIGN, GIVEN, READ, WRITE, make, outputs, refusal, structure

from saelab.formats import FORMATS, load_sae

TABLE = Path(__file__).with_name("TABLE.md")
COLUMNS = (
    "relu",
    "gated",
    "jumprelu",
    "topk",
    "batchtopk",
    "matryoshka",
    "transcoder",
    "skip transcoder",
    "crosscoder",
)
# by whose code a format's fixtures were made or read
ORACLE = {
    "saelens": "SAELens",
    "sparsify": "sparsify",
    "dictionary_learning": "dictionary_learning",
    "openai": "OpenAI's code",
    "gemma_scope": "SAELens's converter",
    "gemma_scope_2": "SAELens's converter",
    "llama_scope": "SAELens's converter",
    "goodfire": "SAELens's converter",
    "qwen_scope": "SAELens's converter",
    "transcoder_circuits": "transcoder_circuits",
    "circuit_tracer": "circuit-tracer",
    "crosscoder": "crosscoder-model-diff-replication",
}


def column(config) -> str:
    """Where an SAE stands in the table."""
    if config.widths is not None:
        return "crosscoder"
    if config.skip:
        return "skip transcoder"
    return "transcoder" if config.hook_in != config.hook_out or config.d_in != config.d_out else config.arch


def readable() -> dict[tuple[str, str], bool]:
    """(format, column) -> whether all its fixtures are read with the outputs of the library that made
    them."""
    import numpy as np

    out: dict[tuple[str, str], bool] = {}
    for name in READ:
        want = np.load(FIXTURES / f"{name}.npz")
        sae = load_sae(FIXTURES / name, given=GIVEN.get(name))
        z, recon = outputs(sae, torch.from_numpy(want["x"]))
        good = (
            np.abs(z.numpy() - want["latents"]).max() < 1e-5
            and np.abs(recon.numpy() - want["recon"]).max() < 1e-5
        )
        cell = (name.split("/")[0], column(sae.config))
        out[cell] = out.get(cell, True) and bool(good)
    return out


def writable() -> dict[tuple[str, str], list[tuple[str, str | None]]]:
    """(format, column) -> [(kind of SAE, "" if the original library read it, or why it cannot be
    written)]."""
    verified = json.loads((FIXTURES / "written.json").read_text())
    out: dict[tuple[str, str], list[tuple[str, str | None]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for form in FOREIGN:
            for kind in WRITE:
                place = Path(folder) / form / kind
                why = refusal(kind, form, place)
                if why is None and verified.get(f"{form}/{kind}") != structure(place):
                    why = "written, but not read by the original library yet"
                out.setdefault((form, column(make(kind).config)), []).append((kind, why))
    return out


def generate() -> str:
    """The table as Markdown."""
    read, write = readable(), writable()
    notes: dict[str, list[str]] = {}  # reason -> kinds of SAE it holds for

    def note(kind: str, why: str) -> str:
        notes.setdefault(why, []).append(kind)
        return f"[{list(notes).index(why) + 1}]"

    lines = [
        "Made by `tests/formats/table.py` from the fixtures. **R**: read, with the latents and "
        "reconstructions (1e-5) of the "
        "code in the last column. **W**: written, and read back with equal outputs by that library. A "
        "number is a note: "
        "that conversion is refused, for the reason given. Empty: the format has no such SAE.",
        "",
        "| format | " + " | ".join(COLUMNS) + " | checked against |",
        "|---" * (len(COLUMNS) + 2) + "|",
    ]
    for form in FORMATS:
        if form == "saelab":
            lines.append("| saelab | " + " | ".join(["R W"] * len(COLUMNS)) + " | itself |")
            continue
        cells = []
        for name in COLUMNS:
            cell = {True: "R", False: "**wrong**", None: ""}[read.get((form, name))]
            kinds = write.get((form, name), [])
            if any(why is None for _, why in kinds):
                cell += " W"
            marks = dict.fromkeys(note(kind, f"{form}: {why}") for kind, why in kinds if why is not None)
            cells.append(" ".join([cell.strip(), *marks]).strip())
        lines.append(f"| {form} | " + " | ".join(cells) + f" | {ORACLE[form]} |")
    lines += [
        "",
        *(f"{i}. {why} ({', '.join(kinds)})" for i, (why, kinds) in enumerate(notes.items(), 1)),
        "",
    ]
    lines += ["BatchTopK and Matryoshka SAEs are written to SAELens as JumpReLU, as SAELens itself does.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    TABLE.write_text(generate())
    sys.stdout.write(TABLE.read_text())
