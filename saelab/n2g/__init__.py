"""N2G: explain a latent by the token patterns that make it fire, as a graph a person can edit and score.

graph = sl.n2g.fit(model, sae, index, [123])[123]
print(graph.text())            # `Host` `:` * → `example`
graph.score()                  # on held-out documents; the test split only when asked for
graph.delete(4); graph.undo()
"""

from saelab.n2g.compare import duplicates, search, similar
from saelab.n2g.config import N2GConfig
from saelab.n2g.fit.fitting import fit
from saelab.n2g.graph.history import Edit
from saelab.n2g.graph.match import Tokens
from saelab.n2g.graph.tree import End, Node, Pattern, Tree
from saelab.n2g.pattern_graph import PatternGraph
from saelab.n2g.reconstruct import SimulatedLoss, simulated_loss
from saelab.n2g.score import Score

__all__ = [
    "Edit", "End", "N2GConfig", "Node", "Pattern", "PatternGraph", "Score", "SimulatedLoss", "Tokens", "Tree",
    "duplicates", "fit", "search", "similar", "simulated_loss",
]  # fmt: skip
