"""Probabilities of n actions: entropy, cross-entropy and divergence, one-hot vectors, and relaxed draws.

Natural logarithms throughout, so that entropies are in nats; 0 log 0 is 0.
"""

from typing import Any

import numpy as np

from rlpymc import math
from rlpymc.checks import above_zero, numbers, probabilities, whole_numbers
from rlpymc.model.choice_probabilities import boltzmann_logits

__all__ = [
    "categorical_cross_entropy",
    "categorical_entropy",
    "categorical_kl",
    "from_one_hot",
    "gumbel_softmax",
    "one_hot",
]


def categorical_entropy(p: Any) -> Any:
    """Return the entropy, -sum_k p_k log p_k.

    Parameters
    ----------
    p : (..., n)
        Probabilities.

    Returns
    -------
    (...)
        In nats, from 0 (one action is certain) to log n (all are alike).

    Raises
    ------
    ValueError
        If p does not hold probabilities.
    """
    p = probabilities("p", p)
    return mean_under(p, -math.log(p))


def categorical_cross_entropy(p: Any, q: Any) -> Any:
    """Return the cross-entropy of q relative to p, -sum_k p_k log q_k.

    Parameters
    ----------
    p, q : (..., n)
        Probabilities: what happens, and what is said to happen.  One of them may be a single row (n,).

    Returns
    -------
    (...)
        In nats, at least the entropy of p; inf where q rules out what p does not.

    Raises
    ------
    ValueError
        If p or q do not hold probabilities, or shapes do not go together.
    """
    p, q = probabilities("p", p), probabilities("q", q)
    _check_shapes(p, q)
    return mean_under(p, -math.log(q))


def categorical_kl(p: Any, q: Any) -> Any:
    """Return the Kullback-Leibler divergence of p from q, sum_k p_k log(p_k / q_k).

    Parameters
    ----------
    p, q : (..., n)
        Probabilities.  One of them may be a single row (n,).

    Returns
    -------
    (...)
        In nats: 0 where p equals q, inf where q rules out what p does not.

    Raises
    ------
    ValueError
        If p or q do not hold probabilities, or shapes do not go together.
    """
    p, q = probabilities("p", p), probabilities("q", q)
    _check_shapes(p, q)
    return mean_log_ratio(p, math.log(p), math.log(q))


def mean_under(p: Any, x: Any) -> Any:
    """Return the mean (...) of x (..., n) under probabilities p (..., n); what has probability 0 does not count."""
    return math.sum(p * math.where(p > 0, x, 0.0))


def mean_log_ratio(p: Any, log_p: Any, log_q: Any) -> Any:
    """Return the mean (...) of log p - log q under p (..., n); what has probability 0 does not count."""
    return math.sum(p * (math.where(p > 0, log_p, 0.0) - math.where(p > 0, log_q, 0.0)))


def _check_shapes(p: np.ndarray, q: np.ndarray) -> None:
    if p.shape[-1] != q.shape[-1] or (p.ndim > 1 and q.ndim > 1 and p.shape != q.shape):
        raise ValueError(f"p, q: found shapes {p.shape} and {q.shape}, expected one shape, or a single row beside rows")


def one_hot(action: Any, n_actions: int) -> np.ndarray:
    """Return actions as vectors: 1 at the action, 0 elsewhere.

    Parameters
    ----------
    action : (...) int
        Actions from 0 to n_actions - 1.
    n_actions : int
        How many there are.

    Returns
    -------
    (..., n_actions)
        Of float64.

    Raises
    ------
    ValueError
        If there is no such action.
    """
    return np.eye(n_actions)[whole_numbers("action", action, n_actions)]


def from_one_hot(vector: Any) -> Any:
    """Return the actions that one-hot vectors stand for: the largest entry of each, also of relaxed ones.

    Parameters
    ----------
    vector : (..., n_actions)
        One-hot vectors, or draws of `gumbel_softmax`.

    Returns
    -------
    (...) int
        Actions.

    Raises
    ------
    ValueError
        If an entry is NaN, or several are largest: such a vector stands for no single action.
    """
    x = numbers("vector", vector)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"vector: found shape {x.shape}, expected (..., n_actions)")
    wrong = (x == x.max(axis=-1, keepdims=True)).sum(axis=-1) != 1  # none is where there is NaN
    if wrong.any():
        row = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise ValueError(f"vector: found {x[row]}{f' at index {row}' if row else ''}, expected one largest entry")
    return x.argmax(axis=-1)


def gumbel_softmax(p: Any, temperature: float, rng: np.random.Generator | int) -> np.ndarray:
    """Draw relaxed one-hot vectors: softmax((log p + g) / temperature) with standard Gumbel noise g.

    Whatever the temperature, the largest entry (`from_one_hot`) is an exact draw from p.  The vector itself is not: its
    weighted mean of log p is not the log probability of that action, so do not use it as one; `sample` of a policy
    returns the exact log probability.

    Parameters
    ----------
    p : (..., n)
        Probabilities.
    temperature : float
        Above 0; the smaller, the nearer to one-hot.
    rng : Generator or int
        Source of random numbers, or its seed.

    Returns
    -------
    (..., n)
        Entries of at least 0 with sum 1.

    Raises
    ------
    ValueError
        If p does not hold probabilities, or the temperature is not above 0.

    References
    ----------
    Jang, Gu & Poole (2017), eq. 2; Maddison, Mnih & Teh (2017).
    """
    p = probabilities("p", p)
    noise = np.random.default_rng(rng).gumbel(size=p.shape)
    return math.softmax(boltzmann_logits(math.log(p) + noise, above_zero("temperature", temperature)))
