"""Plain reading of the habituating coin of LaplacianExpectationMaximization.jl, test/examples.jl: after each flip the
log odds move by a share of what was flipped less its probability.
"""

from typing import Any

import numpy as np


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_trials = len(data["action"])
    out = np.zeros(n_trials)
    for t in range(n_trials):
        if data["reset"][t]:
            w = float(params["w0"])
        p = 1 / (1 + np.exp(-w))
        if data["scored"][t]:
            out[t] = np.log(p) if data["action"][t] == 1 else np.log(1 - p)
        if data["learned"][t]:
            w += params["alpha"] * ((data["action"][t] == 1) - p)
    return out
