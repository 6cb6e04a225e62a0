"""The hierarchical two-armed bandit that several samplers get: its data, its priors, and what is asked of draws."""

from collections.abc import Callable, Mapping
from dataclasses import astuple

import arviz as az
import numpy as np
import xarray as xr

import rlpymc as rl
from rlpymc.population.presets import DEFAULT, PRESETS

PARAMETERS = [rl.get_model("delta").parameter(name) for name in ("alpha", "beta")]
HYPERPRIORS = {  # mean and standard deviation: normal for mu, half-normal for sigma
    f"{p.name}_{part}": astuple(prior)
    for p in PARAMETERS
    for part, prior in zip(("mu", "sigma"), PRESETS[DEFAULT].group(p, p.prior), strict=True)
}


def simulated(n_subjects: int = 20, n_trials: int = 100, seed: int = 0) -> xr.Dataset:
    """Return trials of subjects who differ, in a bandit with rewards in 20 and 80 % of trials.

    Parameters
    ----------
    n_subjects, n_trials : int
        How many subjects, and trials of each.
    seed : int
        For the subjects and their trials.

    Returns
    -------
    xr.Dataset
        From `rlpymc.simulate`.
    """
    rng = np.random.default_rng(seed)
    params = {
        "alpha": 1 / (1 + np.exp(-rng.normal(-0.5, 0.8, n_subjects))),
        "beta": np.exp(rng.normal(1.0, 0.4, n_subjects)),
    }
    return rl.simulate("delta", rl.tasks.Bandit([0.2, 0.8]), params, n_subjects, n_trials, seed=seed)


def plain_columns(trials: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return actions and rewards, (subject, trial); a ValueError if a trial is missed, forced, or a third action is."""
    plain = trials["scored"].all() and trials["learned"].all() and not trials["reset"][:, 1:].any()
    if rl.facts(trials)["n_actions"] != 2 or not plain:
        raise ValueError("expected trials with two actions, all scored and learned, without a reset after the first")
    return trials["action"].values, trials["reward"].values


def points(n_subjects: int, n: int = 5, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Return random points: the group's variables, sigmas as logarithms, and subjects' standardised deviations."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):  # not far out, where densities are so low that rounding is all there is to see
        point = {name: np.asarray(rng.normal(0.0, 0.5)) for name in HYPERPRIORS}
        found.append(point | {name: rng.normal(0.0, 0.5, n_subjects) for name in ("alpha_z", "beta_z")})
    return found


def differ_by(trials: xr.Dataset, log_density: Callable[[Mapping[str, np.ndarray]], float]) -> float:
    """Return how far a log density and that of `rlpymc.build` are from differing by a constant.

    Parameters
    ----------
    trials : xr.Dataset
        From `simulated`.
    log_density : callable
        Of one of `points`, Jacobians included.

    Returns
    -------
    float
        The largest disagreement about a difference in log density between two points.
    """
    own, gaps = rl.build("delta", trials).compile_logp(), []
    for point in points(trials.sizes["subject"]):
        logs = {f"{k}_log__" if k.endswith("_sigma") else k: v for k, v in point.items()}
        gaps.append(float(own(logs)) - log_density(point))
    return max(gaps) - min(gaps)


def smallest_ess(posterior: xr.Dataset) -> float:
    """Return the smallest bulk ESS of the group's means and standard deviations and of subjects' values."""
    names = ["alpha", "beta", *HYPERPRIORS]
    found = az.ess(posterior[names], method="bulk")
    return min(float(found[name].min()) for name in names)
