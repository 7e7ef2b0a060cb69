"""Where every latent fires: one pass over the text, then any question in milliseconds."""

from saelab.index.latent_index import LatentIndex as LatentIndex
from saelab.index.queries import Postings as Postings
