"""Plain reading of noisy win-stay lose-shift, Wilson & Collins (2019), eLife 8:e49547, model 2, for n options."""

from typing import Any

import numpy as np


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_actions = facts["n_actions"]
    epsilon, n = params["epsilon"], n_actions
    n_trials = len(data["action"])
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a, r = data["action"][t], data["reward"][t]
        if data["reset"][t]:
            last_action, last_reward = None, None
        if data["scored"][t]:
            if last_action is None or last_reward is None:  # no outcome yet
                p = 1 / n
            elif last_reward > 0 and a == last_action:  # win, stay
                p = 1 - epsilon + epsilon / n
            elif last_reward > 0 or a == last_action:  # win, shift
                p = epsilon / n
            else:  # loss, shift
                p = (1 - epsilon) / (n - 1) + epsilon / n
            out[t] = np.log(p)
        if data["learned"][t]:
            last_action, last_reward = a, r
    return out
