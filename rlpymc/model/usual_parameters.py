"""Parameters that many learners have, each with the field's name and a weak prior."""

from typing import Any

from rlpymc.model.parameters import Parameter, positive, real, unit
from rlpymc.model.priors import Beta, Gamma, Normal


def learning_rate(name: str = "alpha", meaning: str = "learning rate", **changes: Any) -> Parameter:
    """A learning rate between 0 and 1, with the prior Beta(1.1, 1.1); `changes` are other fields of `Parameter`."""
    usual: dict[str, Any] = {"prior": Beta(1.1, 1.1), "plausible": 0.3, "citation": "prior: rlpymc, weak"}
    return Parameter(name, unit, meaning=meaning, **(usual | changes))


def inverse_temperature(name: str = "beta", meaning: str = "inverse temperature", **changes: Any) -> Parameter:
    """An inverse temperature above 0, with the prior Gamma(2, 0.5); `changes` are other fields of `Parameter`."""
    usual: dict[str, Any] = {"prior": Gamma(2.0, 0.5), "citation": "prior: rlpymc, weak"}
    return Parameter(name, positive, meaning=meaning, **(usual | changes))


def start_value(
    name: str = "q0", meaning: str = "value before the first trial", units: str = "reward", **changes: Any
) -> Parameter:
    """A value before the first trial, 0 until it is freed; its prior, Normal(0, 1), is for units about 1 apart."""
    usual: dict[str, Any] = {
        "prior": Normal(0.0, 1.0),
        "value": 0.0,
        "citation": f"prior: rlpymc, weak for {units}s about 1 apart",
    }
    return Parameter(name, real, meaning=meaning, units=units, **(usual | changes))
