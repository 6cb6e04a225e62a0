"""The log likelihoods of all subjects at once, with their gradients: what fits of whole populations work on."""

from collections.abc import Mapping, Sequence

import numpy as np

from rlpymc.likelihood.by_trial import evaluate
from rlpymc.likelihood.derived import data_without_derive, derive, derived, pull_back
from rlpymc.likelihood.evaluator import Evaluator
from rlpymc.likelihood.loop import find_trace
from rlpymc.trials.model_data import ModelData


class SubjectLikelihoods:
    """The log likelihood of each subject as a function of everybody's parameters.

    Parameters
    ----------
    data : ModelData
        The data of a model.
    active : sequence of str
        Parameters with respect to which the gradient is wanted.
    backend, mode, threads
        What computes it, see `rlpymc.log_prob`.
    """

    def __init__(
        self, data: ModelData, active: Sequence[str], backend: str = "fused", mode: str = "NUMBA", threads: int = 1
    ) -> None:
        self._data, self._active, self._backend, self._mode = data, tuple(active), backend, mode
        trace = find_trace(data.model, data.facts, data.columns, (), backend)
        kind = "gradient" if self._active else "value"
        further = derived(data.model, data.facts)
        self._slopes = (*self._active, *(further.names if further is not None and self._active else ()))
        inner = data_without_derive(data)
        self._loop = None if trace is None else Evaluator(trace, kind, inner, self._slopes, threads=threads)

    def __call__(self, params: Mapping[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the log likelihoods, (subject,), and their derivatives by parameter, (subject, *shape).

        Parameters
        ----------
        params : dict of (subject, *shape)
            Every parameter of the model.
        """
        if self._loop is not None:
            _, everything = derive(self._data.model, self._data.facts, params, self._data.shape[0])
            found = self._loop(everything)
            slopes = {k: found[f"g_{k}"] for k in self._slopes}
            slopes = pull_back(self._data, params, slopes) if slopes else {}
            return found["total"], {name: slopes[name] for name in self._active}
        what = "gradient" if self._active else "terms"
        found = evaluate(self._data, params, what, self._backend, self._mode)
        total = found["terms"].reshape(self._data.shape[0], -1).sum(axis=1)
        return total, {name: found[f"g_{name}"] for name in self._active}
