"""CPU seconds from `build` to a first draw, with empty caches and with full ones, each in a process of its own.

    ./run python -m benchmarks.compilation [MODEL ...]

"by PyTensor" is the way of models that were changed after `build`, and of other samplers: nutpie's compilation of the
PyMC model, nearly all of which is numba's work on PyTensor's functions.  Imports are not counted.
"""

import argparse
import os
import subprocess
import sys
import tempfile

from benchmarks.likelihood import MODELS
from benchmarks.measure import Report

PROGRAM = """
import sys, time, warnings
import nutpie
import rlpymc as rl
from benchmarks.likelihood import simulated
warnings.simplefilter("ignore")
name, way = sys.argv[1:]
trials = simulated(name, 20, 100).trials
started = time.process_time()
model = rl.build(name, trials)
built = time.process_time()
if way == "PyTensor":
    nutpie.compile_pymc_model(model)
else:
    rl.sample(model, draws=4, tune=1, chains=1, progress=False, log_likelihood=False)
ended = time.process_time()
print(built - started, ended - built)
"""


def cpu_seconds(name: str, way: str, folder: str) -> tuple[float, float]:
    """Return the CPU seconds of `build` and of what follows it, in a new process."""
    environment = os.environ | {
        "RLPYMC_CACHE": f"{folder}/rlpymc",
        "PYTENSOR_FLAGS": f"base_compiledir={folder}/pytensor",
    }
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, way], env=environment, capture_output=True, text=True, check=True
    )
    built, sampled = map(float, run.stdout.split()[-2:])
    return built, sampled


def report(out: Report, models: tuple[str, ...], by_pytensor: tuple[str, ...]) -> None:
    """Report every model; the way by PyTensor for some."""
    rows = []
    for name in models:
        row: list[object] = [name]
        for way in ("own", "PyTensor"):
            if way == "PyTensor" and name not in by_pytensor:
                row += ["", ""]
                continue
            with tempfile.TemporaryDirectory() as folder:
                cold, warm = cpu_seconds(name, way, folder), cpu_seconds(name, way, folder)
            if way == "own":
                row += [cold[0], sum(cold), sum(warm)]
            else:
                row += [sum(cold), sum(warm)]
        rows.append(row)
    columns = ("model", "build", "to a draw, cold", "warm", "by PyTensor, cold", "warm")
    out.table("From build to a first draw, 20 x 100, CPU seconds", columns, rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL")
    models = tuple(parser.parse_args().models)
    report(Report("Compilation"), models, tuple(m for m in models if m in ("delta", "rlwm")))


if __name__ == "__main__":
    main()
