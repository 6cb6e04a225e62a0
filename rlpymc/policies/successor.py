"""Q functions made of what comes after: successor features, and values of the next states."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlpymc.checks import finite_array, probabilities, share, whole_numbers
from rlpymc.policies.q_functions import QFunction
from rlpymc.policies.sources import as_source, evaluated, own_params

__all__ = ["SuccessorFeatures", "SuccessorStateQ"]


class SuccessorFeatures(QFunction):
    """Values as weighted sums of successor features: q(s, a) = psi(s, a) . w.

    Parameters
    ----------
    features : (n_states, n_actions, n_features) or callable
        psi: the expected discounted sum of features after each action in each state.  A table, or a function of a batch
        of states that returns (batch, n_actions, n_features).
    weights : (n_features,)
        w: the reward of a unit of each feature.

    Raises
    ------
    TypeError
        If features are neither, or weights are not a vector of numbers.
    ValueError
        If they do not go together, or are not finite.

    References
    ----------
    Dayan 1993; Barreto et al. 2017, eq. 3.
    """

    def __init__(self, features: Any, weights: Any) -> None:
        self._features = as_source("features", features, ("n_states", "n_actions", "n_features"))
        self._weights = finite_array("weights", weights, ("n_features",))
        if isinstance(self._features, np.ndarray):
            finite_array("features", self._features, ("n_states", "n_actions", "n_features"))
            self._check_lengths(self._features.shape[2])
            self.n_actions = self._features.shape[1]

    def learned(self, states: Any) -> Any:
        """Return the values of all actions, (..., n_actions)."""
        psi = evaluated("features", self._features, states, ("n_actions", "n_features"))
        self._check_lengths(psi.shape[-1])
        return psi @ self._weights

    def _check_lengths(self, n_features: int) -> None:
        if n_features != len(self._weights):
            raise ValueError(
                f"SuccessorFeatures: found {n_features} features and {len(self._weights)} weights, expected one weight "
                "for each feature"
            )

    def _read(self) -> Any:
        return {"features": own_params(self._features), "weights": self._weights}

    def _replace(self, new: Mapping[str, Any]) -> None:
        weights = finite_array("weights", new["weights"], ("n_features",))
        if isinstance(self._features, np.ndarray):
            self._features = finite_array("features", new["features"], ("n_states", "n_actions", "n_features"))
        elif hasattr(self._features, "params"):
            self._features.params = new["features"]
        self._weights = weights

    def __repr__(self) -> str:
        return f"SuccessorFeatures({len(self._weights)} features)"


class SuccessorStateQ(QFunction):
    """Values one step ahead, from those of the states that follow: q(s, a) = r(s, a) + discount * E[v(s')].

    Not to be confused with `SuccessorFeatures`.

    Parameters
    ----------
    v : (n_states,)
        Value of each state.
    transition : (n_states, n_actions, n_states)
        Probability of each next state.
    reward : (n_states, n_actions)
        Expected reward of each action in each state.
    discount : float
        In [0, 1].

    Raises
    ------
    TypeError
        If these are not numbers, or not of so many axes.
    ValueError
        If shapes do not go together, numbers are not finite, or transitions are no probabilities.

    References
    ----------
    Sutton & Barto 2018, eq. 4.6; coax, `SuccessorStateQ`, which takes v at the mean next state instead.
    """

    def __init__(self, v: Any, transition: Any, reward: Any, discount: float) -> None:
        self._replace({"v": v, "transition": transition, "reward": reward, "discount": discount})

    def learned(self, states: Any) -> Any:
        """Return the values of all actions, (..., n_actions)."""
        s = whole_numbers("state", states, len(self._held["v"]))
        held = self._held
        return held["reward"][s] + held["discount"] * (held["transition"][s] @ held["v"])

    def _read(self) -> Any:
        return self._held

    def _replace(self, new: Mapping[str, Any]) -> None:
        v = finite_array("v", new["v"], ("n_states",))
        transition = finite_array("transition", new["transition"], ("n_states", "n_actions", "n_states"))
        reward = finite_array("reward", new["reward"], ("n_states", "n_actions"))
        if transition.shape != (*reward.shape, len(v)) or len(reward) != len(v):
            raise ValueError(
                f"SuccessorStateQ: found v {v.shape}, transition {transition.shape} and reward {reward.shape}, "
                "expected (n_states,), (n_states, n_actions, n_states) and (n_states, n_actions)"
            )
        probabilities("transition", transition, transition.shape, ("state", "action", "next state"))
        discount = share("discount", new["discount"])
        self._held: dict[str, Any] = {"v": v, "transition": transition, "reward": reward, "discount": discount}
        self.n_actions = reward.shape[1]

    def __repr__(self) -> str:
        return f"SuccessorStateQ({len(self._held['v'])} states x {self.n_actions} actions)"
