"""Planning by random shooting: imagine futures with a model, and take the action that began the best ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlpymc.checks import check_finite, unknown, whole
from rlpymc.transitions.family import Uniforms

SEQUENCES = ("constant", "random")


@dataclass(frozen=True)
class ShootingPlanner:
    """Chooses actions by simulated futures.

    A future of `lookahead` states begins with the present one, s_0; its return is the sum of rewards of s_0, s_1, ...
    up to the first that ends the episode.  So the last action that matters is that before the last state.

    Parameters
    ----------
    step : callable
        The model: ``step(state (..., n_coordinates), action (...), rng) -> next states``, where actions are numbers out
        of `actions`; the method `sample` of a `Transition`, say.
    reward : callable
        ``reward(state (..., n_coordinates)) -> (...)``, of being in a state.
    over : callable, optional
        ``over(state (..., n_coordinates)) -> (...)``, whether a state ends the episode; none does unless given.
    actions : sequence of float
        The numbers that actions 0, 1, ... stand for.
    lookahead : int
        Number of states in a future, at least 2.
    trials : int
        Futures of each action ("constant") or in all ("random").
    sequences : {"constant", "random"}
        "constant": an action is taken again and again, and the one with the highest mean return is chosen, the first of
        several.  "random": all actions are random, and the first one of the single best future is chosen.

    Raises
    ------
    ValueError
        If a number is too small or there are no such sequences.

    References
    ----------
    Li, Li, Kabra, Srebro, Wang & Yang (2022). Exponential family model-based reinforcement learning via score matching.
    """

    step: Callable[[Any, Any, Uniforms], np.ndarray]
    reward: Callable[[Any], np.ndarray]
    over: Callable[[Any], np.ndarray] | None = None
    actions: Sequence[float] | np.ndarray = (-1.0, 1.0)
    lookahead: int = 5
    trials: int = 100
    sequences: str = "constant"

    def __post_init__(self) -> None:
        for name, number, least in (("lookahead", self.lookahead, 2), ("trials", self.trials, 1)):
            whole(name, number, least)
        if len(self.actions) < 2:
            raise ValueError(f"actions: found {self.actions}, expected at least two")
        if self.sequences not in SEQUENCES:
            raise unknown("sequences", self.sequences, SEQUENCES)

    def plan(self, state: Any, rng: Uniforms) -> np.ndarray:
        """Choose an action for each state.

        Parameters
        ----------
        state : (n, n_coordinates) or (n_coordinates,)
            Where planning begins, for n worlds side by side or for one.
        rng : numpy.random.Generator
            Source of random numbers.

        Returns
        -------
        (n,) or ()
            Numbers of actions: 0, 1, ...

        Raises
        ------
        ValueError
            If states have another shape or are not finite.
        """
        begin = np.asarray(state, dtype=float)
        if begin.ndim not in (1, 2):
            raise ValueError(f"state: found shape {begin.shape}, expected (n, n_coordinates) or (n_coordinates,)")
        check_finite("state", begin)
        states = np.atleast_2d(begin)
        n, k = len(states), len(self.actions)
        if self.sequences == "constant":
            chosen = np.broadcast_to(np.arange(k)[:, None, None], (n, k, self.trials, self.lookahead - 1))
            best = self._returns(states[:, None, None], chosen, rng).mean(axis=2).argmax(axis=1)
        else:
            chosen = (rng.random((n, self.trials, self.lookahead - 1)) * k).astype(int)
            trial = self._returns(states[:, None], chosen, rng).argmax(axis=1)
            best = chosen[np.arange(n), trial, 0]
        return best if begin.ndim == 2 else best[0]

    def _returns(self, state: np.ndarray, chosen: np.ndarray, rng: Uniforms) -> np.ndarray:
        """Return the return of each future, given its actions (..., lookahead - 1)."""
        actions = np.asarray(self.actions, dtype=float)
        state = np.broadcast_to(state, (*chosen.shape[:-1], state.shape[-1]))
        total, lives = self.reward(state), np.ones(chosen.shape[:-1], dtype=bool)
        for t in range(self.lookahead - 1):
            if self.over is not None:
                lives = lives & ~self.over(state)
            state = self.step(state, actions[chosen[..., t]], rng)
            gained = self.reward(state)
            if self.over is not None:
                gained = np.where(lives & ~self.over(state), gained, 0.0)
            total = total + gained
        return total
