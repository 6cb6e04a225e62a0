"""What the coordinates of a population are worth: effective draws for as many gradients, and in as much time.

    ./run python -m benchmarks.coordinates [--seeds 5] [--tune 1000] [--data NAME ...] [--coordinates KIND ...]
                                           [--same-data] [--write]

Each seed simulates data, or with --same-data samples the same, once in each kind of coordinates: 4 chains of 1000
draws, at an acceptance rate of 0.8.  The smallest bulk ESS is over the group's means and standard deviations and all
subjects' values; gradients are those after tuning.  Seconds are those of the chains, tuning included, and of looking
for sites: by the clock, and of CPU time, which other work on the machine changes less.  Ratios are to the first of the
coordinates, seed by seed.  --write puts the tables into benchmarks/README.md.
"""

import argparse
import ctypes
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import arviz as az
import numpy as np
import xarray as xr

import rlpymc as rl
from benchmarks.bandit import simulated as bandit
from benchmarks.measure import Report, cost, in_turn, machine, middle_and_range
from rlpymc.compiler import machine as machine_code
from rlpymc.fitting.nuts.machine_sampler import MachinePosterior
from rlpymc.population.coordinates import COORDINATES

DRAWS = {"draws": 1000, "chains": 4, "target_accept": 0.8}


def two_step(seed: int) -> xr.Dataset:
    """Return trials of 25 subjects in the two-step task."""
    model, rng = rl.get_model("two_step_hybrid"), np.random.default_rng(seed)
    params = {p.name: p.prior.sample(rng, (25,)) for p in model.parameters if p.value is None}
    return rl.simulate(model, rl.tasks.TwoStep(), params, 25, 200, seed=seed)


def example(seed: int) -> xr.Dataset:
    """Return the example's trials, the same for all seeds."""
    del seed
    return rl.example_data("fontanesi2019")


CASES: dict[str, tuple[str, Callable[[int], xr.Dataset]]] = {
    "20x100": ("delta", lambda seed: bandit(20, 100, seed)),
    "20x50": ("delta", lambda seed: bandit(20, 50, seed)),
    "20x500": ("delta", lambda seed: bandit(20, 500, seed)),
    "200x100": ("delta", lambda seed: bandit(200, 100, seed)),
    "fontanesi": ("delta", example),
    "fontanesi+": ("counterfactual+stickiness", example),
    "two_step": ("two_step_hybrid", two_step),
}


def sampled(model: rl.RLModel, coordinates: str, seed: int, tune: int) -> dict[str, Any]:
    """Return what came of a run."""
    settings: dict[str, Any] = {"progress": False, "log_likelihood": False, "constants": False, **DRAWS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.SamplingWarning)
        run = cost(lambda: rl.sample(model, coordinates=coordinates, seed=seed, tune=tune, **settings))
    sites = cost(lambda: MachinePosterior(model, coordinates))  # which were found in that run, too
    posterior, stats = run.found["posterior"].to_dataset(), run.found["sample_stats"].to_dataset()
    names = [k for k in posterior.data_vars if not k.endswith(("_z", "_group"))]
    found = az.ess(posterior[names], method="bulk")
    of_each = {name: float(found[name].min()) for name in names}
    slowest = min(of_each, key=of_each.__getitem__)
    ess, steps = of_each[slowest], float(stats["n_steps"].sum())
    return {
        "ess": ess,
        "steps": steps / stats["n_steps"].size,
        "divergences": float(stats["diverging"].sum()),
        "per 1000": 1000 * ess / steps,
        "per second": ess / (posterior.attrs["sampling_time"] + sites.wall),
        "per CPU second": ess / (run.others + sites.cpu),
        "slowest": slowest,
    }


def report(out: Report, seeds: int, tune: int, names: list[str], kinds: list[str], same_data: bool) -> None:
    """Report effective draws, a row for each data set and coordinates, and ratios to the first of these."""
    rows = []
    for name in names:
        formula, make = CASES[name]
        found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
        for seed in range(seeds):
            model = rl.build(formula, make(0 if same_data else seed))
            for kind, runs in found.items():
                runs.append(sampled(model, kind, seed, tune))
        for kind, runs in found.items():
            row: list[object] = [name, formula, kind]
            row += [float(np.median([run[k] for run in runs])) for k in ("ess", "steps", "divergences")]
            for k in ("per 1000", "per second", "per CPU second"):
                row.append(float(np.median([run[k] for run in runs])))
                if k != "per second":
                    ratios = [run[k] / first[k] for run, first in zip(runs, found[kinds[0]], strict=True)]
                    row.append("" if kind == kinds[0] else middle_and_range(ratios))
            rows.append([*row, " ".join(sorted({run["slowest"] for run in runs}))])
        print(rows[-len(kinds) :], flush=True)
    columns = ("data", "model", "coordinates", "smallest ESS", "steps", "divergences")
    columns += ("ESS / 1000 gradients", "ratio", "ESS / s", "ESS / CPU s", "ratio", "slowest")
    out.table(f"4 x ({tune} + 1000), medians over {seeds} seeds", columns, rows)


def costs(out: Report) -> None:
    """Report what a density costs beside its kernel alone."""
    five = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *[ctypes.c_void_p] * 4)
    one = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    nothing = machine_code.load("define void @nothing(ptr %0) {\n  ret void\n}")
    rows = []
    for n_subjects, n_trials in ((20, 100), (208, 200)):
        model = rl.build("delta", bandit(n_subjects, n_trials))
        calls: dict[str, Callable[[], object]] = {}
        kept = []
        for coordinates in ("noncentred", "informed"):
            density = MachinePosterior(model, coordinates).density()
            arrays = np.zeros(density.size), np.empty(density.size), np.empty(1), density.numbers
            kept += [density, arrays]
            # converted beforehand, which takes as long as a small kernel
            given = ctypes.c_uint64(density.size), *(ctypes.c_void_p(a.ctypes.data) for a in arrays)
            calls[coordinates] = partial(five(density.address), *given)
        calls["call of five"] = partial(five(density.copy_address), ctypes.c_uint64(0), *given[1:])
        start, collect, place = density.numbers[:3].tolist()
        for name, address in {"compute": start, "collect": collect, "call of one": nothing.address("nothing")}.items():
            calls[name] = partial(one(address), ctypes.c_void_p(place))
        found = {k: 1e6 * v for k, v in in_turn(calls, rounds=31).items()}
        alone = [found[k] - found["call of five"] for k in ("noncentred", "informed")]
        kernel = found["compute"] + found["collect"] - 2 * found["call of one"]
        rows.append([f"{n_subjects} x {n_trials}", *alone, kernel, alone[1] / kernel])
    out.table("One evaluation of delta, microseconds", ("data", "noncentred", "informed", "kernel", "ratio"), rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tune", type=int, default=1000)
    parser.add_argument("--data", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--coordinates", nargs="*", default=["noncentred", "informed"], choices=COORDINATES)
    parser.add_argument("--same-data", action="store_true")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    out = Report("Coordinates")
    out.say(f"Measured on {machine()}, by `./run python -m benchmarks.coordinates {' '.join(sys.argv[1:])}`.")
    costs(out)
    report(out, given.seeds, given.tune, given.data, given.coordinates, given.same_data)
    if given.write:
        out.write()


if __name__ == "__main__":
    main()
