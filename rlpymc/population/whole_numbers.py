"""Parameters that are whole numbers: the likelihood is summed over their values, subject by subject."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from math import lgamma, log
from typing import Any, Self

import numpy as np

from rlpymc import math
from rlpymc.model import Parameter
from rlpymc.model.priors import Prior
from rlpymc.model.record import Record
from rlpymc.population.effects import Effect, Variable


@dataclass(frozen=True)
class Marginal:
    """A parameter that the likelihood is summed over.

    Parameters
    ----------
    values : (k,) ndarray
        The values.
    log_weights : (k,) or (subject, k)
        Their log probabilities: arrays, PyTensor's variables, or the compiler's symbols.
    """

    values: np.ndarray
    log_weights: Any


@dataclass(frozen=True)
class Dirichlet(Prior):
    """Dirichlet distribution of k probabilities, with the concentration `a`."""

    a: tuple[float, ...]

    def unbounded(self, v: Any) -> tuple[Any, Any]:
        """Return the probabilities that belong to k - 1 numbers on the real line, and the log density there."""
        k = len(self.a)
        logits = math.sum(v[..., None, :] * np.vstack([np.eye(k - 1), -np.ones(k - 1)]))  # they sum to 0
        logs = math.log_softmax(logits)
        norm = lgamma(sum(self.a)) - sum(lgamma(a) for a in self.a)
        # the map's log determinant is log(k) plus all log probabilities
        return math.exp(logs), math.sum(logs * np.array(self.a)) + norm + log(k)

    def middle(self) -> float:
        """Return the numbers on the real line that belong to equal probabilities."""
        return 0.0

    def log_prob(self, value: Any) -> Any:
        """Return the log density of probabilities, which are on the last axis."""
        norm = lgamma(sum(self.a)) - sum(lgamma(a) for a in self.a)
        return ((np.array(self.a) - 1) * np.log(value)).sum(axis=-1) + norm

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...] = ()) -> Any:
        """Return random probabilities, k for the k - 1 numbers of the shape's last axis."""
        return rng.dirichlet(self.a, shape[:-1])

    def __str__(self) -> str:
        return f"Dirichlet({', '.join(f'{a:g}' for a in self.a)})"


@dataclass(frozen=True)
class WholeNumber(Effect):
    """A parameter that is a whole number, with probabilities that are known or the group's.

    Parameters
    ----------
    name, support, shape, variables
        As of any effect; variables and shape are those of the group's probabilities, if these are estimated.
    values : tuple of int
        What it can be.
    weights : tuple of float
        Their probabilities as the prior has them.
    """

    values: tuple[int, ...]
    weights: tuple[float, ...]

    @classmethod
    def of(cls, parameter: Parameter, prior: Prior, pooled: bool) -> Self:
        """Return the effect of a parameter, whose probabilities are the prior's, or estimated around these."""
        weights = np.exp(prior.log_prob(whole_numbers(parameter)))
        values, weights = whole_numbers(parameter)[weights > 0].tolist(), weights[weights > 0] / weights.sum()
        probs = Variable("_probs", "group", Dirichlet(tuple((len(values) * weights).tolist())))
        variables = (probs,) if pooled and len(values) > 1 else ()
        shape = (len(values) - 1,)  # probabilities sum to 1, so that one is not free
        return cls(parameter.name, parameter.support, shape, variables, tuple(values), tuple(weights.tolist()))

    def value(self, v: Record) -> Marginal:
        """Return what the likelihood is summed over."""
        return Marginal(np.array(self.values), math.log(v.probs) if self.variables else np.log(self.weights))

    def computed(self, v: Record) -> dict[str, Any]:
        """Return nothing: values are drawn when all else is known."""
        return {}

    @property
    def coords(self) -> dict[str, np.ndarray]:
        """The values that the probabilities are of, where these are variables."""
        return {f"{self.name}_value": np.array(self.values)} if self.variables else {}


def combinations(effects: Iterable[Effect]) -> list[dict[str, int]]:
    """Return all combinations of the values of the effects that are whole numbers, by name."""
    whole = [e for e in effects if isinstance(e, WholeNumber)]
    return [dict(zip((e.name for e in whole), chosen, strict=True)) for chosen in product(*(e.values for e in whole))]


def whole_numbers(parameter: Parameter) -> np.ndarray:
    """Return the values that a parameter which is a whole number can take."""
    return np.arange(int(parameter.support.lower), int(parameter.support.upper) + 1)
