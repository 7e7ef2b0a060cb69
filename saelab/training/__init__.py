"""Training: from activations to trained SAEs."""

from saelab.training.calls import grid as grid
from saelab.training.calls import train as train
from saelab.training.calls import train_many as train_many
from saelab.training.trainer import TrainConfig as TrainConfig
from saelab.training.trainer import Trainer as Trainer
