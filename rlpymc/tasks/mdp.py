"""Random worlds: states, actions that lead from one to another, and what each brings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from rlpymc.checks import at_least, probabilities, states, whole
from rlpymc.tasks.base import Task, World
from rlpymc.tasks.settings import real


class RandomMDP(Task):
    """A Markov decision process, drawn for each subject or given.

    Unless given, transitions are uniform numbers divided by their sum, and the reward of a state and action is a draw
    from Normal(0, reward_sd), always the same one. The state after a terminal one is drawn again. `world.transitions`
    (n_subjects, n_states, n_actions, n_states) and `world.rewards` (n_subjects, n_states, n_actions) keep them.

    Parameters
    ----------
    n_states, n_actions : int
        How many states and actions there are.
    terminal : sequence of int, optional
        States with which an episode is over (`done`); the last one unless told.
    reward_sd : float
        Standard deviation of rewards over states and actions.
    transitions : (n_states, n_actions, n_states), optional
        Probability of each next state, the same for all subjects.
    rewards : (n_states, n_actions), optional
        Reward of each action in each state, the same for all subjects.
    start : int, optional
        First state of every episode; uniform over all states, terminal ones included, unless told.
    features : (n_states, n_actions, n_features), optional
        What models of planning may know about each action in each state, beside given transitions.
    episode_length : int, optional
        After how many steps an episode breaks off, as by a limit of time: `done` stays false, and the next state is a
        first one.
    **options
        n_trials, block_length, forced, missed, no_feedback: see `Task`.

    Raises
    ------
    ValueError
        If there is no such terminal or first state, or transitions, rewards or features have another shape, are not
        finite or no probabilities.

    References
    ----------
    LaplacianExpectationMaximization.jl, documentation, "Fitting a Q-Learner".
    """

    def __init__(
        self,
        n_states: int = 10,
        n_actions: int = 3,
        *,
        terminal: Sequence[int] | None = None,
        reward_sd: float = 1.0,
        transitions: Sequence[Any] | np.ndarray | None = None,
        rewards: Sequence[Any] | np.ndarray | None = None,
        start: int | None = None,
        features: Sequence[Any] | np.ndarray | None = None,
        episode_length: int | None = None,
        **options: Any,
    ) -> None:
        n, k = whole("n_states", n_states, 2), whole("n_actions", n_actions, 2)
        self.terminal = states("terminal", [n - 1] if terminal is None else terminal, n)
        self.start = None if start is None else int(states("start", start, n)[0])
        self.reward_sd = at_least("reward_sd", reward_sd)
        self.transitions = None if transitions is None else _given("transitions", transitions, (n, k, n))
        if self.transitions is not None:
            probabilities("transitions", self.transitions, (n, k, n), ("state", "action", "next state"))
        self.rewards = None if rewards is None else _given("rewards", rewards, (n, k))
        self.episode_length = None if episode_length is None else whole("episode_length", episode_length)
        facts: dict[str, Any] = {"n_actions": k, "n_states": n}
        if self.transitions is not None:
            facts["transitions"] = self.transitions.tolist()
            facts["terminal"] = np.isin(np.arange(n), self.terminal).tolist()
        if features is not None:
            if self.transitions is None:
                raise ValueError("features: models of planning need transitions beside them; give transitions")
            known = _given("features", features, (n, k, np.shape(features)[-1]))
            facts |= {"features": known.tolist(), "n_features": known.shape[2]}
        columns: dict[str, spaces.Space[Any]] = {"state": spaces.Discrete(n), "next_state": spaces.Discrete(n)}
        columns |= {"reward": real(), "done": spaces.Discrete(2)}
        super().__init__(facts, columns, **options)

    def begin(self, n_subjects: int, n_trials: int, rng: np.random.Generator) -> World:
        """Return the world of n subjects."""
        world = super().begin(n_subjects, n_trials, rng)
        n, k = self.facts["n_states"], self.facts["n_actions"]
        if self.transitions is None:
            weights = rng.random((n_subjects, n, k, n))
            world.transitions = weights / weights.sum(axis=3, keepdims=True)
        else:
            world.transitions = np.broadcast_to(self.transitions, (n_subjects, n, k, n))
        if self.rewards is None:
            world.rewards = rng.normal(0.0, self.reward_sd, (n_subjects, n, k))
        else:
            world.rewards = np.broadcast_to(self.rewards, (n_subjects, n, k))
        world.state = np.zeros(n_subjects, dtype=int)
        world.steps = np.zeros(n_subjects, dtype=int)  # of the episode so far
        world.over = np.ones(n_subjects, dtype=bool)  # the next state is a first one
        return world

    def offer(self, world: World, t: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the state."""
        if world.over.any():
            first = rng.integers(self.facts["n_states"], size=world.n_subjects) if self.start is None else self.start
            world.state = np.where(world.over, first, world.state)
            world.over = np.zeros(world.n_subjects, dtype=bool)
        return {"state": world.state}

    def outcome(
        self, world: World, t: int, response: str, x: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return the next state, the reward, and whether the episode is over."""
        place = (np.arange(world.n_subjects), x["state"], x["action"])
        cumulative = world.transitions[place].cumsum(axis=1)
        drawn = rng.random((world.n_subjects, 1)) * cumulative[:, -1:]
        made, next_state = x["action"] >= 0, (drawn >= cumulative[:, :-1]).sum(axis=1)
        next_state = np.where(made, next_state, x["state"])
        done = made & np.isin(next_state, self.terminal)
        world.state, world.over = next_state, done
        world.steps = np.where(made, world.steps + 1, world.steps)
        if self.episode_length is not None:
            world.over = done | (world.steps >= self.episode_length)
        world.steps = np.where(world.over, 0, world.steps)
        return {"next_state": next_state, "reward": world.rewards[place], "done": done}

    def follow(self, world: World, x: Mapping[str, np.ndarray]) -> None:
        """Go on from the next state of a given first row."""
        lived = x["next_state"] >= 0
        world.state = np.where(lived, x["next_state"], world.state)
        world.over = np.where(lived, np.isin(x["next_state"], self.terminal), world.over)


def without_beta(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with which `simulate` draws actions as the source of `RandomMDP` does: with beta left out.

    There, actions are drawn from the softmax of the values themselves, whatever the inverse temperature, and the log
    probability is then computed with it.  This is a defect of the source; it is here to reproduce its data.

    Parameters
    ----------
    params : mapping
        Parameters of `q_mdp`.

    Returns
    -------
    dict
        The same with ``beta=1``.

    References
    ----------
    LaplacianExpectationMaximization.jl, documentation, "Fitting a Q-Learner", function `randsoftmax`.
    """
    return {**params, "beta": 1.0}


def _given(name: str, found: Sequence[Any] | np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    numbers = np.asarray(found, dtype=float)
    if numbers.shape != shape or not np.isfinite(numbers).all():
        raise ValueError(f"{name}: found {numbers.shape}, expected finite numbers {shape}")
    return numbers
