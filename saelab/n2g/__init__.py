"""N2G: explain a latent by the token patterns that make it fire, as a graph a person can edit and score.

graph = sl.n2g.fit(model, sae, index, [123])[123]
print(graph.text())            # `Host` `:` * → `example`
graph.score()                  # on held-out documents; the test split only when asked for
graph.delete(4); graph.undo()
"""

from saelab.n2g.compare import duplicates, search, similar
from saelab.n2g.config import N2GConfig
from saelab.n2g.fitting import fit
from saelab.n2g.graph import PatternGraph
from saelab.n2g.history import Edit
from saelab.n2g.match import Tokens
from saelab.n2g.reconstruct import SimulatedLoss, simulated_loss
from saelab.n2g.score import Score
from saelab.n2g.tree import End, Node, Pattern, Tree

__all__ = [
    "Edit", "End", "N2GConfig", "Node", "Pattern", "PatternGraph", "Score", "SimulatedLoss", "Tokens", "Tree",
    "duplicates", "fit", "search", "similar", "simulated_loss",
]  # fmt: skip
