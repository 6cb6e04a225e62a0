"""Plain reading of the biased coin of LaplacianExpectationMaximization.jl, test/examples.jl: flips that know nothing
of one another. The source's parameter is the log odds of the probability here.
"""

from typing import Any

import numpy as np


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_trials = len(data["action"])
    out = np.zeros(n_trials)
    for t in range(n_trials):
        if data["scored"][t]:
            p = params["bias"] if data["action"][t] == 1 else 1 - params["bias"]
            out[t] = np.log(p)
    return out
