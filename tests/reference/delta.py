"""Plain reading of Sutton & Barto (2018), eqs 2.5 (constant step size) and 2.11 (softmax)."""

from typing import Any

import numpy as np

from ._plain import softmax


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_actions = facts["n_actions"]
    alpha, beta, q0 = params["alpha"], params["beta"], params["q0"]
    n_trials = len(data["action"])
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a, r = data["action"][t], data["reward"][t]
        if data["reset"][t]:
            q = np.full(n_actions, float(q0))
        if data["scored"][t]:
            p = softmax(np.where(available[t], beta * q, -np.inf))
            out[t] = np.log(p[a])
        if data["learned"][t]:
            q[a] += alpha * (r - q[a])
    return out
