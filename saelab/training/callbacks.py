"""``on_log`` callbacks for experiment trackers. Neither library is imported here: bring your own run or writer.

>>> import wandb                                                            # doctest: +SKIP
>>> sl.train(model, texts, ..., on_log=wandb_logger(wandb.init()))          # doctest: +SKIP
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saelab.training.trainer import Trainer


def wandb_logger(run: Any, prefix: str = "train/") -> Callable[[Trainer], None]:
    """Log each line of the curves to a Weights & Biases run.

    Parameters
    ----------
    run
        From ``wandb.init(…)``, or anything else with ``log(dict, step=int)``.
    prefix
        Put before the names; of several SAEs (``train_many``) also the number comes before them.
    """
    return _calling(lambda values, step: run.log(values, step=step), prefix)


def tensorboard_logger(writer: Any, prefix: str = "train/") -> Callable[[Trainer], None]:
    """Log each line of the curves to TensorBoard.

    Parameters
    ----------
    writer
        A ``torch.utils.tensorboard.SummaryWriter``, or anything else with
        ``add_scalar(name, value, global_step)``.
    prefix
        As in :func:`wandb_logger`.
    """

    def log(values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    return _calling(log, prefix)


def _calling(log: Callable[[dict[str, float], int], Any], prefix: str) -> Callable[[Trainer], None]:
    broken = False

    def on_log(trainer: Trainer) -> None:
        nonlocal broken
        if broken:
            return
        line, name = trainer.curves[-1], f"{trainer.name}/" if trainer.name else ""
        try:
            log({f"{prefix}{name}{k}": v for k, v in line.items() if k != "step"}, int(line["step"]))
        except Exception as error:  # a server that cannot be reached must not end a run of hours
            broken = True
            warnings.warn(
                f"logging failed ({type(error).__name__}: {error}); training goes on without it", stacklevel=2
            )

    return on_log
