"""Plain reading of a planner that maximises reward and entropy: rewards linear in features, Ziebart et al. (2008),
AAAI; soft value iteration, Haarnoja et al. (2017), ICML, eqs 5 to 7, which takes the mean of V over next states, as
maximum causal entropy does (Ziebart, Bagnell & Dey, 2010, ICML), where Ziebart et al. (2008) average exp(V). It plans
with all actions; a terminal state is worth nothing. Values are in units of the temperature 1 / beta. gamma below 1.
"""

from typing import Any

import numpy as np

from ._plain import softmax


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, Any]) -> np.ndarray:
    q = soft_q_values(params, facts)
    n_trials, n_actions = len(data["action"]), facts["n_actions"]
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        s, a = data["state"][t], data["action"][t]
        if data["scored"][t]:
            p = softmax(np.where(available[t], q[s], -np.inf))
            with np.errstate(divide="ignore"):
                out[t] = np.log(p[a])
    return out


def soft_q_values(params: dict[str, Any], facts: dict[str, Any]) -> np.ndarray:
    """Sweeps over all states until the values stay as they are: (n_states, n_actions).

    The sweeps to come could still add gamma / (1 - gamma) times the last change. So that little is left even with gamma
    near 1, numbers have 80 bits where the machine has such.
    """
    gamma = params["gamma"]
    reward = np.asarray(params["beta"] * (facts["features"] @ params["w"]), dtype=np.longdouble)
    transitions = np.asarray(facts["transitions"], dtype=np.longdouble)
    v = np.zeros(len(reward), dtype=np.longdouble)
    while True:
        q = reward + gamma * (transitions @ v)
        best = q.max(axis=1)  # taken out of the sum, so that exp does not overflow
        v_new = best + np.log(np.exp(q - best[:, None]).sum(axis=1))
        v_new[facts["terminal"]] = 0
        change = np.max(np.abs(v_new - v))
        v = v_new
        scale = max(1, np.max(np.abs(v)))
        if change <= 64 * np.finfo(v.dtype).eps * scale:  # 1e-14 of the values with 64 bits, 1e-17 with 80
            return np.asarray(q, dtype=float)
