"""Prior distributions as small records, which become PyMC distributions when a model is built."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import lgamma, log, pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from rlpymc import math

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable


@dataclass(frozen=True)
class Prior:
    """A univariate distribution, described by the parameters that PyMC gives it."""

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        raise TypeError(f"{type(self).__name__} is not a distribution; use one of its subclasses, e.g. Normal(0, 1)")

    def pymc(self, name: str, **kwargs: Any) -> "TensorVariable":
        """Add a variable with this distribution to the PyMC model in whose context this is called."""
        import pymc as pm

        # PyTensor holds 2.0 with half the digits, and then computes the density's constant with as many.
        own = {k: np.float64(v) if isinstance(v, float) else v for k, v in asdict(self).items()}
        return getattr(pm, type(self).__name__)(name, **own, **kwargs)

    def log_prob(self, value: Any) -> Any:
        """Return the log density at each value."""
        return self.scipy().logpdf(value)

    def unbounded(self, v: Any) -> tuple[Any, Any]:
        """Return the value that belongs to a number on the real line, as PyMC maps it, and the log density there.

        Written with `rlpymc.math`, and so on arrays and on expressions alike.
        """
        raise TypeError(f"{type(self).__name__} has no map to the real line")

    def derivatives(self, value: Any) -> tuple[Any, Any, Any]:
        """Return the log density at values within the bounds, and its first and second derivative there."""
        raise TypeError(f"the log density of {type(self).__name__} has no derivatives")

    def middle(self) -> float:
        """Return the number on the real line that belongs to the median."""
        return float(log(self.quantile(0.5)))

    def quantile(self, probability: Any) -> Any:
        """Return the values below which the distribution has these probabilities."""
        return self.scipy().ppf(probability)

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...] = ()) -> Any:
        """Return random values."""
        return self.scipy().rvs(size=shape, random_state=rng)

    def __str__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{v:g}' for v in asdict(self).values())})"


def stacked(priors: Sequence[Prior], ndim: int) -> Prior:
    """Return priors of one kind as one whose parameters are arrays of so many axes, the first of them theirs."""
    first = priors[0]
    if all(prior == first for prior in priors):
        return first
    columns = zip(*(asdict(prior).values() for prior in priors), strict=True)
    shape = (-1, *[1] * (ndim - 1))
    return type(first)(*(np.reshape(column, shape) for column in columns))


@dataclass(frozen=True)
class Normal(Prior):
    """Normal distribution with mean `mu` and standard deviation `sigma`."""

    mu: float = 0.0
    sigma: float = 1.0

    def unbounded(self, v: Any) -> tuple[Any, Any]:
        """Return the value that belongs to a number on the real line, and the log density there."""
        return v, -0.5 * ((v - self.mu) / self.sigma) ** 2 - log(self.sigma * sqrt(2 * pi))

    def derivatives(self, value: Any) -> tuple[Any, Any, Any]:
        """Return the log density at values within the bounds, and its first and second derivative there."""
        z = (value - self.mu) / self.sigma
        return -0.5 * z**2 - log(self.sigma * sqrt(2 * pi)), -z / self.sigma, 0 * z - 1 / self.sigma**2

    def middle(self) -> float:
        """Return the number on the real line that belongs to the median."""
        return self.mu

    def quantile(self, probability: Any) -> Any:
        """The values below which the distribution has these probabilities."""
        from scipy.special import ndtri

        return self.mu + self.sigma * ndtri(probability)

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        from scipy import stats

        return stats.norm(self.mu, self.sigma)


@dataclass(frozen=True)
class HalfNormal(Prior):
    """Normal distribution around 0 with standard deviation `sigma`, cut to positive values."""

    sigma: float = 1.0

    def unbounded(self, v: Any) -> tuple[Any, Any]:
        """Return the value that belongs to a number on the real line, and the log density there."""
        value = math.exp(v)
        return value, v - 0.5 * (value / self.sigma) ** 2 + log(2 / (self.sigma * sqrt(2 * pi)))

    def derivatives(self, value: Any) -> tuple[Any, Any, Any]:
        """Return the log density at values within the bounds, and its first and second derivative there."""
        density, *rest = Normal(0.0, self.sigma).derivatives(value)
        return density + log(2), *rest

    def quantile(self, probability: Any) -> Any:
        """The values below which the distribution has these probabilities."""
        from scipy.special import ndtri

        return self.sigma * ndtri((1 + np.asarray(probability)) / 2)

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        from scipy import stats

        return stats.halfnorm(scale=self.sigma)


@dataclass(frozen=True)
class LogNormal(Prior):
    """Distribution of a positive number whose logarithm is Normal(`mu`, `sigma`)."""

    mu: float = 0.0
    sigma: float = 1.0

    def unbounded(self, v: Any) -> tuple[Any, Any]:
        """Return the value that belongs to a number on the real line, and the log density there."""
        return math.exp(v), Normal(self.mu, self.sigma).unbounded(v)[1]

    def derivatives(self, value: Any) -> tuple[Any, Any, Any]:
        """Return the log density at values within the bounds, and its first and second derivative there."""
        logarithm = np.log(value)
        density, slope, curvature = Normal(self.mu, self.sigma).derivatives(logarithm)
        return density - logarithm, (slope - 1) / value, (curvature - slope + 1) / value**2

    def quantile(self, probability: Any) -> Any:
        """The values below which the distribution has these probabilities."""
        return np.exp(Normal(self.mu, self.sigma).quantile(probability))

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        from scipy import stats

        return stats.lognorm(self.sigma, scale=np.exp(self.mu))


@dataclass(frozen=True)
class Beta(Prior):
    """Beta distribution on (0, 1) with shapes `alpha` and `beta`."""

    alpha: float = 1.0
    beta: float = 1.0

    def unbounded(self, v: Any) -> tuple[Any, Any]:
        """Return the value that belongs to a number on the real line, and the log density there."""
        from scipy.special import betaln

        density = -self.alpha * math.softplus(-v) - self.beta * math.softplus(v)
        return math.sigmoid(v), density - float(betaln(self.alpha, self.beta))

    def derivatives(self, value: Any) -> tuple[Any, Any, Any]:
        """Return the log density at values within the bounds, and its first and second derivative there."""
        from scipy.special import betaln, xlog1py

        near, far = (_power(shape - 1, v) for shape, v in ((self.alpha, value), (self.beta, 1 - value)))
        density = near[0] + xlog1py(self.beta - 1, -value) - float(betaln(self.alpha, self.beta))
        return density, near[1] - far[1], near[2] + far[2]

    def middle(self) -> float:
        """Return the number on the real line that belongs to the median."""
        from scipy.special import logit

        return float(logit(self.quantile(0.5)))

    def quantile(self, probability: Any) -> Any:
        """The values below which the distribution has these probabilities."""
        from scipy.special import betaincinv

        return betaincinv(self.alpha, self.beta, probability)

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        from scipy import stats

        return stats.beta(self.alpha, self.beta)


@dataclass(frozen=True)
class Gamma(Prior):
    """Gamma distribution with shape `alpha` and rate `beta`."""

    alpha: float = 1.0
    beta: float = 1.0

    def unbounded(self, v: Any) -> tuple[Any, Any]:
        """Return the value that belongs to a number on the real line, and the log density there."""
        value = math.exp(v)
        return value, self.alpha * v - self.beta * value + self.alpha * log(self.beta) - lgamma(self.alpha)

    def derivatives(self, value: Any) -> tuple[Any, Any, Any]:
        """Return the log density at values within the bounds, and its first and second derivative there."""
        density, slope, curvature = _power(self.alpha - 1, value)
        density = density - self.beta * value + self.alpha * log(self.beta) - lgamma(self.alpha)
        return density, slope - self.beta, curvature

    def quantile(self, probability: Any) -> Any:
        """The values below which the distribution has these probabilities."""
        from scipy.special import gammaincinv

        return gammaincinv(self.alpha, probability) / self.beta

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        from scipy import stats

        return stats.gamma(self.alpha, scale=1 / self.beta)


@dataclass(frozen=True)
class Exponential(Prior):
    """Exponential distribution with rate `lam`."""

    lam: float = 1.0

    def unbounded(self, v: Any) -> tuple[Any, Any]:
        """Return the value that belongs to a number on the real line, and the log density there."""
        value = math.exp(v)
        return value, v - self.lam * value + log(self.lam)

    def derivatives(self, value: Any) -> tuple[Any, Any, Any]:
        """Return the log density at values within the bounds, and its first and second derivative there."""
        return log(self.lam) - self.lam * value, 0 * value - self.lam, 0 * value

    def quantile(self, probability: Any) -> Any:
        """The values below which the distribution has these probabilities."""
        return -np.log1p(-np.asarray(probability)) / self.lam

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        from scipy import stats

        return stats.expon(scale=1 / self.lam)


@dataclass(frozen=True)
class Uniform(Prior):
    """Uniform distribution between `lower` and `upper`."""

    lower: float = 0.0
    upper: float = 1.0

    def unbounded(self, v: Any) -> tuple[Any, Any]:
        """Return the value that belongs to a number on the real line, and the log density there."""
        return self.lower + (self.upper - self.lower) * math.sigmoid(v), -math.softplus(-v) - math.softplus(v)

    def derivatives(self, value: Any) -> tuple[Any, Any, Any]:
        """Return the log density at values within the bounds, and its first and second derivative there."""
        return 0 * value - log(self.upper - self.lower), 0 * value, 0 * value

    def middle(self) -> float:
        """Return the number on the real line that belongs to the median."""
        return 0.0

    def quantile(self, probability: Any) -> Any:
        """The values below which the distribution has these probabilities."""
        return self.lower + (self.upper - self.lower) * np.asarray(probability)

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        from scipy import stats

        return stats.uniform(self.lower, self.upper - self.lower)


@dataclass(frozen=True)
class DiscreteUniform(Prior):
    """The whole numbers from `lower` to `upper`, each as probable."""

    lower: int = 0
    upper: int = 1

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        from scipy import stats

        return stats.randint(self.lower, self.upper + 1)

    def log_prob(self, value: Any) -> Any:
        """Return the log probability of each value."""
        return self.scipy().logpmf(value)


def _power(exponent: float, value: Any) -> tuple[Any, Any, Any]:
    """Return the logarithm of a power, and its first two derivatives; 0 for the exponent 0, whatever the value."""
    from scipy.special import xlogy

    if exponent == 0:
        return 0 * value, 0 * value, 0 * value
    return xlogy(exponent, value), exponent / value, -exponent / value**2
