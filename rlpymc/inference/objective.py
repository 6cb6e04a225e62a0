"""The likelihood of one subject as a function of a flat vector: what optimisers work on."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from rlpymc.likelihood import interface, kernel
from rlpymc.likelihood.fused import find_trace, jit, layout, named
from rlpymc.likelihood.modes import pytensor_mode
from rlpymc.likelihood.scan import placeholders
from rlpymc.model import Facts, Model
from rlpymc.parameters import Parameter, resolve_shape
from rlpymc.population import Population, whole_numbers
from rlpymc.sequences import Segments, Sequences

IMPOSSIBLE = 1e10  # stands for an infinite objective, with which a line search cannot work

type Likelihood = Callable[[Mapping[str, np.ndarray]], tuple[float, list[np.ndarray]]]


class Objective:
    """The negative log likelihood of one subject as a function of a flat vector of what is estimated.

    Parameters
    ----------
    data : Sequences
        The data.
    population : Population
        What is estimated.
    backend, mode : str
        What computes the likelihood, see `rlpymc.log_prob`.

    Attributes
    ----------
    estimated : list of Parameter
        What the flat vector holds: parameters that change continuously.
    profiled : list of Parameter
        Whole numbers, each combination of which is tried.
    """

    def __init__(self, data: Sequences, population: Population, backend: str, mode: str) -> None:
        self.data = data
        free = [p for p in data.model.parameters if population.is_free(p)]
        self.estimated = [p for p in free if not p.support.discrete]
        self.profiled = [p for p in free if p.support.discrete]
        self.shapes = {p.name: data.parameter_shape(p.name) for p in data.model.parameters}
        self.sizes = [int(np.prod(self.shapes[p.name])) for p in self.estimated]
        self.priors = {p.name: population.prior(p) for p in self.estimated}
        self.constants = {p.name: population.constant(p, data) for p in data.model.parameters if p not in free}
        self.labels = [
            f"{p.name}[{','.join(map(str, k))}]" if self.shapes[p.name] else p.name
            for p in self.estimated
            for k in np.ndindex(*self.shapes[p.name])
        ]
        self.bounds = np.array([(p.support.lower, p.support.upper) for p in self._by_entry()]).reshape(-1, 2)
        quantiles = [self.priors[p.name].quantile([0.16, 0.5, 0.84]) for p in self._by_entry()]  # type: ignore[union-attr]
        self.median = np.array([q[1] for q in quantiles])
        self.width = np.array([(q[2] - q[0]) / 2 for q in quantiles])
        names = [p.name for p in self.estimated]
        step = find_trace(data.model, data.facts, data.columns, (), backend)
        self._likelihood = _loops(data, step, names) if step is not None else _scans(data, names, mode)

    def _by_entry(self) -> list[Parameter]:
        return [p for p, size in zip(self.estimated, self.sizes, strict=True) for _ in range(size)]

    def unflatten(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return the estimated parameters by name."""
        parts = np.split(x, np.cumsum(self.sizes)[:-1]) if self.sizes else []
        return {p.name: part.reshape(self.shapes[p.name]) for p, part in zip(self.estimated, parts, strict=True)}

    def constant(self, name: str, i: int) -> np.ndarray:
        """Return a parameter that is not estimated, for one subject."""
        return self.constants[name][i]

    def whole_numbers(self) -> list[dict[str, np.ndarray]]:
        """Return every combination of the parameters that are whole numbers."""
        values = [whole_numbers(p) for p in self.profiled]
        shapes = [self.shapes[p.name] for p in self.profiled]
        return [
            {p.name: np.full(shape, v) for p, shape, v in zip(self.profiled, shapes, combination, strict=True)}
            for combination in product(*values)
        ]

    def starting_points(self, n: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Return the prior's median and draws from it."""
        drawn = [
            np.concatenate([np.ravel(self.priors[p.name].sample(rng, self.shapes[p.name])) for p in self.estimated])  # type: ignore[union-attr]
            for _ in range(n - 1 if self.estimated else 0)
        ]
        return [np.clip(x, *self.bounds.T) for x in (self.median, *drawn)]

    def of_subject(self, i: int, whole: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
        """Return the function of a flat vector that gives subject i's negative log likelihood and its gradient."""
        likelihood = self._likelihood(i)
        fixed = {name: np.array(self.constant(name, i)) for name in self.constants} | dict(whole)

        def function(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, slopes = likelihood({**fixed, **self.unflatten(x)})
            gradient = -np.concatenate([np.ravel(s) for s in slopes]) if slopes else np.zeros(0)
            return (-value if np.isfinite(value) else IMPOSSIBLE), gradient

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


def _loops(data: Sequences, step: Any, estimated: list[str]) -> Callable[[int], Likelihood]:
    """Return what gives each subject's likelihood by a compiled loop."""
    active, mode = tuple(estimated), "gradient" if estimated else "value"
    function = jit(kernel.source(step, mode, active))
    names = [o.name for o in interface.outputs(step, mode, active)]
    subject, first, end = layout(data.segments)
    params = [p.name for p in data.model.parameters]

    def of_subject(i: int) -> Likelihood:
        columns = [np.ascontiguousarray(data.inputs[k][i : i + 1]) for k in data.columns]
        masks = [np.ascontiguousarray(data.masks[k][i : i + 1]) for k in interface.MASKS]
        own = subject == i
        where = np.zeros(own.sum(), dtype=np.int64), first[own], end[own]

        def likelihood(values: Mapping[str, np.ndarray]) -> tuple[float, list[np.ndarray]]:
            arrays = [np.ascontiguousarray(np.asarray(values[k], dtype=float)[None]) for k in params]
            found = named(function(*arrays, *columns, *masks, *where), names)
            return float(found["total"][0]), [found[f"g_{k}"][0] for k in estimated]

        return likelihood

    return of_subject


def _scans(data: Sequences, estimated: list[str], mode: str) -> Callable[[int], Likelihood]:
    """Return what gives each subject's likelihood by a scan, compiled once for all of them."""
    place, rows = _padded_segments(data.segments, data.shape[0])
    function = _compiled_total(data.model, data.facts, place, tuple(estimated), mode)

    def of_subject(i: int) -> Likelihood:
        row, used = rows[i]

        def pick(values: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(values.reshape((-1, *values.shape[2:]))[row])

        inputs = [pick(data.inputs[entry.name]) for entry in data.model.inputs]
        masks = [pick(data.masks[name]) for name in interface.MASKS]
        masks = [m & used.reshape(used.shape + (1,) * (m.ndim - 2)) for m in masks]

        def likelihood(values: Mapping[str, np.ndarray]) -> tuple[float, list[np.ndarray]]:
            value, *slopes = function(*(values[p.name] for p in data.model.parameters), *inputs, *masks)
            return float(value), slopes

        return likelihood

    return of_subject


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
    total = forward.terms(scored).sum()
    slopes = pt.grad(total, [params[k] for k in estimated], disconnected_inputs="ignore") if estimated else []
    return pytensor.function(
        arguments, [total, *slopes], mode=pytensor_mode(mode), on_unused_input="ignore", trust_input=True
    )
