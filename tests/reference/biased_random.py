"""Plain reading of random responding with a bias, Wilson & Collins (2019), eLife 8:e49547, model 1, for n options:
log odds against the first option in place of the paper's probability b.
"""

from typing import Any

import numpy as np

from ._plain import softmax


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_actions = facts["n_actions"]
    logits = np.zeros(n_actions)
    for k in range(1, n_actions):
        logits[k] = params["bias"][k - 1]
    n_trials = len(data["action"])
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        if data["scored"][t]:
            p = softmax(np.where(available[t], logits, -np.inf))
            out[t] = np.log(p[data["action"][t]])
    return out
