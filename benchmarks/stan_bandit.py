"""The hierarchical two-armed bandit in Stan (bandit.stan), the same posterior as ``build("delta", trials)``.

    ./run python -m benchmarks.stan_bandit [--rounds 5] [--python .venv-stan/bin/python] [--write]

Stan runs by httpstan in an environment of its own, which needs a C++ compiler:

    python3.12 -m venv .venv-stan && .venv-stan/bin/pip install httpstan

The first run compiles the program, a minute of CPU time.  Then both sample in turn, as in `posterior`: non-centred, a
diagonal metric, each at its own settings.  Stan's CPU seconds are those of the processes that sample.
"""

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.bandit import HYPERPRIORS, differ_by, plain_columns, points, simulated, smallest_ess
from benchmarks.measure import Report, machine
from benchmarks.posterior import DRAWS, SIZE, side_by_side

FOLDER = Path(__file__).parent
ORDER = ("alpha_mu", "alpha_sigma", "beta_mu", "beta_sigma", "alpha_z", "beta_z")  # of parameters in the program


class Stan:
    """The program, run by a Python that has httpstan.

    Parameters
    ----------
    python : Path
        That Python.
    """

    def __init__(self, python: Path) -> None:
        if not python.exists():
            raise FileNotFoundError(
                f"--python: there is no {python}; make it: python3.12 -m venv .venv-stan && "
                ".venv-stan/bin/pip install httpstan"
            )
        self._python = python
        self.compiling = 0.0  # seconds, if the program was not compiled before

    def run(self, trials: xr.Dataset, **asked: Any) -> dict[str, Any]:
        """Return what the worker found."""
        action, reward = plain_columns(trials)
        data = {"n_subjects": len(action), "n_trials": action.shape[1], "action": action.tolist()}
        data |= {"reward": reward.astype(float).tolist()}
        data |= {f"{name}_prior": list(prior) for name, prior in HYPERPRIORS.items()}
        job = {"program": (FOLDER / "bandit.stan").read_text(), "data": data, "points": [], "draws": 0, **asked}
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder) / "result.json"
            command = [self._python, FOLDER / "stan_worker.py"]
            # compiled programs stay beside that Python
            environment = os.environ | {"XDG_CACHE_HOME": str(self._python.parent.parent.absolute() / "cache")}
            subprocess.run(
                command, input=json.dumps(job | {"result": str(result)}), text=True, check=True, env=environment
            )
            found = dict(json.loads(result.read_text()))
        self.compiling += found["compile"]
        return found

    def sample(self, trials: xr.Dataset, seed: int) -> tuple[float, dict[str, float]]:
        """Return the smallest number of effective draws, and seconds."""
        found = self.run(trials, seed=seed, **DRAWS)
        n_subjects = trials.sizes["subject"]
        names: dict[str, list[str]] = {
            name: [f"{name}.{i + 1}" for i in range(n_subjects)] for name in ("alpha", "beta")
        }
        arrays: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
        for name, parts in names.items():
            values = [[[draw[part] for part in parts] for draw in chain] for chain in found["chains"]]
            arrays[name] = ("chain", "draw", "subject"), np.array(values)
        for name in HYPERPRIORS:
            arrays[name] = ("chain", "draw"), np.array([[draw[name] for draw in chain] for chain in found["chains"]])
        seconds = {key: found[key] for key in ("sampling", "CPU")}
        return smallest_ess(xr.Dataset(arrays)), seconds | {"total": found["compile"] + found["sampling"]}

    def same_posterior(self, trials: xr.Dataset) -> float:
        """Return how far the log density here and that of `rlpymc.build` are from differing by a constant."""
        asked = [np.hstack([point[name] for name in ORDER]).tolist() for point in points(trials.sizes["subject"])]
        found = iter(self.run(trials, points=asked)["log_densities"])

        def log_density(point: Mapping[str, np.ndarray]) -> float:
            del point  # they come in the same order
            return next(found)

        return differ_by(trials, log_density)


def main() -> None:
    """Print the check and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", type=Path, default=Path(".venv-stan/bin/python"))
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    stan, out = Stan(given.python), Report("Stan")
    out.say(f"Measured on {machine()}, by `./run python -m benchmarks.stan_bandit`.")
    gap = stan.same_posterior(simulated(*SIZE))  # compiles where that was not done yet
    side_by_side(out, "Stan", stan.sample, given.rounds)
    took = f"took {stan.compiling:.0f} s" if stan.compiling else "was done before"
    out.say(f"Their log densities differ by a constant, to {gap:.1e}. Compiling the program {took}.")
    if given.write:
        out.write()


if __name__ == "__main__":
    main()
