"""Features phi(state, action), of which natural parameters are a linear function.

States are (..., n_coordinates) and actions (...), numbers such as -1 and 1; axes before these are broadcast.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from rlpymc.checks import check_finite

type Features = Callable[[Any, Any], np.ndarray]  # (state, action) -> (..., n_features)


def linear(state: Any, action: Any) -> np.ndarray:
    """Return the state's coordinates and the action, (..., n_coordinates + 1).

    Parameters
    ----------
    state : (..., n_coordinates)
        States.
    action : (...)
        Actions.
    """
    state, action = np.asarray(state, dtype=float), np.asarray(action, dtype=float)
    if state.ndim == 0:
        raise ValueError(
            f"state: found the number {state:g}, expected (..., n_coordinates); one coordinate is [{state:g}]"
        )
    shape = np.broadcast_shapes(state.shape[:-1], action.shape)
    joined = np.empty((*shape, state.shape[-1] + 1))
    joined[..., :-1], joined[..., -1] = state, action
    return joined


def constant(value: float = 1.0) -> Features:
    """Return the map to one feature that is always the same, for next states that depend on nothing.

    Parameters
    ----------
    value : float
        The feature.
    """
    check_finite("value", np.asarray(value, dtype=float))

    def features(state: Any, action: Any) -> np.ndarray:
        return np.full((*np.broadcast_shapes(np.shape(state)[:-1], np.shape(action)), 1), float(value))

    return features


def random_network(n_inputs: int, n_layers: int, n_units: int, seed: int | np.random.Generator) -> Features:
    """Return a network with random weights: rectified linear layers, the last one linear and scaled to length 1.

    Parameters
    ----------
    n_inputs : int
        Number of coordinates of a state, and one for the action.
    n_layers, n_units : int
        Layers, and units in each, which is the number of features.
    seed : int or numpy.random.Generator
        Weights and biases are drawn from Normal(0, 1).

    Raises
    ------
    ValueError
        If a number is below 1.
    """
    for name, number in (("n_inputs", n_inputs), ("n_layers", n_layers), ("n_units", n_units)):
        if number < 1:
            raise ValueError(f"{name}: found {number}, expected at least 1")
    rng = np.random.default_rng(seed)
    sizes = [n_inputs, *[n_units] * n_layers]
    layers = [(rng.normal(size=(a, b)), rng.normal(size=b)) for a, b in pairwise(sizes)]

    def features(state: Any, action: Any) -> np.ndarray:
        x = linear(state, action)
        if x.shape[-1] != n_inputs:
            raise ValueError(
                f"state: found {x.shape[-1] - 1} coordinates, expected {n_inputs - 1}, for which the network was made"
            )
        for k, (weights, biases) in enumerate(layers):
            x = (x if k == 0 else np.maximum(x, 0)) @ weights + biases
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    return features
