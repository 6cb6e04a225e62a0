"""Soft values and policies: the best trade of reward against entropy, at a temperature."""

from typing import Any

import numpy as np

from rlpymc.checks import LARGEST, SMALLEST, number, whole
from rlpymc.mdp.exact import Solution, require_finite_values, sweep, values_of
from rlpymc.mdp.policy import greedy, policy_by_step
from rlpymc.mdp.process import MDP


def soft_value(q: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return ``temperature * log sum_a exp(q / temperature)``, the soft maximum over actions.

    It lies between the maximum and the maximum plus ``temperature * log n_actions``, and its gradient is the soft
    policy. The lecture notes call it "softmax"; it is a number, not the probabilities.

    Parameters
    ----------
    q : (..., n_actions)
        Values of actions, finite or minus infinity, not all the latter.
    temperature : float
        In units of reward, above 0.

    Returns
    -------
    (...)
        Soft values.

    References
    ----------
    Levine (2018), "Reinforcement learning and control as probabilistic inference: tutorial and review", section 2.3.
    """
    q = np.asarray(q)
    best = q.max(axis=-1)
    return np.asarray(best + temperature * np.log(_relative(q, temperature).sum(axis=-1)))


def soft_policy(q: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return ``exp((q - soft_value(q)) / temperature)``, the probabilities of the actions.

    Parameters
    ----------
    q : (..., n_actions)
        Values of actions, finite or minus infinity, not all the latter.
    temperature : float
        In units of reward, above 0.

    Returns
    -------
    (..., n_actions)
        Probabilities.
    """
    relative = _relative(np.asarray(q), temperature)
    return np.asarray(relative / relative.sum(axis=-1, keepdims=True))


def _relative(q: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities relative to that of the best action."""
    if not 0 < temperature <= LARGEST:
        raise ValueError(f"temperature: found {temperature}, expected a number above 0, in units of reward")
    with np.errstate(over="ignore"):  # minus infinity is the right exponent of what is hopeless at a tiny temperature
        return np.exp((q - q.max(axis=-1, keepdims=True)) / temperature)


def soft_value_iteration(
    m: MDP, temperature: float, *, tolerance: float = 1e-14, max_iterations: int = 1_000_000
) -> Solution:
    """Return the soft values and policy, by sweeps ``q = r + discount E v, v = soft_value(q)`` from 0.

    The policy maximises the expected sum of discounted rewards and of `temperature` times its own entropy in each state
    that is lived through. A sweep shrinks the distance of any two guesses at least by the factor `discount`.

    As the temperature falls to 0, values become those of `value_iteration`, and only its actions are left. Among those
    of equal value, the ones with more such choices ahead keep more of the probability, until the temperature drowns in
    the rounding of values, 1e-16 of them. As the temperature rises, the policy becomes uniform.

    Parameters
    ----------
    m : MDP
        With a discount below 1, or where every policy ends.
    temperature : float
        In units of reward, above 0.
    tolerance, max_iterations
        See `value_iteration`.

    Returns
    -------
    Solution
        The values `v` are above the best values without entropy, by at most ``temperature * log n_actions`` times
        the expected discounted number of steps, which is at most ``1 / (1 - discount)``.

    Raises
    ------
    ValueError
        If the temperature is not above 0, or values may be infinite: discount 1, and some policy never ends.
    RuntimeError
        If the values still change after `max_iterations` sweeps.

    References
    ----------
    Ziebart (2010), PhD thesis; Levine (2018), section 3.1.
    """
    temperature = positive_temperature(temperature, "value_iteration")
    v, q, sweeps = sweep(m, lambda q: soft_value(q, temperature), tolerance, max_iterations)
    return Solution(v, q, soft_policy(q, temperature), sweeps)


def soft_policy_iteration(
    m: MDP, temperature: float, *, start: Any = None, tolerance: float = 1e-12, max_iterations: int = 1000
) -> Solution:
    """Return the soft values and policy, by evaluating policies with their entropy and improving them softly.

    This is Newton's method for the fixed point of `soft_value_iteration`: a few linear systems instead of many sweeps.

    Parameters
    ----------
    m : MDP
        With a discount below 1, or where every policy ends.
    temperature : float
        In units of reward, above 0.
    start : (n_states, n_actions) or (n_states,) of int, optional
        The first policy; uniform unless told.
    tolerance : float
        The iteration ends when no soft value is above the policy's own by more than this times the largest value.
    max_iterations : int
        Evaluations after which to give up.

    Returns
    -------
    Solution
        Its `history` has the values of each policy on the way, which never fall.

    Raises
    ------
    ValueError
        If the temperature is not above 0, `start` is no policy, or values may be infinite.
    RuntimeError
        If policies still improve after `max_iterations` evaluations.

    References
    ----------
    Haarnoja, Zhou, Abbeel & Levine (2018), "Soft actor-critic", section 4.1.
    """
    require_finite_values(m)
    temperature = positive_temperature(temperature, "policy_iteration")
    tolerance = number("tolerance", tolerance, 0.0, LARGEST, "a number of at least 0")
    max_iterations = whole("max_iterations", max_iterations)
    uniform = np.full(m.reward.shape, 1 / m.n_actions)
    policy, history = policy_by_step(m, uniform if start is None else start, 1, "start")[0], []
    for done in range(1, max_iterations + 1):
        v = values_of(m, policy, temperature)
        q = m.reward + m.discount * m.expected(v)
        history.append(v)
        policy = soft_policy(q, temperature)
        gain = np.where(m.ends, 0.0, soft_value(q, temperature) - v).max()
        if gain <= tolerance * np.abs(v).max():
            return Solution(v, q, policy, done, np.array(history))
    raise RuntimeError(
        f"policies still gain {gain:.3g} after {max_iterations} evaluations, expected {tolerance:g} of the values"
    )


def value_at(q: np.ndarray, temperature: float) -> np.ndarray:
    """Return the soft value of actions, at temperature 0 the maximum."""
    return soft_value(q, temperature) if temperature > 0 else np.asarray(q.max(axis=-1))


def policy_at(q: np.ndarray, temperature: float) -> np.ndarray:
    """Return the soft policy, at temperature 0 the greedy one."""
    return soft_policy(q, temperature) if temperature > 0 else greedy(q)


def positive_temperature(temperature: float, limit: str) -> float:
    """Return a temperature above 0, or say what was found, and which function is its limit at 0."""
    expected = f"a number above 0, in units of reward; {limit} is the limit 0"
    return number("temperature", temperature, SMALLEST, LARGEST, expected)
