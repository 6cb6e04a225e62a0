"""Plain reading of tabular soft Q-learning: Haarnoja et al. (2017), ICML, eqs 5 (value of a state) and 7 (what Q is to
become), where 1 / beta is called alpha. G-learning, Fox, Pakman & Tishby (2016), UAI, weighs actions by a prior: a
uniform one makes every V smaller by log(n_actions) / beta. `log_prob_bootstrap` looks beyond the end of an episode.
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
            if ends[t]:
                v = 0.0
            else:
                best = max(q[s_next])  # taken out of the sum, so that exp does not overflow
                v = best + np.log(np.sum(np.exp(beta * (q[s_next] - best)))) / beta
            q[s, a] += alpha * (r + gamma * v - q[s, a])
    return out
