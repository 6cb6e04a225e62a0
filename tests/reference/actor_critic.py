"""Plain reading of the actor-critic: the critic's prediction error moves the preference for the chosen action, as in
O'Doherty et al. (2004), Science 304:452. `log_prob_gradient` moves the preferences for all actions on offer along the
gradient of log pi, Sutton & Barto (2018), section 13.5, "One-step Actor-Critic", without its factor gamma^t. The
preferences are beta * W, so that beta is the actor's step size.
"""

from typing import Any

import numpy as np

from ._plain import softmax


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    return _log_prob(params, data, facts, gradient=False)


def log_prob_gradient(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    return _log_prob(params, data, facts, gradient=True)


def _log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int], gradient: bool) -> np.ndarray:
    alpha, beta, gamma = params["alpha"], params["beta"], params["gamma"]
    n_trials, n_actions, n_states = len(data["action"]), facts["n_actions"], facts["n_states"]
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        s, a, r, s_next = data["state"][t], data["action"][t], data["reward"][t], data["next_state"][t]
        if data["reset"][t]:
            V = np.zeros(n_states)
            W = np.zeros((n_states, n_actions))
        if data["scored"][t] or data["learned"][t]:
            pi = softmax(np.where(available[t], beta * W[s], -np.inf))
        if data["scored"][t]:
            with np.errstate(divide="ignore"):
                out[t] = np.log(pi[a])
        if data["learned"][t]:
            future = 0.0 if data["done"][t] else V[s_next]
            d = r + gamma * future - V[s]
            V[s] += alpha * d
            W[s, a] += d
            if gradient:
                W[s] -= d * pi
    return out
