"""Drifting bandit: the mean payoff of each action wanders, so that there is always something to explore."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlpymc.checks import at_least, finite_number, ordered, whole, within
from rlpymc.tasks.base import Task, World
from rlpymc.tasks.settings import real


class DriftingBandit(Task):
    """A bandit whose means drift towards a center, each on its own.

    On each trial a mean becomes `decay * mean + (1 - decay) * center + step`. A payoff is drawn around the mean,
    rounded, then set to the nearer limit if it lies beyond. The means stay in `world.means` (n_subjects, n_trials,
    n_actions).

    Parameters
    ----------
    n_actions : int
        How many actions there are.
    decay : float in [0, 1]
        Share of its distance from the center that a mean keeps from one trial to the next.
    center : float
        Where the means drift to, in units of reward.
    sd_drift, sd : float
        Standard deviations of the steps of the means, and of payoffs around their mean.
    start : float or (n_actions,), optional
        Means in the first trial; drawn from the stationary distribution of the walk unless told.
    limits : (low, high), optional
        The lowest and the highest payoff; the means are free.
    round_to : float, optional
        Payoffs are multiples of this.
    same_for_all : bool
        Whether all subjects meet the same walk.
    **options
        n_trials, block_length, forced, missed, no_feedback: see `Task`.

    Raises
    ------
    ValueError
        If a number is out of its range, or nothing says where means that do not decay start.

    References
    ----------
    Daw, O'Doherty, Dayan, Seymour & Dolan (2006), Nature 441, 876-879, supplementary methods.
    """

    def __init__(
        self,
        n_actions: int = 4,
        *,
        decay: float = 0.9836,
        center: float = 50.0,
        sd_drift: float = 2.8,
        sd: float = 4.0,
        start: float | Sequence[float] | np.ndarray | None = None,
        limits: tuple[float, float] | None = (1.0, 100.0),
        round_to: float | None = 1.0,
        same_for_all: bool = False,
        **options: Any,
    ) -> None:
        n = whole("n_actions", n_actions, 2)
        self.decay, self.center = float(within("decay", decay)), finite_number("center", center)
        self.sd_drift, self.sd = at_least("sd_drift", sd_drift), at_least("sd", sd)
        self.limits = None if limits is None else ordered("limits", limits)
        if round_to is not None and not (np.isfinite(round_to) and round_to > 0):
            raise ValueError(f"round_to: found {round_to}, expected a number above 0, or None")
        self.round_to, self.same_for_all = round_to, same_for_all
        if start is None and self.decay == 1:
            raise ValueError("means with decay=1 settle nowhere: say where they start, such as start=50")
        self.start = None if start is None else np.asarray(start, dtype=float)
        if self.start is not None and (self.start.shape not in ((), (n,)) or not np.isfinite(self.start).all()):
            raise ValueError(f"start: found {start}, expected a finite number, or one for each of {n} actions")
        reward = real() if self.limits is None else real(*self.limits)
        super().__init__({"n_actions": n}, {"reward": reward}, **options)

    def begin(self, n_subjects: int, n_trials: int, rng: np.random.Generator) -> World:
        """Return the world of n subjects, with the means of all trials."""
        world = super().begin(n_subjects, n_trials, rng)
        walks = (1 if self.same_for_all else n_subjects, self.facts["n_actions"])
        if self.start is None:
            mean = rng.normal(self.center, self.sd_drift / np.sqrt(1 - self.decay**2), walks)
        else:
            mean = np.broadcast_to(self.start, walks)
        means = [mean]
        for _ in range(n_trials - 1):
            mean = self.decay * mean + (1 - self.decay) * self.center + rng.normal(0.0, self.sd_drift, walks)
            means.append(mean)
        world.means = np.broadcast_to(np.stack(means, axis=1), (n_subjects, n_trials, walks[1]))
        return world

    def is_best(self, world: World, t: int, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Whether no action has a higher mean now."""
        means = world.means[:, t]
        return np.asarray(means[np.arange(world.n_subjects), x["action"]] == means.max(axis=1))

    def outcome(
        self, world: World, t: int, response: str, x: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return the payoff."""
        reward = rng.normal(world.means[np.arange(world.n_subjects), t, x["action"]], self.sd)
        if self.round_to is not None:
            reward = np.round(reward / self.round_to) * self.round_to
        return {"reward": reward if self.limits is None else np.clip(reward, *self.limits)}
