"""One rank of the runs of ``test_launch.py``, as torchrun begins it: ``python launch_worker.py SPEC…``.

With KILL=rank:step in the environment that rank is killed at that step. Each SPEC is a run of its own."""

from __future__ import annotations

import os
import signal
import sys

from toy import ToyModel

from saelab import cli
from saelab.training import launch
from saelab.training.trainer import Trainer


def main() -> int:
    launch.load_model = lambda name: ToyModel()
    rank, _, step = os.environ.get("KILL", "-1:0").partition(":")
    real = Trainer.step

    def die(self, *given):
        if self.ranks.rank == int(rank) and self.done == int(step):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, *given)

    Trainer.step = die
    return cli.main(["train", sys.argv[1], "--timeout", "60"])


if __name__ == "__main__":
    sys.exit(main())
