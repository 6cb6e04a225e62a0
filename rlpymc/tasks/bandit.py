"""Bandits: each action has a distribution of rewards."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from rlpymc.checks import at_least, whole, within
from rlpymc.tasks.base import Task, World
from rlpymc.tasks.settings import long_enough, real


class Bandit(Task):
    """A bandit with binary or Gaussian rewards.

    Parameters
    ----------
    probs : (n_actions,) or (n_trials, n_actions), optional
        Probability of reward 1 (otherwise 0) of each action.
    means : (n_actions,) or (n_trials, n_actions), optional
        Mean of Gaussian rewards; give this or `probs`.
    sd : float
        Standard deviation of Gaussian rewards.
    feedback : {"partial", "full"}
        Whether only the chosen action's reward is shown, or also that of the other action on offer (`reward_other`).
    on_offer : int, optional
        How many actions, drawn at random, are on offer in each trial (`available`); all of them unless told.
    block_length : int, optional
        After how many trials a new block starts (`block`), at which learners restart.
    n_trials : int, optional
        Trials of the environment; 100 unless told here or by the trials of `probs` or `means`.
    **options
        forced, missed, no_feedback: see `Task`.

    Raises
    ------
    ValueError
        If probabilities are outside [0, 1], or full feedback is asked for with other than two actions on offer.
    """

    def __init__(
        self,
        probs: Sequence[float] | np.ndarray | None = None,
        *,
        means: Sequence[float] | np.ndarray | None = None,
        sd: float = 1.0,
        feedback: str = "partial",
        on_offer: int | None = None,
        block_length: int | None = None,
        n_trials: int | None = None,
        **options: Any,
    ) -> None:
        if (probs is None) == (means is None):
            raise ValueError("Bandit takes probs or means, one of them")
        self.binary, self.sd = probs is not None, at_least("sd", sd)
        self.levels = np.atleast_2d(np.asarray(probs if means is None else means, dtype=float))
        if self.binary:
            within("probs", self.levels)
        if self.levels.ndim != 2 or not np.isfinite(self.levels).all():
            raise ValueError("probs or means: expected finite numbers, (n_actions,) or (n_trials, n_actions)")
        n, on_offer = self.levels.shape[1], None if on_offer is None else whole("on_offer", on_offer, 2)
        if n < 2 or not 2 <= (n if on_offer is None else on_offer) <= n:
            raise ValueError(
                f"found {n} actions with on_offer={on_offer}, expected at least 2, and no more than there are"
            )
        if feedback not in ("partial", "full"):
            raise ValueError(f"feedback: found {feedback!r}, expected 'partial' or 'full'")
        if feedback == "full" and (on_offer or n) != 2:
            raise ValueError("full feedback shows the outcome of the other action, so two must be on offer: on_offer=2")
        self.feedback, self.on_offer = feedback, on_offer
        reward = real(0, 1) if self.binary else real()
        columns: dict[str, spaces.Space[Any]] = {"available": spaces.MultiBinary(n)} if on_offer else {}
        columns |= {"reward": reward} if feedback == "partial" else {"reward": reward, "reward_other": reward}
        self.length = len(self.levels) if len(self.levels) > 1 else None
        if n_trials is None:
            n_trials = self.length or 100
        super().__init__({"n_actions": n}, columns, n_trials=n_trials, block_length=block_length, **options)

    def begin(self, n_subjects: int, n_trials: int, rng: np.random.Generator) -> World:
        """Return the world of n subjects; the levels are the same for all."""
        if len(self.levels) > 1:
            long_enough("the bandit", len(self.levels), n_trials)
        return super().begin(n_subjects, n_trials, rng)

    def offer(self, world: World, t: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Mask of the actions on offer, or None if all are."""
        if not self.on_offer:
            return {}
        order = rng.permuted(np.tile(np.arange(self.facts["n_actions"]), (world.n_subjects, 1)), axis=1)
        return {"available": order < self.on_offer}

    def outcome(
        self, world: World, t: int, response: str, x: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return the reward, with full feedback that of the other action too."""
        level = self.levels[t if len(self.levels) > 1 else 0]
        seen = {"reward": self._reward(level[x["action"]], rng)}
        if self.feedback == "full":
            available = x.get("available", np.ones((len(x["action"]), len(level)), dtype=bool))
            other = available & (np.arange(len(level)) != x["action"][:, None])
            seen["reward_other"] = self._reward(level[other.argmax(axis=1)], rng)
        return seen

    def is_best(self, world: World, t: int, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Whether no action on offer pays more."""
        level = self.levels[t if len(self.levels) > 1 else 0]
        available = x.get("available", np.ones((world.n_subjects, len(level)), dtype=bool))
        return np.asarray(level[x["action"]] == np.where(available, level, -np.inf).max(axis=1))

    def _reward(self, level: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.binary:
            return (rng.random(level.shape) < level).astype(float)
        return rng.normal(level, self.sd)
