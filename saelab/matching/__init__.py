"""Are two SAEs' latents the same? Matching by direction, by activation on the same text, and by what the model does.

A score alone says little: among thousands of latents some are alike by chance. So every match stands beside the best
match that chance gives, from random SAEs of the same statistics (directions), from the same text with its documents
in another order (activations), or from a partner drawn at random (substitution).
"""

from saelab.matching.crosscoder import crosscoder_diff as crosscoder_diff
from saelab.matching.match import match as match
from saelab.matching.result import LatentMatch as LatentMatch
