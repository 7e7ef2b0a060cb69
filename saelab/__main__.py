"""``python -m saelab``, as ``torchrun -m saelab`` wants it."""

import sys

from saelab.cli import main

if __name__ == "__main__":
    sys.exit(main())
