"""Policies of a process: as probabilities or as actions, and which actions are the best."""

from typing import Any

import numpy as np

from rlpymc.checks import array_of_numbers, axes, check_finite, probabilities, whole
from rlpymc.mdp.process import MDP
from rlpymc.model import choice_probabilities


def greedy(q: np.ndarray) -> np.ndarray:
    """Return the policy that takes the best action, or each of the best alike.

    Ties are those of `rlpymc.model.choice_probabilities.among_best`; rounding is measured against the largest absolute
    value in `q`, as the values of all states were computed from each other.

    Parameters
    ----------
    q : (..., n_states, n_actions)
        Values of actions, finite.

    Returns
    -------
    (..., n_states, n_actions)
        Probabilities.
    """
    best = among_best(np.asarray(q))
    return np.asarray(best / best.sum(axis=-1, keepdims=True))


def among_best(q: np.ndarray) -> np.ndarray:
    """Mask (..., n_states, n_actions) of the actions that are as good as the best of their state."""
    return np.asarray(choice_probabilities.among_best(q, np.abs(q).max()))


def policy_by_step(m: MDP, found: Any, horizon: int, name: str = "policy") -> np.ndarray:
    """Return a policy's probabilities at each step (horizon, n_states, n_actions), or say what is wrong with them.

    Parameters
    ----------
    m : MDP
        The process.
    found : (n_states, n_actions), (horizon, n_states, n_actions), or (n_states,) of int
        Probabilities, or actions.
    horizon : int
        Number of steps.
    name : str
        What to call it in errors.

    Returns
    -------
    (horizon, n_states, n_actions)
        Probabilities.

    Raises
    ------
    ValueError
        If the shape is another, rows are no probabilities (which step, state and action), or there is no such action.
    """
    shape = (whole("horizon", horizon), m.n_states, m.n_actions)
    if axes(name, found) == 1:
        return np.broadcast_to(one_hot(m, actions(m, name, found)), shape)
    if np.ndim(found) == 3:
        return probabilities(name, found, shape, ("step", "state", "action"))
    return np.broadcast_to(probabilities(name, found, shape[1:], ("state", "action")), shape)


def logits_by_step(m: MDP, found: Any, horizon: int) -> np.ndarray:
    """Return logits (horizon, n_states, n_actions) from those of each step or the same for all, checked."""
    shape = (whole("horizon", horizon), m.n_states, m.n_actions)
    array = array_of_numbers("logits", found, shape if axes("logits", found) == 3 else shape[1:])
    check_finite("logits", array, ("step", "state", "action")[-array.ndim :])
    return np.broadcast_to(array, shape)


def actions(m: MDP, name: str, found: Any) -> np.ndarray:
    """Return an action for each state, or say which is none."""
    array = np.asarray(found)
    if array.shape != (m.n_states,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"{name}: found {array.dtype} of shape {array.shape}, expected an action for each state, ({m.n_states},)"
        )
    wrong = np.flatnonzero((array < 0) | (array >= m.n_actions))
    if len(wrong):
        raise ValueError(
            f"{name}: found action {array[wrong[0]]} for state {wrong[0]}, expected 0 to {m.n_actions - 1}"
        )
    return array.astype(int)


def one_hot(m: MDP, action: np.ndarray) -> np.ndarray:
    """Return the policy (n_states, n_actions) that takes an action in each state."""
    return np.asarray(np.arange(m.n_actions) == action[:, None], dtype=float)
