"""Words: a sentence per latent, by any language model or none, with a score that means something.

>>> words = sl.words.explain(index, [latent], by="n2g", progress=False)  # or "tokens", or a function that asks a model
>>> judge = sl.words.LLM(lambda messages: "[1, 0, 1, 0]", name="my judge")
>>> sl.words.score(words, judge, progress=False).label()  # labels with source and score: index.table() shows them

An explanation is made from some documents and scored on others. What a score is worth depends on the judge, so the judge is
scored too: :func:`check_judge`.
"""

from saelab.words.adapters import Endpoint as Endpoint
from saelab.words.adapters import Local as Local
from saelab.words.calls import LLM as LLM
from saelab.words.calls import Reply as Reply
from saelab.words.explaining import Explanation as Explanation
from saelab.words.explaining import Explanations as Explanations
from saelab.words.explaining import explain as explain
from saelab.words.neuronpedia import read_neuronpedia as read_neuronpedia
from saelab.words.prompts import copy_prompts as copy_prompts
from saelab.words.reading import of_graph as of_graph
from saelab.words.scores import Scores as Scores
from saelab.words.scoring import check_judge as check_judge
from saelab.words.scoring import score as score
