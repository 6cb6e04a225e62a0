"""Parameters that are whole numbers: the likelihood is summed over their values, subject by subject."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rlpymc.model import Parameter
from rlpymc.model.priors import Prior


@dataclass(frozen=True)
class Marginal:
    """A parameter that the likelihood is summed over.

    Parameters
    ----------
    values : (k,) ndarray
        The values.
    log_weights : tensor (k,) or (subject, k)
        Their log probabilities.
    """

    values: np.ndarray
    log_weights: Any


def shares(parameter: Parameter, prior: Prior) -> tuple[np.ndarray, np.ndarray]:
    """Return the whole numbers that a prior allows, and their probabilities."""
    weights = np.exp(prior.log_prob(whole_numbers(parameter)))
    values, weights = whole_numbers(parameter)[weights > 0], weights[weights > 0]
    return values, weights / weights.sum()


def whole_numbers(parameter: Parameter) -> np.ndarray:
    """Return the values that a parameter which is a whole number can take."""
    return np.arange(int(parameter.support.lower), int(parameter.support.upper) + 1)
