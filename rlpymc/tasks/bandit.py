"""Bandits: each action has a distribution of rewards."""

from collections.abc import Sequence

import numpy as np


class Bandit:
    """A bandit with binary or Gaussian rewards, for many subjects at once.

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
    ) -> None:
        if (probs is None) == (means is None):
            raise ValueError("Bandit takes probs or means, one of them")
        self.binary, self.sd = probs is not None, sd
        self.levels = np.atleast_2d(np.asarray(probs if means is None else means, dtype=float))
        if self.binary and not ((self.levels >= 0) & (self.levels <= 1)).all():
            raise ValueError(f"probs: found {self.levels.min():g} to {self.levels.max():g}, expected numbers in [0, 1]")
        if self.levels.ndim != 2 or not np.isfinite(self.levels).all():
            raise ValueError("probs or means: expected finite numbers, (n_actions,) or (n_trials, n_actions)")
        if not (np.isfinite(sd) and sd >= 0):
            raise ValueError(f"sd: found {sd}, expected a number of at least 0")
        if block_length is not None and (block_length != int(block_length) or block_length < 1):
            raise ValueError(f"block_length: found {block_length}, expected a whole number of at least 1")
        n = self.levels.shape[1]
        if n < 2 or not 2 <= (n if on_offer is None else on_offer) <= n:
            raise ValueError(
                f"found {n} actions with on_offer={on_offer}, expected at least 2, and no more than there are"
            )
        if feedback not in ("partial", "full"):
            raise ValueError(f"feedback: found {feedback!r}, expected 'partial' or 'full'")
        if feedback == "full" and (on_offer or n) != 2:
            raise ValueError("full feedback shows the outcome of the other action, so two must be on offer: on_offer=2")
        self.feedback, self.on_offer, self.block_length = feedback, on_offer, block_length
        self.facts = {"n_actions": n}

    def offer(self, t: int, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return what n subjects see before trial t."""
        seen: dict[str, np.ndarray] = {}
        if self.on_offer:
            order = rng.permuted(np.tile(np.arange(self.facts["n_actions"]), (n, 1)), axis=1)
            seen["available"] = order < self.on_offer
        return seen

    def resets(self, t: int) -> bool:
        """Return whether a new block starts with trial t."""
        return t == 0 or (self.block_length is not None and t % self.block_length == 0)

    def outcome(self, t: int, x: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return what subjects see after their actions on trial t."""
        if len(self.levels) > 1 and t >= len(self.levels):
            raise ValueError(f"the bandit is described for {len(self.levels)} trials, and trial {t} was asked for")
        level = self.levels[t if len(self.levels) > 1 else 0]
        seen = {"reward": self._reward(level[x["action"]], rng)}
        if self.feedback == "full":
            available = x.get("available", np.ones((len(x["action"]), len(level)), dtype=bool))
            other = available & (np.arange(len(level)) != x["action"][:, None])
            seen["reward_other"] = self._reward(level[other.argmax(axis=1)], rng)
        return seen

    def _reward(self, level: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.binary:
            return (rng.random(level.shape) < level).astype(float)
        return rng.normal(level, self.sd)
