"""From the values of actions to the probabilities of choosing them: the mathematics of choice, written once.

These functions are written with `rlpymc.math`, so that the same lines serve NumPy arrays, PyTensor variables and the
compiled loop: the choice rules of models, policies and planning are all made of them.  Any leading axes may stand
before the last one, which is over actions.

**Ties** are decided in `among_best`, and nowhere else: a value ties with the highest if it falls short of it by no more
than rounding, and tied actions share.  So 0.1 + 0.2 and 0.3 tie, in a likelihood as in a plan.
"""

from typing import Any

import numpy as np

from rlpymc.checks import TIE
from rlpymc.math import abs, max, stop_gradient, sum, where

__all__ = [
    "among_best",
    "boltzmann_logits",
    "epsilon_greedy",
    "greedy",
    "mixed_with_chance",
    "softmax_logits",
    "uniform",
]


def softmax_logits(values: Any, beta: Any) -> Any:
    """Return the logits of a softmax.

    Parameters
    ----------
    values : (..., n_actions)
        Values of the actions.
    beta : number
        Inverse temperature, in 1/units of the values.

    Returns
    -------
    (..., n_actions)
        Log probabilities up to a constant (Sutton & Barto 2018, eq. 2.11).
    """
    return beta * values


def boltzmann_logits(values: Any, temperature: Any) -> Any:
    """Return the logits of a softmax with inverse temperature 1 / temperature, 0 for the highest value.

    The highest value is taken off first, so that low temperatures, at which values / temperature would overflow, end in
    the greedy choice, which is their limit.

    Parameters
    ----------
    values : (..., n_actions)
        Values of the actions; -inf for what is not on offer.
    temperature : number
        Above 0, in units of the values.

    Returns
    -------
    (..., n_actions)
        Log probabilities up to a constant.
    """
    with np.errstate(over="ignore"):  # what lies too far below the best is -inf
        return softmax_logits(values - stop_gradient(max(values))[..., None], 1 / temperature)


def among_best(values: Any, size: Any = None) -> Any:
    """Mask of the values that are as high as the highest.

    Parameters
    ----------
    values : (..., n_actions)
        Values of the actions; -inf for what is not on offer.
    size : number, optional
        What rounding is measured against: the largest absolute value of the numbers that these were computed from.
        Unless given, that of the values themselves, without infinite ones.

    Returns
    -------
    (..., n_actions) bool
        True where a value falls short of the highest by no more than `rlpymc.checks.TIE` times the size.
    """
    if size is None:
        size = max(where(values > -float("inf"), abs(values), 0.0))[..., None]
    return values >= max(values)[..., None] - TIE * size


def greedy(values: Any) -> Any:
    """Return the probabilities of choosing an action of the highest value: tied actions share.

    Parameters
    ----------
    values : (..., n_actions)
        Values of the actions; -inf for what is not on offer.

    Returns
    -------
    (..., n_actions)
        1 / number of tied actions at the highest value, 0 elsewhere.
    """
    best = where(among_best(values), 1.0, 0.0)
    return best / sum(best)[..., None]


def uniform(available: Any) -> Any:
    """Return equal probabilities (..., n_actions) for all actions that are on offer (True), and 0 for the others."""
    offered = where(available, 1.0, 0.0)
    return offered / sum(offered)[..., None]


def mixed_with_chance(probs: Any, share: Any, available: Any) -> Any:
    """Return the probabilities of somebody who follows `probs` and, in a share of choices, picks at random.

    Parameters
    ----------
    probs : (..., n_actions)
        Probabilities of the choices that are not random.
    share : number
        Share of random choices, in [0, 1].
    available : (..., n_actions) bool
        What is on offer; random choices are uniform over it.

    Returns
    -------
    (..., n_actions)
        Probabilities.
    """
    return (1 - share) * probs + share * uniform(available)


def epsilon_greedy(values: Any, epsilon: Any, available: Any) -> Any:
    """Return the probabilities of an epsilon-greedy choice (Sutton & Barto 2018, section 2.2).

    Parameters
    ----------
    values : (..., n_actions)
        Values of the actions.
    epsilon : number
        Probability of picking at random, in [0, 1]; a random pick may be a best action, too.
    available : (..., n_actions) bool
        What is on offer.

    Returns
    -------
    (..., n_actions)
        (1 - epsilon) shared by the best actions, plus epsilon shared by all that are on offer.
    """
    return mixed_with_chance(greedy(where(available, values, -float("inf"))), epsilon, available)
