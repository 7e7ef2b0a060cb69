"""Where every latent fires: one pass over the text, then any question in milliseconds."""

from saelab.index.columns import Postings as Postings
from saelab.index.latent_index import LatentIndex as LatentIndex
