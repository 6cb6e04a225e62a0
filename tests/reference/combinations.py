"""Learners with a variant or with choice rules: one loop each, written out in full, to be read against the papers.

delta             Sutton & Barto (2018), eqs 2.5 and 2.11
rates=sign        Niv et al. (2012), J. Neurosci.: one rate for prediction errors >= 0, one for those below
rates=outcome     den Ouden et al. (2013), Neuron: one rate after a reward, one after its absence
forgetting        Ito & Doya (2009), J. Neurosci.: values of options not chosen decay, here towards the start value
counterfactual    Palminteri et al. (2015), Nat. Commun., without its context values
epsilon_greedy    Sutton & Barto (2018), section 2.2; options that share the highest value share its probability
choice_kernel     Wilson & Collins (2019), eLife, models 4 and 5
stickiness        a bonus for the previous choice, added to the logits, so on the scale of beta * q
lapse             with this probability a uniform guess among the available options; applied last
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import actor_critic, hmm_delta, q_mdp, rlwm, soft_q
from ._plain import softmax


def delta_stickiness(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_actions = facts["n_actions"]
    alpha, beta, q0, stickiness = params["alpha"], params["beta"], params["q0"], params["stickiness"]
    n_trials = len(data["action"])
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a, r = data["action"][t], data["reward"][t]
        if data["reset"][t]:
            q = np.full(n_actions, float(q0))
            previous = None
        if data["scored"][t]:
            logits = beta * q
            if previous is not None:
                logits[previous] += stickiness
            p = softmax(np.where(available[t], logits, -np.inf))
            out[t] = np.log(p[a])
        if data["learned"][t]:
            q[a] += alpha * (r - q[a])
        if data["responded"][t]:
            previous = a
    return out


def delta_choice_kernel(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_actions = facts["n_actions"]
    alpha, beta, q0 = params["alpha"], params["beta"], params["q0"]
    alpha_kernel, beta_kernel = params["alpha_kernel"], params["beta_kernel"]
    n_trials = len(data["action"])
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a, r = data["action"][t], data["reward"][t]
        if data["reset"][t]:
            q = np.full(n_actions, float(q0))
            kernel = np.zeros(n_actions)
        if data["scored"][t]:
            p = softmax(np.where(available[t], beta * q + beta_kernel * kernel, -np.inf))
            out[t] = np.log(p[a])
        if data["learned"][t]:
            q[a] += alpha * (r - q[a])
        if data["responded"][t]:
            for k in range(n_actions):
                kernel[k] += alpha_kernel * ((k == a) - kernel[k])
    return out


def delta_lapse(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_actions = facts["n_actions"]
    alpha, beta, q0, lapse = params["alpha"], params["beta"], params["q0"], params["lapse"]
    n_trials = len(data["action"])
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a, r = data["action"][t], data["reward"][t]
        if data["reset"][t]:
            q = np.full(n_actions, float(q0))
        if data["scored"][t]:
            p = softmax(np.where(available[t], beta * q, -np.inf))
            p = np.where(available[t], (1 - lapse) * p + lapse / available[t].sum(), 0)
            out[t] = np.log(p[a])
        if data["learned"][t]:
            q[a] += alpha * (r - q[a])
    return out


def delta_stickiness_choice_kernel_lapse(
    params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]
) -> np.ndarray:
    n_actions = facts["n_actions"]
    alpha, beta, q0, stickiness = params["alpha"], params["beta"], params["q0"], params["stickiness"]
    alpha_kernel, beta_kernel, lapse = params["alpha_kernel"], params["beta_kernel"], params["lapse"]
    n_trials = len(data["action"])
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a, r = data["action"][t], data["reward"][t]
        if data["reset"][t]:
            q = np.full(n_actions, float(q0))
            previous = None
            kernel = np.zeros(n_actions)
        if data["scored"][t]:
            logits = beta * q + beta_kernel * kernel
            if previous is not None:
                logits[previous] += stickiness
            p = softmax(np.where(available[t], logits, -np.inf))
            p = np.where(available[t], (1 - lapse) * p + lapse / available[t].sum(), 0)
            out[t] = np.log(p[a])
        if data["learned"][t]:
            q[a] += alpha * (r - q[a])
        if data["responded"][t]:
            previous = a
            for k in range(n_actions):
                kernel[k] += alpha_kernel * ((k == a) - kernel[k])
    return out


def delta_epsilon_greedy(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_actions = facts["n_actions"]
    alpha, q0, epsilon = params["alpha"], params["q0"], params["epsilon"]
    n_trials = len(data["action"])
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a, r = data["action"][t], data["reward"][t]
        if data["reset"][t]:
            q = np.full(n_actions, float(q0))
        if data["scored"][t]:
            options = [k for k in range(n_actions) if available[t][k]]
            best = max(q[k] for k in options)
            greedy = [k for k in options if q[k] == best]
            p = np.zeros(n_actions)
            for k in options:
                p[k] = epsilon / len(options)
            for k in greedy:
                p[k] += (1 - epsilon) / len(greedy)
            out[t] = np.log(p[a])
        if data["learned"][t]:
            q[a] += alpha * (r - q[a])
    return out


def delta_epsilon_greedy_lapse(
    params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]
) -> np.ndarray:
    n_actions = facts["n_actions"]
    alpha, q0, epsilon, lapse = params["alpha"], params["q0"], params["epsilon"], params["lapse"]
    n_trials = len(data["action"])
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a, r = data["action"][t], data["reward"][t]
        if data["reset"][t]:
            q = np.full(n_actions, float(q0))
        if data["scored"][t]:
            options = [k for k in range(n_actions) if available[t][k]]
            best = max(q[k] for k in options)
            greedy = [k for k in options if q[k] == best]
            p = np.zeros(n_actions)
            for k in options:
                p[k] = epsilon / len(options)
            for k in greedy:
                p[k] += (1 - epsilon) / len(greedy)
            for k in options:
                p[k] = (1 - lapse) * p[k] + lapse / len(options)
            out[t] = np.log(p[a])
        if data["learned"][t]:
            q[a] += alpha * (r - q[a])
    return out


def delta_rates_sign(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_actions = facts["n_actions"]
    alpha_pos, alpha_neg, beta, q0 = params["alpha_pos"], params["alpha_neg"], params["beta"], params["q0"]
    n_trials = len(data["action"])
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a, r = data["action"][t], data["reward"][t]
        if data["reset"][t]:
            q = np.full(n_actions, float(q0))
        if data["scored"][t]:
            p = softmax(np.where(available[t], beta * q, -np.inf))
            out[t] = np.log(p[a])
        if data["learned"][t]:
            error = r - q[a]
            if error >= 0:
                q[a] += alpha_pos * error
            else:
                q[a] += alpha_neg * error
    return out


def delta_rates_outcome(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_actions = facts["n_actions"]
    alpha_pos, alpha_neg, beta, q0 = params["alpha_pos"], params["alpha_neg"], params["beta"], params["q0"]
    n_trials = len(data["action"])
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a, r = data["action"][t], data["reward"][t]
        if data["reset"][t]:
            q = np.full(n_actions, float(q0))
        if data["scored"][t]:
            p = softmax(np.where(available[t], beta * q, -np.inf))
            out[t] = np.log(p[a])
        if data["learned"][t]:
            if r > 0:
                q[a] += alpha_pos * (r - q[a])
            else:
                q[a] += alpha_neg * (r - q[a])
    return out


def delta_forgetting(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_actions = facts["n_actions"]
    alpha, beta, q0, forgetting = params["alpha"], params["beta"], params["q0"], params["forgetting"]
    n_trials = len(data["action"])
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a, r = data["action"][t], data["reward"][t]
        if data["reset"][t]:
            q = np.full(n_actions, float(q0))
        if data["scored"][t]:
            p = softmax(np.where(available[t], beta * q, -np.inf))
            out[t] = np.log(p[a])
        if data["learned"][t]:
            for k in range(n_actions):
                if k == a:
                    q[k] += alpha * (r - q[k])
                else:  # on offer or not
                    q[k] += forgetting * (q0 - q[k])
    return out


def counterfactual_stickiness(params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]) -> np.ndarray:
    n_actions = facts["n_actions"]
    alpha, alpha_other, beta, q0 = params["alpha"], params["alpha_other"], params["beta"], params["q0"]
    stickiness = params["stickiness"]
    n_trials = len(data["action"])
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        c, r, r_other = data["action"][t], data["reward"][t], data["reward_other"][t]
        if data["reset"][t]:
            q = np.full(n_actions, float(q0))
            previous = None
        if data["scored"][t]:
            logits = beta * q
            if previous is not None:
                logits[previous] += stickiness
            p = softmax(np.where(available[t], logits, -np.inf))
            out[t] = np.log(p[c])
        if data["learned"][t]:
            (u,) = [k for k in range(n_actions) if available[t][k] and k != c]
            q[c] += alpha * (r - q[c])
            q[u] += alpha_other * (r_other - q[u])
        if data["responded"][t]:
            previous = c
    return out


def delta_rates_sign_forgetting_choice_kernel_lapse(
    params: dict[str, Any], data: dict[str, np.ndarray], facts: dict[str, int]
) -> np.ndarray:
    n_actions = facts["n_actions"]
    alpha_pos, alpha_neg, beta, q0 = params["alpha_pos"], params["alpha_neg"], params["beta"], params["q0"]
    forgetting, lapse = params["forgetting"], params["lapse"]
    alpha_kernel, beta_kernel = params["alpha_kernel"], params["beta_kernel"]
    n_trials = len(data["action"])
    available = data.get("available", np.ones((n_trials, n_actions), dtype=bool))
    out = np.zeros(n_trials)
    for t in range(n_trials):
        a, r = data["action"][t], data["reward"][t]
        if data["reset"][t]:
            q = np.full(n_actions, float(q0))
            kernel = np.zeros(n_actions)
        if data["scored"][t]:
            p = softmax(np.where(available[t], beta * q + beta_kernel * kernel, -np.inf))
            p = np.where(available[t], (1 - lapse) * p + lapse / available[t].sum(), 0)
            out[t] = np.log(p[a])
        if data["learned"][t]:
            for k in range(n_actions):
                if k != a:  # on offer or not
                    q[k] += forgetting * (q0 - q[k])
                elif r - q[k] >= 0:
                    q[k] += alpha_pos * (r - q[k])
                else:
                    q[k] += alpha_neg * (r - q[k])
        if data["responded"][t]:
            for k in range(n_actions):
                kernel[k] += alpha_kernel * ((k == a) - kernel[k])
    return out


COMBINATIONS: dict[str, Callable[[dict[str, Any], dict[str, np.ndarray], dict[str, int]], np.ndarray]] = {
    "delta+stickiness": delta_stickiness,
    "delta+choice_kernel": delta_choice_kernel,
    "delta+lapse": delta_lapse,
    "delta+stickiness+choice_kernel+lapse": delta_stickiness_choice_kernel_lapse,
    "delta+epsilon_greedy": delta_epsilon_greedy,
    "delta+epsilon_greedy+lapse": delta_epsilon_greedy_lapse,
    "delta(rates=sign)": delta_rates_sign,
    "delta(rates=outcome)": delta_rates_outcome,
    "delta(forgetting=True)": delta_forgetting,
    "counterfactual+stickiness": counterfactual_stickiness,
    "delta(rates=sign, forgetting=True)+choice_kernel+lapse": delta_rates_sign_forgetting_choice_kernel_lapse,
    "rlwm(interaction=True)": rlwm.log_prob_interaction,
    "q_mdp(terminal=bootstraps)": q_mdp.log_prob_bootstrap,
    "soft_q(terminal=bootstraps)": soft_q.log_prob_bootstrap,
    "actor_critic(actor=gradient)": actor_critic.log_prob_gradient,
    "hmm(delta)": hmm_delta.log_prob,
    "hmm(delta, n_states=3)": hmm_delta.log_prob,
}
