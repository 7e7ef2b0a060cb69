"""N2G: explain a latent by the token patterns that make it fire, as a graph a person can edit and score.

>>> graph = sl.n2g.fit(index, [latent], progress=False)[latent]
>>> "→" in graph.text(1)  # context in reading order, then the token it fires on
True
>>> graph.score(split="valid").split  # these helped to choose the patterns; the test split only when asked for
'valid'
"""

from saelab.n2g.compare import duplicates as duplicates
from saelab.n2g.compare import search as search
from saelab.n2g.compare import similar as similar
from saelab.n2g.config import N2GConfig as N2GConfig
from saelab.n2g.explainability import explainability as explainability
from saelab.n2g.fitting import fit as fit
from saelab.n2g.graph.history import GraphEdit as GraphEdit
from saelab.n2g.graph.match import Tokens as Tokens
from saelab.n2g.graph.tree import End as End
from saelab.n2g.graph.tree import Node as Node
from saelab.n2g.graph.tree import Pattern as Pattern
from saelab.n2g.graph.tree import Tree as Tree
from saelab.n2g.pattern_graph import PatternGraph as PatternGraph
from saelab.n2g.reconstruct import SimulatedLoss as SimulatedLoss
from saelab.n2g.reconstruct import simulated_loss as simulated_loss
from saelab.n2g.score import Score as Score
