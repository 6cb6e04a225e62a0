"""The likelihood of one subject as a function of a flat vector: what optimisers work on."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytensor
import pytensor.tensor as pt

from rlpymc.likelihood.modes import pytensor_mode
from rlpymc.likelihood.scan import placeholders
from rlpymc.model import Facts, Model
from rlpymc.parameters import Parameter, resolve_shape
from rlpymc.population import Population
from rlpymc.sequences import Segments, Sequences

IMPOSSIBLE = 1e10  # stands for an infinite objective, with which a line search cannot work


class Objective:
    """The negative log likelihood of one subject as a function of a flat vector of what is estimated."""

    def __init__(self, data: Sequences, population: Population, mode: str) -> None:
        self.data = data
        self.estimated = [p for p in data.model.parameters if population.is_free(p)]
        self.shapes = {p.name: data.parameter_shape(p.name) for p in data.model.parameters}
        self.sizes = [int(np.prod(self.shapes[p.name])) for p in self.estimated]
        self.priors = {p.name: population.prior(p) for p in self.estimated}
        self.constants = {
            p.name: population.constant(p, data) for p in data.model.parameters if p not in self.estimated
        }
        self.labels = [
            f"{p.name}[{','.join(map(str, k))}]" if self.shapes[p.name] else p.name
            for p in self.estimated
            for k in np.ndindex(*self.shapes[p.name])
        ]
        self.bounds = np.array([(p.support.lower, p.support.upper) for p in self._by_entry()]).reshape(-1, 2)
        quantiles = [self.priors[p.name].quantile([0.16, 0.5, 0.84]) for p in self._by_entry()]  # type: ignore[union-attr]
        self.median = np.array([q[1] for q in quantiles])
        self.width = np.array([(q[2] - q[0]) / 2 for q in quantiles])
        self._layout, self._rows = _padded_segments(data.segments, data.shape[0])
        names = tuple(p.name for p in self.estimated)
        self._function = _compiled_total(data.model, data.facts, self._layout, names, mode)

    def _by_entry(self) -> list[Parameter]:
        return [p for p, size in zip(self.estimated, self.sizes, strict=True) for _ in range(size)]

    def unflatten(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return the estimated parameters by name."""
        parts = np.split(x, np.cumsum(self.sizes)[:-1]) if self.sizes else []
        return {p.name: part.reshape(self.shapes[p.name]) for p, part in zip(self.estimated, parts, strict=True)}

    def constant(self, name: str, i: int) -> np.ndarray:
        """Return a parameter that is not estimated, for one subject."""
        return self.constants[name][i]

    def starting_points(self, n: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Return the prior's median and draws from it."""
        drawn = [
            np.concatenate([np.ravel(self.priors[p.name].sample(rng, self.shapes[p.name])) for p in self.estimated])  # type: ignore[union-attr]
            for _ in range(n - 1 if self.estimated else 0)
        ]
        return [self.median, *drawn]

    def of_subject(self, i: int) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
        """Return the function of a flat vector that gives subject i's negative log likelihood and its gradient."""
        rows, used = self._rows[i]

        def pick(values: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(values.reshape((-1, *values.shape[2:]))[rows])

        model = self.data.model
        inputs = [pick(self.data.inputs[entry.name]) for entry in model.inputs]
        masks = [pick(self.data.masks[name]) & used for name in ("scored", "learned", "responded")]
        fixed = {name: np.array(self.constant(name, i)) for name in self.constants}

        def function(x: np.ndarray) -> tuple[float, np.ndarray]:
            values = {**fixed, **self.unflatten(x)}
            value, *slopes = self._function(*(values[p.name] for p in model.parameters), *inputs, *masks)
            gradient = -np.concatenate([np.ravel(s) for s in slopes]) if slopes else np.zeros(0)
            return (-float(value) if np.isfinite(value) else IMPOSSIBLE), gradient

        return function

    def names(self, which: np.ndarray) -> str:
        """Return the names of some entries of the flat vector."""
        return ", ".join(self.labels[k] for k in which)

    def hessian(
        self, function: Callable[..., tuple[float, np.ndarray]], x: np.ndarray, inside: np.ndarray
    ) -> np.ndarray:
        """Return central differences of the exact gradient, for what is not at a bound."""
        room = np.minimum(x - self.bounds[:, 0], self.bounds[:, 1] - x)
        columns = []
        for k in np.flatnonzero(inside):
            step = np.zeros_like(x)
            step[k] = min(1e-4 * self.width[k], room[k] / 2)
            columns.append((function(x + step)[1] - function(x - step)[1])[inside] / (2 * step[k]))
        hessian = np.array(columns).reshape(inside.sum(), inside.sum())
        return (hessian + hessian.T) / 2


def _padded_segments(
    segments: Segments, n_subjects: int
) -> tuple[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]]:
    """Return one layout that holds any one subject's segments, and each subject's rows and mask in it."""
    numbers = [np.flatnonzero(segments.subject == i) for i in range(n_subjects)]
    most = max(len(k) for k in numbers)
    found = []
    for own in numbers:
        repeated = np.concatenate([own, np.repeat(own[:1], most - len(own))])
        used = segments.exists[repeated] & (np.arange(most) < len(own))[:, None]
        found.append((segments.row[repeated], used))
    return (most, segments.row.shape[1]), found


@lru_cache(maxsize=16)
def _compiled_total(
    model: Model,
    facts: Facts,
    layout: tuple[int, int],
    estimated: tuple[str, ...],
    mode: str,
) -> Callable[..., list[np.ndarray]]:
    """Return the compiled sum of log probabilities over one subject's segments, and its gradient."""
    everywhere, starts = np.ones(layout, dtype=bool), np.zeros(layout, dtype=bool)
    starts[:, 0] = True
    shapes = {p.name: resolve_shape(p.shape, vars(facts)) for p in model.parameters}
    segments = Segments.from_masks(everywhere, starts)
    arguments, params, scored, forward = placeholders(model, facts, segments, shapes)
    total = forward.log_prob(scored).sum()
    slopes = pt.grad(total, [params[k] for k in estimated], disconnected_inputs="ignore") if estimated else []
    return pytensor.function(
        arguments, [total, *slopes], mode=pytensor_mode(mode), on_unused_input="ignore", trust_input=True
    )
