"""What all experiments share: trials for many subjects at once, and for one subject as a Gymnasium environment."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from rlpymc.checks import whole
from rlpymc.tasks.settings import real, share, spread


class World(SimpleNamespace):
    """What goes on in an experiment, and what a task keeps about it."""

    n_subjects: int
    n_trials: int
    forced: np.ndarray  # (n_subjects, n_trials) the experimenter responds
    missed: np.ndarray  # (n_subjects, n_trials, n_responses) there is no response
    no_feedback: np.ndarray  # (n_subjects, n_trials) what follows the last response is not shown


class Task(gymnasium.Env[dict[str, Any], Any]):
    """An experiment: for many subjects at once (begin, offer, outcome), and for one as a Gymnasium environment.

    As an environment it takes one `step` per response. What is seen are all columns of the trial so far (0 for what
    is not known yet; after a trial its outcomes beside the next offer) and `response`, the number of the response that
    comes next. The reward is the column of that name. `info` holds the columns as recorded and, before a response that
    the experimenter makes, `forced`: what it will be. Outcomes without feedback are seen as 0, and so is their reward.
    Nobody misses a response here.

    Parameters
    ----------
    facts : dict
        What models may know beforehand: n_actions, n_states, n_stimuli.
    columns : dict
        Space of each column, the responses excepted, for one subject.
    n_trials : int
        How many trials the environment lasts; a simulation brings its own number.
    block_length : int, optional
        After how many trials learners start again.
    forced, missed, no_feedback : float or (n_trials,)
        Trials in which the experimenter responds, nobody responds, or outcomes stay hidden: a share in [0, 1], drawn
        for each subject, or booleans. A missed trial of several responses breaks off at any of them.

    Raises
    ------
    ValueError
        If a share is outside [0, 1], or n_trials or block_length is not a whole number of at least 1.
    """

    responses: tuple[str, ...] = ("action",)
    length: int | None = None  # the number of trials that it is described for, if it is

    def __init__(
        self,
        facts: Mapping[str, Any],
        columns: Mapping[str, spaces.Space[Any]],
        *,
        n_trials: int = 100,
        block_length: int | None = None,
        forced: float | Sequence[bool] | np.ndarray = 0.0,
        missed: float | Sequence[bool] | np.ndarray = 0.0,
        no_feedback: float | Sequence[bool] | np.ndarray = 0.0,
    ) -> None:
        self.facts, self.columns = dict(facts), dict(columns)
        self.n_trials = whole("n_trials", n_trials)
        self.block_length = None if block_length is None else whole("block_length", block_length)
        self.forced, self.missed = share("forced", forced), share("missed", missed)
        self.no_feedback = share("no_feedback", no_feedback)
        self.action_space = spaces.Discrete(facts["n_actions"]) if "n_actions" in facts else real()
        self.observation_space = spaces.Dict({**columns, "response": spaces.Discrete(len(self.responses))})
        self._t = self.n_trials  # no trial is under way before `reset`

    # ---------------------------------------------------------------- many subjects

    def resets(self, t: int) -> bool:
        """True if learners start again before trial t."""
        return t == 0 or (self.block_length is not None and t % self.block_length == 0)

    def begin(self, n_subjects: int, n_trials: int, rng: np.random.Generator) -> World:
        """Return the world of n subjects before the first trial."""
        shape = (n_subjects, n_trials)
        forced = spread("forced", self.forced, *shape, rng)
        missed = spread("missed", self.missed, *shape, rng)[..., None]
        missed = np.asfortranarray(np.repeat(missed, len(self.responses), axis=2))
        if len(self.responses) > 1 and self.missed.ndim == 0 and self.missed > 0:
            first = rng.integers(len(self.responses), size=(*shape, 1))
            missed &= np.arange(len(self.responses)) >= first
        no_feedback = spread("no_feedback", self.no_feedback, *shape, rng)
        return World(n_subjects=n_subjects, n_trials=n_trials, forced=forced, missed=missed, no_feedback=no_feedback)

    def offer(self, world: World, t: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the columns that subjects see before their first response on trial t."""
        return {}

    def outcome(
        self, world: World, t: int, response: str, x: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return the columns that subjects see after a response, and move the world of those who made it.

        A response of -1, or NaN where it is a number, was missed: the world of these subjects stays as it is, and what
        is returned for them means nothing.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what follows a response")

    def force(
        self, world: World, t: int, response: str, x: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """The experimenter's pick on a forced trial: uniform among the options on offer."""
        if isinstance(self.action_space, spaces.Box):
            return rng.uniform(self.action_space.low, self.action_space.high, world.n_subjects)
        assert isinstance(self.action_space, spaces.Discrete)
        available = x.get("available", np.ones((world.n_subjects, self.action_space.n), dtype=bool))
        return np.where(available, rng.random(available.shape), -1.0).argmax(axis=1)

    def is_best(self, world: World, t: int, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Whether the first response of trial t was one with the highest expected reward; asked before its outcome."""
        raise NotImplementedError(f"{type(self).__name__} does not say which action is best")

    @property
    def says_best(self) -> bool:
        """Whether it says which action is best."""
        return type(self).is_best is not Task.is_best

    def follow(self, world: World, x: Mapping[str, np.ndarray]) -> None:
        """Move the world to where it is after a given first row was lived through."""

    # ---------------------------------------------------------------- one subject

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin again; return what is seen before the first response, and the record."""
        super().reset(seed=seed)
        self._world = self.begin(1, self.n_trials, self.np_random)
        self._t, self._turn = 0, 0
        self._x = self.offer(self._world, 0, self.np_random)
        self._forced = self._force()
        return self._seen(self._x), self._record(self._x)

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Respond; return what is seen then, the reward, whether it is over (terminated, truncated), the record."""
        if self._t >= self.n_trials:
            raise ResetNeeded("no trial is under way: call reset() first")
        name, world, t, x, rng = self.responses[self._turn], self._world, self._t, self._x, self.np_random
        x[name] = self._made(name, action) if self._forced is None else self._forced
        brought = self.outcome(world, t, name, x, rng)
        x |= brought
        shown, reward = dict(x), self.gain(x[name], brought)
        self._turn = (self._turn + 1) % len(self.responses)
        if self._turn == 0:
            if world.no_feedback[0, t]:
                shown, reward = {column: value for column, value in x.items() if column not in brought}, 0.0
            self._t, self._x = t + 1, {}
            if self._t < self.n_trials:
                self._x = self.offer(world, self._t, rng)
                shown |= self._x
        self._forced = self._force()
        return self._seen(shown), reward, False, self._t >= self.n_trials, self._record(x)

    def gain(self, response: np.ndarray, brought: Mapping[str, np.ndarray]) -> float:
        """Return the reward of a step of the environment, from the response and the columns that it brought."""
        return float(brought["reward"][0]) if "reward" in brought else 0.0

    def _force(self) -> np.ndarray | None:
        if self._t >= self.n_trials or not self._world.forced[0, self._t]:
            return None
        return self.force(self._world, self._t, self.responses[self._turn], self._x, self.np_random)

    def _made(self, name: str, action: Any) -> np.ndarray:
        number = isinstance(self.action_space, spaces.Box)
        made = np.asarray(action, dtype=float if number else None)
        if not self.action_space.contains(made):
            raise ValueError(f"{name} on trial {self._t}: found {action!r}, expected one of {self.action_space}")
        if "available" in self._x and not (on_offer := self._x["available"][0])[made]:
            there = ", ".join(map(str, np.flatnonzero(on_offer)))
            raise ValueError(f"{name} on trial {self._t}: {action} is not on offer; there is: {there}")
        return made.reshape(1).astype(float if number else int)

    def _seen(self, shown: Mapping[str, np.ndarray]) -> dict[str, Any]:
        seen: dict[str, Any] = {"response": np.int64(self._turn)}
        for column, space in self.columns.items():
            value = shown[column][0] if column in shown else np.zeros(space.shape or ())
            seen[column] = np.int64(value) if isinstance(space, spaces.Discrete) else np.array(value, space.dtype)
        return seen

    def _record(self, x: Mapping[str, np.ndarray]) -> dict[str, Any]:
        record = {column: value[0].copy() for column, value in x.items()}
        return record if self._forced is None else record | {"forced": self._forced[0]}
