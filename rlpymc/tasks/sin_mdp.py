"""A world of one number, in which next states have many humps and their mean says next to nothing."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from rlpymc.tasks.settings import LARGEST
from rlpymc.transitions.estimate import Transition
from rlpymc.transitions.family import Uniforms
from rlpymc.transitions.periodic import CustomSin


class SinMDP(gymnasium.Env[np.ndarray, np.int64]):
    """A Markov decision process on the real line, as a plain Gymnasium environment.

    It is no `Task`: there are no trials, subjects or masks, and it is for agents that plan, not for models of people.
    A state follows from the one before, s, and the action, a = -1 or 1, by the family `CustomSin` with v = s + a: its
    peaks stand where sin(period s') = 1, and the more so the larger v.  Two of these places are rewarded,

        r(s) = exp(-10 (s - pi / (2 period))^2) + exp(-10 (s + 3 pi / (2 period))^2),

    so that it is best always to take action 1, which is a = 1.  The reward of a step is that of the state in which the
    action was taken.  It never ends; the first state is uniform on (-1, 1).

    Parameters
    ----------
    alpha, period : float
        Of the family.

    Attributes
    ----------
    actions : (2,)
        The numbers that actions 0 and 1 stand for.
    transition : Transition
        The true law of next states.

    References
    ----------
    Li, Li, Kabra, Srebro, Wang & Yang (2022). Exponential family model-based reinforcement learning via score matching.
    """

    n_coordinates = 1

    def __init__(self, alpha: float = 1.7, period: float = 4.0) -> None:
        self.actions = np.array([-1.0, 1.0])
        self.transition = Transition(CustomSin(alpha, period), np.array([[1.0, 1.0]]))
        self.rewarded = np.array([np.pi / (2 * period), -3 * np.pi / (2 * period)])
        self.action_space = spaces.Discrete(2)
        self.observation_space = spaces.Box(-LARGEST, LARGEST, shape=(1,), dtype=np.float64)
        self._state: np.ndarray | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin again; return the first state, (1,)."""
        super().reset(seed=seed)
        self._state = self.first(self.np_random.random(1))
        return self._state.copy(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Act; return the next state, the reward of the state before, and that it is not over."""
        if self._state is None:
            raise ResetNeeded("there is no state yet: call reset() first")
        if not self.action_space.contains(action):
            raise ValueError(f"action: found {action!r}, expected 0 or 1, which stand for -1 and 1")
        before = self._state
        self._state = self.query(before, int(action), self.np_random)
        return self._state.copy(), float(self.reward(before)), False, False, {}

    # ---------------------------------------------------------------- many states at once, without moving
    def first(self, u: np.ndarray) -> np.ndarray:
        """Return first states (..., 1) from uniform numbers (..., 1)."""
        return 2 * u - 1

    def query(self, state: Any, action: Any, rng: Uniforms) -> np.ndarray:
        """Draw next states (..., 1) of states (..., 1) and actions (...), 0 or 1; the environment stays where it is."""
        return self.transition.sample(state, self.actions[np.asarray(action)], rng)

    def reward(self, state: Any) -> np.ndarray:
        """Return the reward of being in states (..., 1), (...)."""
        return np.exp(-10 * (np.asarray(state, dtype=float) - self.rewarded) ** 2).sum(axis=-1)

    def over(self, state: Any) -> np.ndarray:
        """Mask (...) of the states (..., 1) that end an episode: none."""
        return np.zeros(np.shape(state)[:-1], dtype=bool)
