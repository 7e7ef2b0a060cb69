"""Where the bundled data lie: nothing needs the zoo's code to load its model or its SAE."""

from pathlib import Path

_DATA = Path(__file__).parent / "zoo" / "data"
ZOO_MODEL = _DATA / "model"  # a model in Hugging Face folder form
ZOO_SAE = _DATA / "sae"  # a TopK SAE on its neurons, in our own form
