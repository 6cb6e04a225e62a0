"""Plain reading of Q-learning, Watkins & Dayan (1992), Mach. Learn. 8:279; Sutton & Barto (2018), eq. 6.8, with a
softmax choice. `log_prob_bootstrap` is the learner of LaplacianExpectationMaximization.jl, which looks beyond the end.
"""

from typing import Any

import numpy as np

from ._plain import softmax


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    return _log_prob(params, data, facts, data["done"])


def log_prob_bootstrap(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    return _log_prob(params, data, facts, np.zeros(len(data["action"]), dtype=bool))


def _log_prob(
    params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int], ends: np.ndarray
) -> np.ndarray:
    alpha, beta, gamma, q0 = params["alpha"], params["beta"], params["gamma"], params["q0"]
    n_trials, n_actions, n_states = len(data["action"]), facts["n_actions"], facts["n_states"]
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        s, a, r, s_next = data["state"][t], data["action"][t], data["reward"][t], data["next_state"][t]
        if data["reset"][t]:
            q = np.full((n_states, n_actions), q0, dtype=float)
        if data["scored"][t]:
            p = softmax(np.where(available[t], beta * q[s], -np.inf))
            with np.errstate(divide="ignore"):
                out[t] = np.log(p[a])
        if data["learned"][t]:
            future = 0.0 if ends[t] else max(q[s_next])
            q[s, a] += alpha * (r + gamma * future - q[s, a])
    return out
