"""The sparse autoencoder: parameters, encode, decode; one small file per architecture."""

from saelab.sae.codes import Codes as Codes
from saelab.sae.config import SAEConfig as SAEConfig
from saelab.sae.sae import SAE as SAE
from saelab.sae.sae import SAEOutput as SAEOutput
