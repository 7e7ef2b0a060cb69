"""saelab: sparse autoencoders on language models, in the notebook.

    import saelab as sl
    model = sl.load_model("zoo")
    sae = sl.train(model, sl.zoo.texts(), hook="blocks.0.mlp.hook_post", d_sae=4096, k=32, tokens="2M")
    index = sl.LatentIndex.build(model, sae, sl.zoo.texts(2000, seed=1))
    index.dashboard(123)

Names are loaded when first used, so ``import saelab`` costs nothing and pulls in no torch.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_WHERE = {
    "SaelabError": "saelab.errors",
    "HookError": "saelab.errors",
    "check_environment": "saelab.widgets.environment",
    "load_model": "saelab.models",
    "tokenize_texts": "saelab.models",
    "package_texts": "saelab.texts",
    "SAE": "saelab.sae",
    "SAEConfig": "saelab.sae",
    "Codes": "saelab.sae",
    "load_sae": "saelab.formats",
    "save_sae": "saelab.formats",
    "push_to_hub": "saelab.formats.publish",
    "catalog": "saelab.formats.catalog",
    "load_model_for": "saelab.formats.catalog",
    "self_check": "saelab.formats.selfcheck",
    "ActivationStore": "saelab.activations.store",
    "train": "saelab.training",
    "train_many": "saelab.training",
    "grid": "saelab.training",
    "evaluate": "saelab.evaluation",
    "evaluate_many": "saelab.evaluation",
    "LatentIndex": "saelab.index",
    "attach": "saelab.interventions",
    "steer": "saelab.interventions",
    "effects": "saelab.interventions",
    "attribute": "saelab.interventions",
    "generate": "saelab.interventions",
    "compare": "saelab.interventions",
    "sweep": "saelab.interventions",
    "steering_success": "saelab.interventions",
    "Edit": "saelab.interventions",
    "Intervention": "saelab.interventions",
    "heatmap": "saelab.widgets",
    "steering_panel": "saelab.widgets",
    "effect_map": "saelab.widgets",
    "training_monitor": "saelab.widgets",
}
_MODULES = (
    "n2g",
    "zoo",
    "widgets",
    "models",
    "index",
    "evaluation",
)  # not those that share a name with a function

__all__ = ["__version__", *_WHERE, "n2g", "zoo", "widgets"]


def __getattr__(name: str):
    if name in _WHERE:
        value = getattr(importlib.import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"saelab.{name}")
    raise AttributeError(f"module 'saelab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
