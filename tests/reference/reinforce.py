"""Plain reading of REINFORCE, Williams (1992), Mach. Learn. 8:229, with immediate rewards: the gradient bandit of
Sutton & Barto (2018), eq. 2.12. The baseline is a running average of the rewards before this one, which forgets at the
rate alpha as in Williams's reinforcement comparison. The preferences are beta * W: beta is the step size of eq. 2.12.
"""

from typing import Any

import numpy as np

from ._plain import softmax


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    alpha, beta, baseline0 = params["alpha"], params["beta"], params["baseline0"]
    n_trials, n_actions = len(data["action"]), facts["n_actions"]
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a, r = data["action"][t], data["reward"][t]
        if data["reset"][t]:
            W = np.zeros(n_actions)
            baseline = float(baseline0)
        if data["scored"][t] or data["learned"][t]:
            pi = softmax(np.where(available[t], beta * W, -np.inf))
        if data["scored"][t]:
            with np.errstate(divide="ignore"):
                out[t] = np.log(pi[a])
        if data["learned"][t]:
            for b in range(n_actions):
                W[b] += (r - baseline) * ((1 if b == a else 0) - pi[b])
            baseline += alpha * (r - baseline)
    return out
