"""Plain reading of the delta rule of the predict-a-number task, Nassar et al. (2010), J. Neurosci. 30:12366, with a
learning rate that stays the same (theirs adapts) and Gaussian noise in the predictions told.
"""

from typing import Any

import numpy as np


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    alpha, sigma, v0 = params["alpha"], params["sigma"], params["v0"]
    n_trials = len(data["prediction"])
    out = np.zeros(n_trials)
    for t in range(n_trials):
        y, x = data["prediction"][t], data["outcome"][t]
        if data["reset"][t]:
            v = float(v0)
        if data["scored"][t]:
            out[t] = -0.5 * ((y - v) / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)
        if data["learned"][t]:
            v += alpha * (x - v)
    return out
