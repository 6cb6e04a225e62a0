"""Plain reading of the Markov chain of LaplacianExpectationMaximization.jl, test/examples.jl: the probability of a
transition is a softmax over the rows (to) of a column (from) of the weights.
"""

from typing import Any

import numpy as np


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_trials = len(data["next_state"])
    P = np.exp(params["w"])  # [to, from]
    for j in range(facts["n_states"]):
        P[:, j] /= P[:, j].sum()
    out = np.zeros(n_trials)
    for t in range(n_trials):
        if data["scored"][t]:
            out[t] = np.log(P[data["next_state"][t], data["state"][t]])
    return out
