"""What a learner is: a declaration and a few pure functions of one subject at one trial.

    learner              the class `Model`
    parameters           inputs and parameters, with their supports and links
    usual_parameters     parameters that many learners have
    priors, responses    distributions of parameters, and of what a subject does
    facts                what is known before the data
    rules                choice rules, on the mathematics in choice_probabilities
    options              value rules that many learners share
    hidden_markov        a learner in a hidden Markov model of attention
    registry             models by name, and their variants
    card                 what there is to know about a model, as plain data and as text

Nothing here knows data, PyMC or how a likelihood is computed.
"""

from rlpymc.model.expectation import Expectation
from rlpymc.model.facts import Fact, Facts
from rlpymc.model.learner import Model
from rlpymc.model.parameters import (
    Input,
    Parameter,
    at_least,
    boolean,
    index,
    integer,
    interval,
    positive,
    real,
    softplus,
    unit,
)
from rlpymc.model.record import Record

__all__ = [
    "Expectation",
    "Fact",
    "Facts",
    "Input",
    "Model",
    "Parameter",
    "Record",
    "at_least",
    "boolean",
    "index",
    "integer",
    "interval",
    "positive",
    "real",
    "softplus",
    "unit",
]
