"""The likelihood of one subject as a function of a flat vector: what optimisers work on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product

import numpy as np
import pytensor
import pytensor.tensor as pt
from scipy.stats import qmc

from rlpymc.likelihood import interface
from rlpymc.likelihood.derived import Derived, derived
from rlpymc.likelihood.draws import repeat_subjects
from rlpymc.likelihood.evaluator import Evaluator
from rlpymc.likelihood.fused import find_trace
from rlpymc.likelihood.modes import pytensor_mode
from rlpymc.likelihood.scan import placeholders
from rlpymc.likelihood.trace import Trace
from rlpymc.model import Facts, Model
from rlpymc.parameters import Parameter, resolve_shape
from rlpymc.population import Population, whole_numbers
from rlpymc.sequences import Segments, Sequences, one_subject

IMPOSSIBLE = 1e10  # stands for an infinite objective, with which a line search cannot work
AT_EDGE = 0.115  # share of starting points that have a parameter at its lower bound, and at its upper one
FAR = 1e-3  # probability beyond the farthest starting point, where there is no bound

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
    coupled : sequence of sequences of str
        Parameters that are equal; the first of each group stands for all.

    Attributes
    ----------
    estimated : list of Parameter
        What the flat vector holds: parameters that change continuously.
    profiled : list of Parameter
        Whole numbers, each combination of which is tried.
    """

    def __init__(
        self, data: Sequences, population: Population, backend: str, mode: str, coupled: Sequence[Sequence[str]] = ()
    ) -> None:
        self.data = data
        self.tied = {name: first for first, *rest in coupled for name in rest}
        free = [p for p in data.model.parameters if population.is_free(p) and p.name not in self.tied]
        self.estimated = [p for p in free if not p.support.discrete]
        self.profiled = [p for p in free if p.support.discrete]
        self.shapes = {p.name: data.parameter_shape(p.name) for p in data.model.parameters}
        self.sizes = [int(np.prod(self.shapes[p.name])) for p in self.estimated]
        ends = np.cumsum([0, *self.sizes])
        self._places = {p.name: slice(a, b) for p, a, b in zip(self.estimated, ends[:-1], ends[1:], strict=True)}
        self.priors = {p.name: population.prior(p) for p in self.estimated}
        given = [p for p in data.model.parameters if p not in free and p.name not in self.tied]
        self.constants = {p.name: population.constant(p, data) for p in given}
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
        names += [name for name, first in self.tied.items() if first in names]
        step = find_trace(data.model, data.facts, data.columns, (), backend)
        further = derived(data.model, data.facts)
        if further is None:
            self._likelihood: _Loops | _Scans | _Deriving = _of_settled(data, step, names, mode)
        else:
            settled = replace(data, model=further.model)
            self._likelihood = _Deriving(further, _of_settled(settled, step, [*names, *further.names], mode), names)

    def _by_entry(self) -> list[Parameter]:
        return [p for p, size in zip(self.estimated, self.sizes, strict=True) for _ in range(size)]

    def unflatten(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return the estimated parameters by name, and those that are tied to them."""
        found = {name: x[place].reshape(self.shapes[name]) for name, place in self._places.items()}
        return found | {name: found[first] for name, first in self.tied.items()} if self.tied else found

    def flatten(self, slopes: Sequence[np.ndarray]) -> np.ndarray:
        """Return derivatives, those of the estimated parameters and then of the tied ones, as a flat vector."""
        flat = np.zeros(sum(self.sizes))
        for name, slope in zip((*self._places, *self.tied.values()), slopes, strict=True):
            flat[self._places[name]] += slope.reshape(-1)
        return flat

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

    def spread_points(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities that fill the unit cube and its faces, (point, entry), and the priors' quantiles there.

        The first is the priors' median.
        """
        d = sum(self.sizes)
        cube = qmc.Sobol(d, rng=rng).random_base2(int(np.ceil(np.log2(n))))[:n] if d else np.empty((n, 0))
        cube = np.clip(0.5 + (cube - 0.5) / (1 - 2 * AT_EDGE), 0, 1)
        cube[0] = 0.5
        columns = [self._quantile(k, cube[:, k]) for k in range(d)]
        return cube, np.stack(columns, axis=1) if columns else cube

    def moved(self, x: np.ndarray) -> np.ndarray:
        """Return points in each of which one entry of another is moved, to a bound or some quantile of its prior."""
        levels = np.linspace(0, 1, 5)
        points = np.repeat(x[None], levels.size * x.size, axis=0)
        for k in range(x.size):
            points[k * levels.size : (k + 1) * levels.size, k] = self._quantile(k, levels)
        return points

    def _quantile(self, k: int, probability: np.ndarray) -> np.ndarray:
        """Return quantiles of an entry's prior, within its bounds; where there is no bound, not all the way out."""
        p = self._by_entry()[k]
        lowest = 0.0 if np.isfinite(p.support.lower) else FAR
        highest = 1.0 if np.isfinite(p.support.upper) else 1 - FAR
        found = self.priors[p.name].quantile(np.clip(probability, lowest, highest))  # type: ignore[union-attr]
        return np.clip(found, *self.bounds[k])

    def values(self, i: int, whole: Mapping[str, np.ndarray], points: np.ndarray) -> np.ndarray:
        """Return subject i's negative log likelihood at many points."""
        given = {name: self.constant(name, i) for name in self.constants} | dict(whole)
        n = len(points)
        params = {k: np.broadcast_to(v, (n, *np.shape(v))) for k, v in given.items()}
        params |= {k: points[:, place].reshape((n, *self.shapes[k])) for k, place in self._places.items()}
        params |= {name: params[first] for name, first in self.tied.items()}
        found = self._likelihood.at_many(i, params)
        return np.where(np.isfinite(found), -found, IMPOSSIBLE)

    def of_subject(self, i: int, whole: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
        """Return the function of a flat vector that gives subject i's negative log likelihood and its gradient."""
        likelihood = self._likelihood.of_subject(i)
        fixed = {name: np.array(self.constant(name, i)) for name in self.constants} | dict(whole)

        def function(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, slopes = likelihood({**fixed, **self.unflatten(x)})
            return (-value if np.isfinite(value) else IMPOSSIBLE), -self.flatten(slopes)

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


def _of_settled(data: Sequences, step: Trace | None, estimated: list[str], mode: str) -> "_Loops | _Scans":
    """Return the likelihood of single subjects for a model that derives nothing."""
    return _Loops(data, step, estimated) if step is not None else _Scans(data, estimated, mode)


class _Deriving:
    """The likelihood of single subjects for a model that derives values from its parameters beforehand."""

    def __init__(self, further: Derived, settled: "_Loops | _Scans", estimated: list[str]) -> None:
        self._further, self._settled, self._estimated = further, settled, estimated

    def of_subject(self, i: int) -> Likelihood:
        """Return one subject's likelihood and its gradient."""
        settled, further = self._settled.of_subject(i), self._further

        def likelihood(values: Mapping[str, np.ndarray]) -> tuple[float, list[np.ndarray]]:
            params = {k: np.asarray(v)[None] for k, v in values.items()}
            made = {k: v[0] for k, v in further.values(params, 1).items()}
            value, slopes = settled({**values, **made})
            n = len(self._estimated)
            more = further.slopes(params, {k: v[None] for k, v in zip(further.names, slopes[n:], strict=True)})
            own = zip(self._estimated, slopes[:n], strict=True)
            return value, [slope + more[k][0] if k in more else slope for k, slope in own]

        return likelihood

    def at_many(self, i: int, params: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return one subject's log likelihood for many values of the parameters."""
        n = len(next(iter(params.values())))
        return self._settled.at_many(i, {**params, **self._further.values(params, n)})


class _Loops:
    """The likelihood of single subjects by a compiled loop."""

    def __init__(self, data: Sequences, step: Trace, estimated: list[str]) -> None:
        self._data, self._step, self._estimated = data, step, estimated
        self._one: tuple[int, Evaluator] | None = None  # whole numbers are tried one after the other,
        self._many: tuple[int, int, Evaluator] | None = None  # and all with the same subject's data

    def of_subject(self, i: int) -> Likelihood:
        """Return one subject's likelihood and its gradient."""
        if self._one is None or self._one[0] != i:
            mode = "gradient" if self._estimated else "value"
            self._one = i, Evaluator(self._step, mode, one_subject(self._data, i), tuple(self._estimated))
        evaluator = self._one[1]
        found = evaluator.hold()

        def likelihood(values: Mapping[str, np.ndarray]) -> tuple[float, list[np.ndarray]]:
            for name, read in evaluator.params.items():
                read[...] = values[name]
            evaluator.again()
            return float(found["total"][0]), [found[f"g_{k}"][0] for k in self._estimated]

        return likelihood

    def at_many(self, i: int, params: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return one subject's log likelihood for many values of the parameters."""
        n = len(next(iter(params.values())))
        if self._many is None or self._many[:2] != (i, n):
            self._many = i, n, Evaluator(self._step, "value", repeat_subjects(one_subject(self._data, i), n))
        return self._many[2](params)["total"]


class _Scans:
    """The likelihood of single subjects by a scan, compiled once for all of them."""

    def __init__(self, data: Sequences, estimated: list[str], mode: str) -> None:
        self._data = data
        place, self._rows = _padded_segments(data.segments, data.shape[0])
        self._function = _compiled_total(data.model, data.facts, place, tuple(estimated), mode)

    def of_subject(self, i: int) -> Likelihood:
        """Return one subject's likelihood and its gradient."""
        data, (row, used) = self._data, self._rows[i]

        def pick(values: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(values.reshape((-1, *values.shape[2:]))[row])

        inputs = [pick(data.inputs[entry.name]) for entry in data.model.inputs]
        masks = [pick(data.masks[name]) for name in interface.MASKS]
        masks = [m & used.reshape(used.shape + (1,) * (m.ndim - 2)) for m in masks]

        def likelihood(values: Mapping[str, np.ndarray]) -> tuple[float, list[np.ndarray]]:
            value, *slopes = self._function(*(values[p.name] for p in data.model.parameters), *inputs, *masks)
            return float(value), slopes

        return likelihood

    def at_many(self, i: int, params: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return one subject's log likelihood for many values of the parameters."""
        likelihood, n = self.of_subject(i), len(next(iter(params.values())))
        return np.array([likelihood({k: np.array(v[j]) for k, v in params.items()})[0] for j in range(n)])


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
