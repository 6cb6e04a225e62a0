"""Agents that learn a world's transitions from their own experience, and plan with what they learned."""

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from rlpymc.checks import whole
from rlpymc.transitions.agents import Knowledge, Learner, SideBySide, World, named_agents
from rlpymc.transitions.family import Family, Uniforms
from rlpymc.transitions.optimum import Optimum, solve
from rlpymc.transitions.planner import ShootingPlanner
from rlpymc.transitions.scores import ScoreMatchingWarning


def run_episodes(
    task: World,
    methods: Mapping[str, Learner | str] | Sequence[str] | None = None,
    *,
    episodes: int = 50,
    horizon: int = 10,
    seeds: int | Iterable[int] = 10,
    lookahead: int = 5,
    trials: int = 100,
    sequences: str = "constant",
    evaluations: int = 5,
    cores: int | None = None,
) -> xr.Dataset:
    """Let agents act, learn from what follows, and plan with what they learned, episode after episode.

    In an episode an agent plans each action by random shooting in its present model, whose W is 0 at first; after it, W
    is estimated anew from all transitions so far.  The seeds run side by side; one seed's result does not depend on the
    others, and all methods meet the same first states.

    Parameters
    ----------
    task : World
        `tasks.SinMDP()`, `tasks.StochasticCartPole()`, or what has the same parts.
    methods : dict or sequence of str, optional
        Agents by name: a `Learner`; "truth", which plans with the world itself; "random", whose actions are random.
        Names in a sequence are out of those used unless told: "truth", "score_matching" and "gaussian", and "mle".
        "score_matching" and "mle" know the family of the task; to "gaussian", next states are normal with variance 1.
    episodes, horizon : int
        How many, and the most steps in each.
    seeds : int or iterable of int
        Seeds, or how many of them: 0, 1, ...
    lookahead, trials, sequences
        See `ShootingPlanner`.
    evaluations : int
        Episodes afterwards in which nothing is learned.
    cores : int, optional
        Methods at a time; as many as the machine has cores unless given.

    Returns
    -------
    xr.Dataset
        - reward (method, seed, episode): sum of rewards.
        - regret (method, seed, episode): how much less was to expect of the actions taken than of the best ones, in the
          states that were met, by dynamic programming (`solve`); its mean is that of the reward missed, without the
          noise of rewards.  Where the law of next states is not known, the horizon less the reward.
        - action_count (method, seed, episode, action): how often each was taken.
        - error (method, seed, episode): distance of W from the true one after the episode, for learners of the true
          family; NaN for the others.
        - evaluation (method, seed): mean reward with the last W.
        - W (method, seed, statistic, feature): the last W; NaN where a method has none.

        Since `method` is also a word of xarray's, a method is picked by ``sel({"method": "truth"})``.

    Warns
    -----
    ScoreMatchingWarning
        If score matching is not valid for a learner's family, or for what it met.

    Raises
    ------
    ValueError
        If there is no such method, or a number is too small.
    TypeError
        If a method is neither a name nor a Learner, or the task lacks what agents need.
    """
    agents = named_agents(task, methods)
    for name, number, least in (("episodes", episodes, 1), ("horizon", horizon, 1), ("evaluations", evaluations, 0)):
        whole(name, number, least)
    given = seeds if isinstance(seeds, Iterable) else range(whole("seeds", seeds, 1))
    labels = [whole("seeds", seed, 0) for seed in given]
    if not labels or len(set(labels)) < len(labels):
        raise ValueError(f"seeds: found {seeds}, expected at least one, and each once")
    threads = os.cpu_count() if cores is None else whole("cores", cores, 1)
    law = getattr(task, "transition", None)
    optimum = solve(law, task.reward, task.actions, horizon) if law and isinstance(law.density, Family) else None
    shooting = {"lookahead": lookahead, "trials": trials, "sequences": sequences}
    ShootingPlanner(task.query, task.reward, **shooting)  # type: ignore[arg-type]  # complains of settings at once
    life = _Life(task, labels, episodes, horizon, evaluations, shooting, optimum)
    # matrices are too small to be shared out by the library of linear algebra
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(life.lead, agents.values()))
    for name, (_, knowledge) in zip(agents, found, strict=True):
        if knowledge is not None and knowledge.learner.estimator == "score_matching":
            phi, x = knowledge.data(0)
            for k, (family, _) in enumerate(knowledge.families):
                if problem := family.score_matching_problem(phi, x[:, k]):
                    warnings.warn(f"{name}, coordinate {k}, {family!r}: {problem}", ScoreMatchingWarning, stacklevel=2)
    together = _with_w([(record, knowledge) for record, knowledge in found])
    coords = {"method": list(agents), "seed": labels, "episode": range(episodes), "action": range(len(task.actions))}
    attrs = {"task": type(task).__name__, "horizon": horizon, **shooting}
    return xr.Dataset(together, coords=coords, attrs=attrs)


@dataclass(frozen=True)
class _Life:
    """What all agents go through."""

    task: World
    seeds: list[int]
    episodes: int
    horizon: int
    evaluations: int
    shooting: dict[str, Any]
    optimum: Optimum | None

    def lead(self, agent: Learner | str) -> tuple[dict[str, np.ndarray], Knowledge | None]:
        """Return the record of one kind of agent, and what it knows in the end."""
        n, k = len(self.seeds), len(self.task.actions)
        spawned = [np.random.SeedSequence(seed).spawn(3) for seed in self.seeds]
        first, world, mind = (SideBySide([own[j] for own in spawned]) for j in range(3))
        knowledge = Knowledge(agent, n, self.task.n_coordinates) if isinstance(agent, Learner) else None
        record: dict[str, np.ndarray] = {
            "reward": np.zeros((n, self.episodes)),
            "regret": np.zeros((n, self.episodes)),
            "error": np.full((n, self.episodes), np.nan),
            "action_count": np.zeros((n, self.episodes, k), dtype=int),
            "evaluation": np.full(n, 0.0 if self.evaluations else np.nan),
        }
        for episode in range(self.episodes + self.evaluations):
            states, chosen, real = self._live(agent, knowledge, first, world, mind)
            reward = (self.task.reward(states[:, :-1]) * real).sum(axis=1)
            if episode >= self.episodes:
                record["evaluation"] += reward / self.evaluations
                continue
            record["reward"][:, episode] = reward
            record["regret"][:, episode] = self._regret(states, chosen, reward)
            record["action_count"][:, episode] = (real[..., None] & (chosen[..., None] == np.arange(k))).sum(axis=1)
            if knowledge is not None:
                knowledge.learn(states[:, :-1], self.task.actions[chosen], states[:, 1:], real)
                record["error"][:, episode] = self._error(knowledge)
        return record, knowledge

    def _live(
        self, agent: Learner | str, knowledge: Knowledge | None, first: Uniforms, world: Uniforms, mind: Uniforms
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return states (n, horizon + 1, ...), actions (n, horizon), and which steps were taken, of one episode."""
        task, n, d = self.task, len(self.seeds), self.task.n_coordinates
        states = np.empty((n, self.horizon + 1, d))
        chosen, real = np.zeros((n, self.horizon), dtype=int), np.zeros((n, self.horizon), dtype=bool)
        states[:, 0] = task.first(first.random((n, d)))
        planner = self._planner(knowledge)
        lives = ~task.over(states[:, 0])
        for h in range(self.horizon):
            if agent == "random":
                chosen[:, h] = (mind.random((n,)) * len(task.actions)).astype(int)
            else:
                chosen[:, h] = planner.plan(states[:, h], mind)
            real[:, h] = lives
            moved = task.query(states[:, h], chosen[:, h], world)
            states[:, h + 1] = np.where(lives[:, None], moved, states[:, h])
            lives = lives & ~task.over(states[:, h + 1])
            if not lives.any():
                states[:, h + 2 :] = states[:, h + 1, None]
                break
        return states, chosen, real

    def _planner(self, knowledge: Knowledge | None) -> ShootingPlanner:
        """The planner, with a model or with the world itself."""
        task = self.task

        def in_the_world(state: Any, action: Any, rng: Uniforms) -> np.ndarray:
            return task.query(state, np.searchsorted(task.actions, action), rng)

        step = in_the_world if knowledge is None else knowledge.transition.sample
        return ShootingPlanner(step, task.reward, task.over, task.actions, **self.shooting)

    def _regret(self, states: np.ndarray, chosen: np.ndarray, reward: np.ndarray) -> np.ndarray:
        """Return the regret of each seed in an episode, (n,)."""
        if self.optimum is None:
            return self.horizon - reward
        total = np.zeros(len(states))
        for h in range(self.horizon):
            q = self.optimum.q(states[:, h], h)
            total += q.max(axis=1) - np.take_along_axis(q, chosen[:, h, None], axis=1)[:, 0]
        return total

    def _error(self, knowledge: Knowledge) -> np.ndarray | float:
        """Distance of each W from the true one, (n,)."""
        law = getattr(self.task, "transition", None)
        if law is None or repr(law.density) != repr(knowledge.density) or law.W.shape != knowledge.W.shape[1:]:
            return np.nan
        return np.linalg.norm(knowledge.W - law.W, axis=(1, 2))


def _with_w(found: list[tuple[dict[str, np.ndarray], Knowledge | None]]) -> dict[str, tuple[list[str], np.ndarray]]:
    """Return the variables of the data set."""
    dims = {"action_count": ["method", "seed", "episode", "action"], "evaluation": ["method", "seed"]}
    variables = {
        name: (dims.get(name, ["method", "seed", "episode"]), np.stack([record[name] for record, _ in found]))
        for name in found[0][0]
    }
    last = [None if knowledge is None else knowledge.W for _, knowledge in found]
    n_seeds = len(found[0][0]["reward"])
    shape = np.max([[0, 0], *(W.shape[1:] for W in last if W is not None)], axis=0)
    together = np.full((len(found), n_seeds, *shape), np.nan)
    for k, W in enumerate(last):
        if W is not None:
            together[k, :, : W.shape[1], : W.shape[2]] = W
    return variables | {"W": (["method", "seed", "statistic", "feature"], together)}
