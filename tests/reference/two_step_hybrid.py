"""Plain reading of Daw et al. (2011), Neuron 69:1204 (supplement): model-free SARSA(lambda) and model-based values
mixed by w. The transition probabilities are given; the paper lets its learner count which of two mappings holds.
"""

from typing import Any

import numpy as np

from ._plain import softmax


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    alpha1, alpha2, beta1, beta2 = params["alpha1"], params["alpha2"], params["beta1"], params["beta2"]
    lam, w, stickiness, common = params["lam"], params["w"], params["stickiness"], params["common"]
    n_trials, n_actions, n_states = len(data["action1"]), facts["n_actions"], facts["n_states"]
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a1, s2, a2, r = data["action1"][t], data["state2"][t], data["action2"][t], data["reward"][t]
        if data["reset"][t]:
            q1 = np.zeros(n_actions)
            q2 = np.zeros((n_states, n_actions))
            previous = None
        if data["scored"][t, 0]:
            net = np.zeros(n_actions)
            for a in range(n_actions):
                model_based = 0.0
                for s in range(n_states):
                    model_based += (common if s == a else (1 - common) / (n_states - 1)) * max(q2[s])
                repeated = 1 if a == previous else 0
                net[a] = w * model_based + (1 - w) * q1[a] + stickiness * repeated
            with np.errstate(divide="ignore"):
                out[t] += np.log(softmax(beta1 * net)[a1])
        if data["scored"][t, 1]:
            with np.errstate(divide="ignore"):
                out[t] += np.log(softmax(beta2 * q2[s2])[a2])
        if data["learned"][t]:
            d1 = q2[s2, a2] - q1[a1]
            d2 = r - q2[s2, a2]
            q1[a1] += alpha1 * (d1 + lam * d2)
            q2[s2, a2] += alpha2 * d2
        if data["responded"][t]:
            previous = a1
    return out
