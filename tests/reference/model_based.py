"""Plain reading of the FORWARD learner of Gläscher et al. (2010), Neuron 66:585, which learns the probabilities of
transitions by delta rule. Here rewards are learned too, and values are discounted and follow by one sweep of value
iteration over all states and actions per trial, Barto, Bradtke & Singh (1995), Artif. Intell. 72:81; the paper is
told the rewards and works its small tree out to the end. An episode that ends leads to no state.
"""

from typing import Any

import numpy as np

from ._plain import softmax


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    alpha_transition, alpha_reward = params["alpha_transition"], params["alpha_reward"]
    beta, gamma = params["beta"], params["gamma"]
    n_trials, n_actions, n_states = len(data["action"]), facts["n_actions"], facts["n_states"]
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        s, a, r, s_next = data["state"][t], data["action"][t], data["reward"][t], data["next_state"][t]
        if data["reset"][t]:
            T = np.full((n_states, n_actions, n_states), 1 / n_states)
            R = np.zeros((n_states, n_actions))
            Q = np.zeros((n_states, n_actions))
        if data["scored"][t]:
            p = softmax(np.where(available[t], beta * Q[s], -np.inf))
            with np.errstate(divide="ignore"):
                out[t] = np.log(p[a])
        if data["learned"][t]:
            for j in range(n_states):
                arrived = 1 if j == s_next and not data["done"][t] else 0
                T[s, a, j] += alpha_transition * (arrived - T[s, a, j])
            R[s, a] += alpha_reward * (r - R[s, a])
            V = [max(Q[j]) for j in range(n_states)]  # before the sweep
            for i in range(n_states):
                for b in range(n_actions):
                    Q[i, b] = R[i, b] + gamma * sum(T[i, b, j] * V[j] for j in range(n_states))
    return out
