"""The table of formats and architectures in README.md, from what the fixtures show.

``python tests/formats/table.py`` writes it there; a test compares it with what this makes."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch
from cases import FIXTURES, FOREIGN, HALF, READ, WRITE, load, make, outputs, refusal, structure

from saelab.formats import FORMATS

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- formats: made by tests/formats/table.py -->\n", "<!-- formats: end -->"
COLUMNS = (
    "relu",
    "gated",
    "jumprelu",
    "topk",
    "batchtopk",
    "matryoshka",
    "transcoder",
    "skip transcoder",
    "cross-layer transcoder",
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
    "circuit_tracer_clt": "circuit-tracer",
    "crosscoder": "crosscoder-model-diff-replication",
    "llamascopium": "Language-Model-SAEs",
    "numbered": "1L-Sparse-Autoencoder",
    "batchtopk_code": "BatchTopK's code",
    "e2e_sae": "e2e_sae",
    "linear_pair": "SAELens's converter",
}

# what a library computes in once it has loaded its files; those not named here: float32, however it is stored
LOADS = {
    "saelab": "as saved",
    "saelens": "its config's; float32 from the hub",
    "sparsify": "as stored",
    "llamascopium": "its config's",
    "batchtopk_code": "its config's",
    "transcoder_circuits": "its config's",
    "crosscoder": "its config's",
    "numbered": "its config's",
}


def column(config) -> str:
    """Where an SAE stands in the table."""
    if config.widths is not None:
        return "crosscoder"
    if "+" in config.hook_out:
        return "cross-layer transcoder"
    if config.skip:
        return "skip transcoder"
    return "transcoder" if config.hook_in != config.hook_out or config.d_in != config.d_out else config.arch


def readable() -> dict[tuple[str, str, str], bool]:
    """(format, column, "R" or, for files in half precision, "h") -> whether all its fixtures are read with the outputs
    of the library that made them."""
    import numpy as np

    out: dict[tuple[str, str, str], bool] = {}
    for name in READ:
        want = np.load(FIXTURES / f"{name}.npz")
        sae = load(name)
        z, recon = (t.float().numpy() for t in outputs(sae, torch.from_numpy(want["x"])))
        near = 1e-5 if sae.config.dtype == "float32" else 2**-5  # of reconstructions: see test_original.py
        good = np.abs(z - want["latents"]).max() < 1e-5 and np.abs(recon - want["recon"]).max() < near
        cell = (name.split("/")[0], column(sae.config), "h" if name in HALF else "R")
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


# SAEs that a format has and saelab does not read, and why
NOT_READ = {
    ("llamascopium", "batchtopk"): "its latents depend on the batch also in use",
    (
        "llamascopium",
        "cross-layer transcoder",
    ): "not read: of this library only plain SAEs and transcoders are",
    ("llamascopium", "crosscoder"): "not read: of this library only plain SAEs and transcoders are",
    ("batchtopk_code", "batchtopk"): "it stores no threshold, so its latents depend on the batch",
    (
        "gemma_scope_2",
        "cross-layer transcoder",
    ): "not read: the only public reader leaves out a layer, so there is nothing to compare with",
    ("transcoder_circuits", "relu"): "not read: only its transcoders are",
}
INTRO = """\
**R**: a float32 file is read; latents (the same ones active, to 1e-5) and reconstructions (to 1e-5) are those of the code
in the last column. **h**: so is a file in half precision: the same latents, in the dtype that the library loads it into
(column *computes in*; there reconstructions agree to the last place of that dtype). **W**: written, and read back by that
library with equal latents and reconstructions, in float32; of half precision nothing is rounded. **·**: not possible, the
format has no such SAE. A number alone: not possible, for the reason below; beside a letter: what is left out.
<!-- test: tests/formats/test_original.py::test_table_is_current tests/formats/test_original.py::test_read_equal
tests/formats/test_original.py::test_write tests/formats/test_half.py::test_D13_a_write_rounds_nothing
tests/formats/test_half.py::test_D13_the_dtype_is_that_of_the_librarys_own_loader -->
"""


def generate() -> str:
    """The table as Markdown."""
    read, write = readable(), writable()
    notes: list[str] = []

    def note(why: str) -> str:
        if why not in notes:
            notes.append(why)
        return f"<sup>{notes.index(why) + 1}</sup>"

    lines = [
        "| format | " + " | ".join(COLUMNS) + " | computes in | checked against |",
        "|---" * (len(COLUMNS) + 3) + "|",
    ]
    for form in FORMATS:
        if form == "saelab":
            lines.append("| saelab | " + " | ".join(["R W"] * len(COLUMNS)) + f" | {LOADS[form]} | itself |")
            continue
        cells = []
        for name in COLUMNS:
            found = [(letter, read.get((form, name, letter))) for letter in ("R", "h")]
            kinds = write.get((form, name), [])
            refused = {why: [kind for kind, w in kinds if w == why] for _, why in kinds if why is not None}
            written = any(why is None for _, why in kinds)
            letters = [{True: letter, False: "**wrong**", None: ""}[good] for letter, good in found]
            letters.append("W" if written else "")
            if not written:
                marks = [note(why) for why in refused] if refused else []
            else:
                marks = [note(f"{why}: {', '.join(kinds)}") for why, kinds in refused.items()]
            if not any(letters) and not marks:
                marks = [note(NOT_READ[form, name]) if (form, name) in NOT_READ else "·"]
            cells.append(" ".join(filter(None, [*letters, *marks])))
        known = (
            form if form in FOREIGN else form + note("read only: no other library writes or needs this form")
        )
        lines.append(
            f"| {known} | " + " | ".join(cells) + f" | {LOADS.get(form, 'float32')} | {ORACLE[form]} |"
        )
    listed = [f"{i}. {why}" for i, why in enumerate(notes, 1)]
    last = "BatchTopK and Matryoshka SAEs are written to SAELens as JumpReLU, as SAELens itself does.\n"
    last += "<!-- test: tests/formats/test_original.py::test_write -->"
    return "\n".join([INTRO, *lines, "", *listed, "", last, ""])


def stored() -> str:
    """What README.md has between the marks."""
    return README.read_text().split(BEGIN)[1].split(END)[0]


def main() -> None:
    before, rest = README.read_text().split(BEGIN)
    README.write_text(before + BEGIN + generate() + END + rest.split(END, 1)[1])
    sys.stdout.write(stored())


if __name__ == "__main__":
    main()
