"""Training: from activations to a trained SAE."""

from saelab.training.trainer import TrainConfig as TrainConfig
from saelab.training.trainer import Trainer as Trainer
from saelab.training.trainer import train as train
