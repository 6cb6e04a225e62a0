"""A value-based policy on states: a Q function, and the rule by which its values become choices."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlpymc.checks import action_values, check_structure
from rlpymc.model.responses import Categorical
from rlpymc.policies.q_functions import as_qfunction

__all__ = ["StatePolicy"]


class StatePolicy:
    """What ``policy.over(qfunction)`` returns: the policy's methods, with states in the place of values.

    States are whole numbers in an array of any shape (...) where the Q function is a table, and otherwise a batch along
    the first axis; see `rlpymc.policies.q_functions`.  Values are computed by ``q.learned(states)``, and errors in them
    name the state.

    Parameters
    ----------
    policy : ValuePolicy
        The rule.
    qfunction : (n_states, n_actions), callable or QFunction
        What gives the values.
    action_space : gymnasium.spaces.Discrete, optional
        That of the environment, or of the Q function; the number of actions has to be the same.

    Raises
    ------
    TypeError
        If that is not a Q function, or the action space is not Discrete.
    ValueError
        If the numbers of actions differ, or actions of the space are not counted from 0.
    """

    __slots__ = ("n_actions", "policy", "q")  # so that nothing can be assigned that would have no effect

    def __init__(self, policy: Any, qfunction: Any, action_space: Any = None) -> None:
        self.policy, self.q = policy, as_qfunction(qfunction)
        space = getattr(qfunction, "action_space", None) if action_space is None else action_space
        self.n_actions = self.q.n_actions if space is None else _number_of_actions(space)
        if self.q.n_actions is not None:
            self._check_actions(self.q.n_actions)

    def _check_actions(self, n: int) -> None:
        if self.n_actions not in (None, n):
            raise ValueError(f"q: found values of {n} actions, expected {self.n_actions}, as the action space has")

    @property
    def params(self) -> dict[str, Any]:
        """The rule's parameters by name, and as "q" those of the Q function.

        This is a copy.  To replace both, assign a dict of the same structure; other names or shapes are a TypeError,
        values out of range a ValueError, and neither changes anything.  Whoever shares the Q function sees the change.
        """
        return {**self.policy.params, "q": self.q.params}

    @params.setter
    def params(self, new: Mapping[str, Any]) -> None:
        check_structure(new, self.params)
        rule = self.policy._checked(new)
        self.q.params = new["q"]
        self.policy.params = rule

    def values(self, states: Any) -> Any:
        """Return the values that the policy chooses by, (..., n_actions)."""
        q = action_values(self.q.learned(states), "q", np.asarray(states))
        self._check_actions(q.shape[-1])
        return q

    def probs(self, states: Any) -> Any:
        """Return the probability of each action, (..., n_actions)."""
        return self.policy.probs(self.values(states))

    def logits(self, states: Any) -> Any:
        """Return the log probability of each action, (..., n_actions), normalised; -inf for what is impossible."""
        return self.policy.logits(self.values(states))

    def log_prob(self, states: Any, action: Any) -> Any:
        """Return the log probability (...) of actions (...), one for each state."""
        return self.policy.log_prob(self.values(states), action)

    def sample(self, states: Any, rng: np.random.Generator | int) -> tuple[Any, Any]:
        """Draw an action for each state, and return it with its exact log probability, both (...)."""
        return self.policy.sample(self.values(states), rng)

    def mean(self, states: Any) -> Any:
        """Return the mean of the action as a one-hot vector, (..., n_actions), which is the probabilities."""
        return self.policy.mean(self.values(states))

    def mode(self, states: Any, rng: np.random.Generator | int) -> Any:
        """Return a most probable action for each state, (...) int; tied ones are drawn with equal chances."""
        return self.policy.mode(self.values(states), rng)

    def entropy(self, states: Any) -> Any:
        """Return the entropy of the action in each state, (...), in nats."""
        return self.policy.entropy(self.values(states))

    def cross_entropy(self, states: Any, other: Any) -> Any:
        """Return the cross-entropy (...) of another distribution relative to this one, in nats.

        The other is a policy over the same states, a policy that is given the same values, or probabilities.
        """
        return self.policy.cross_entropy(self.values(states), self._other(states, other))

    def kl(self, states: Any, other: Any) -> Any:
        """Return the Kullback-Leibler divergence (...) of this distribution from another, in nats.

        The other is a policy over the same states, a policy that is given the same values, or probabilities.
        """
        return self.policy.kl(self.values(states), self._other(states, other))

    def _other(self, states: Any, other: Any) -> Any:
        return Categorical(logits=other.logits(states)) if isinstance(other, StatePolicy) else other

    def __repr__(self) -> str:
        return f"{self.policy!r}.over({self.q!r})"


def _number_of_actions(space: Any) -> int:
    """Return the number of actions of a Discrete action space, or raise an error that says what is wrong with it."""
    from gymnasium import spaces  # models import this package, and do not need it

    if not isinstance(space, spaces.Discrete):
        several = isinstance(space, spaces.MultiDiscrete)
        hint = "; of a vector environment, pass single_action_space" if several else ""
        raise TypeError(f"action_space: found {space}, expected Discrete: one action out of n{hint}")
    if space.start != 0:
        raise ValueError(f"action_space: found actions counted from {space.start}, expected from 0")
    return int(space.n)
