"""The tutorial notebooks run from top to bottom, with less data than a reader would use, and say what they show.

``SAELAB_NOTEBOOKS=full`` runs them as a reader does.
"""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import nbformat
import pytest
from claims import CLAIMS
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
SMALLER = {
    "00_quickstart.ipynb": [
        (r'tokens="1M"', 'tokens="150k"'),
        (r"model, 2500, seed=3", "model, 800, seed=3"),
    ],
    "01_superposition.ipynb": [
        (r"steps=2000", "steps=1500"),
        (r"SIZES = \[16, 32, 64, 128, 256\]", "SIZES = [16, 64]"),
        (r'tokens="400k", epochs=4\)', 'tokens="200k", epochs=4)'),
    ],
    "02_train_an_sae.ipynb": [
        (r'tokens="20k"', 'tokens="4k"'),
        (r'tokens="300k"', 'tokens="16k"'),
        (r"\[8, 32\], 1024", "[8], 256"),
        (r"\[256, 512, 1024, 2048\], \[4, 8, 16, 32\]", "[64, 128, 256, 512], [4, 8]"),
        (r"d_sae=8192", "d_sae=1024"),
        (r"batch=4096", "batch=1024"),
        (r'"batch": 4096', '"batch": 1024'),
    ],
    "03_explore_latents.ipynb": [],  # quick enough as it is
    "05_steer.ipynb": [
        (r"model, 1500, seed=3", "model, 500, seed=3"),
        (r"n=20, max_new_tokens=40", "n=4, max_new_tokens=12"),
        (r"texts\(100, seed=9", "texts(6, seed=9"),
        (r"for g in sl\.zoo\.GENRES\}", 'for g in ("dna", "hebrew", "legal")}'),
        (r"n=30, tune=8", "n=10, tune=4"),
    ],
    "07_published_saes.ipynb": [
        (r'tokens="500k"', 'tokens="120k"'),
        (r'tokens="200k"', 'tokens="30k"'),
        (r"model, 1500, seed=3", "model, 600, seed=3"),
    ],
    "06_evaluate_saes.ipynb": [
        (r'tokens="200k"', 'tokens="30k"'),
        (r'"d_sae": 1024', '"d_sae": 128'),
        (r"600, seed=20", "60, seed=20"),
        (r'tokens="25k"', 'tokens="3k"'),
        (r"model, 1000, seed=21", "model, 250, seed=21"),
        (r'"examples": 300', '"examples": 40'),
        (r"examples=800", "examples=40"),
        (r"positions=24", "positions=4"),
        (r"n=12, config", "n=2, config"),
    ],
    "04_explain_with_n2g.ipynb": [
        (r"nlargest\(100,", "nlargest(8,"),
        (r'tokens="10k"', 'tokens="1k"'),
    ],
    "10_words.ipynb": [(r"n=10, batch=1", "n=4, batch=1")],
    "08_real_model.ipynb": [
        (r'"60k", 8', '"20k", 3'),
        (r'tokens="3k"', 'tokens="1k"'),
        (r"n=4, max_new_tokens=25", "n=2, max_new_tokens=8"),
    ],
    "09_are_features_universal.ipynb": [
        (r"\(zoo, 800, seed=3", "(zoo, 250, seed=3"),
        (r"\(twin, 800, seed=3", "(twin, 250, seed=3"),
        (r'tokens="250k"', 'tokens="60k"'),
        (r"index\[:24\]", "index[:6]"),
        (r"known, n=4", "known, n=2"),
        (r'"60k", "12k"', '"8k", "3k"'),
        (r'"d_sae": 512, "k": 16', '"d_sae": 128, "k": 16'),
    ],
}


def test_every_notebook_is_run_here():
    assert {p.name for p in FOLDER.glob("*.ipynb")} == set(SMALLER)


@pytest.mark.parametrize("name", sorted(SMALLER))
def test_runs(name, tmp_path):
    if "real_model" in name:
        from saelab.errors import SaelabError
        from saelab.models.load import resolve

        try:
            resolve("smollm2")
        except SaelabError as error:
            pytest.skip(f"SmolLM2 cannot be had here: {error}")
    notebook = nbformat.read(FOLDER / name, as_version=4)
    smaller = [] if os.environ.get("SAELAB_NOTEBOOKS") == "full" else SMALLER[name]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for find, put in smaller:
                cell.source = re.sub(find, put, cell.source)
    changed = "".join(c.source for c in notebook.cells)
    for _, put in smaller:
        assert put in changed, f"{name} no longer has what the test makes smaller: {put}"
    if (stem := name.removesuffix(".ipynb")) in CLAIMS:
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nimport claims"
        notebook.cells.append(nbformat.v4.new_code_cell(f"{code}\nclaims.check({stem!r}, globals())"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of jupyter_client's event loop, not of the notebook
        NotebookClient(
            notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
        ).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            text = output.get("text", "")
            assert "Traceback" not in text
            assert text.count("\n") < 40, "a cell prints too much"
            if output.output_type == "stream" and output.name == "stderr":
                assert "Warning" not in text, f"{cell.source}\n{text}"


@pytest.mark.parametrize("name", sorted(SMALLER))
def test_is_short_and_clean(name):
    notebook = nbformat.read(FOLDER / name, as_version=4)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert len(code) < 15
    assert all(not c.outputs and c.execution_count is None for c in code)
    assert notebook.cells[0].cell_type == "markdown"


@pytest.mark.parametrize("name", sorted(SMALLER))
def test_says_what_for_how_long_and_what_is_next(name):
    cells = nbformat.read(FOLDER / name, as_version=4).cells
    assert "**Goals:**" in cells[0].source
    assert re.search(r"\*\*Minutes:\*\* \d+ to run", cells[0].source)
    order = sorted(SMALLER)
    if name != order[-1]:
        assert f"**Next:** `{order[order.index(name) + 1]}`" in cells[-1].source
