"""``on_log`` callbacks for experiment trackers. Neither library is imported here: bring your own run or writer."""

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

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> run = SimpleNamespace(log=lambda values, step: print(step, "train/loss" in values))
    >>> store = sl.ActivationStore.of({"mine": torch.randn(64, 8)})
    >>> _ = sl.train(store, d_sae=16, k=2, batch=32, on_log=sl.training.wandb_logger(run), progress=False)
    1 True
    2 True
    """

    def log(values: dict[str, float], step: int) -> None:
        run.log(values, step=step)

    return _logger(log, prefix)


def tensorboard_logger(writer: Any, prefix: str = "train/") -> Callable[[Trainer], None]:
    """Log each line of the curves to TensorBoard.

    Parameters
    ----------
    writer
        A ``torch.utils.tensorboard.SummaryWriter``, or anything else with
        ``add_scalar(name, value, global_step)``.
    prefix
        As in :func:`wandb_logger`.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> on_log = sl.training.tensorboard_logger(SimpleNamespace(add_scalar=print))
    >>> callable(on_log)
    True
    """

    def log(values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    return _logger(log, prefix)


def _logger(log: Callable[[dict[str, float], int], None], prefix: str) -> Callable[[Trainer], None]:
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
