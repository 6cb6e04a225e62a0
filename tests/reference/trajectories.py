"""A Markov decision process by listing all that can happen in it, after Levine (2018), sections 2 and 4."""

import numpy as np


def trajectories(transition, reward, initial, horizon, terminal=()):
    """All trajectories: states, actions, probability of all that is chance, and rewards, a tuple each."""
    n_states, n_actions = np.shape(reward)
    grown = [((s,), (), initial[s], ()) for s in range(n_states) if initial[s] > 0]
    for t in range(horizon):
        longer = []
        for states, actions, chance, rewards in grown:
            s = states[-1]
            if s in terminal or len(actions) < t:
                longer.append((states, actions, chance, rewards))
                continue
            for a in range(n_actions):
                earned = (*rewards, reward[s][a])
                if t == horizon - 1:  # where the last action leads does not matter
                    longer.append((states, (*actions, a), chance, earned))
                    continue
                for after in range(n_states):
                    p = transition[s][a][after]
                    if p > 0:
                        longer.append(((*states, after), (*actions, a), chance * p, earned))
        grown = longer
    return grown


def posterior(listed, prior):
    """Evidence, and the posterior probability of each trajectory."""
    weights = []
    for states, actions, chance, rewards in listed:
        prior_of_actions = np.prod([prior[s][a] for s, a in zip(states, actions, strict=False)])
        weights.append(chance * prior_of_actions * np.exp(sum(rewards)))
    return sum(weights), np.array(weights) / sum(weights)


def posterior_policy(listed, probability, horizon, n_states, n_actions):
    """p(action | state) at each step, from probabilities of trajectories."""
    joint = np.zeros((horizon, n_states, n_actions))
    for (states, actions, _, _), p in zip(listed, probability, strict=True):
        for t, a in enumerate(actions):
            joint[t, states[t], a] += p
    with np.errstate(invalid="ignore"):  # 0 / 0 in states that are never visited
        return joint / joint.sum(axis=2, keepdims=True)


def under(listed, policy):
    """Probability of each trajectory under a policy (n_states, n_actions) or (horizon, n_states, n_actions)."""
    policy = np.asarray(policy)
    by_step = policy if policy.ndim == 3 else [policy] * 100
    return np.array(
        [
            chance * np.prod([by_step[t][states[t]][a] for t, a in enumerate(actions)])
            for states, actions, chance, _ in listed
        ]
    )


def policy_gradient(listed, logits, discount=1.0, temperature=0.0, to_go=False, minus_one=False):
    """Objective, gradient, and variance of the estimator: expectations over all trajectories."""
    logits = np.asarray(logits, dtype=float)
    policy = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probability = under(listed, policy)
    totals, estimates = [], []
    for states, actions, _, rewards in listed:
        score, earned = [], []
        for t, a in enumerate(actions):
            one = np.zeros(logits.shape)
            one[states[t]] -= policy[states[t]]
            one[states[t], a] += 1
            score.append(one)
            earned.append(discount**t * (rewards[t] - temperature * np.log(policy[states[t], a])))
        estimate = np.zeros(logits.shape)
        for t, one in enumerate(score):
            estimate += one * (sum(earned[t:]) if to_go else sum(earned))
            if minus_one:  # that -log pi itself moves with the logits
                estimate -= one * discount**t * temperature
        totals.append(sum(earned))
        estimates.append(estimate)
    mean = sum(p * g for p, g in zip(probability, estimates, strict=True))
    variance = sum(p * (g - mean) ** 2 for p, g in zip(probability, estimates, strict=True))
    return probability @ totals, mean, variance
