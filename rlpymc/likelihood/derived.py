"""What a model computes once for each subject, before the first trial: a planner's values, for example.

For kernels and scans these are parameters like the others.  Around them stands a small PyTensor graph
(`derived_graph`) that makes them from the model's own parameters, and takes their derivatives back to those.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from rlpymc.compiler.signature import Name
from rlpymc.likelihood.likelihood import Arrays, Likelihood, OfSubject
from rlpymc.likelihood.steps import Stepper
from rlpymc.model import Facts, Model
from rlpymc.model.responses import Response
from rlpymc.trials.model_data import ModelData

if TYPE_CHECKING:
    from rlpymc.likelihood.derived_graph import Derived


@lru_cache(maxsize=64)
def derived(model: Model, facts: Facts) -> "Derived | None":
    """The derived values of a model, if it has such."""
    if model.derive is None:
        return None
    from rlpymc.likelihood.derived_graph import Derived  # PyTensor, which other models do without

    return Derived(model, facts)


def without_derive(model: Model, facts: Facts) -> Model:
    """The model for which derived values are parameters: the one that kernels and scans are made of."""
    found = derived(model, facts)
    return model if found is None else found.model


def with_derived(data: ModelData, params: Arrays) -> tuple[ModelData, dict[str, np.ndarray]]:
    """Data of that model, and its parameters: the model's own, and what is derived from them."""
    found = derived(data.model, data.facts)
    if found is None:
        return data, dict(params)
    return found.data(data), found.joined(params, data.shape[0])


class DerivingLikelihood(Likelihood):
    """The likelihood under a model that derives values from its parameters.

    Parameters
    ----------
    data : ModelData
        The data.
    further : Derived
        What is derived.
    inner : Likelihood
        The likelihood of the data of the model for which this is given.
    """

    def __init__(self, data: ModelData, further: "Derived", inner: Likelihood) -> None:
        self.data, self.backend, self._further, self._inner = data, inner.backend, further, inner

    def _all(self, params: Arrays) -> dict[str, np.ndarray]:
        return self._further.joined(params, self.data.shape[0])

    @property
    def responses(self) -> Mapping[str, Response]:
        """The distribution of each response."""
        return self._inner.responses

    def compute(self, what: str, params: Arrays, active: Sequence[str] = ()) -> dict[Name, np.ndarray]:
        """Return the same, in terms of the model's own parameters."""
        everything, names = self._all(params), self._further.names
        found = self._inner.compute(what, everything, [*active, *names] if active else ())
        if active:
            more = self._further.slopes(params, {k: found[Name("slope", k)] for k in names})
            found |= {Name("slope", k): found[Name("slope", k)] + more[k] for k in active if k in more}
        if what == "latents":
            found |= {Name("derived", k): everything[k] for k in names}
        return found

    def stepper(self, params: Arrays) -> Stepper:
        """Return the subjects as learners in mid-course."""
        return self._inner.stepper(self._all(params))

    def of_subject(self, i: int, active: Sequence[str]) -> OfSubject:
        """Return one subject's log likelihood, and its derivatives in order."""
        names = self._further.names if active else ()
        inner, further = self._inner.of_subject(i, [*active, *names]), self._further

        def likelihood(values: Arrays) -> tuple[float, list[np.ndarray]]:
            params = {k: np.asarray(v)[None] for k, v in values.items()}
            total, slopes = inner({**values, **{k: v[0] for k, v in further.values(params, 1).items()}})
            if not active:
                return total, []
            found = dict(zip([*active, *names], slopes, strict=True))
            more = further.slopes(params, {k: found[k][None] for k in names})
            return total, [found[k] + more[k][0] if k in more else found[k] for k in active]

        return likelihood
