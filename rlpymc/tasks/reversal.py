"""Reversal learning: the option that is best changes, by the clock or once it has been found."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlpymc.checks import finite_number, whole, within
from rlpymc.tasks.base import Task, World
from rlpymc.tasks.settings import real


class Reversal(Task):
    """Probabilistic reversal learning.

    After k reversals action a is rewarded with `probs[(a - k) % n_actions]`: two options swap, more rotate.
    `world.reversals` (n_subjects,) counts them.

    Parameters
    ----------
    probs : (n_actions,)
        Probability of reward of each action before the first reversal; one of them is best.
    every : int, optional
        After how many trials there is a reversal.
    criterion : int, optional
        After how many choices of the best option in a row there is a reversal; give this or `every`.
    loss : float below 1
        What no reward is, in units of reward (a reward is 1).
    **options
        n_trials, block_length, forced, missed, no_feedback: see `Task`.

    Raises
    ------
    ValueError
        If both or neither of every and criterion are given, or probs are outside [0, 1] or have no single best one.

    References
    ----------
    Cools, Clark, Owen & Robbins (2002), J Neurosci 22, 4563-4567.
    """

    def __init__(
        self,
        probs: Sequence[float] | np.ndarray = (0.8, 0.2),
        *,
        every: int | None = None,
        criterion: int | None = None,
        loss: float = 0.0,
        **options: Any,
    ) -> None:
        self.probs = within("probs", probs)
        if self.probs.ndim != 1 or len(self.probs) < 2 or (self.probs == self.probs.max()).sum() > 1:
            raise ValueError(f"probs: found {probs}, expected (n_actions,), two or more, one of them the highest")
        if (every is None) == (criterion is None):
            raise ValueError("Reversal takes every or criterion, one of them")
        self.every = None if every is None else whole("every", every)
        self.criterion = None if criterion is None else whole("criterion", criterion)
        self.loss = finite_number("loss", loss)
        if self.loss >= 1:
            raise ValueError(f"loss: found {loss}, expected less than a reward, which is 1")
        super().__init__({"n_actions": len(self.probs)}, {"reward": real(self.loss, 1.0)}, **options)

    def begin(self, n_subjects: int, n_trials: int, rng: np.random.Generator) -> World:
        """Return the world of n subjects before any reversal."""
        world = super().begin(n_subjects, n_trials, rng)
        world.reversals = np.zeros(n_subjects, dtype=int)
        world.in_a_row = np.zeros(n_subjects, dtype=int)
        return world

    def offer(self, world: World, t: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return nothing: no change is announced."""
        if self.every is not None:
            world.reversals = np.full(world.n_subjects, t // self.every)
        return {}

    def is_best(self, world: World, t: int, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Whether the action is the one that is rewarded most now."""
        return np.asarray((x["action"] - world.reversals) % len(self.probs) == self.probs.argmax())

    def outcome(
        self, world: World, t: int, response: str, x: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return the reward, and reverse after it where the criterion is met."""
        original = (x["action"] - world.reversals) % len(self.probs)  # the action that was where this one is now
        won = rng.random(world.n_subjects) < self.probs[original]
        if self.criterion is not None:
            in_a_row = np.where(original == self.probs.argmax(), world.in_a_row + 1, 0)
            world.in_a_row = np.where(x["action"] < 0, world.in_a_row, in_a_row)
            met = world.in_a_row >= self.criterion
            world.reversals = world.reversals + met
            world.in_a_row = np.where(met, 0, world.in_a_row)
        return {"reward": np.where(won, 1.0, self.loss)}
