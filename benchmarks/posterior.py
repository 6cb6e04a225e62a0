"""A hierarchical two-armed bandit, 20 subjects of 100 trials: rlpymc beside the same posterior in NumPyro.

    ./run python -m benchmarks.posterior [--rounds 3]

4 chains of 1000 draws after 1000 for tuning, on all cores, in turn.  "total" goes from `build`, or from the model
function, to the finished posterior, compilation included; "sampling" is how long the chains ran.
"""

import argparse
import time

import arviz as az
import numpy as np
import xarray as xr

import rlpymc as rl
from benchmarks.measure import Report

DRAWS = {"draws": 1000, "tune": 1000, "chains": 4}


def of_rlpymc(trials: xr.Dataset, seed: int) -> tuple[float, dict[str, float]]:
    """Return the smallest number of effective draws, and seconds."""
    started = time.perf_counter()
    model = rl.build("delta", trials)
    fit = rl.sample(model, seed=seed, progress=False, log_likelihood=False, **DRAWS)
    total, posterior = time.perf_counter() - started, fit["posterior"].to_dataset()
    return _smallest_ess(posterior), {"sampling": posterior.attrs["sampling_time"], "total": total}


def of_numpyro(trials: xr.Dataset, seed: int) -> tuple[float, dict[str, float]]:
    """Return the same of NumPyro."""
    from benchmarks import numpyro_bandit  # sets up JAX

    posterior, seconds = numpyro_bandit.sample(trials, seed=seed, **DRAWS)
    return _smallest_ess(posterior), seconds


def _smallest_ess(posterior: xr.Dataset) -> float:
    names = ["alpha", "beta", "alpha_mu", "alpha_sigma", "beta_mu", "beta_sigma"]
    found = az.ess(posterior[names], method="bulk")
    return min(float(found[name].min()) for name in names)


def report(out: Report, rounds: int) -> None:
    """Report both, and their ratios."""
    from benchmarks.numpyro_bandit import same_posterior, simulated

    rows, ratios = [], []
    for seed in range(rounds):
        trials = simulated(seed=seed)
        of_each = {"NumPyro": of_numpyro(trials, seed), "rlpymc": of_rlpymc(trials, seed)}
        for name, (ess, seconds) in of_each.items():
            rows.append([seed, name, ess, seconds["sampling"], ess / seconds["sampling"], seconds["total"]])
        (ess, theirs), (own_ess, own) = of_each.values()
        ratios.append((own_ess / own["sampling"] * theirs["sampling"] / ess, own["total"] / theirs["total"]))
    columns = ("data", "", "smallest ESS", "sampling, s", "ESS / s", "total, s")
    out.table("Hierarchical bandit, 20 x 100, 4 x (1000 + 1000)", columns, rows)
    ess_ratio, time_ratio = np.median(ratios, axis=0)
    out.say(f"Their log densities differ by a constant, to {same_posterior(trials):.1e}.")
    out.say(
        f"Medians of ratios: ESS a second {ess_ratio:.2f} times NumPyro's, total time {time_ratio:.3f} of NumPyro's."
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    report(Report("Posterior"), parser.parse_args().rounds)


if __name__ == "__main__":
    main()
