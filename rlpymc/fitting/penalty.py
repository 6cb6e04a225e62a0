"""What is added to a log likelihood: log priors, or a penalty on large values, each with two derivatives."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlpymc.checks import is_number
from rlpymc.model.parameters import CUBIC, LINEAR, Parameter, Support
from rlpymc.model.priors import Prior
from rlpymc.population.population import Population


@dataclass(frozen=True)
class LogPrior:
    """The log density of a prior on the natural scale."""

    prior: Prior

    def __call__(self, value: np.ndarray) -> tuple[Any, Any, Any]:
        """The added log density at each value, and its first two derivatives."""
        return self.prior.derivatives(value)

    def bounds(self, support: Support) -> tuple[float, float, bool, bool]:
        """Return between which values this is finite, and whether it is so at each of them."""
        lower, upper = self.prior.quantile([0.0, 1.0])
        ends = max(float(lower), support.lower), min(float(upper), support.upper)
        with np.errstate(divide="ignore"):
            at_lower, at_upper = (bool(np.isinf(end) or np.isfinite(self.prior.log_prob(end))) for end in ends)
        return *ends, at_lower, at_upper


@dataclass(frozen=True)
class Shrinkage:
    """Minus half the square of the number on the unbounded scale, times a weight."""

    support: Support
    weight: float

    def __call__(self, value: np.ndarray) -> tuple[Any, Any, Any]:
        """The added log density at each value, and its first two derivatives."""
        unbounded, slope, bend = _unconstrained(self.support, value)
        curvature = slope**2 + unbounded * bend
        return -0.5 * self.weight * unbounded**2, -self.weight * unbounded * slope, -self.weight * curvature

    def bounds(self, support: Support) -> tuple[float, float, bool, bool]:
        """Return between which values this is finite, and whether it is so at each of them."""
        return support.lower, support.upper, bool(np.isinf(support.lower)), bool(np.isinf(support.upper))


type Term = LogPrior | Shrinkage


def _unconstrained(support: Support, value: np.ndarray) -> tuple[Any, Any, Any]:
    """Return the number on the unbounded scale that belongs to a value, and its first two derivatives."""
    unbounded = support.unconstrain(value)
    match support.link:
        case "log":
            return unbounded, 1 / value, -1 / value**2
        case "softplus":
            slope = -1 / np.expm1(-value)
            return unbounded, slope, slope * (1 - slope)
        case "logit":
            near, far = 1 / (value - support.lower), 1 / (support.upper - value)
            return unbounded, near + far, far**2 - near**2
        case "phi":  # the inverse of a function with the slope first and the second derivative second
            share = (value - support.lower) / (support.upper - support.lower)
            rise, turn = 3 * CUBIC * unbounded**2 + LINEAR, 6 * CUBIC * unbounded
            first = (value - support.lower) * (1 - share) * rise
            second = first * (1 - 2 * share) * rise + (value - support.lower) * (1 - share) * turn
            return unbounded, 1 / first, -second / first**3
    return unbounded, np.ones_like(value), np.zeros_like(value)


def log_priors(population: Population, parameters: Iterable[Parameter]) -> dict[str, Term]:
    """The log density that is added for each parameter, where the mode of the posterior is wanted.

    Raises
    ------
    ValueError
        If a density is infinite at a bound, so that there is no mode.
    """
    found: dict[str, Term] = {}
    for p in parameters:
        prior = population.prior(p)
        assert prior is not None
        with np.errstate(divide="ignore"):
            ends = prior.quantile([0.0, 1.0])
            ends = ends[np.isfinite(ends)]
            infinite = ends[np.isposinf(prior.log_prob(ends))]
        if infinite.size:
            raise ValueError(
                f"prior {prior} of {p.name!r}: its density is infinite at {infinite[0]:g}, and the posterior has no "
                "mode; give a prior that is finite there"
            )
        found[p.name] = LogPrior(prior)
    return found


def check_weight(l2: Any) -> None:
    """Raise a ValueError unless a weight of the penalty is 0 or a positive number."""
    if not is_number(l2) or not 0 <= l2 < np.inf:
        raise ValueError(f"l2: found {l2!r}, expected 0 or a positive number")


def shrinkages(parameters: Iterable[Parameter], weight: float) -> dict[str, Term]:
    """The penalty that is added for each parameter, where large values are penalised; none without a weight."""
    return {p.name: Shrinkage(p.support, weight) for p in parameters} if weight else {}
