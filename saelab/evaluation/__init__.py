"""How good an SAE is.

    saelab.evaluate(model, sae, texts)             # Report: reconstruction, sparsity, losses, each with an interval
    saelab.evaluate_many([a, b, c], model, texts)  # Reports: one table, .frontier() plots sparsity against fidelity

``fit_scaling`` finds how the error falls with the number of latents and of active latents, ``steering_success`` whether
latents that are turned up make the model write their concepts.

What takes more than text is a function of its own and gives a DataFrame, one line per case, so that means,
plots and comparisons are pandas:

| function of ``saelab.evaluation`` | asks | needs |
|---|---|---|
| ``probe_loss`` | does one latent know a concept? | labels |
| ``sparse_probing`` | do k latents? | labels |
| ``probe_perturbation`` | does ablating a concept's latents hurt that concept alone? | labels |
| ``absorption`` | is a general latent silent where a special one fires? | labels of nested concepts |
| ``calibrate`` | how hard may a latent be pushed? | prompts |
| ``steering_scores`` | does a latent fire on what it promotes, and promote it? | an index |
| ``ablation_sparsity`` | does a latent change few logits? | text |

With the downstream losses of the report, ``probe_loss``, ``ablation_sparsity`` and ``saelab.n2g.explainability`` are the
four of Gao et al. 2024. Labels come from ``saelab.zoo.labelled_rows``, or are a dict ``{concept: bool per token}``.
"""

from saelab.evaluation.ablation import ablation_sparsity as ablation_sparsity
from saelab.evaluation.absorption import absorption as absorption
from saelab.evaluation.calibration import Calibration as Calibration
from saelab.evaluation.calibration import calibrate as calibrate
from saelab.evaluation.comparison import Reports as Reports
from saelab.evaluation.evaluate import evaluate as evaluate
from saelab.evaluation.evaluate import evaluate_many as evaluate_many
from saelab.evaluation.perturbation import probe_perturbation as probe_perturbation
from saelab.evaluation.probes import probe_loss as probe_loss
from saelab.evaluation.probes import sparse_probing as sparse_probing
from saelab.evaluation.report import Report as Report
from saelab.evaluation.scaling import ScalingLaw as ScalingLaw
from saelab.evaluation.scaling import fit_scaling as fit_scaling
from saelab.evaluation.steering import SteeringScores as SteeringScores
from saelab.evaluation.steering import steering_scores as steering_scores
from saelab.evaluation.success import Success as Success
from saelab.evaluation.success import steering_success as steering_success
