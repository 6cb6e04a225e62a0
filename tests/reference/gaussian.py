"""Plain reading of the Gaussian model of LaplacianExpectationMaximization.jl, test/examples.jl: numbers that know
nothing of one another. The source's parameter is the softplus-inverse of the standard deviation here.
"""

from typing import Any

import numpy as np


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_trials = len(data["prediction"])
    out = np.zeros(n_trials)
    for t in range(n_trials):
        if data["scored"][t]:
            distance = data["prediction"][t] - params["mu"]
            out[t] = -np.log(np.sqrt(2 * np.pi) * params["sd"]) - distance**2 / (2 * params["sd"] ** 2)
    return out
