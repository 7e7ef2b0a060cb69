"""Where the bundled data lie: nothing needs the zoo's code to load its model or its SAE."""

from pathlib import Path

from saelab.errors import SaelabError

_DATA = Path(__file__).parent / "zoo" / "data"
# models in Hugging Face folder form; the twin has half the width, its own tokenizer, and was trained on other documents
MODELS = {"zoo": _DATA / "model", "zoo-twin": _DATA / "twin-model"}
# TopK SAEs in our own form: on the neurons of these, and on the residual stream of SmolLM2's middle
SAES = {
    "zoo": _DATA / "sae",
    "zoo-twin": _DATA / "twin-sae",
    "smollm2": Path(__file__).parent / "smollm2" / "data",
}


def whole(folder: Path) -> Path:
    """``folder``, or what makes it where it is missing."""
    if not (folder / "config.json").is_file():
        build = "smollm2.build" if folder.parent.name == "smollm2" else f"zoo.build --only {folder.name}"
        raise SaelabError(f"{folder} is missing; make it with: python -m saelab.{build}")
    return folder


def notebooks() -> Path:
    """Folder of the notebooks: inside an installed package, or at the top of the repository."""
    for folder in (Path(__file__).parent / "notebooks", Path(__file__).parents[1] / "notebooks"):
        if list(folder.glob("*.ipynb")):
            return folder
    raise SaelabError("this installation has no notebooks")
