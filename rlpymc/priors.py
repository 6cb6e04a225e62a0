"""Prior distributions as small records, which become PyMC distributions when a model is built."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

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

        return getattr(pm, type(self).__name__)(name, **asdict(self), **kwargs)

    def log_prob(self, value: Any) -> Any:
        """Return the log density at each value."""
        return self.scipy().logpdf(value)

    def quantile(self, probability: Any) -> Any:
        """Return the values below which the distribution has these probabilities."""
        return self.scipy().ppf(probability)

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...] = ()) -> Any:
        """Return random values."""
        return self.scipy().rvs(size=shape, random_state=rng)

    def __str__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{v:g}' for v in asdict(self).values())})"


@dataclass(frozen=True)
class Normal(Prior):
    """Normal distribution with mean `mu` and standard deviation `sigma`."""

    mu: float = 0.0
    sigma: float = 1.0

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        return stats.norm(self.mu, self.sigma)


@dataclass(frozen=True)
class HalfNormal(Prior):
    """Normal distribution around 0 with standard deviation `sigma`, cut to positive values."""

    sigma: float = 1.0

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        return stats.halfnorm(scale=self.sigma)


@dataclass(frozen=True)
class LogNormal(Prior):
    """Distribution of a positive number whose logarithm is Normal(`mu`, `sigma`)."""

    mu: float = 0.0
    sigma: float = 1.0

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        return stats.lognorm(self.sigma, scale=np.exp(self.mu))


@dataclass(frozen=True)
class Beta(Prior):
    """Beta distribution on (0, 1) with shapes `alpha` and `beta`."""

    alpha: float = 1.0
    beta: float = 1.0

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        return stats.beta(self.alpha, self.beta)


@dataclass(frozen=True)
class Gamma(Prior):
    """Gamma distribution with shape `alpha` and rate `beta`."""

    alpha: float = 1.0
    beta: float = 1.0

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        return stats.gamma(self.alpha, scale=1 / self.beta)


@dataclass(frozen=True)
class Exponential(Prior):
    """Exponential distribution with rate `lam`."""

    lam: float = 1.0

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        return stats.expon(scale=1 / self.lam)


@dataclass(frozen=True)
class Uniform(Prior):
    """Uniform distribution between `lower` and `upper`."""

    lower: float = 0.0
    upper: float = 1.0

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        return stats.uniform(self.lower, self.upper - self.lower)


@dataclass(frozen=True)
class DiscreteUniform(Prior):
    """The whole numbers from `lower` to `upper`, each as probable."""

    lower: int = 0
    upper: int = 1

    def scipy(self) -> Any:
        """Return the same distribution as a frozen SciPy one."""
        return stats.randint(self.lower, self.upper + 1)

    def log_prob(self, value: Any) -> Any:
        """Return the log probability of each value."""
        return self.scipy().logpmf(value)
