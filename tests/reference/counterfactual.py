"""Plain reading of Palminteri et al. (2015), Nat. Commun. 6:8096, without its context values: the chosen and the
forgone outcome are both shown, and each of the two options on offer learns from its own (cf. Boorman et al., 2011).
"""

from typing import Any

import numpy as np

from ._plain import softmax


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_actions = facts["n_actions"]
    alpha, alpha_other, beta, q0 = params["alpha"], params["alpha_other"], params["beta"], params["q0"]
    n_trials = len(data["action"])
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        c, r, r_other = data["action"][t], data["reward"][t], data["reward_other"][t]
        if data["reset"][t]:
            q = np.full(n_actions, float(q0))
        if data["scored"][t]:
            p = softmax(np.where(available[t], beta * q, -np.inf))
            out[t] = np.log(p[c])
        if data["learned"][t]:
            (u,) = [k for k in range(n_actions) if available[t][k] and k != c]
            q[c] += alpha * (r - q[c])
            q[u] += alpha_other * (r_other - q[u])
    return out
