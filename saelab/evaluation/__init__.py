"""How good an SAE is.

saelab.evaluate(sae, model, texts)             # Report: reconstruction, sparsity, losses, each with an interval
saelab.evaluate_many([a, b, c], model, texts)  # Reports: one table, .frontier() plots sparsity against fidelity
"""

from saelab.evaluation.comparison import Reports as Reports
from saelab.evaluation.evaluate import evaluate as evaluate
from saelab.evaluation.evaluate import evaluate_many as evaluate_many
from saelab.evaluation.report import Report as Report
