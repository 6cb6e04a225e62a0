"""The likelihood of data as a function of the numbers that parameters which vary within subjects follow from."""

from collections.abc import Mapping, Sequence

import numpy as np

from rlpymc.compiler.signature import Name
from rlpymc.likelihood.likelihood import Arrays, Likelihood, OfSubject
from rlpymc.likelihood.steps import Stepper
from rlpymc.model.responses import Response
from rlpymc.population.machine_predictors import PredictedEvaluator
from rlpymc.population.predictors import Predictor, numbers_of, parameters_of


class PredictedLikelihood(Likelihood):
    """A likelihood whose parameters are numbers, where predictors make the model's parameters of them.

    Parameters
    ----------
    inner : Likelihood
        In terms of the model's parameters, those of predictors by trial.
    predictors : sequence of Predictor
        What makes these; all other parameters stay as they are.
    """

    def __init__(self, inner: Likelihood, predictors: Sequence[Predictor]) -> None:
        self.data, self.backend, self._inner, self._predictors = inner.data, inner.backend, inner, tuple(predictors)
        self._evaluators: dict[tuple[str, ...], PredictedEvaluator | None] = {}

    def evaluator(self, active: Sequence[str]) -> PredictedEvaluator | None:
        """Return the kernel with gradient by numbers, and by some other parameters; None where there is no loop."""
        own = tuple(sorted(set(active) - numbers_of(self._predictors)))
        if own not in self._evaluators:
            self._evaluators[own] = PredictedEvaluator.of(self.data, self._predictors, own)
        return self._evaluators[own]

    def _split(self, active: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return of active names those that are no numbers, and, if there are any, the parameters that are made."""
        numbers = numbers_of(self._predictors)
        return [name for name in active if name not in numbers], parameters_of(self._predictors) if active else []

    def parameters(self, numbers: Arrays) -> dict[str, np.ndarray]:
        """Return the model's parameters, (subject, *shape) or (subject, trial), given numbers (subject, *shape)."""
        found = {p.name: numbers[p.name] for p in self.data.model.parameters if p.name in numbers}
        with np.errstate(over="ignore"):
            for predictor in self._predictors:
                found |= dict.fromkeys(predictor.parameters, predictor.by_trial(numbers))
        return found

    @property
    def responses(self) -> Mapping[str, Response]:
        """The distribution of each response."""
        return self._inner.responses

    def compute(self, what: str, params: Arrays, active: Sequence[str] = ()) -> dict[Name, np.ndarray]:
        """Return what the inner one does, its derivatives by numbers."""
        if what in ("value", "gradient") and self.backend == "fused":  # with its slopes a value is there sooner
            known = self._evaluators if what == "value" else {}  # any of them gives it
            evaluator = next(iter(known.values())) if known else self.evaluator(active)
            if evaluator is not None:
                return evaluator(params)
        own, made = self._split(active)
        found = self._inner.compute(what, self.parameters(params), [*own, *made])
        with np.errstate(over="ignore", invalid="ignore"):
            for p in self._predictors if active else ():
                slopes = sum(found.pop(Name("slope", name)) for name in p.parameters)
                found |= {Name("slope", k): v for k, v in p.pulled_back(params, np.asarray(slopes)).items()}
        return found

    def stepper(self, params: Arrays) -> Stepper:
        """Return the subjects as learners in mid-course."""
        return self._inner.stepper(self.parameters(params))

    def of_subject(self, i: int, active: Sequence[str]) -> OfSubject:
        """Return one subject's log likelihood, and its derivatives in order."""
        own, made = self._split(active)
        inner, length = self._inner.of_subject(i, [*own, *made]), int(self.data.masks["exists"][i].sum())
        predictors = [p.of_subject(i, length) for p in self._predictors]

        def likelihood(values: Arrays) -> tuple[float, list[np.ndarray]]:
            given = {k: np.asarray(v)[None] for k, v in values.items()}
            params = dict(values)
            with np.errstate(over="ignore", invalid="ignore"):
                for p in predictors:
                    params |= dict.fromkeys(p.parameters, p.by_trial(given)[0])
                total, slopes = inner(params)
                found = dict(zip([*own, *made], slopes, strict=True))
                for p in predictors if active else ():
                    slope = sum(found.pop(name) for name in p.parameters)
                    found |= {k: v[0] for k, v in p.pulled_back(given, np.asarray(slope)[None]).items()}
            return total, [found[name] for name in active]

        return likelihood
