"""From values to behaviour: the choice rules of models, and the same rules as policies on values and on states."""

from rlpymc.model.rules import RULES, Rule, available, parse_policy, policy_from_rules
from rlpymc.policies.categorical import (
    categorical_cross_entropy,
    categorical_entropy,
    categorical_kl,
    from_one_hot,
    gumbel_softmax,
    one_hot,
)
from rlpymc.policies.over_states import StatePolicy
from rlpymc.policies.q_functions import Q, QFunction, StochasticQ, TransformedQ
from rlpymc.policies.successor import SuccessorFeatures, SuccessorStateQ
from rlpymc.policies.value_based import Boltzmann, EpsilonGreedy
from rlpymc.policies.value_policy import ValuePolicy

__all__ = [
    "RULES",
    "Boltzmann",
    "EpsilonGreedy",
    "Q",
    "QFunction",
    "Rule",
    "StatePolicy",
    "StochasticQ",
    "SuccessorFeatures",
    "SuccessorStateQ",
    "TransformedQ",
    "ValuePolicy",
    "available",
    "categorical_cross_entropy",
    "categorical_entropy",
    "categorical_kl",
    "from_one_hot",
    "gumbel_softmax",
    "one_hot",
    "parse_policy",
    "policy_from_rules",
]
