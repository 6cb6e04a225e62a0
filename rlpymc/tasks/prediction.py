"""Prediction: the next number is announced before it is seen."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from rlpymc.checks import at_least, ordered, within
from rlpymc.tasks.base import Task, World
from rlpymc.tasks.settings import real


class Prediction(Task):
    """Predict the next of noisy numbers whose mean jumps now and then.

    `world.means` (n_subjects, n_trials) keeps the means. As an environment it rewards with minus the absolute error.

    Parameters
    ----------
    sd : float
        Standard deviation of numbers around their mean.
    hazard : float in [0, 1]
        Probability that the mean jumps, on each trial but the first.
    bounds : (low, high)
        Between which the mean falls, uniformly, first and after a jump, and predictions lie; numbers may lie beyond.
    **options
        n_trials, block_length, forced, missed, no_feedback: see `Task`.

    Raises
    ------
    ValueError
        If a number is out of its range.

    References
    ----------
    Nassar, Wilson, Heasly & Gold (2010), J Neurosci 30, 12366-12378. Here numbers are not rounded,
    and a jump may follow another at once.
    """

    responses = ("prediction",)

    def __init__(
        self, sd: float = 10.0, *, hazard: float = 0.1, bounds: tuple[float, float] = (0.0, 300.0), **options: Any
    ) -> None:
        self.sd, self.hazard = at_least("sd", sd), float(within("hazard", hazard))
        self.bounds = ordered("bounds", bounds)
        super().__init__({}, {"outcome": real()}, **options)
        self.action_space = spaces.Box(*self.bounds, shape=(), dtype=np.float64)

    def begin(self, n_subjects: int, n_trials: int, rng: np.random.Generator) -> World:
        """Return the world of n subjects, with the means of all trials."""
        world = super().begin(n_subjects, n_trials, rng)
        jumps = rng.random((n_subjects, n_trials)) < self.hazard
        last = np.maximum.accumulate(np.where(jumps, np.arange(n_trials), 0), axis=1)
        world.means = np.take_along_axis(rng.uniform(*self.bounds, (n_subjects, n_trials)), last, axis=1)
        return world

    def outcome(
        self, world: World, t: int, response: str, x: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return the number."""
        return {"outcome": rng.normal(world.means[:, t], self.sd)}

    def gain(self, response: np.ndarray, brought: Mapping[str, np.ndarray]) -> float:
        """Return minus the absolute error."""
        return -abs(float(response[0] - brought["outcome"][0]))
