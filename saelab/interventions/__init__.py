"""Change a model through an SAE's latents, and see what they do to it.

from saelab import interventions
with interventions.steer(model, sae, {123: 8.0}): model("Once upon a time")
interventions.generate(model, sae, "Once upon", {123: 8.0}); interventions.effects(model, sae, text, 123)
"""

from saelab.interventions.ablation import Effects as Effects
from saelab.interventions.ablation import effects as effects
from saelab.interventions.attribution import Attribution as Attribution
from saelab.interventions.attribution import attribute as attribute
from saelab.interventions.description import Description as Description
from saelab.interventions.directions import Direction as Direction
from saelab.interventions.edits import MODES as MODES
from saelab.interventions.edits import POSITIONS as POSITIONS
from saelab.interventions.edits import Edit as Edit
from saelab.interventions.edits import Intervention as Intervention
from saelab.interventions.export import export_steering as export_steering
from saelab.interventions.generation import Comparison as Comparison
from saelab.interventions.generation import Generation as Generation
from saelab.interventions.generation import compare as compare
from saelab.interventions.generation import generate as generate
from saelab.interventions.passes import watched as watched
from saelab.interventions.sites import SAEAtHook as SAEAtHook
from saelab.interventions.sites import hook_points as hook_points
from saelab.interventions.steering import attach as attach
from saelab.interventions.steering import interventions as interventions
from saelab.interventions.steering import steer as steer
from saelab.interventions.sweeps import Sweep as Sweep
from saelab.interventions.sweeps import sweep as sweep
