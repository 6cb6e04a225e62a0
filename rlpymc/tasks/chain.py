"""Chains: the response is the next state, and the next trial starts there."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from rlpymc.checks import states, whole
from rlpymc.tasks.base import Task, World


class Chain(Task):
    """Go from state to state: each trial shows the state that the response before led to.

    Parameters
    ----------
    n_states : int
        How many states there are.
    start : int, optional
        First state; uniform over all states unless told.  A new block goes on where the last one ended.
    **options
        n_trials, block_length, forced, missed, no_feedback: see `Task`.

    Raises
    ------
    ValueError
        If there are less than two states, or no such first one.
    """

    responses = ("next_state",)

    def __init__(self, n_states: int = 3, *, start: int | None = None, **options: Any) -> None:
        n = whole("n_states", n_states, 2)
        self.start = None if start is None else int(states("start", start, n)[0])
        super().__init__({"n_states": n}, {"state": spaces.Discrete(n)}, **options)
        self.action_space = spaces.Discrete(n)

    def begin(self, n_subjects: int, n_trials: int, rng: np.random.Generator) -> World:
        """Return the world of n subjects, each in its first state."""
        world = super().begin(n_subjects, n_trials, rng)
        world.state = np.full(n_subjects, self.start or 0)
        if self.start is None:
            world.state = rng.integers(self.facts["n_states"], size=n_subjects)
        return world

    def offer(self, world: World, t: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the state."""
        return {"state": world.state}

    def outcome(
        self, world: World, t: int, response: str, x: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Go to the next state; there is nothing more to see."""
        self.follow(world, x)
        return {}

    def follow(self, world: World, x: Mapping[str, np.ndarray]) -> None:
        """Go on from the next state of a given first row."""
        world.state = np.where(x["next_state"] >= 0, x["next_state"], world.state)
