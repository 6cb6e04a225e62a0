"""The likelihood of single subjects, as a loop or as a scan that is compiled once for all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rlpymc.compiler import signature
from rlpymc.compiler.trace import Trace
from rlpymc.likelihood.derived import derived
from rlpymc.likelihood.evaluator import Evaluator
from rlpymc.likelihood.loop import find_trace
from rlpymc.trials.model_data import ModelData, one_subject
from rlpymc.trials.segments import Segments

if TYPE_CHECKING:
    from rlpymc.likelihood.derived_graph import Derived

type Likelihood = Callable[[Mapping[str, np.ndarray]], tuple[float, list[np.ndarray]]]


def single_likelihoods(data: ModelData, active: Sequence[str], backend: str, mode: str) -> "Loops | Scans | Deriving":
    """Return the likelihoods of single subjects.

    Parameters
    ----------
    data : ModelData
        The data.
    active : sequence of str
        Parameters with respect to which the gradient is wanted.
    backend, mode : str
        What computes them, see `rlpymc.log_prob`.
    """
    further = derived(data.model, data.facts)
    if further is not None:
        inner = replace(data, model=further.model)
        return Deriving(further, single_likelihoods(inner, [*active, *further.names], backend, mode), list(active))
    trace = find_trace(data.model, data.facts, data.columns, (), backend)
    return Loops(data, trace, list(active)) if trace is not None else Scans(data, list(active), mode)


class Deriving:
    """The likelihood of single subjects for a model that derives values from its parameters beforehand."""

    def __init__(self, further: "Derived", inner: "Loops | Scans | Deriving", estimated: list[str]) -> None:
        self._further, self._inner, self._estimated = further, inner, estimated

    def of_subject(self, i: int) -> Likelihood:
        """Return one subject's likelihood and its gradient."""
        inner, further = self._inner.of_subject(i), self._further

        def likelihood(values: Mapping[str, np.ndarray]) -> tuple[float, list[np.ndarray]]:
            params = {k: np.asarray(v)[None] for k, v in values.items()}
            made = {k: v[0] for k, v in further.values(params, 1).items()}
            value, slopes = inner({**values, **made})
            n = len(self._estimated)
            more = further.slopes(params, {k: v[None] for k, v in zip(further.names, slopes[n:], strict=True)})
            own = zip(self._estimated, slopes[:n], strict=True)
            return value, [slope + more[k][0] if k in more else slope for k, slope in own]

        return likelihood

    def at_many(self, i: int, params: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return one subject's log likelihood for many values of the parameters."""
        n = len(next(iter(params.values())))
        return self._inner.at_many(i, {**params, **self._further.values(params, n)})


class Loops:
    """The likelihood of single subjects by a compiled loop."""

    def __init__(self, data: ModelData, trace: Trace, estimated: list[str]) -> None:
        self._data, self._trace, self._estimated = data, trace, estimated
        # whole numbers are tried one after the other, and all with the same subject's data
        self._one: tuple[int, Likelihood] | None = None

    def of_subject(self, i: int) -> Likelihood:
        """Return one subject's likelihood and its gradient."""
        if self._one is None or self._one[0] != i:
            self._one = i, self._bind(i)
        return self._one[1]

    def _bind(self, i: int) -> Likelihood:
        mode = "gradient" if self._estimated else "value"
        evaluator = Evaluator(self._trace, mode, one_subject(self._data, i), tuple(self._estimated))
        found = evaluator.hold()

        def likelihood(values: Mapping[str, np.ndarray]) -> tuple[float, list[np.ndarray]]:
            for name, read in evaluator.params.items():
                read[...] = values[name]
            evaluator.again()
            return float(found["total"][0]), [found[f"g_{k}"][0] for k in self._estimated]

        return likelihood

    def at_many(self, i: int, params: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return one subject's log likelihood for many values of the parameters."""
        return _one_by_one(self.of_subject(i), params)


class Scans:
    """The likelihood of single subjects by a scan, compiled once for all of them."""

    def __init__(self, data: ModelData, estimated: list[str], mode: str) -> None:
        self._data = data
        place, self._rows = _padded_segments(data.segments, data.shape[0])
        from rlpymc.likelihood.compiled_scans import of_one_subject  # PyTensor, which loops do without

        self._function = of_one_subject(data.model, data.facts, place, tuple(estimated), mode)

    def of_subject(self, i: int) -> Likelihood:
        """Return one subject's likelihood and its gradient."""
        data, (row, used) = self._data, self._rows[i]

        def pick(values: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(values.reshape((-1, *values.shape[2:]))[row])

        inputs = [pick(data.inputs[entry.name]) for entry in data.model.inputs]
        masks = [pick(data.masks[name]) for name in signature.MASKS]
        masks = [m & used.reshape(used.shape + (1,) * (m.ndim - 2)) for m in masks]

        def likelihood(values: Mapping[str, np.ndarray]) -> tuple[float, list[np.ndarray]]:
            value, *slopes = self._function(*(values[p.name] for p in data.model.parameters), *inputs, *masks)
            return float(value), slopes

        return likelihood

    def at_many(self, i: int, params: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return one subject's log likelihood for many values of the parameters."""
        return _one_by_one(self.of_subject(i), params)


def _one_by_one(likelihood: Likelihood, params: Mapping[str, np.ndarray]) -> np.ndarray:
    n = len(next(iter(params.values())))
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
