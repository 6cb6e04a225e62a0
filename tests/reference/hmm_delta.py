"""Plain reading of Li, Shi, Li & Collins (2024), J. Math. Psychol. 119:102842, with a delta rule: a hidden state says
whether a choice comes from the values (state 0, engaged) or from a fixed bias (theirs: one other state, uniform). The
belief about the state is the forward algorithm, for any number of states as in Ashwood et al. (2022), Nat. Neurosci.
25:201. The delta rule learns in every hidden state alike.
"""

from typing import Any

import numpy as np

from ._plain import softmax


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    alpha, beta, q0 = params["alpha"], params["beta"], params["q0"]
    leave, engaged0, bias = params["leave"], params["engaged0"], params["bias"]
    n_trials, n_actions, n_hidden = len(data["action"]), facts["n_actions"], len(leave)
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    T = np.zeros((n_hidden, n_hidden))
    for k in range(n_hidden):
        for j in range(n_hidden):
            T[k, j] = 1 - leave[k] if j == k else leave[k] / (n_hidden - 1)
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a, r = data["action"][t], data["reward"][t]
        if data["reset"][t]:
            q = np.full(n_actions, float(q0))
            b = np.full(n_hidden, (1 - engaged0) / (n_hidden - 1))
            b[0] = engaged0
        if data["scored"][t]:
            p = np.zeros(n_hidden)
            for k in range(n_hidden):
                logits = beta * q if k == 0 else np.array([0.0, *bias[k - 1]])
                p[k] = softmax(np.where(available[t], logits, -np.inf))[a]
            total = sum(b * p)
            with np.errstate(divide="ignore"):
                out[t] = np.log(total)
            if data["responded"][t] and total > 0:
                b = b * p / total
        if data["responded"][t]:
            b = b @ T
        if data["learned"][t]:
            q[a] += alpha * (r - q[a])
    return out
