"""A hierarchical two-armed bandit, 20 subjects of 100 trials: rlpymc beside the same posterior in NumPyro.

    ./run python -m benchmarks.posterior [--rounds 5] [--write]

4 chains of 1000 draws after 1000 for tuning, on all cores, in turn.  "sampling" is how long the chains ran, and with
rlpymc the search for its coordinates; "compiling" all else between `build`, or the model function, and the finished
posterior.  CPU seconds are those of sampling: where other work runs, they say more than the clock.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

import rlpymc as rl
from benchmarks.bandit import simulated, smallest_ess
from benchmarks.measure import Report, cost, machine, middle_and_range
from rlpymc.fitting.nuts.machine_sampler import MachinePosterior

DRAWS = {"draws": 1000, "tune": 1000, "chains": 4}
SIZE = (20, 100)

type Sampler = Callable[[xr.Dataset, int], tuple[float, dict[str, float]]]


def of_rlpymc(trials: xr.Dataset, seed: int) -> tuple[float, dict[str, float]]:
    """Return the smallest number of effective draws, and seconds."""
    settings: dict[str, Any] = {"progress": False, "log_likelihood": False, "constants": False, **DRAWS}
    settings["target_accept"] = 0.8  # as NumPyro and Stan, unless told
    built = cost(lambda: rl.build("delta", trials))
    run = cost(lambda: rl.sample(built.found, seed=seed, **settings))
    sites = cost(lambda: MachinePosterior(built.found, run.found.attrs["sampled_in"]))  # found in that run, too
    posterior = run.found["posterior"].to_dataset()
    seconds = {"sampling": posterior.attrs["sampling_time"] + sites.wall, "CPU": run.others + sites.cpu}
    return smallest_ess(posterior), seconds | {"total": built.wall + run.wall}


def of_numpyro(trials: xr.Dataset, seed: int) -> tuple[float, dict[str, float]]:
    """Return the same of NumPyro."""
    from benchmarks import numpyro_bandit  # sets up JAX

    posterior, seconds = numpyro_bandit.sample(trials, seed=seed, **DRAWS)
    return smallest_ess(posterior), seconds


def side_by_side(out: Report, name: str, other: Sampler, rounds: int) -> None:
    """Report another sampler and rlpymc, on data that are new in each round, and the ratios of the two."""
    rows, ratios, others = [], [], []
    for seed in range(rounds):
        trials, found = simulated(*SIZE, seed=seed), []
        for label, sampler in ((name, other), ("rlpymc", of_rlpymc)):
            ess, seconds = sampler(trials, seed)
            took = [seconds["sampling"], seconds["CPU"]]
            found.append([ess / took[0], ess / took[1]])
            rows.append([seed, label, ess, *took, *found[-1], seconds["total"] - took[0]])
        ratios.append([own / theirs for theirs, own in zip(*found, strict=True)])
        others.append([row[-1] for row in rows[-2:]])
    columns = ("data", "", "smallest ESS", "sampling, s", "CPU s", "ESS / s", "ESS / CPU s", "compiling, s")
    out.table(f"Hierarchical bandit, {SIZE[0]} x {SIZE[1]}, 4 x (1000 + 1000), beside {name}", columns, rows)
    by_clock, by_cpu = (middle_and_range(values) for values in zip(*ratios, strict=True))
    theirs, own = np.median(others, axis=0)
    out.say(
        f"Ratios to {name}, medians and ranges: ESS a second {by_clock}, ESS a CPU second {by_cpu}. Compiling and all "
        f"else takes {own:.2g} s, and with {name} {theirs:.2g} s, medians of what the clock says."
    )


def report(out: Report, rounds: int) -> None:
    """Report rlpymc beside NumPyro."""
    from benchmarks.numpyro_bandit import same_posterior

    side_by_side(out, "NumPyro", of_numpyro, rounds)
    gap = same_posterior(simulated(*SIZE))
    out.say(f"Their log densities differ by a constant, to {gap:.1e}.")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    out = Report("Posterior")
    out.say(f"Measured on {machine()}, by `./run python -m benchmarks.posterior`.")
    report(out, given.rounds)
    if given.write:
        out.write()


if __name__ == "__main__":
    main()
