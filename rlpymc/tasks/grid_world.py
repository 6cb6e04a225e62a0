"""A grid of cells, in which actions are steps to a neighbouring one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rlpymc.checks import whole
from rlpymc.tasks.mdp import RandomMDP

STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))  # north, east, south, west


class GridWorld(RandomMDP):
    """A grid world: steps north, east, south and west from cell to cell, some of which slip.

    Cell (row, column) is state ``row * width + column``; a step off the grid stays where it is.  What a cell brings is
    a weighted sum of its features, got for each step taken in it.  Models of planning know transitions and features,
    and their parameters `w` are what the features are worth to a person.

    Parameters
    ----------
    height, width : int
        Number of rows and columns.
    features : (height, width, n_features), optional
        Features of each cell; unless given, each cell has one of its own, so that every map of rewards is possible.
    weights : (n_features,), optional
        What the features bring in the task's reward; 0 unless given.
    slip : float
        Probability that a step goes to one of the two sides instead, in [0, 1].
    goals : sequence of (row, column)
        Cells with which an episode is over.
    episode_length : int, optional
        After how many steps an episode breaks off.
    start : (row, column), optional
        Where episodes begin; anywhere unless told.
    **options
        n_trials, block_length, forced, missed, no_feedback: see `Task`.

    Raises
    ------
    ValueError
        If a cell lies outside the grid, features or weights have another shape, or `slip` is no probability.
    """

    def __init__(
        self,
        height: int = 5,
        width: int = 5,
        *,
        features: Sequence[Any] | np.ndarray | None = None,
        weights: Sequence[float] | np.ndarray | None = None,
        slip: float = 0.0,
        goals: Sequence[tuple[int, int]] = (),
        episode_length: int | None = None,
        start: tuple[int, int] | None = None,
        **options: Any,
    ) -> None:
        self.height, self.width = whole("height", height), whole("width", width, 2)
        n = self.height * self.width
        if not 0 <= slip <= 1:
            raise ValueError(f"slip: found {slip}, expected a probability")
        maps = np.eye(n).reshape(self.height, self.width, n) if features is None else np.asarray(features, dtype=float)
        if maps.ndim != 3 or maps.shape[:2] != (self.height, self.width):
            raise ValueError(f"features: found shape {maps.shape}, expected ({height}, {width}, n_features)")
        if not np.isfinite(maps).all():
            row, column, k = np.argwhere(~np.isfinite(maps))[0]
            raise ValueError(
                f"features: found {maps[row, column, k]:g} in cell ({row}, {column}), expected finite numbers"
            )
        worth = np.zeros(maps.shape[2]) if weights is None else np.asarray(weights, dtype=float)
        if worth.shape != maps.shape[2:]:
            raise ValueError(f"weights: found shape {worth.shape}, expected {maps.shape[2:]}, one for each feature")
        reward = (maps @ worth).reshape(n, 1)
        super().__init__(
            n,
            len(STEPS),
            terminal=[self._cell("goals", goal) for goal in goals],
            transitions=self._transitions(slip),
            rewards=np.repeat(reward, len(STEPS), axis=1),
            start=None if start is None else self._cell("start", start),
            features=np.repeat(maps.reshape(n, 1, -1), len(STEPS), axis=1),
            episode_length=episode_length,
            **options,
        )

    def _cell(self, what: str, cell: tuple[int, int]) -> int:
        row, column = cell
        if not (0 <= row < self.height and 0 <= column < self.width):
            raise ValueError(f"{what}: found {cell}, expected (row, column) within {self.height} x {self.width}")
        return row * self.width + column

    def _transitions(self, slip: float) -> np.ndarray:
        """Return the probability of each next cell, (n_states, n_actions, n_states)."""
        n = self.height * self.width
        row, column = np.divmod(np.arange(n), self.width)
        led = [  # where each step leads from each cell
            np.clip(row + down, 0, self.height - 1) * self.width + np.clip(column + right, 0, self.width - 1)
            for down, right in STEPS
        ]
        found = np.zeros((n, len(STEPS), n))
        for action in range(len(STEPS)):
            for turn, share in ((0, 1 - slip), (1, slip / 2), (-1, slip / 2)):
                found[np.arange(n), action, led[(action + turn) % len(STEPS)]] += share
        return found
