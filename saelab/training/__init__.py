"""Training: from activations to trained SAEs."""

from saelab.training.callbacks import tensorboard_logger as tensorboard_logger
from saelab.training.callbacks import wandb_logger as wandb_logger
from saelab.training.calls import grid as grid
from saelab.training.calls import train as train
from saelab.training.calls import train_many as train_many
from saelab.training.planning import plan as plan
from saelab.training.spec import TrainConfig as TrainConfig
from saelab.training.text_monitor import TextMonitor as TextMonitor
from saelab.training.trainer import Trainer as Trainer
