"""Plain reading of the successor representation of Dayan (1993), Neural Comput. 5:613, learned by temporal differences
as by Russek et al. (2017), PLoS Comput. Biol. 13:e1005768 (SR-TD). Here M has a row for each state and action, counts
visits from the next state on, so that w is the reward for arriving in a state, and looks ahead by the probabilities of
the next choice; theirs counts from the current state on and follows the states that were visited.
"""

from typing import Any

import numpy as np

from ._plain import softmax


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    alpha_successor, alpha_reward = params["alpha_successor"], params["alpha_reward"]
    beta, gamma = params["beta"], params["gamma"]
    n_trials, n_actions, n_states = len(data["action"]), facts["n_actions"], facts["n_states"]
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        s, a, r, s_next = data["state"][t], data["action"][t], data["reward"][t], data["next_state"][t]
        if data["reset"][t]:
            M = np.zeros((n_states, n_actions, n_states))
            w = np.zeros(n_states)
        if data["scored"][t]:
            q = np.array([sum(M[s, b, j] * w[j] for j in range(n_states)) for b in range(n_actions)])
            p = softmax(np.where(available[t], beta * q, -np.inf))
            with np.errstate(divide="ignore"):
                out[t] = np.log(p[a])
        if data["learned"][t]:
            target = np.zeros(n_states)
            target[s_next] = 1
            if not data["done"][t]:
                q_next = np.array([sum(M[s_next, b, j] * w[j] for j in range(n_states)) for b in range(n_actions)])
                pi_next = softmax(beta * q_next)
                for b in range(n_actions):
                    target += gamma * pi_next[b] * M[s_next, b]
            M[s, a] += alpha_successor * (target - M[s, a])
            w[s_next] += alpha_reward * (r - w[s_next])
    return out
