"""Plain reading of the model of reinforcement learning (Q) and working memory (W) of Collins & Frank (2012, 2018), as
Collins (2025; repository AnneCollins/WMH) fits it to the data of Collins & Frank (2018), PNAS 115:2502, with beta held
at 25. In the variants with interaction the prediction error is of the expectation of both systems together.
"""

from typing import Any

import numpy as np

from ._plain import softmax


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    return _log_prob(params, data, facts, interaction=False)


def log_prob_interaction(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    return _log_prob(params, data, facts, interaction=True)


def _log_prob(
    params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int], interaction: bool
) -> np.ndarray:
    alpha, beta, stick, epsilon = params["alpha"], params["beta"], params["stick"], params["epsilon"]
    rho, capacity, forget = params["rho"], params["capacity"], params["forget"]
    bias_wm, bias_rl, r0 = params["bias_wm"], params["bias_rl"], params["r0"]
    n_trials, n_actions, n_stimuli = len(data["action"]), facts["n_actions"], facts["n_stimuli"]
    out = np.zeros(n_trials)
    for t in range(n_trials):
        s, a, r = data["stimulus"][t], data["action"][t], data["reward"][t]
        if data["reset"][t]:
            Q = np.full((n_stimuli, n_actions), 1 / n_actions)
            W = np.full((n_stimuli, n_actions), 1 / n_actions)
            K = np.zeros(n_actions)
        w = rho * min(1, capacity / data["set_size"][t])
        if data["scored"][t]:
            pi_Q = epsilon / n_actions + (1 - epsilon) * softmax(beta * (Q[s] + stick * K))
            pi_W = epsilon / n_actions + (1 - epsilon) * softmax(beta * (W[s] + stick * K))
            p = w * pi_W + (1 - w) * pi_Q
            with np.errstate(divide="ignore"):
                out[t] = np.log(p[a])
        if data["learned"][t]:
            W += forget * (1 / n_actions - W)
            target = r0 if r == 0 else 1
            w_int = w if interaction else 0
            d = target - (w_int * W[s, a] + (1 - w_int) * Q[s, a])
            Q[s, a] += (alpha * bias_rl if r == 0 else alpha) * d
            W[s, a] += (bias_wm if r == 0 else 1) * (r - W[s, a])
        if data["responded"][t]:
            K = np.zeros(n_actions)
            K[a] = 1
    return out
