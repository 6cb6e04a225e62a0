"""Q functions: what gives the value of every action in a state.

A policy over states (``policy.over(...)``) takes a table, a plain function, or one of the classes of this module and of
`rlpymc.policies.successor`.  States are whole numbers where there is a table.  Otherwise they come as a batch, with
states along the first axis: one state that is a vector goes in as ``state[None]``, one that is a number as it is.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from rlpymc.checks import action_values, check_structure
from rlpymc.policies.sources import as_source, evaluated, is_array, own_params

__all__ = ["Q", "QFunction", "StochasticQ", "TransformedQ", "as_qfunction"]


class QFunction(ABC):
    """What gives the value of every action in a state.

    Calling it gives values in units of reward.  Policies use `learned`, which differs from that for `TransformedQ`
    only.  `n_actions` is None if it is not known before the first call.
    """

    n_actions: int | None = None

    @abstractmethod
    def learned(self, states: Any) -> Any:
        """Return the values as they were learned, (..., n_actions): what policies choose by."""

    def __call__(self, states: Any) -> Any:
        """Return the values in units of reward, (..., n_actions)."""
        return self.learned(states)

    @abstractmethod
    def _read(self) -> Any:
        """Return the parameters as they are held."""

    @abstractmethod
    def _replace(self, new: Any) -> None:
        """Hold new parameters of the right structure, or raise an error and keep the old ones."""

    @property
    def params(self) -> Any:
        """The parameters, as a copy; assign new ones of the same structure (a TypeError otherwise) to replace them."""
        return deepcopy(self._read())

    @params.setter
    def params(self, new: Any) -> None:
        check_structure(new, self._read(), "params of the Q function")
        self._replace(deepcopy(new))


class Q(QFunction):
    """A Q function given as a table or as a function.

    Parameters
    ----------
    source : (n_states, n_actions) or callable
        A table of values, for states that are whole numbers from 0 to n_states - 1 in an array of any shape.  The array
        is not copied, so that what is learned into it is seen at once.  Or a function of a batch of states (batch, ...)
        that returns values (batch, n_actions); if it has `params`, those are read and replaced.

    Raises
    ------
    TypeError
        If the source is neither.
    ValueError
        If a value of the table is NaN or +inf; later, if states are not in the table, or the function returns anything
        but one row for each state.
    """

    def __init__(self, source: Any) -> None:
        self._source = as_source("q", source, ("n_states", "n_actions"))
        if isinstance(self._source, np.ndarray):
            self.n_actions = _checked_table(self._source).shape[1]

    def learned(self, states: Any) -> Any:
        """Return the values of all actions: (..., n_actions) from a table, (batch, n_actions) from a function."""
        return evaluated("q", self._source, states, ("n_actions",))

    def _read(self) -> Any:
        return own_params(self._source)

    def _replace(self, new: Any) -> None:
        if isinstance(self._source, np.ndarray):
            self._source = _checked_table(np.asarray(new))
        elif hasattr(self._source, "params"):
            self._source.params = new

    def __repr__(self) -> str:
        if isinstance(self._source, np.ndarray):
            return f"Q(table of {len(self._source)} states x {self.n_actions} actions)"
        return f"Q({getattr(self._source, '__name__', type(self._source).__name__)})"


class StochasticQ(Q):
    """A Q function that returns a distribution of each value; policies use its mean.

    Parameters
    ----------
    function : callable
        A function of a batch of states (batch, ...) that returns something with a `mean` (an array, or a method without
        arguments that returns one) of shape (batch, n_actions), such as ``scipy.stats.norm(mean, sd)``.

    Raises
    ------
    TypeError
        If it is not a function, or, later, what it returns has no such mean.
    """

    def __init__(self, function: Callable[[np.ndarray], Any]) -> None:
        if not callable(function):
            raise TypeError(f"StochasticQ: found {type(function).__name__}, expected a function of a batch of states")
        super().__init__(function)

    def learned(self, states: Any) -> Any:
        """Return the means of the values of all actions, (batch, n_actions)."""
        return evaluated("q", lambda batch: self._mean(self._source(batch)), states, ("n_actions",))

    @staticmethod
    def _mean(found: Any) -> Any:
        if is_array(found) or not hasattr(found, "mean"):
            raise TypeError(
                f"StochasticQ: the function returned {type(found).__name__}, expected a distribution with a mean; for "
                "plain values take Q"
            )
        return found.mean() if callable(found.mean) else found.mean


class TransformedQ(QFunction):
    """A Q function that was learned in a transformed space, f(q), such as the logarithm of large rewards.

    **Policies use the values as they were learned, f(q), and do not transform them back**: a Boltzmann policy is then
    softmax(f(q) / temperature), with the temperature in units of f(q).  For an increasing f the order of actions, and
    so an epsilon-greedy policy, is the same in both spaces.  To choose by q itself, pass a function:
    ``policy.over(lambda states: transformed_q(states))``.

    Parameters
    ----------
    q : (n_states, n_actions), callable or QFunction
        What was learned: gives f(q).
    forward, inverse : callable
        f and its inverse, on arrays, entry by entry.

    Raises
    ------
    TypeError
        If q is not a Q function, or the others are not functions.
    ValueError
        When called, if f(inverse(x)) differs from x by more than 1e-6 of it at a value x.

    References
    ----------
    coax, `BoltzmannPolicy` and `value_transforms`.
    """

    def __init__(self, q: Any, forward: Callable[[Any], Any], inverse: Callable[[Any], Any]) -> None:
        if not callable(forward) or not callable(inverse):
            raise TypeError("TransformedQ: expected two functions, forward and inverse")
        self._q, self._forward, self._inverse = as_qfunction(q), forward, inverse
        self.n_actions = self._q.n_actions

    def learned(self, states: Any) -> Any:
        """Return the values in the space in which they were learned, (..., n_actions): what policies use."""
        return self._q.learned(states)

    def __call__(self, states: Any) -> Any:
        """Return the values in units of reward, (..., n_actions): the inverse transform of what was learned."""
        learned = self.learned(states)
        found = self._inverse(learned)
        there_and_back = self._forward(found)
        wrong = ~np.isclose(there_and_back, learned, rtol=1e-6, atol=1e-9)
        if np.any(wrong):
            place = tuple(np.argwhere(wrong)[0])
            raise ValueError(
                f"TransformedQ: found forward(inverse({learned[place]:g})) = {there_and_back[place]:g}, expected "
                f"{learned[place]:g}: the two functions are not inverse to each other"
            )
        return found

    def _read(self) -> Any:
        return self._q._read()

    def _replace(self, new: Any) -> None:
        self._q._replace(new)

    def __repr__(self) -> str:
        return f"TransformedQ({self._q!r})"


def as_qfunction(found: Any) -> QFunction:
    """Return a table, a function or a QFunction as a QFunction, or raise a TypeError that says what was found."""
    return found if isinstance(found, QFunction) else Q(found)


def _checked_table(table: np.ndarray) -> np.ndarray:
    """Return a table of values, or raise an error that names the state and action of a wrong one."""
    action_values(table, "q", np.arange(len(table)))
    return table
