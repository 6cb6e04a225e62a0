"""Learning and working memory: blocks of few or many stimuli, each with its correct action."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from rlpymc.checks import whole, within
from rlpymc.tasks.base import Task, World
from rlpymc.tasks.settings import long_enough, real


class RLWM(Task):
    """Stimulus-action learning in blocks of different set sizes.

    Each block has stimuli 0 to set_size - 1, in random order, with a correct action each, drawn at random; learners
    start again with it. `world.stimulus` (n_subjects, n_trials) and `world.correct` (n_subjects, n_blocks, n_stimuli)
    keep them; there are `length` trials.

    Parameters
    ----------
    set_sizes : sequence of int
        How many stimuli each block has.
    presentations : int
        How often each stimulus of a block is shown.
    n_actions : int
        How many actions there are.
    reliability : float in [0, 1]
        Probability that the reward (1 if the action was correct, else 0) is the right one.
    n_trials : int, optional
        Trials of the environment, at most and unless told `length`.
    **options
        forced, missed, no_feedback: see `Task`.

    Raises
    ------
    ValueError
        If a number is out of its range, or more trials are asked for than there are.

    References
    ----------
    Collins & Frank (2012), Eur J Neurosci 35, 1024-1035.
    """

    def __init__(
        self,
        set_sizes: Sequence[int] = (2, 3, 4, 5, 6),
        *,
        presentations: int = 13,
        n_actions: int = 3,
        reliability: float = 1.0,
        n_trials: int | None = None,
        **options: Any,
    ) -> None:
        self.set_sizes = np.array([whole("set_sizes", size) for size in set_sizes])
        if not len(self.set_sizes):
            raise ValueError("set_sizes: found none, expected one for each block")
        if "block_length" in options:
            raise ValueError("block_length: the blocks of RLWM are set_sizes times presentations long")
        n_actions, self.presentations = whole("n_actions", n_actions, 2), whole("presentations", presentations)
        self.reliability = float(within("reliability", reliability))
        self._block = np.repeat(np.arange(len(self.set_sizes)), self.set_sizes * self.presentations)
        self.length, most = len(self._block), int(self.set_sizes.max())
        if n_trials is not None:
            long_enough("RLWM", len(self._block), n_trials)
        columns: dict[str, spaces.Space[Any]] = {
            "stimulus": spaces.Discrete(most),
            "set_size": real(0, most),
            "block": spaces.Discrete(len(self.set_sizes)),
            "reward": real(0, 1),
        }
        facts = {"n_actions": n_actions, "n_stimuli": most}
        super().__init__(facts, columns, n_trials=self.length if n_trials is None else n_trials, **options)

    def resets(self, t: int) -> bool:
        """True if a block starts with trial t."""
        long_enough("RLWM", len(self._block), t + 1)
        return t == 0 or self._block[t] != self._block[t - 1]

    def begin(self, n_subjects: int, n_trials: int, rng: np.random.Generator) -> World:
        """Return the world of n subjects: their stimuli and correct actions."""
        long_enough("RLWM", len(self._block), n_trials)
        world = super().begin(n_subjects, n_trials, rng)
        shape = (n_subjects, len(self.set_sizes), self.facts["n_stimuli"])
        world.correct = rng.integers(self.facts["n_actions"], size=shape)
        sizes = self.set_sizes[: self._block[n_trials - 1] + 1]  # of the blocks that are reached
        blocks = [np.tile(np.arange(size), (n_subjects, self.presentations)) for size in sizes]
        stimulus = np.concatenate([rng.permuted(block, axis=1) for block in blocks], axis=1)[:, :n_trials]
        world.stimulus = np.asfortranarray(stimulus)
        return world

    def offer(self, world: World, t: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the stimulus, how many there are in this block, and the block."""
        block = np.full(world.n_subjects, self._block[t])
        return {"stimulus": world.stimulus[:, t], "set_size": self.set_sizes[block].astype(float), "block": block}

    def is_best(self, world: World, t: int, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Whether the action is the correct one for the stimulus."""
        correct = world.correct[np.arange(world.n_subjects), self._block[t], x["stimulus"]]
        return np.asarray(x["action"] == correct)

    def outcome(
        self, world: World, t: int, response: str, x: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """True if the action was correct, or with unreliable feedback the contrary."""
        subject = np.arange(world.n_subjects)
        correct = x["action"] == world.correct[subject, self._block[t], x["stimulus"]]
        return {"reward": (correct == (rng.random(world.n_subjects) < self.reliability)).astype(float)}
