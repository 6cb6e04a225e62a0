"""What stands for the likelihood of some data: one object, whatever computes it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rlpymc.compiler.signature import TERMS, TOTAL, Name
from rlpymc.likelihood.steps import Stepper
from rlpymc.model.parameter_vector import ParameterVector
from rlpymc.model.responses import Response
from rlpymc.trials.model_data import ModelData

type Arrays = Mapping[str, np.ndarray]
type OfSubject = Callable[[Arrays], tuple[float, list[np.ndarray]]]


class Likelihood(ABC):
    """What a model says of some data, given its parameters; made by `rlpymc.likelihood.backends.likelihood_of`.

    Parameters are given by name, all of the model's: arrays (subject, *shape), or (subject, trial, *shape) where it
    was said that they vary by trial.

    Attributes
    ----------
    data : ModelData
        The data.
    backend : {"fused", "scan"}
        What computes it: a compiled loop, or a scan.
    """

    data: ModelData
    backend: str

    @property
    @abstractmethod
    def responses(self) -> Mapping[str, Response]:
        """The distribution of each response, its arguments expressions or graphs of one subject at one trial."""

    @abstractmethod
    def compute(self, what: str, params: Arrays, active: Sequence[str] = ()) -> dict[Name, np.ndarray]:
        """Return what a kernel of a mode returns: "value", "gradient", "terms", "arguments" or "latents"."""

    def total(self, params: Arrays) -> np.ndarray:
        """Return the log likelihood of each subject, (subject,)."""
        return self.compute("value", params)[TOTAL]

    def gradient(self, params: Arrays, active: Sequence[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the same, and its derivatives with respect to some parameters, of their shapes."""
        found = self.compute("gradient", params, active)
        return found[TOTAL], {k: found[Name("slope", k)] for k in active}

    def terms(self, params: Arrays) -> np.ndarray:
        """Return the log probability of each response, (subject, trial[, response]), 0 where not scored."""
        return self.compute("terms", params)[TERMS]

    def arguments(self, params: Arrays) -> dict[str, dict[str, np.ndarray]]:
        """Return the arguments of each response's distribution, by response and name, (subject, trial, ...)."""
        found = self.compute("arguments", params)
        return {k: {a: found[Name("argument", k, a)] for a in r.arguments} for k, r in self.responses.items()}

    def latents(self, params: Arrays) -> dict[Name, np.ndarray]:
        """Return what goes on in the learner.

        "before", the state before each trial, "signal" and "probs", of each response, are (subject, trial, ...);
        "final", the last state, and "derived", what was computed from the parameters beforehand, (subject, ...).
        """
        return self.compute("latents", params)

    @abstractmethod
    def stepper(self, params: Arrays) -> Stepper:
        """Return the subjects as learners in mid-course, who take a trial at a time."""

    @abstractmethod
    def of_subject(self, i: int, active: Sequence[str]) -> OfSubject:
        """Return one subject's log likelihood, and its derivatives in order, as a function of parameters (*shape)."""

    def hessians(self, params: Arrays, entries: ParameterVector) -> np.ndarray | None:
        """Return exact second derivatives, (subject, entry, entry), or None: differences of the gradient must do."""
        return None


class DirectLikelihood(Likelihood):
    """The likelihood of a model that derives nothing from its parameters: it can be part of PyTensor's graphs."""

    @abstractmethod
    def total_graph(self, params: Mapping[str, Any], columns: Mapping[str, Any], active: Iterable[str]) -> Any:
        """Return the log likelihood of each subject, (subject,), as a graph.

        Parameters
        ----------
        params : dict of tensors
            Every parameter, (subject, *shape) or (subject, trial, *shape).
        columns : dict of tensors
            The columns that the trials have, and the masks.
        active : iterable of str
            Parameters with respect to which it can be differentiated.
        """

    @abstractmethod
    def argument_graph(
        self, response: str, params: Mapping[str, Any], columns: Mapping[str, Any], active: Iterable[str]
    ) -> Any:
        """Return the argument of a response's distribution that has one alone, (subject, trial, ...), as a graph."""
