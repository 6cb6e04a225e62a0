"""Simulation-based calibration of a population: parameters from the priors, data from these, ranks in the posterior.

    python -m tests.helpers.calibration [RUNS]

writes the table that the tests read.  If a sampler and its model are right, the rank of a true value among draws of its
posterior is as often 0 as 1, ... as 99: Talts et al. (2018), arXiv:1804.06788.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pandas as pd

import rlpymc as rl
from rlpymc.population.people import group_draws, subjects_of
from rlpymc.population.population import Population
from rlpymc.trials.model_data import data_for

TABLE = Path(__file__).parents[1] / "fitting" / "saved" / "calibration_delta_8x60.csv"
RUNS, PEOPLE, TRIALS, KEPT = 200, 8, 60, 99
TASK = rl.tasks.Bandit([0.2, 0.8])
AGREED, LONGEST = 1.05, 32  # r_hat beyond which a run is repeated, twice as long, until so many times as long


def run(seed: int) -> dict[str, Any]:
    """Return the ranks of true values among kept draws, by name, of one simulated population; and how long it took."""
    rng = np.random.default_rng([seed, PEOPLE, TRIALS])
    truth, params = {}, {}
    for effect in Population().effects(data_for(rl.get_model("delta"), _trials({"alpha": 0.3, "beta": 3.0}, 0))):
        group = group_draws(effect, 1, rng)
        params[effect.name] = subjects_of(effect, group, 1, PEOPLE, rng)[0]
        truth |= {f"{effect.name}_{key}": float(value[0]) for key, value in group.items()}
        truth |= {f"{effect.name}[0]": float(params[effect.name][0])}
    model = rl.build("delta", _trials(params, int(rng.integers(2**31))))
    longer, r_hat = 1, np.inf
    while r_hat > AGREED and longer <= LONGEST:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rl.SamplingWarning)
            options: dict[str, Any] = {"progress": False, "log_likelihood": False, "constants": False, "seed": seed}
            fit = rl.sample(model, draws=500 * longer, tune=500 * longer, **options)
        posterior = fit["posterior"].to_dataset()
        names = [name for name in posterior.data_vars if not str(name).endswith(("_z", "_group"))]
        r_hat, longer = float(az.rhat(posterior[names]).to_array().max()), 2 * longer
    found: dict[str, Any] = {"seed": seed, "longer": longer // 2, "r_hat": round(r_hat, 4)}
    for name, value in truth.items():
        variable, _, who = name.partition("[")
        draws = posterior[variable].isel(subject=0) if who else posterior[variable]
        kept = draws.values.ravel()[np.linspace(0, draws.size - 1, KEPT).round().astype(int)]
        found[name] = int((kept < value).sum())
    return found


def _trials(params: dict[str, Any], seed: int) -> Any:
    return rl.simulate("delta", TASK, params, PEOPLE, TRIALS, seed=seed)


if __name__ == "__main__":
    runs = []
    for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS):
        runs.append(run(seed))
        pd.DataFrame(runs).to_csv(TABLE, index=False)
