"""What an intervention does: text, sweeps, effects of latents on each other, directions in words; and steering elsewhere.

from saelab import experiments
experiments.generate(model, sae, "Once upon", {123: 8.0}); experiments.effects(model, sae, text, 123)
"""

from saelab.experiments.ablation import Effects as Effects
from saelab.experiments.ablation import effects as effects
from saelab.experiments.attribution import Attribution as Attribution
from saelab.experiments.attribution import attribute as attribute
from saelab.experiments.description import Description as Description
from saelab.experiments.description import describe as describe
from saelab.experiments.export import export_steering as export_steering
from saelab.experiments.generation import compare as compare
from saelab.experiments.generation import generate as generate
from saelab.experiments.sweeps import Sweep as Sweep
from saelab.experiments.sweeps import sweep as sweep
from saelab.experiments.written import Comparison as Comparison
from saelab.experiments.written import Generation as Generation
