"""Exact planning where the law of next states is known: dynamic programming over points of the real line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlpymc.checks import whole
from rlpymc.transitions.cells import Cells
from rlpymc.transitions.estimate import Transition
from rlpymc.transitions.family import Family

INTERVALS = 80


@dataclass(frozen=True)
class Optimum:
    """Optimal values of a world of one coordinate and a given number of steps.

    Parameters
    ----------
    transition : Transition
        The law of next states.
    reward : callable
        ``reward(state (..., 1)) -> (...)``, of being in a state.
    actions : sequence of float
        The numbers that actions 0, 1, ... stand for.
    points, weights : (n_points,)
        Of the integrals over next states.
    values : (horizon + 1, n_points)
        Sum of rewards to expect at each point before step 0, 1, ..., horizon.
    """

    transition: Transition
    reward: Callable[[Any], np.ndarray]
    actions: np.ndarray
    points: np.ndarray
    weights: np.ndarray
    values: np.ndarray

    def q(self, state: Any, step: int) -> np.ndarray:
        """Expected return of each action, followed by the best ones.

        Parameters
        ----------
        state : (..., 1)
            States.
        step : int
            How many steps were taken before, from 0.

        Returns
        -------
        (..., n_actions)
        """
        state = np.asarray(state, dtype=float)
        flat = state.reshape(-1, 1)
        later = [self._law(flat, action) @ (self.weights * self.values[step + 1]) for action in self.actions]
        return (self.reward(flat)[:, None] + np.stack(later, axis=1)).reshape(*state.shape[:-1], -1)

    def v(self, state: Any, step: int) -> np.ndarray:
        """Expected return (...) of the best actions from states (..., 1)."""
        return self.q(state, step).max(axis=-1)

    def _law(self, state: np.ndarray, action: float) -> np.ndarray:
        """Return the density of next states at all points, (n, n_points)."""
        natural = self.transition.natural(state, np.full(len(state), action))
        return self.transition.density.prob(self.points[None, :, None], natural[:, None])


def solve(
    transition: Transition, reward: Callable[[Any], np.ndarray], actions: Sequence[float] | np.ndarray, horizon: int
) -> Optimum:
    """Find the optimal values of a world of one coordinate by dynamic programming.

    Expectations over next states are integrals by Gauss's rule on intervals that cover all places where the density is
    anything from states near 0, so that values between the points are exact, too, and nothing is rounded to a grid.

    Parameters
    ----------
    transition : Transition
        The law of next states, of one coordinate.
    reward : callable
        ``reward(state (..., 1)) -> (...)``, of being in a state; the sum over states 0 to horizon - 1 counts.
    actions : sequence of float
        The numbers that actions 0, 1, ... stand for.
    horizon : int
        Number of steps.

    Returns
    -------
    Optimum

    Raises
    ------
    TypeError
        If the world has several coordinates.
    ValueError
        If the horizon is no whole number of at least 1.
    """
    if not isinstance(transition.density, Family):
        raise TypeError(f"transition: found {transition.density!r}, expected a family of one coordinate")
    horizon = whole("horizon", horizon, 1)
    actions = np.asarray(actions, dtype=float)
    ends = [
        transition.density.breakpoints(transition.natural(np.zeros(1), np.asarray(action)))[[0, -1]]
        for action in actions
    ]
    cells = Cells.between(np.unique(np.append(np.linspace(np.min(ends), np.max(ends), INTERVALS + 1), 0.0)), kink=0.0)
    points, weights = cells.x.ravel(), cells.weight.ravel()
    optimum = Optimum(transition, reward, actions, points, weights, np.zeros((horizon + 1, len(points))))
    laws = [optimum._law(points[:, None], action) * weights for action in actions]
    gained = reward(points[:, None])
    for step in reversed(range(horizon)):
        optimum.values[step] = gained + np.max([law @ optimum.values[step + 1] for law in laws], axis=0)
    return optimum
