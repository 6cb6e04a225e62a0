"""How the values of actions become behaviour: epsilon-greedy and Boltzmann policies.

A policy works on arrays of values, with any leading axes and the last one over actions: ``policy.probs(q)``.  With
``policy.over(qfunction)`` it works on states.  The same two rules are the choice rules `epsilon_greedy` and `softmax`
of models (`rlpymc.model.rules`); the mathematics of both stands in `rlpymc.model.choice_probabilities`, and so does
what happens with ties.

Both agree on this: a value of -inf means that an action is not on offer, and its probability is 0; values that are NaN
or +inf are refused; probabilities are exact, so that the log probability of an impossible action is -inf.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlpymc.checks import above_zero, one_number, share
from rlpymc.model.choice_probabilities import boltzmann_logits, epsilon_greedy
from rlpymc.model.responses import Categorical
from rlpymc.policies.value_policy import ValuePolicy

__all__ = ["Boltzmann", "EpsilonGreedy"]

MOST_FLOOR = 1e-12


class EpsilonGreedy(ValuePolicy):
    """Take a best action; with probability epsilon, pick any at random.

        p(a) = (1 - epsilon) [a in G] / |G| + epsilon / n,   G = actions of the highest value

    How much worse the others are does not matter: they are all picked alike.

    Parameters
    ----------
    epsilon : float
        Probability of picking at random, in [0, 1]; 0 is greedy, 1 is uniform.
    floor : float
        Added to every probability, at most 1e-12, so that nothing is impossible and every log probability is finite.
        With ``floor=1e-15`` log probabilities are those of coax, down to -34.5 for an action that is not best at
        epsilon of 0; probabilities then sum to 1 + n_actions * floor.  Exact (0) unless told.

    Raises
    ------
    TypeError
        If these are not numbers.
    ValueError
        If epsilon is outside [0, 1], or the floor outside [0, 1e-12].

    References
    ----------
    Sutton & Barto 2018, section 2.2; coax, `EpsilonGreedy`.
    """

    __slots__ = ("_floor",)

    def __init__(self, epsilon: float, floor: float = 0.0) -> None:
        self._floor = one_number("floor", floor)
        if not 0 <= self._floor <= MOST_FLOOR:
            raise ValueError(
                f"floor: found {self._floor:g}, expected a number from 0 to {MOST_FLOOR:g}; it is there to keep "
                "logarithms finite, and epsilon to spread choices"
            )
        super().__init__(epsilon=epsilon)

    @property
    def epsilon(self) -> float:
        """The probability of picking at random; may be assigned to."""
        return self._params["epsilon"]

    @epsilon.setter
    def epsilon(self, new: float) -> None:
        self.params = {"epsilon": new}

    @property
    def floor(self) -> float:
        """What is added to every probability."""
        return self._floor

    def _checked(self, params: Mapping[str, Any]) -> dict[str, float]:
        return {"epsilon": share("epsilon", params["epsilon"])}

    def _distribution(self, q: np.ndarray) -> Categorical:
        return Categorical(probs=epsilon_greedy(q, self.epsilon, q > -np.inf) + self._floor)

    def __repr__(self) -> str:
        floor = f", floor={self._floor:g}" if self._floor else ""
        return f"EpsilonGreedy(epsilon={self.epsilon:g}{floor})"


class Boltzmann(ValuePolicy):
    """Choose in proportion to exp(value / temperature): the better, the likelier.

        p(a) = exp(q(a) / temperature) / sum_b exp(q(b) / temperature)

    This is the softmax of models with inverse temperature beta = 1 / temperature.  Adding a number to all values
    changes nothing; multiplying them by c is the same as dividing the temperature by c, so that a temperature only
    means something together with the scale of the rewards.

    Parameters
    ----------
    temperature : float
        Above 0, in units of the values.  Towards 0 the choice becomes greedy, with ties shared; towards infinity,
        uniform.

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is not above 0 and finite; the limit of 0 is ``EpsilonGreedy(0)``.

    References
    ----------
    Sutton & Barto 2018, eq. 2.11; coax, `BoltzmannPolicy`.
    """

    __slots__ = ()

    def __init__(self, temperature: float) -> None:
        super().__init__(temperature=temperature)

    @property
    def temperature(self) -> float:
        """The temperature; may be assigned to."""
        return self._params["temperature"]

    @temperature.setter
    def temperature(self, new: float) -> None:
        self.params = {"temperature": new}

    def _checked(self, params: Mapping[str, Any]) -> dict[str, float]:
        return {"temperature": above_zero("temperature", params["temperature"])}

    def _distribution(self, q: np.ndarray) -> Categorical:
        return Categorical(logits=boltzmann_logits(q, self.temperature))

    def __repr__(self) -> str:
        return f"Boltzmann(temperature={self.temperature:g})"
