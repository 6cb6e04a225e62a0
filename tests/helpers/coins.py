"""Coins for tests of population models: the likelihood of a subject's throws depends on their number alone."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import expit

import rlpymc as rl

HEADS, THROWS = (13, 9, 15, 4, 11), 20


def coins(heads: Sequence[int] = HEADS, throws: int = THROWS) -> xr.Dataset:
    """Return subjects named c0, c1, ... with so many heads each."""
    rows = [(f"c{i}", int(t < k)) for i, k in enumerate(heads) for t in range(throws)]
    return rl.read_trials(pd.DataFrame(rows, columns=["subject", "action"]), facts={"n_actions": 2})


def fit(heads: Sequence[int] = HEADS, throws: int = THROWS, **options: Any) -> rl.EM:
    return rl.fit_em("biased_coin", coins(heads, throws), progress=False, **options)


def log_marginal(
    mu: float, sigma: float, heads: Sequence[int] = HEADS, throws: int = THROWS, nodes: int = 80
) -> np.ndarray:
    """Return each subject's log marginal likelihood by Gauss-Hermite quadrature."""
    likelihood, _, weight = _quadrature(mu, sigma, heads, throws, nodes)
    return np.log(likelihood @ weight)


def posterior_moments(
    mu: float, sigma: float, heads: Sequence[int] = HEADS, throws: int = THROWS, nodes: int = 80
) -> np.ndarray:
    """Return mean and standard deviation of log odds drawn from the subjects' posteriors, each as often."""
    likelihood, x, weight = _quadrature(mu, sigma, heads, throws, nodes)
    posterior = likelihood * weight / (likelihood @ weight)[:, None]
    mean = (posterior @ x).mean()
    return np.array([mean, np.sqrt((posterior @ (x - mean) ** 2).mean())])


_nodes = cache(hermegauss)


def _quadrature(
    mu: float, sigma: float, heads: Sequence[int], throws: int, nodes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return likelihoods (subject, node), log odds and weights of Gauss-Hermite quadrature."""
    x, weight = _nodes(nodes)
    bias, k = expit(mu + sigma * x), np.asarray(heads)[:, None]
    return bias**k * (1 - bias) ** (throws - k), mu + sigma * x, weight / weight.sum()


def expectation_maximisation(
    heads: Sequence[int], throws: int, rounds: int, mu: float = 0.0, sigma: float = 1.0
) -> tuple[float, float]:
    """Return mean and standard deviation after some rounds, written for coins alone."""
    k = np.asarray(heads)
    for _ in range(rounds):
        w = np.full(len(k), mu)
        for _ in range(100):  # Newton's method, on a function that is concave
            p = expit(w)
            w = w + (k - throws * p - (w - mu) / sigma**2) / (throws * p * (1 - p) + 1 / sigma**2)
        variance = 1 / (throws * expit(w) * (1 - expit(w)) + 1 / sigma**2)
        mu, sigma = w.mean(), np.sqrt((w**2 + variance).mean() - w.mean() ** 2)
    return float(mu), float(sigma)
