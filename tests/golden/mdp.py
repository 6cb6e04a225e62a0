"""Numbers of control as inference on a process of three states and two actions, and on a gamble."""

from functools import cache
from typing import Any

import numpy as np

from rlpymc import mdp
from tests.golden.row import Golden
from tests.reference import trajectories

P = np.array([[[0.7, 0.3, 0], [0.1, 0.6, 0.3]], [[0.4, 0.6, 0], [0, 0.2, 0.8]], [[0.5, 0, 0.5], [0.2, 0.3, 0.5]]])
R = np.array([[0, 0.5], [1, -0.5], [-1, 2]])
P0 = np.array([0.5, 0.3, 0.2])
THETA = np.array([[0.1, -0.2], [0.3, 0.0], [-0.4, 0.2]])
T = 4
ENDLESS = mdp.MDP(P, R, 0.9, P0)
FINITE = mdp.MDP(P, R, 1.0, P0)
UNIFORM = np.full((3, 2), 0.5)
DIGITS = 6e-11  # ten decimals

LISTED = trajectories.trajectories(P, R, P0, T)


@cache
def soft(temperature: float) -> mdp.Solution:
    return mdp.soft_value_iteration(ENDLESS, temperature)


def excess(temperature: float) -> float:
    """By how much soft values exceed the best ones at most."""
    return float((soft(temperature).v - mdp.value_iteration(ENDLESS).v).max())


def monotone(values: Any) -> bool:
    return bool((np.diff(values, axis=0) >= 0).all())


def contraction() -> float:
    """Largest ratio of distances after and before a soft sweep, over pairs of random values."""
    rng, worst = np.random.default_rng(1), 0.0
    for first, second in rng.normal(0, 5, (2000, 2, 3)):
        one, other = (mdp.soft_value(R + 0.9 * ENDLESS.expected(v)) for v in (first, second))
        worst = max(worst, np.abs(one - other).max() / np.abs(first - second).max())
    return worst


def slope_minus_policy() -> float:
    """Largest difference between the derivative of the soft value and the policy, by five-point differences."""
    q, h, worst = soft(1.0).q, 1e-3, 0.0
    for s, a in np.ndindex(3, 2):
        moved = [mdp.soft_value(q + k * h * (np.arange(6).reshape(3, 2) == 2 * s + a))[s] for k in (-2, -1, 1, 2)]
        slope = np.dot([1, -8, 8, -1], moved) / (12 * h)
        worst = max(worst, abs(slope - soft(1.0).policy[s, a]))
    return worst


def from_brute_force() -> float:
    """Largest difference of the messages' policy from that of all trajectories, over all steps."""
    _, probability = trajectories.posterior(LISTED, UNIFORM)
    wanted = trajectories.posterior_policy(LISTED, probability, T, 3, 2)
    return float(np.abs(mdp.messages(FINITE, T).policy - wanted).max())


def best_of_random() -> float:
    rng = np.random.default_rng(1)
    return max(mdp.elbo(FINITE, rng.dirichlet([1, 1], (T, 3)), T) for _ in range(2000))


def gamble() -> mdp.MDP:
    """In state 0, action 1 leads to a state worth 2 or one worth -2, action 0 to one worth nothing."""
    to_nothing, to_either, stays = [0, 1, 0, 0], [0, 0, 0.5, 0.5], [0, 1, 0, 0]
    return mdp.MDP(
        [[to_nothing, to_either], [stays, stays], [stays, stays], [stays, stays]],
        [[0, 0], [0, 0], [2, 2], [-2, -2]],
        initial=[1, 0, 0, 0],
    )


@cache
def estimate(to_go: bool) -> mdp.GradientEstimate:
    return mdp.reinforce(FINITE, THETA, T, 100_000, seed=14, reward_to_go=to_go)


def worst_z(to_go: bool) -> float:
    found = estimate(to_go)
    return float(np.abs((found.gradient - mdp.policy_gradient(FINITE, THETA, T)[1]) / found.standard_error).max())


def by_differences() -> np.ndarray:
    """Gradient of the objective by five-point differences."""
    h, slope = 1e-3, np.zeros(THETA.shape)
    for at in np.ndindex(THETA.shape):
        one = np.zeros(THETA.shape)
        one[at] = h
        moved = [mdp.policy_gradient(FINITE, THETA + k * one, T)[0] for k in (-2, -1, 1, 2)]
        slope[at] = np.dot([1, -8, 8, -1], moved) / (12 * h)
    return slope.ravel()


def from_samples(at_temperature: float) -> float:
    """Largest error of values fitted to 20000 sampled steps."""
    steps = mdp.sample_transitions(ENDLESS, 20_000, 16)
    return float(np.abs(mdp.fitted_q(ENDLESS, steps, soft=at_temperature).q - exact_q(at_temperature)).max())


def exact_q(at_temperature: float) -> np.ndarray:
    return soft(at_temperature).q if at_temperature else mdp.value_iteration(ENDLESS).q


def ties() -> list[float]:
    same = mdp.MDP(np.repeat(P[:, :1], 2, axis=1), np.repeat(R[:, :1], 2, axis=1), 0.9)
    return [mdp.soft_value_iteration(same, tau).policy[:, 1].tolist() for tau in (1e-300, 1e-9, 0.1, 1.0, 1e9, 1e300)]


def without_prior() -> Any:
    return mdp.messages(FINITE, T, np.ones((3, 2)))


V_SOFT = [13.3701985792, 13.6088544814, 14.7757269278]
V_BEST = [9.9692142953, 9.9759068398, 11.7962789453]
Q_BEST = [[8.9740998528, 9.9692142953], [9.9759068398, 9.7889840717], [8.7944719582, 11.7962789453]]
GRADIENT = [-0.2870729421, 0.2870729421, 0.3592105067, -0.3592105067, -0.7644516078, 0.7644516076]

# Standard deviations of sampled numbers are over 20 to 40 seeds of this library.
ROWS = [
    Golden("CAI-1", "best values", V_BEST, lambda: mdp.value_iteration(ENDLESS).v, DIGITS),
    Golden("CAI-1", "best values of actions", Q_BEST, lambda: mdp.value_iteration(ENDLESS).q, DIGITS),
    Golden("CAI-1", "best actions", [1, 0, 1], lambda: mdp.value_iteration(ENDLESS).policy[:, 1], 0),
    Golden("CAI-1", "sweeps to 1e-14", 308, lambda: mdp.value_iteration(ENDLESS, tolerance=1e-14).iterations, 0),
    Golden(
        "CAI-2",
        "values of the policies on the way",
        [[3.698630137, 5.0684931507, 1.2079701121], V_BEST],
        lambda: mdp.policy_iteration(ENDLESS, (0, 0, 0)).history,
        DIGITS,
    ),
    Golden("CAI-2", "evaluations", 2, lambda: mdp.policy_iteration(ENDLESS, (0, 0, 0)).iterations, 0),
    Golden("CAI-2", "never falling", True, lambda: monotone(mdp.policy_iteration(ENDLESS, (0, 0, 0)).history), 0),
    Golden(
        "CAI-2",
        "the values of value iteration",
        [0, 0, 0],
        lambda: mdp.policy_iteration(ENDLESS, (0, 0, 0)).v - mdp.value_iteration(ENDLESS).v,
        1e-10,
    ),
    Golden("CAI-3", "soft values, temperature 1", V_SOFT, lambda: soft(1.0).v, DIGITS),
    Golden("CAI-3", "soft policy", [0.7198927643, 0.3603291763, 0.9554017407], lambda: soft(1.0).policy[:, 1], DIGITS),
    Golden(
        "CAI-3",
        "its reward alone",
        [8.4178757470, 8.6335421761, 10.3816041642],
        lambda: mdp.policy_evaluation(ENDLESS, soft(1.0).policy).v,
        DIGITS,
    ),
    Golden("CAI-5", "largest excess, temperature 1", 3.6329, lambda: excess(1.0), 6e-5),
    Golden("CAI-5", "largest excess, temperature .1", 0.0800, lambda: excess(0.1), 6e-5),
    Golden("CAI-5", "largest excess, temperature 10", 63.12, lambda: excess(10.0), 6e-3),
    Golden(
        "CAI-5",
        "within the bounds",
        [True] * 3,
        lambda: [0 <= excess(tau) <= tau * np.log(2) / (1 - 0.9) for tau in (0.1, 1.0, 10.0)],
        0,
    ),
    Golden(
        "CAI-5",
        "rising with the temperature",
        True,
        lambda: monotone([mdp.value_iteration(ENDLESS).v, *(soft(tau).v for tau in (0.01, 0.1, 0.5, 1.0, 2.0, 10.0))]),
        0,
    ),
    Golden(
        "CAI-6",
        "evaluation of the soft policy with its entropy",
        [0, 0, 0],
        lambda: mdp.policy_evaluation(ENDLESS, soft(1.0).policy, entropy=1.0).v - soft(1.0).v,
        1e-12,
    ),
    Golden("CAI-6", "evaluations", 5, lambda: mdp.soft_policy_iteration(ENDLESS, 1.0).iterations, 0),
    Golden(
        "CAI-6",
        "values after the first two",
        [[10.1789849, 10.2514184, 10.5153980], [13.1284782, 13.3299003, 14.5604479]],
        lambda: mdp.soft_policy_iteration(ENDLESS, 1.0).history[:2],
        1e-7,
    ),
    Golden(
        "CAI-6", "values after the fifth", V_SOFT, lambda: mdp.soft_policy_iteration(ENDLESS, 1.0).history[4], DIGITS
    ),
    Golden("CAI-7", "contraction seen on random pairs, at most .9", 0.8893, contraction, 0.9 - 0.8893),
    Golden("CAI-7", "slope of the soft value less the policy", 0, slope_minus_policy, 1e-10),
    Golden("CAI-9", "log evidence", 3.1635881317, lambda: mdp.messages(FINITE, T).log_evidence, DIGITS),
    Golden(
        "CAI-9",
        "first values",
        [2.5796483916, 2.7249201308, 4.1337667161],
        lambda: mdp.messages(FINITE, T).v[0],
        DIGITS,
    ),
    Golden(
        "CAI-9",
        "first policy",
        [0.7721455598, 0.4386572456, 0.9533844901],
        lambda: mdp.messages(FINITE, T).policy[0, :, 1],
        DIGITS,
    ),
    Golden("CAI-9", "policies less those of all trajectories", 0, from_brute_force, 2e-15),
    Golden(
        "CAI-11",
        "bound at the exact policy",
        2.6107881848,
        lambda: mdp.elbo(FINITE, mdp.messages(FINITE, T).policy, T),
        DIGITS,
    ),
    Golden("CAI-11", "bound at the uniform policy", 1.299784375, lambda: mdp.elbo(FINITE, UNIFORM, T), DIGITS),
    Golden(
        "CAI-11",
        "all below the structured optimum, which is below the evidence",
        True,
        lambda: (
            monotone(
                [
                    best_of_random(),
                    mdp.elbo(FINITE, mdp.messages(FINITE, T).policy, T),
                    mdp.structured_variational(FINITE, T).elbo,
                    mdp.messages(FINITE, T).log_evidence,
                ]
            )
            and mdp.structured_variational(FINITE, T).elbo > 2.2720789789
        ),
        0,
    ),
    Golden("CAI-13", "gamble, exact", 1.3250027474, lambda: mdp.messages(gamble(), 2).q[0, 0, 1], DIGITS),
    Golden("CAI-13", "gamble, variational", 0, lambda: mdp.structured_variational(gamble(), 2).q[0, 0, 1], 1e-15),
    Golden("CAI-14", "objective", 1.8524850135, lambda: mdp.policy_gradient(FINITE, THETA, T)[0], DIGITS),
    Golden("CAI-14", "gradient", GRADIENT, lambda: mdp.policy_gradient(FINITE, THETA, T)[1].ravel(), 2e-10),
    Golden(
        "CAI-14",
        "gradient less finite differences",
        [0] * 6,
        lambda: mdp.policy_gradient(FINITE, THETA, T)[1].ravel() - by_differences(),
        2e-10,
    ),
    *(
        Golden(
            "CAI-14",
            f"gradient less that of all trajectories, {words}",
            np.zeros((3, 2)),
            lambda to_go=to_go: (
                mdp.policy_gradient(FINITE, THETA, T)[1] - trajectories.policy_gradient(LISTED, THETA, to_go=to_go)[1]
            ),
            2e-10,
        )
        for words, to_go in (("whole reward", False), ("reward to go", True))
    ),
    Golden("CAI-14", "largest |z| of 1e5 episodes, whole reward, below 4", 1.99, lambda: worst_z(False), 2.01),
    Golden("CAI-14", "largest |z| of 1e5 episodes, reward to go, below 4", 1.73, lambda: worst_z(True), 2.27),
    Golden("CAI-14", "variance, whole reward, within 4 sd", 12.56, lambda: estimate(False).variance.sum(), 4 * 0.069),
    Golden("CAI-14", "variance, reward to go, within 4 sd", 6.16, lambda: estimate(True).variance.sum(), 4 * 0.026),
    Golden(
        "CAI-16",
        "fitted Q with the true expectation, less value iteration",
        np.zeros((3, 2)),
        lambda: mdp.fitted_q(ENDLESS).q - exact_q(0.0),
        1e-13,  # what two sequences that stop at changes of 1e-14 may differ by
    ),
    Golden("CAI-16", "20000 steps, largest error, within 3 sd", 0.040, lambda: from_samples(0.0), 3 * 0.029),
    Golden("CAI-16", "20000 steps, soft, largest error, within 3 sd", 0.038, lambda: from_samples(1.0), 3 * 0.025),
    Golden("CAI-18", "ties at temperatures from 1e-300 to 1e300", np.full((6, 3), 0.5), ties, 0),
    Golden(
        "CAI-19",
        "values without the prior, less those with it",
        [2.772588722] * 3,
        lambda: without_prior().v[0] - mdp.messages(FINITE, T).v[0],
        6e-10,
    ),
    Golden(
        "CAI-19",
        "policies without the prior, less those with it",
        np.zeros((T, 3, 2)),
        lambda: without_prior().policy - mdp.messages(FINITE, T).policy,
        1e-15,
    ),
]
