"""Exact answers for a learner with one unknown: a delta rule of which only beta is estimated."""

from typing import Any

import numpy as np
import xarray as xr
from scipy.special import logsumexp

import rlpymc as rl
from rlpymc.tasks import Bandit

ALPHA = 0.3
PRIOR = (0.5, 0.7)  # of log beta
GRID = np.linspace(-7, 7, 6001)  # of the standard normal number behind log beta


def trials(n_subjects: int, n_trials: int = 24, seed: int = 3, beta: Any = 2.0, **options: Any) -> xr.Dataset:
    task = Bandit([0.2, 0.8], **options)
    return rl.simulate("delta", task, {"alpha": ALPHA, "beta": beta}, n_subjects, n_trials, seed)


def build(data: xr.Dataset, pooling: str = "none") -> rl.RLModel:
    priors = {"beta": rl.priors.LogNormal(*PRIOR)}
    return rl.build("delta", data, fixed={"alpha": ALPHA}, pooling=pooling, priors=priors)


def log_prob(data: xr.Dataset, i: int, beta: np.ndarray, alpha: float = ALPHA) -> np.ndarray:
    """Return the log probability of each choice of subject i, (beta, trial), by a plain loop."""
    out = []
    for action, reward, reset in zip(*(data[k].values[i] for k in ("action", "reward", "reset")), strict=True):
        q = np.zeros(2) if reset else q  # noqa: F821  (trial 0 resets)
        out.append(beta * q[action] - np.logaddexp(beta * q[0], beta * q[1]))
        q[action] += alpha * (reward - q[action])
    return np.array(out).T


def evidence(terms: np.ndarray) -> float:
    """Return the log of the mean of exp(sum of terms (grid, trial)) under a standard normal on GRID."""
    return float(logsumexp(terms.sum(axis=1) - GRID**2 / 2 - np.log(np.sqrt(2 * np.pi)))) + np.log(GRID[1] - GRID[0])


def predictive(data: xr.Dataset, i: int, asked: Any, known: Any) -> float:
    """Return the log probability of some choices given others, under the prior without pooling."""
    terms = log_prob(data, i, np.exp(PRIOR[0] + PRIOR[1] * GRID))
    return evidence(terms[:, np.union1d(asked, known).astype(int)]) - evidence(terms[:, np.asarray(known, dtype=int)])
