"""One rank of the runs of ``test_launch.py``, as torchrun begins it: ``python launch_worker.py SPEC [COMMAND]``.

With KILL=rank:step in the environment that rank is killed at that step, or when a harvest has so many rows."""

from __future__ import annotations

import os
import signal
import sys

from toy import ToyModel

from saelab import cli
from saelab.activations.harvest import Harvester
from saelab.training import launch
from saelab.training.trainer import Trainer


def main() -> int:
    launch.load_model = lambda name, dtype: ToyModel()
    rank, _, step = os.environ.get("KILL", "-1:0").partition(":")
    real = Trainer.step

    def die(self, *given):
        if self.ranks.rank == int(rank) and self.done == int(step):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, *given)

    real_next = Harvester.next

    def die_of_rows(self):
        if self.ranks and self.ranks.rank == int(rank) and self.harvested >= int(step) > 0 and harvests:
            os.kill(os.getpid(), signal.SIGKILL)
        return real_next(self)

    Trainer.step, Harvester.next = die, die_of_rows
    command = (sys.argv[2:] or ["train"])[0]
    harvests = command == "harvest"
    return cli.main([command, sys.argv[1], "--timeout", "60"])


if __name__ == "__main__":
    sys.exit(main())
