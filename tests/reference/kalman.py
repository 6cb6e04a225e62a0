"""Plain reading of Daw et al. (2006), Nature 441:876 (supplementary methods): a Kalman filter over the restless arms of
a bandit. Their lambda, theta, sigma_d and sigma_o are decay, center, sd_drift and sd_obs.
"""

from typing import Any

import numpy as np

from ._plain import softmax


def log_prob(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    beta, phi, decay, center = params["beta"], params["phi"], params["decay"], params["center"]
    mu0, sd0, sd_drift, sd_obs = params["mu0"], params["sd0"], params["sd_drift"], params["sd_obs"]
    n_trials, n_actions = len(data["action"]), facts["n_actions"]
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        c, r = data["action"][t], data["reward"][t]
        if data["reset"][t]:
            mu = np.full(n_actions, float(mu0))
            var = np.full(n_actions, float(sd0) ** 2)
        if data["scored"][t]:
            p = softmax(np.where(available[t], beta * (mu + phi * np.sqrt(var)), -np.inf))
            with np.errstate(divide="ignore"):
                out[t] = np.log(p[c])
        if data["learned"][t]:
            gain = var[c] / (var[c] + sd_obs**2)
            mu[c] += gain * (r - mu[c])
            var[c] *= 1 - gain
            for k in range(n_actions):
                mu[k] = decay * mu[k] + (1 - decay) * center
                var[k] = decay**2 * var[k] + sd_drift**2
    return out
