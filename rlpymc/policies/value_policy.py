"""What value-based policies have in common: a distribution over actions, given their values, and all that follows."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from rlpymc import math
from rlpymc.checks import action_values, check_structure, probabilities, whole_numbers
from rlpymc.model.choice_probabilities import greedy
from rlpymc.model.responses import Categorical
from rlpymc.policies.categorical import mean_log_ratio, mean_under
from rlpymc.policies.over_states import StatePolicy

__all__ = ["ValuePolicy"]


class ValuePolicy(ABC):
    """What `EpsilonGreedy` and `Boltzmann` have in common: a distribution over actions, given their values.

    In all methods, `q` is (..., n_actions): the values of the actions, in any unit, -inf for what is not on offer.  All
    raise a TypeError if `q` is not made of numbers, and a ValueError if a value is NaN or +inf or nothing is on offer.
    """

    __slots__ = ("_params",)  # so that nothing can be assigned that would have no effect

    def __init__(self, **params: Any) -> None:
        self._params = self._checked(params)

    @abstractmethod
    def _checked(self, params: Mapping[str, Any]) -> dict[str, float]:
        """Return parameters as numbers, or raise an error that says what is wrong with them."""

    @abstractmethod
    def _distribution(self, q: np.ndarray) -> Categorical:
        """Return the distribution of the action, given values that were checked."""

    @property
    def params(self) -> dict[str, float]:
        """The parameters by name.

        This is a copy.  To change them, assign a dict with the same names: ``policy.params = {"epsilon": 0.2}``; other
        names or shapes are a TypeError, values out of range a ValueError, and neither changes anything.
        """
        return dict(self._params)

    @params.setter
    def params(self, new: Mapping[str, Any]) -> None:
        check_structure(new, self._params)
        self._params = self._checked(new)

    def probs(self, q: Any) -> Any:
        """Return the probability of each action, (..., n_actions)."""
        return self._distribution(action_values(q)).probs

    def logits(self, q: Any) -> Any:
        """Return the log probability of each action, (..., n_actions), normalised; -inf for what is impossible.

        Under the name dist_params, coax gives those of a Boltzmann policy without normalising them: they differ by a
        constant.
        """
        return self._distribution(action_values(q)).log_probs

    def log_prob(self, q: Any, action: Any) -> Any:
        """Return the log probability of actions.

        Parameters
        ----------
        q : (..., n_actions)
            Values.
        action : (...) int
            From 0 to n_actions - 1, one for each row of values; or many for one row, or one for many rows.

        Returns
        -------
        (...)
            -inf for what is impossible.

        Raises
        ------
        ValueError
            If there is no such action, or shapes do not go together.
        """
        return _entry(self.logits(q), action)

    def sample(self, q: Any, rng: np.random.Generator | int) -> tuple[Any, Any]:
        """Draw an action for each row of values.

        Parameters
        ----------
        q : (..., n_actions)
            Values.
        rng : Generator or int
            Source of random numbers, or its seed.  In a loop pass a Generator: with a seed every call draws alike.

        Returns
        -------
        action : (...) int
            From 0 to n_actions - 1.
        log_prob : (...)
            The exact log probability of that action, as `log_prob` gives it.
        """
        distribution = self._distribution(action_values(q))
        action = distribution.sample(np.random.default_rng(rng))
        return action, _entry(distribution.log_probs, action)

    def mean(self, q: Any) -> Any:
        """Return the mean of the action as a one-hot vector, (..., n_actions), which is the probabilities.

        (Numbers of actions have no meaningful mean; the most probable action is `mode`.)
        """
        return self.probs(q)

    def mode(self, q: Any, rng: np.random.Generator | int) -> Any:
        """Return a most probable action for each row of values, (...) int; tied ones are drawn with equal chances.

        Parameters
        ----------
        q : (..., n_actions)
            Values.
        rng : Generator or int
            Source of random numbers, or its seed, for ties: actions whose probabilities are equal.
        """
        return Categorical(probs=greedy(self.logits(q))).sample(np.random.default_rng(rng))

    def entropy(self, q: Any) -> Any:
        """Return the entropy of the action, (...), in nats."""
        distribution = self._distribution(action_values(q))
        return mean_under(distribution.probs, -distribution.log_probs)

    def cross_entropy(self, q: Any, other: Any) -> Any:
        """Return the cross-entropy of another distribution relative to this one, -sum_a p(a) log other(a).

        Parameters
        ----------
        q : (..., n_actions)
            Values.
        other : ValuePolicy, Categorical or (..., n_actions)
            A policy, given the same values; a distribution; or probabilities.

        Returns
        -------
        (...)
            In nats; inf where the other rules out what this one may do.
        """
        distribution = self._distribution(action_values(q))
        return mean_under(distribution.probs, -_log_probs(other, q, distribution))

    def kl(self, q: Any, other: Any) -> Any:
        """Return the Kullback-Leibler divergence of this distribution from another, sum_a p(a) log(p(a) / other(a)).

        Parameters
        ----------
        q : (..., n_actions)
            Values.
        other : ValuePolicy, Categorical or (..., n_actions)
            A policy, given the same values; a distribution; or probabilities.

        Returns
        -------
        (...)
            In nats; inf where the other rules out what this one may do.
        """
        distribution = self._distribution(action_values(q))
        return mean_log_ratio(distribution.probs, distribution.log_probs, _log_probs(other, q, distribution))

    def over(self, qfunction: Any, action_space: Any = None) -> StatePolicy:
        """Return the same policy on states, whose values a Q function gives.

        Parameters
        ----------
        qfunction : (n_states, n_actions), callable or QFunction
            A table of values, for states that are whole numbers; a function of a batch of states that returns
            (batch, n_actions); or a `StochasticQ`, `SuccessorFeatures`, `SuccessorStateQ` or `TransformedQ`.
        action_space : gymnasium.spaces.Discrete, optional
            That of the environment, to be checked; that of the Q function, if it has one, unless told.

        Returns
        -------
        StatePolicy
            With parameters of its own; the Q function is shared.

        Raises
        ------
        TypeError
            If that is not a Q function, or the action space is not Discrete.
        ValueError
            If values or the number of actions are not right.
        """
        return StatePolicy(copy.copy(self), qfunction, action_space)


def _entry(logits: np.ndarray, action: Any) -> Any:
    """Return the entries (...) of logits (..., n_actions) at actions (...)."""
    n, rows = logits.shape[-1], logits.shape[:-1]
    action = whole_numbers("action", action, n)
    if rows and action.ndim and rows != action.shape:
        raise ValueError(f"action: found shape {action.shape}, expected {rows}, one action for each row of values")
    shape = rows or action.shape
    picked = np.take_along_axis(np.broadcast_to(logits, (*shape, n)), np.broadcast_to(action, shape)[..., None], -1)
    return picked[..., 0][()]  # a number, if it is one


def _log_probs(other: Any, q: Any, own: Categorical) -> np.ndarray:
    """Return the log probabilities of another policy given the same values, of a distribution, or of probabilities."""
    if isinstance(other, ValuePolicy):
        return other.logits(q)
    found = other.log_probs if isinstance(other, Categorical) else math.log(probabilities("other", other))
    wanted = np.shape(own.probs)
    if np.shape(found) not in (wanted, wanted[-1:]):
        shapes = " or ".join(dict.fromkeys((str(wanted), str(wanted[-1:]))))
        raise ValueError(f"other: found probabilities of shape {np.shape(found)}, expected {shapes}")
    return found
