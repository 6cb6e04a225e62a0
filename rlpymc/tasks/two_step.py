"""Two-step task: a choice leads to a state, a choice there to a reward."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from rlpymc.checks import at_least, ordered, within
from rlpymc.tasks.base import Task, World
from rlpymc.tasks.settings import real, reflect


class TwoStep(Task):
    """The two-step task, which tells planning from habit.

    The first action a leads to state a with probability `common`, else to the other one; the second action brings 1
    or 0. `world.probs` (n_subjects, n_trials, n_states, n_actions) keeps the probabilities of reward.

    Parameters
    ----------
    common : float in [0, 1]
        Probability of the common transition.
    bounds : (low, high)
        Walls in [0, 1] between which the probabilities of reward start at random and from which they are reflected.
    sd_drift : float
        Standard deviation of their steps from trial to trial.
    **options
        n_trials, block_length, forced, missed, no_feedback: see `Task`.

    Raises
    ------
    ValueError
        If a number is out of its range.

    References
    ----------
    Daw, Gershman, Seymour, Dayan & Dolan (2011), Neuron 69, 1204-1215.
    """

    responses = ("action1", "action2")

    def __init__(
        self,
        common: float = 0.7,
        *,
        bounds: tuple[float, float] = (0.25, 0.75),
        sd_drift: float = 0.025,
        **options: Any,
    ) -> None:
        self.common, self.sd_drift = float(within("common", common)), at_least("sd_drift", sd_drift)
        self.bounds = ordered("bounds", bounds)
        within("bounds", self.bounds)
        columns = {"state2": spaces.Discrete(2), "reward": real(0, 1)}
        super().__init__({"n_actions": 2, "n_states": 2}, columns, **options)

    def begin(self, n_subjects: int, n_trials: int, rng: np.random.Generator) -> World:
        """Return the world of n subjects, with the probabilities of reward of all trials."""
        world = super().begin(n_subjects, n_trials, rng)
        walk = rng.normal(0.0, self.sd_drift, (n_subjects, n_trials, 2, 2))
        walk[:, 0] = rng.uniform(*self.bounds, (n_subjects, 2, 2))
        world.probs = reflect(walk.cumsum(axis=1), *self.bounds)
        return world

    def outcome(
        self, world: World, t: int, response: str, x: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return the state after the first action, the reward after the second."""
        if response == "action1":
            action = np.maximum(x["action1"], 0)
            common = rng.random(world.n_subjects) < self.common
            return {"state2": np.where(common, action, 1 - action)}
        prob = world.probs[np.arange(world.n_subjects), t, x["state2"], x["action2"]]
        return {"reward": (rng.random(world.n_subjects) < prob).astype(float)}
