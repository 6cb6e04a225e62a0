"""Choices that bring nothing: trials for models of a sequence of responses alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlpymc.checks import whole
from rlpymc.tasks.base import Task, World


class Choices(Task):
    """Choose again and again, with nothing to see before or after.

    Parameters
    ----------
    n_actions : int
        How many actions there are.
    **options
        n_trials, block_length, forced, missed, no_feedback: see `Task`.

    Raises
    ------
    ValueError
        If there are less than two actions.
    """

    def __init__(self, n_actions: int = 2, **options: Any) -> None:
        super().__init__({"n_actions": whole("n_actions", n_actions, 2)}, {}, **options)

    def outcome(
        self, world: World, t: int, response: str, x: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return no columns."""
        return {}
