"""The cart-pole with noise: a pole on a cart, to be held upright by pushes to the left and to the right."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from rlpymc.checks import at_least, finite_number, unknown, within
from rlpymc.tasks.settings import LARGEST
from rlpymc.transitions.closed import Exponential, Gaussian
from rlpymc.transitions.family import Family, Uniforms
from rlpymc.transitions.periodic import CustomSin

GRAVITY, FORCE, STEP = 9.8, 10.0, 0.02  # m/s^2, N, s
CART, POLE, HALF_LENGTH = 1.0, 0.1, 0.5  # kg, kg, m
TRACK, TILT = 2.4, np.deg2rad(12.0)  # beyond which an episode is over: m and rad from the middle
START = 0.05  # how far from 0 each coordinate may be at first

NOISES = ("none", "action", "next_state", "both")
DENSITIES = ("normal", "exp", "custom_sin", "mixture")


class StochasticCartPole(gymnasium.Env[np.ndarray, Any]):
    """The cart-pole of Barto, Sutton and Anderson with noise, as a plain Gymnasium environment.

    It is no `Task`: there are no trials, subjects or masks, and it is for agents that plan, not for models of people.
    The state is (position, velocity, angle, angular velocity); it moves by Euler's method, noise is added, and an
    episode is over beyond 2.4 m or 12 degrees.  Every step brings a reward of 1.

    Parameters
    ----------
    noise : {"none", "action", "next_state", "both"}
        Whether the push is turned around at times, noise is added to the next state, or both.
    density : {"normal", "exp", "custom_sin", "mixture"}
        Of the noise of the next state, in units of its scale in each coordinate:

        - "normal": standard normal in each;
        - "exp": exponential with mean 1, of the position alone;
        - "custom_sin": the family `CustomSin(2, 1)` in each, with v the sum of state and action;
        - "mixture": normal around 0 or around `width`, as probable, of the position alone.
    noise_sd : float
        The scales are noise_sd times (2.4, .02 * 10 / 1.1, 12 degrees, .02 * 9.8 / .5): the track, what a push adds to
        the velocity in a step, the tilt, and about what gravity adds to the angular velocity.
    flip : float
        Probability that a push is turned around.
    width : float
        Distance of the two parts of the mixture.
    continuous : bool
        Whether actions are forces in [-1, 1], times 10 N, instead of 0 and 1 for -1 and 1.

    Attributes
    ----------
    actions : (2,)
        The numbers that actions 0 and 1 stand for.
    scale : (4,)
        Scale of the noise of each coordinate; its square is the variance where the noise is normal.

    Raises
    ------
    ValueError
        If there is no such noise or density, noise_sd is negative, or flip is no probability.

    Notes
    -----
    Departures from the source: all random numbers come from the environment's own generator; flipped pushes come
    without noise of the next state unless asked for; noise "custom_sin" is scaled as a whole, where the source scales
    its waves but not its spread, which then is 1 rad and ends any episode at once.

    References
    ----------
    Barto, Sutton & Anderson (1983). Neuronlike adaptive elements that can solve difficult learning control problems.
    Li, Li, Kabra, Srebro, Wang & Yang (2022). Exponential family model-based reinforcement learning via score matching.
    """

    n_coordinates = 4

    def __init__(
        self,
        noise: str = "next_state",
        density: str = "normal",
        *,
        noise_sd: float = 0.1,
        flip: float = 0.4,
        width: float = 1.0,
        continuous: bool = False,
    ) -> None:
        if noise not in NOISES:
            raise unknown("noise", noise, NOISES)
        if density not in DENSITIES:
            raise unknown("density", density, DENSITIES)
        self.noise, self.density = noise, density
        self.flip, self.width = float(within("flip", flip)), finite_number("width", width)
        usual = np.array([TRACK, STEP * FORCE / (CART + POLE), TILT, STEP * GRAVITY / HALF_LENGTH])
        self.scale = at_least("noise_sd", noise_sd) * usual
        self.actions = np.array([-1.0, 1.0])
        self.continuous = continuous
        self.action_space = spaces.Box(-1.0, 1.0, shape=(1,), dtype=np.float64) if continuous else spaces.Discrete(2)
        self.observation_space = spaces.Box(-LARGEST, LARGEST, shape=(4,), dtype=np.float64)
        self._state: np.ndarray | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin again; return the first state, (4,)."""
        super().reset(seed=seed)
        self._state = self.first(self.np_random.random(4))
        return self._state.copy(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Push; return the next state, the reward, and whether the pole fell or the cart left the track."""
        if self._state is None or self.over(self._state):
            raise ResetNeeded("no episode is under way: call reset() first")
        if not self.action_space.contains(action):
            raise ValueError(f"action: found {action!r}, expected one of {self.action_space}")
        push = np.asarray(action, dtype=float).reshape(()) if self.continuous else self.actions[int(action)]
        self._state = self.pushed(self._state, push, self.np_random)
        return self._state.copy(), 1.0, bool(self.over(self._state)), False, {}

    # ---------------------------------------------------------------- many states at once, without moving
    def first(self, u: np.ndarray) -> np.ndarray:
        """Return first states (..., 4) from uniform numbers (..., 4)."""
        return START * (2 * u - 1)

    def query(self, state: Any, action: Any, rng: Uniforms) -> np.ndarray:
        """Draw next states (..., 4) of states (..., 4) and actions (...), 0 or 1; the environment stays where it is."""
        return self.pushed(state, self.actions[np.asarray(action)], rng)

    def pushed(self, state: Any, push: Any, rng: Uniforms) -> np.ndarray:
        """Draw next states (..., 4) of states (..., 4) and pushes (...) from -1 to 1."""
        state, push = np.asarray(state, dtype=float), np.asarray(push, dtype=float)
        shape = np.broadcast_shapes(state.shape[:-1], push.shape)
        state, push = np.broadcast_to(state, (*shape, 4)), np.broadcast_to(push, shape)
        made = push
        if self.noise in ("action", "both"):
            made = np.where(rng.random(shape) < self.flip, -push, push)
        next_state = moved(state, FORCE * made)
        if self.noise in ("next_state", "both"):
            next_state += self._noise(state, push, rng)
        return next_state

    def reward(self, state: Any) -> np.ndarray:
        """Return the reward of being in states (..., 4) in which the pole still stands, (...): 1."""
        return np.ones(np.shape(state)[:-1])

    def over(self, state: Any) -> np.ndarray:
        """Mask (...) of the states (..., 4) in which the pole fell or the cart left the track."""
        state = np.asarray(state, dtype=float)
        return np.asarray((np.abs(state[..., 0]) > TRACK) | (np.abs(state[..., 2]) > TILT))

    def _noise(self, state: np.ndarray, push: np.ndarray, rng: Uniforms) -> np.ndarray:
        """Return the noise of next states, (..., 4)."""
        noise, shape = np.zeros(state.shape), push.shape
        match self.density:
            case "normal":
                noise[:] = _standard(Gaussian(1.0), 0.0, rng, state.shape)
            case "exp":
                noise[..., 0] = _standard(Exponential(), -1.0, rng, shape)
            case "custom_sin":
                v = (state.sum(axis=-1) + push)[..., None, None]
                noise[:] = CustomSin(2.0, 1.0).sample(v, rng, state.shape)
            case _:
                noise[..., 0] = _standard(Gaussian(1.0), 0.0, rng, shape) + self.width * (rng.random(shape) < 0.5)
        return self.scale * noise


def moved(state: np.ndarray, force: np.ndarray) -> np.ndarray:
    """States (..., 4) one step after states (..., 4) under forces (...), without noise."""
    x, speed, angle, turning = np.moveaxis(state, -1, 0)
    sin, cos = np.sin(angle), np.cos(angle)
    total = CART + POLE
    push = (force + POLE * HALF_LENGTH * turning**2 * sin) / total
    turns = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4 / 3 - POLE * cos**2 / total))
    speeds = push - POLE * HALF_LENGTH * turns * cos / total
    return np.stack([x + STEP * speed, speed + STEP * speeds, angle + STEP * turning, turning + STEP * turns], axis=-1)


def _standard(family: Family, v: float, rng: Uniforms, shape: tuple[int, ...]) -> np.ndarray:
    return family.sample(v, rng, shape)
