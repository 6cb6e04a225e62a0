"""A process that does some runs of a sweep: ``python -m rlpymc.validation.sweep_worker FOLDER 0 2 4``."""

import sys
from pathlib import Path

from rlpymc.validation.sweep import work

if __name__ == "__main__":
    work(Path(sys.argv[1]), [int(k) for k in sys.argv[2:]])
