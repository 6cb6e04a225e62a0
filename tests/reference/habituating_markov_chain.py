"""Plain reading of the habituating Markov chain of LaplacianExpectationMaximization.jl, test/examples.jl: a vector of
weights for each state, which moves after each transition from it, the less the more transitions went before.
"""

from typing import Any

import numpy as np

from ._plain import softmax


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_trials, n_states = len(data["next_state"]), facts["n_states"]
    out = np.zeros(n_trials)
    for t in range(n_trials):
        i, j = data["state"][t], data["next_state"][t]
        if data["reset"][t]:
            w = np.array(params["w0"], dtype=float)  # [from, to]
            before = 0
        p = softmax(w[i])
        if data["scored"][t]:
            out[t] = np.log(p[j])
        if data["learned"][t]:
            for k in range(n_states):
                w[i, k] += ((k == j) - p[k]) / (before + params["c"])
            before += 1
    return out
