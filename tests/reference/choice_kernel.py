"""Plain reading of the choice kernel, Wilson & Collins (2019), eLife 8:e49547, model 4."""

from typing import Any

import numpy as np

from ._plain import softmax


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_actions = facts["n_actions"]
    alpha_kernel, beta_kernel = params["alpha_kernel"], params["beta_kernel"]
    n_trials = len(data["action"])
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a = data["action"][t]
        if data["reset"][t]:
            kernel = np.zeros(n_actions)
        if data["scored"][t]:
            p = softmax(np.where(available[t], beta_kernel * kernel, -np.inf))
            out[t] = np.log(p[a])
        if data["responded"][t]:
            for k in range(n_actions):
                kernel[k] += alpha_kernel * ((k == a) - kernel[k])
    return out
