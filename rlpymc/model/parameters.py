"""What a model declares: its parameters with their supports, and the columns of a trial that it reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlpymc import math
from rlpymc.model.priors import Prior

type Shape = tuple[int | str, ...]

CUBIC, LINEAR = 0.07056, 1.5976  # logistic(CUBIC x³ + LINEAR x) is the normal distribution function to 1.4e-4


@dataclass(frozen=True)
class Support:
    """The values that a number may take, with the link between them and the real line.

    Parameters
    ----------
    name : str
        How it is called in cards and messages.
    lower, upper : float
        Bounds, included.
    link : {"identity", "logit", "phi", "log", "softplus"}
        How a value is put on the unbounded scale, on which populations are normal.  "phi" is close to a probit: the
        approximation of the normal distribution function by Bowling, Khasawneh, Kaewkuekool & Cho (2009), eq. 13
        [from memory], which Stan calls Phi_approx.
    discrete : bool
        Whether only whole numbers are allowed; these have no link.
    """

    name: str
    lower: float = -np.inf
    upper: float = np.inf
    link: str = "identity"
    discrete: bool = False

    def constrain(self, unbounded: Any) -> Any:
        """Return the value in the support that belongs to a number on the unbounded scale."""
        match self.link:
            case "identity":
                return unbounded
            case "log":
                return math.exp(unbounded)
            case "softplus":
                return math.softplus(unbounded)
            case "logit":
                return self.lower + (self.upper - self.lower) * math.sigmoid(unbounded)
            case "phi":
                return self.lower + (self.upper - self.lower) * math.sigmoid(_logit_of_phi(unbounded))
        raise ValueError(f"support {self.name} has no link to the real line")

    def unconstrain(self, value: Any) -> Any:
        """Return the number on the unbounded scale that belongs to a value inside the support."""
        match self.link:
            case "identity":
                return value
            case "log":
                return math.log(value)
            case "softplus":
                return value + math.log(-math.expm1(-value))
            case "logit":
                fraction = (value - self.lower) / (self.upper - self.lower)
                return math.log(fraction) - math.log1p(-fraction)
            case "phi":
                fraction = (value - self.lower) / (self.upper - self.lower)
                return _probit_of_logit(math.log(fraction) - math.log1p(-fraction))
        raise ValueError(f"support {self.name} has no link to the real line")

    def log_slope(self, unbounded: Any) -> Any:
        """Return the log of the derivative of `constrain`."""
        match self.link:
            case "identity":
                return 0.0 * unbounded
            case "log":
                return unbounded
            case "softplus":
                return -math.softplus(-unbounded)
            case "logit":
                width = float(np.log(self.upper - self.lower))
                return width - math.softplus(unbounded) - math.softplus(-unbounded)
            case "phi":
                width, logit = float(np.log(self.upper - self.lower)), _logit_of_phi(unbounded)
                steep = math.log(3 * CUBIC * unbounded * unbounded + LINEAR)
                return width + steep - math.softplus(logit) - math.softplus(-logit)
        raise ValueError(f"support {self.name} has no link to the real line")

    def contains(self, value: Any) -> np.ndarray:
        """Return, entry by entry, whether values lie in the support (NaN and infinities do not)."""
        value = np.asarray(value, dtype=float)
        inside = np.isfinite(value) & (value >= self.lower) & (value <= self.upper)
        return inside & (value == np.round(value)) if self.discrete else inside

    def __str__(self) -> str:
        return self.name


def _logit_of_phi(x: Any) -> Any:
    """Return the log odds of the normal distribution function, approximately."""
    return x * (CUBIC * x * x + LINEAR)


def _probit_of_logit(logit: Any) -> Any:
    """Return where `_logit_of_phi` has a value: the real root of a cubic, by hyperbolic sines."""
    t = logit * (1.5 / LINEAR * (3 * CUBIC / LINEAR) ** 0.5)
    third = math.log(math.abs(t) + math.sqrt(t * t + 1)) / 3
    size = (LINEAR / (3 * CUBIC)) ** 0.5 * (math.exp(third) - math.exp(-third))
    return math.where(t < 0, -size, size)


real = Support("real")
positive = Support("positive", lower=0.0, link="log")
softplus = Support("softplus", lower=0.0, link="softplus")
unit = Support("unit", lower=0.0, upper=1.0, link="logit")


def interval(lower: float, upper: float) -> Support:
    """Return the support of the numbers from `lower` to `upper`, with a scaled logit link."""
    return Support(f"interval({lower:g}, {upper:g})", lower, upper, "logit")


def phi_interval(lower: float, upper: float) -> Support:
    """Return the support of the numbers from `lower` to `upper`, with a scaled link close to a probit."""
    return Support(f"phi_interval({lower:g}, {upper:g})", lower, upper, "phi")


def integer(lower: int, upper: int) -> Support:
    """Return the support of the whole numbers from `lower` to `upper`."""
    return Support(f"integer({lower}, {upper})", lower, upper, "none", discrete=True)


def at_least(lower: float) -> Support:
    """Return the support of the numbers from `lower` on, for inputs."""
    return Support(f"at_least({lower:g})", lower, link="none")


@dataclass(frozen=True)
class Index:
    """The kind of an input that counts from 0 to one less than a fact, such as ``n_actions``.

    Parameters
    ----------
    fact : str
        The fact.
    exactly : int, optional
        What the fact must be, where a model is for no other number.
    """

    fact: str
    exactly: int | None = None

    def allows(self, facts: Mapping[str, Any]) -> bool:
        """True if the fact is what it must be."""
        return self.exactly in (None, facts.get(self.fact))

    def __str__(self) -> str:
        return f"index({self.fact})" if self.exactly is None else f"index({self.fact}={self.exactly})"


def index(fact: str, exactly: int | None = None) -> Index:
    """Return the kind of an input that is an index below a fact: ``index("n_actions")``, ``index("n_actions", 2)``."""
    return Index(fact, exactly)


@dataclass(frozen=True)
class Boolean:
    """The kind of an input that is true or false."""

    def __str__(self) -> str:
        return "boolean"


boolean = Boolean()
type Kind = Support | Index | Boolean


@dataclass(frozen=True)
class Input:
    """One column of a trial that a model reads.

    Parameters
    ----------
    name : str
        The column, in the names of `read_trials`.
    kind : Support, index(...) or boolean
        What it holds.
    shape : tuple of int or str
        Its shape at one trial, in numbers or facts; () for a number.
    response : bool
        Whether it is something that the subject does, and so has a probability.
    after : str, optional
        The response after which it is seen; None: it is seen before responding.
    default : optional
        What is read where the trials have no such column; without a default the column is required.
    unless : str, optional
        A column of true and false: where it is true there is nothing to be seen, and the cell may be empty.
    """

    name: str
    kind: Kind
    shape: Shape = ()
    response: bool = False
    after: str | None = None
    default: float | bool | None = None
    unless: str = ""

    @property
    def dtype(self) -> str:
        """The NumPy type of the column."""
        return {Index: "int64", Boolean: "bool"}.get(type(self.kind), "float64")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a model.

    Parameters
    ----------
    name : str
        Its name, the field's where there is one.
    support : Support
        The values it may take.
    shape : tuple of int or str
        Its shape for one subject; a string is a fact, or a fact less a number ("n_actions-1").
    prior : Prior, optional
        The distribution of a subject's value where nothing is known; required unless it has a `value`.
    plausible : float, optional
        A typical value, for examples and tests.
    meaning, citation : str
        What it stands for; where prior or name come from.
    units : str
        Units, where rescaling the data changes it: "reward" or "1/reward"; or the parameter that is its unit.
    value : float, optional
        With a value it is a constant until it is freed (``free=("q0",)``, or a prior for it).
    """

    name: str
    support: Support
    shape: Shape = ()
    prior: Prior | None = None
    plausible: float | None = None
    meaning: str = ""
    citation: str = ""
    units: str = ""
    value: float | None = None

    def __post_init__(self) -> None:
        if self.prior is None and self.value is None:
            raise ValueError(f"parameter {self.name!r}: give it a prior, or a value that it keeps until it is freed")
        for what, number in (("value", self.value), ("plausible", self.plausible)):
            if number is not None and not self.support.contains(number):
                raise ValueError(f"parameter {self.name!r}: {what}={number} is outside its support, {self.support}")


def resolve_shape(shape: Shape, facts: Mapping[str, Any]) -> tuple[int, ...]:
    """Return a shape in numbers: facts' names, and facts less a number, are looked up."""
    found = tuple(_length(s, facts) if isinstance(s, str) else s for s in shape)
    math.check_size(found)
    return found


def _length(expression: str, facts: Mapping[str, Any]) -> int:
    fact, _, less = expression.partition("-")
    if fact.strip() not in facts:
        raise ValueError(
            f"the model needs to know {fact.strip()}: pass read_trials(..., facts={{'{fact.strip()}': ...}})"
        )
    return int(facts[fact.strip()]) - int(less or 0)
