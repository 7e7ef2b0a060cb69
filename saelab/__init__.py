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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what a type checker and an editor see; at run time a name is loaded when it is first used
    from saelab import course as course
    from saelab import evaluation as evaluation
    from saelab import index as index
    from saelab import models as models
    from saelab import n2g as n2g
    from saelab import widgets as widgets
    from saelab import words as words
    from saelab import zoo as zoo
    from saelab.activations.store import ActivationStore as ActivationStore
    from saelab.errors import HookError as HookError
    from saelab.errors import SaelabError as SaelabError
    from saelab.evaluation import calibrate as calibrate
    from saelab.evaluation import evaluate as evaluate
    from saelab.evaluation import evaluate_many as evaluate_many
    from saelab.evaluation import steering_scores as steering_scores
    from saelab.evaluation import steering_success as steering_success
    from saelab.experiments import attribute as attribute
    from saelab.experiments import compare as compare
    from saelab.experiments import describe as describe
    from saelab.experiments import effects as effects
    from saelab.experiments import export_steering as export_steering
    from saelab.experiments import generate as generate
    from saelab.experiments import sweep as sweep
    from saelab.formats import load_sae as load_sae
    from saelab.formats import save_sae as save_sae
    from saelab.formats.catalog import catalog as catalog
    from saelab.formats.catalog import load_model_for as load_model_for
    from saelab.formats.publish import push_to_hub as push_to_hub
    from saelab.formats.selfcheck import self_check as self_check
    from saelab.identity import allow_mismatch as allow_mismatch
    from saelab.index import LatentIndex as LatentIndex
    from saelab.interventions import Direction as Direction
    from saelab.interventions import Edit as Edit
    from saelab.interventions import Intervention as Intervention
    from saelab.interventions import attach as attach
    from saelab.interventions import steer as steer
    from saelab.matching import crosscoder_diff as crosscoder_diff
    from saelab.matching import match as match
    from saelab.models import load_model as load_model
    from saelab.models import tokenize_texts as tokenize_texts
    from saelab.sae import SAE as SAE
    from saelab.sae import Codes as Codes
    from saelab.sae import SAEConfig as SAEConfig
    from saelab.texts import english_texts as english_texts
    from saelab.texts import package_texts as package_texts
    from saelab.training import grid as grid
    from saelab.training import plan as plan
    from saelab.training import train as train
    from saelab.training import train_many as train_many
    from saelab.widgets import effect_map as effect_map
    from saelab.widgets import heatmap as heatmap
    from saelab.widgets import steering_panel as steering_panel
    from saelab.widgets import training_monitor as training_monitor
    from saelab.widgets.environment import check_environment as check_environment

__version__ = "0.1.0"

_ROOMS = {  # where each public name is
    "saelab.errors": "SaelabError HookError",
    "saelab.widgets.environment": "check_environment",
    "saelab.models": "load_model tokenize_texts",
    "saelab.texts": "english_texts package_texts",
    "saelab.sae": "SAE SAEConfig Codes",
    "saelab.formats": "load_sae save_sae",
    "saelab.formats.publish": "push_to_hub",
    "saelab.formats.catalog": "catalog load_model_for",
    "saelab.formats.selfcheck": "self_check",
    "saelab.activations.store": "ActivationStore",
    "saelab.training": "plan train train_many grid",
    "saelab.evaluation": "evaluate evaluate_many calibrate steering_scores steering_success",
    "saelab.identity": "allow_mismatch",
    "saelab.index": "LatentIndex",
    "saelab.interventions": "attach steer Direction Edit Intervention",
    "saelab.experiments": "effects describe attribute export_steering generate compare sweep",
    "saelab.matching": "match crosscoder_diff",
    "saelab.widgets": "heatmap steering_panel effect_map training_monitor",
}
_WHERE = {name: room for room, names in _ROOMS.items() for name in names.split()}
# not those that share a name with a function
_MODULES = ("n2g", "zoo", "widgets", "models", "index", "evaluation", "course", "words")

__all__ = ["__version__", *_WHERE, "n2g", "words", "zoo", "widgets"]


if not TYPE_CHECKING:  # else a type checker takes every name for one that exists

    def __getattr__(name: str) -> Any:
        if name in _WHERE:
            value = getattr(importlib.import_module(_WHERE[name]), name)
            globals()[name] = value
            return value
        if name in _MODULES:
            return importlib.import_module(f"saelab.{name}")
        raise AttributeError(f"module 'saelab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
