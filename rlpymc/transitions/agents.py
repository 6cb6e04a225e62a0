"""Agents that model a world's transitions, and the worlds that they live in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from rlpymc.checks import unknown
from rlpymc.transitions.closed import Gaussian
from rlpymc.transitions.estimate import Transition
from rlpymc.transitions.family import Density, Uniforms
from rlpymc.transitions.features import Features, linear
from rlpymc.transitions.maximum_likelihood import maximise
from rlpymc.transitions.product import Product, by_coordinate
from rlpymc.transitions.scores import as_ridge, check_support, terms

ESTIMATORS = ("score_matching", "mle")
AGENTS = ("truth", "random")  # that learn nothing


class World(Protocol):
    """What agents live in: `tasks.SinMDP`, `tasks.StochasticCartPole`, or what has the same parts.

    A world whose law of next states is known may have it as `transition`, a `Transition`.
    """

    n_coordinates: int
    actions: np.ndarray

    def first(self, u: np.ndarray) -> np.ndarray:
        """Return first states (n, n_coordinates) from uniform numbers of that shape."""
        ...

    def query(self, state: Any, action: Any, rng: Uniforms) -> np.ndarray:
        """Draw next states (..., n_coordinates) of states and numbers of actions (...)."""
        ...

    def reward(self, state: Any) -> np.ndarray:
        """Return the reward of being in states, (...)."""
        ...

    def over(self, state: Any) -> np.ndarray:
        """Mask (...) of the states that end an episode."""
        ...


@dataclass(frozen=True)
class Learner:
    """How an agent models next states, and how it estimates the model.

    Parameters
    ----------
    family : Family, Product or sequence of Family
        Of all coordinates, or of each.
    estimator : {"score_matching", "mle"}
        How W is estimated, each coordinate on its own.
    ridge : float or (n_coordinates,)
        Penalty of score matching.
    features : callable
        phi(state, action); the coordinates of the state and the action unless given.

    Raises
    ------
    ValueError
        If there is no such estimator.
    """

    family: Any
    estimator: str = "score_matching"
    ridge: Any = 1e-4
    features: Features = field(default=linear)

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise unknown("estimator", self.estimator, ESTIMATORS)


class SideBySide:
    """Generators of several seeds: each draws its own row, so that no seed depends on which others there are."""

    def __init__(self, seeds: Sequence[np.random.SeedSequence]) -> None:
        self._each = [np.random.default_rng(seed) for seed in seeds]

    def random(self, size: Any) -> np.ndarray:
        """Return numbers in [0, 1), (n_seeds, ...)."""
        return np.stack([rng.random(size[1:]) for rng in self._each])


class Knowledge:
    """What agents of one kind know of the world, for several seeds at once."""

    def __init__(self, learner: Learner, n_seeds: int, n_coordinates: int) -> None:
        self.learner = learner
        self.families = by_coordinate(learner.family, n_coordinates)
        for family, _ in self.families:
            if not family.admissible(np.zeros(family.n_statistics)):
                raise ValueError(
                    f"family: {family!r} has no density at W = 0, where agents begin; v has to be {family.domain} there"
                )
        self.ridge = as_ridge(learner.ridge, n_coordinates)
        own = [f for f, _ in self.families]
        self.density: Density = own[0] if n_coordinates == 1 else Product(own)
        self.n_features = learner.features(np.zeros(n_coordinates), np.zeros(())).shape[-1]
        self.W = np.zeros((n_seeds, self.families[-1][1].stop, self.n_features))
        self._sums = [
            (np.zeros((n_seeds, size, size)), np.zeros((n_seeds, size)))
            for size in (f.n_statistics * self.n_features for f in own)
        ]
        self.seen: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # features, next states, which are real

    @property
    def transition(self) -> Transition:
        """The model as it is now."""
        return Transition(self.density, self.W, self.learner.features)

    def learn(self, states: np.ndarray, actions: np.ndarray, next_states: np.ndarray, real: np.ndarray) -> None:
        """Take in transitions (n_seeds, n, ...), of which some are not real, and estimate W from all so far."""
        check_support(self.families, next_states[real])
        phi = self.learner.features(states, actions)
        self.seen.append((phi, next_states, real))
        if self.learner.estimator == "mle":
            for seed in range(len(self.W)):
                self._maximise(seed)
            return
        for k, (family, part) in enumerate(self.families):
            design, right = terms(family, phi, np.where(real, next_states[..., k], family.middle))
            design, right = design * real[..., None], right * real[..., None]
            matrix, total = self._sums[k]
            matrix += design.swapaxes(1, 2) @ design
            total += right.sum(axis=1)
            try:
                solution = np.linalg.solve(matrix + self.ridge[k] * np.eye(matrix.shape[-1]), -total[..., None])
            except np.linalg.LinAlgError:
                raise ValueError(
                    f"{family!r}: W is not determined by {phi.shape[-1]} features of the transitions so far; give the "
                    f"Learner a ridge above {self.ridge[k]:g}"
                ) from None
            self.W[:, part] = solution.reshape(len(self.W), family.n_statistics, -1)

    def data(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return features and next states of all transitions of a seed."""
        each = [(phi[seed][real[seed]], x[seed][real[seed]]) for phi, x, real in self.seen]
        return np.concatenate([phi for phi, _ in each]), np.concatenate([x for _, x in each])

    def _maximise(self, seed: int) -> None:
        phi, x = self.data(seed)
        for k, (family, part) in enumerate(self.families):
            try:
                self.W[seed, part] = maximise(family, phi, x[:, k], self.W[seed, part])[0]
            except (ValueError, RuntimeError):  # too few transitions to determine these rows, which stay as they were
                continue


def named_agents(task: World, methods: Mapping[str, Learner | str] | Sequence[str] | None) -> dict[str, Learner | str]:
    """Return agents by name."""
    parts = ("n_coordinates", "actions", "first", "query", "reward", "over")
    if lacking := [name for name in parts if not hasattr(task, name)]:
        raise TypeError(
            f"task: found {task!r}, expected tasks.SinMDP(), tasks.StochasticCartPole(), or what has the same parts; "
            f"it lacks {', '.join(lacking)}"
        )
    known: dict[str, Learner | str] = {name: name for name in AGENTS}
    known["gaussian"] = Learner(Gaussian(1.0))
    law = getattr(task, "transition", None)
    if law is not None:
        known |= {name: Learner(law.density, name, features=law.features) for name in ESTIMATORS}
    if methods is None:
        methods = [name for name in ("truth", "score_matching", "gaussian") if name in known]
    if isinstance(methods, str):
        methods = [methods]
    asked = methods.items() if isinstance(methods, Mapping) else [(name, name) for name in methods]
    named: dict[str, Learner | str] = {}
    for name, agent in asked:
        if isinstance(agent, str) and agent not in known:
            raise unknown("method", agent, known)
        if not isinstance(agent, str | Learner):
            raise TypeError(f"methods, {name!r}: found {agent!r}, expected a Learner or one of {', '.join(known)}")
        named[name] = known[agent] if isinstance(agent, str) else agent
    if not named:
        raise ValueError("methods: found none, expected at least one")
    return named
