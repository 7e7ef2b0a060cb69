"""How good an SAE is: ``evaluate`` and its report."""

from saelab.evaluation.evaluate import evaluate as evaluate
from saelab.evaluation.report import Report as Report
