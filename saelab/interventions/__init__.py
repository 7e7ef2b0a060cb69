"""Change a model through an SAE's latents or directions of one's own.

from saelab import interventions
with interventions.steer(model, sae, {123: 8.0}): model("Once upon a time")
"""

from saelab.interventions.directions import Direction as Direction
from saelab.interventions.edits import MODES as MODES
from saelab.interventions.edits import POSITIONS as POSITIONS
from saelab.interventions.edits import Edit as Edit
from saelab.interventions.edits import Intervention as Intervention
from saelab.interventions.passes import watched as watched
from saelab.interventions.sites import SAEAtHook as SAEAtHook
from saelab.interventions.sites import hook_points as hook_points
from saelab.interventions.steering import attach as attach
from saelab.interventions.steering import interventions as interventions
from saelab.interventions.steering import steer as steer
