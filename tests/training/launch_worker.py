"""One rank of the runs of ``test_launch.py``, as torchrun begins it: ``python launch_worker.py SPEC [COMMAND]``.

With KILL=rank:step in the environment that rank is killed at that step, or when a harvest has so many rows; with
KILL=rank:checkpoint:n:seconds so many seconds after the n-th checkpoint begins, with ``save`` when the SAE is saved."""

from __future__ import annotations

import os
import signal
import sys
import threading

from toy import ToyModel

from saelab import cli
from saelab.activations.harvest import Harvester
from saelab.training import checkpoint, launch, sharded
from saelab.training.trainer import Trainer


def main() -> int:
    launch.load_model = lambda name, dtype: ToyModel()
    rank, step, *when = os.environ.get("KILL", "-1:0").split(":")
    if when and rank == os.environ["RANK"]:
        module, name = {"checkpoint": (checkpoint, "save"), "save": (sharded, "whole_of")}[step]
        real_write, left = getattr(module, name), [int(when[0])]

        def die_soon(*given):
            left[0] -= 1
            if not left[0]:
                threading.Timer(float(when[1]), os.kill, (os.getpid(), signal.SIGKILL)).start()
            return real_write(*given)

        setattr(module, name, die_soon)
    step = -1 if when else int(step)
    real = Trainer.step

    def die(self, *given):
        if self.ranks.rank == int(rank) and self.done == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, *given)

    real_next = Harvester.next

    def die_of_rows(self):
        if self.ranks and self.ranks.rank == int(rank) and self.harvested >= step > 0 and harvests:
            os.kill(os.getpid(), signal.SIGKILL)
        return real_next(self)

    Trainer.step, Harvester.next = die, die_of_rows
    command = (sys.argv[2:] or ["train"])[0]
    harvests = command == "harvest"
    return cli.main([command, sys.argv[1], "--timeout", "60"])


if __name__ == "__main__":
    sys.exit(main())
