"""A Markov decision process: states, actions, where they lead, what they bring."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from rlpymc.checks import SUM, array_of_numbers, check_finite, few, number, place, probabilities


class MDP:
    """A Markov decision process with finitely many states and actions.

    A terminal state ends an episode: nothing follows it, no reward and no action that would count, so that its value is
    0, with entropy or without, and what a policy says there means nothing. Its rows of `transition` and `reward` are
    not read; here it leads to itself, for 0.

    Parameters
    ----------
    transition : (n_states, n_actions, n_states), or a sequence of n_actions sparse (n_states, n_states)
        Probability of the next state, given state and action; sums to 1 over next states.
    reward : (n_states, n_actions)
        Expected reward of an action in a state.
    discount : float
        What a reward is worth a step later, in [0, 1]. Values without a horizon need less than 1, unless every policy
        ends in a terminal state for certain; see `endless`.
    initial : (n_states,), optional
        Probability of the first state; uniform over the states that are not terminal, unless told.
    terminal : int or sequence of int
        States with which an episode is over.

    Attributes
    ----------
    n_states, n_actions : int
        How many there are.
    transition : scipy.sparse.csr_array (n_states * n_actions, n_states)
        Row ``state * n_actions + action`` has the probabilities of the next states.
    reward : (n_states, n_actions)
        As given, 0 in terminal states.
    discount, initial, terminal
        As given.
    ends : (n_states,)
        True for terminal states.

    Raises
    ------
    ValueError
        If shapes disagree, rows are no probabilities (which state and action, the sum found), a reward is NaN or
        infinite, the discount is outside [0, 1], or a terminal state does not exist.

    Notes
    -----
    States that nothing leads to from the first ones are allowed, and `unreachable` lists them: their values are what
    they would be there. What is sampled never visits them.
    """

    def __init__(
        self,
        transition: Any,
        reward: Any,
        discount: float = 1.0,
        initial: Any = None,
        terminal: int | Sequence[int] | np.ndarray = (),
    ) -> None:
        rows, n, k = _rows(transition)
        self.n_states, self.n_actions = n, k
        self.terminal = _terminal(terminal, n)
        self.ends = np.isin(np.arange(n), self.terminal)
        self.transition = _with_ends(rows, np.repeat(self.ends, k))
        _check_transitions(self.transition, k)
        given = array_of_numbers("reward", reward)
        self.reward = array_of_numbers("reward", given, (n, k), _other_reward(given.shape, n, k))
        self.reward[self.ends] = 0.0
        check_finite("reward", self.reward, ("state", "action"))
        self.discount = number("discount", discount, 0.0, 1.0, "a number in [0, 1]")
        if initial is None:
            if self.ends.all():
                raise ValueError("terminal: all states are; expected one at least where an episode can start")
            initial = ~self.ends / np.sum(~self.ends)
        self.initial = probabilities("initial", initial, (n,), ("state",))
        for array in (self.reward, self.initial, self.ends, self.terminal, self.transition.data):
            array.setflags(write=False)

    def __repr__(self) -> str:
        parts = [f"{self.n_states} states, {self.n_actions} actions, discount {self.discount:g}"]
        if len(self.terminal):
            parts.append(f"terminal {few(self.terminal)}")
        if len(self.unreachable):
            parts.append(f"unreachable {few(self.unreachable)}")
        return f"MDP({'; '.join(parts)})"

    @classmethod
    def from_gymnasium(cls, env: Any, discount: float = 1.0) -> Self:
        """Return the process of a tabular Gymnasium environment, such as FrozenLake, Taxi or CliffWalking.

        Parameters
        ----------
        env : gymnasium.Env
            With a table ``env.unwrapped.P[state][action]`` of (probability, next state, reward, terminated) and
            ``env.unwrapped.initial_state_distrib``, as the toy-text environments have them. Limits of time, which are
            a wrapper's, are no part of the process.
        discount : float
            In [0, 1].

        Returns
        -------
        MDP
            Rewards are averaged over next states. States that end an episode are terminal, whatever the table says
            about them.

        Raises
        ------
        ValueError
            If there is no table, or a state is entered both with and without the end of the episode.
        """
        inner = getattr(env, "unwrapped", env)
        table, initial = getattr(inner, "P", None), getattr(inner, "initial_state_distrib", None)
        if table is None or initial is None:
            raise ValueError(
                f"{env}: found no table of transitions, expected env.unwrapped.P and initial_state_distrib, which "
                "tabular environments like FrozenLake have"
            )
        n, k = int(inner.observation_space.n), int(inner.action_space.n)
        found = [(s, a, *outcome) for s in range(n) for a in range(k) for outcome in table[s][a] if outcome[0] > 0]
        columns = np.array(found, dtype=np.float64).T
        state, action, next_state = columns[[0, 1, 3]].astype(int)
        probability, reward, over = columns[2], columns[4], columns[5] > 0
        by_action = [
            sparse.csr_array((probability[at], (state[at], next_state[at])), shape=(n, n))
            for at in (action == a for a in range(k))
        ]
        expected = np.bincount(state * k + action, probability * reward, minlength=n * k).reshape(n, k)
        process = cls(by_action, expected, discount, initial, np.unique(next_state[over]))
        lived = ~process.ends & ~np.isin(np.arange(n), process.unreachable)
        clash = np.flatnonzero(~over & process.ends[next_state] & lived[state])
        if len(clash):
            raise ValueError(
                f"{env}: state {next_state[clash[0]]} is entered without the end of the episode from "
                f"{place(('state', 'action'), (state[clash[0]], action[clash[0]]))}, and with it from elsewhere; "
                "make two states of it"
            )
        return process

    def expected(self, v: np.ndarray) -> np.ndarray:
        """Return the expectation of the next state's value.

        Parameters
        ----------
        v : (n_states,)
            Values.

        Returns
        -------
        (n_states, n_actions)
            ``sum over s' of p(s' | s, a) v(s')``.
        """
        return np.asarray(self.transition @ v).reshape(self.n_states, self.n_actions)

    @cached_property
    def cumulative(self) -> np.ndarray:
        """Sum of the entries of `transition` up to each, over all rows: (n_entries,); for drawing next states."""
        return np.cumsum(self.transition.data)

    @cached_property
    def unreachable(self) -> np.ndarray:
        """States that no policy gets to from the first ones: (n,) int, in order."""
        distance = csgraph.dijkstra(
            self.leads_to(), indices=np.flatnonzero(self.initial > 0), unweighted=True, min_only=True
        )
        return np.flatnonzero(np.isinf(distance))

    @cached_property
    def endless(self) -> np.ndarray:
        """States from which some policy stays away from terminal states for ever: (n,) int, in order.

        If there are none, every policy ends for certain, and values are finite with discount 1, too.
        """
        # A state leaves the set once each of its actions may lead out of the set.
        into = self.transition.tocsc()
        stays, open_rows = np.full(self.n_states, self.n_actions), np.ones(self.transition.shape[0], dtype=bool)
        inside, out = ~self.ends, self.terminal
        while len(out):
            rows = np.unique(np.concatenate([into.indices[into.indptr[s] : into.indptr[s + 1]] for s in out]))
            rows = rows[open_rows[rows]]
            open_rows[rows] = False
            states, count = np.unique(rows // self.n_actions, return_counts=True)
            stays[states] -= count
            out = states[stays[states] == 0]
            inside[out] = False
        return np.flatnonzero(inside)

    def leads_to(self, policy: np.ndarray | None = None) -> sparse.csr_array:
        """Return the chain of states (n_states, n_states) under a policy (n_states, n_actions).

        Without a policy, the sum of the transitions over actions: zero where no action leads.
        """
        n, k = self.n_states, self.n_actions
        weights = np.ones(n * k) if policy is None else np.ravel(policy)
        mixed = sparse.csr_array((weights, np.arange(n * k), np.arange(0, n * k + 1, k)), shape=(n, n * k))
        return sparse.csr_array(mixed @ self.transition)


def _rows(transition: Any) -> tuple[sparse.csr_array, int, int]:
    """Return transitions with a row for each state and action, how many states there are, and how many actions."""
    if sparse.issparse(transition):
        raise ValueError(
            f"transition: found one sparse matrix {transition.shape}, expected a sequence of them, one for each action"
        )
    if isinstance(transition, list | tuple) and any(sparse.issparse(one) for one in transition):
        n, k = transition[0].shape[0], len(transition)
        for a, one in enumerate(transition):
            if one.shape != (n, n) or n == 0:
                raise ValueError(f"transition of action {a}: found shape {one.shape}, expected ({n or 1}, {n or 1})")
            if np.iscomplexobj(one):
                raise ValueError(f"transition of action {a}: found complex numbers, expected probabilities")
        by_action = sparse.vstack([sparse.csr_array(one, dtype=np.float64) for one in transition], format="csr")
        rows = by_action[(np.arange(n)[:, None] + n * np.arange(k)).ravel()]
    else:
        dense = array_of_numbers("transition", transition)
        if dense.ndim != 3 or dense.shape[0] != dense.shape[2] or 0 in dense.shape:
            by_action = dense.ndim == 3 and dense.shape[1] == dense.shape[2]
            raise ValueError(
                f"transition: found shape {dense.shape}, expected (n_states, n_actions, n_states)."
                + (" With actions first, pass np.swapaxes(transition, 0, 1)." if by_action else "")
            )
        n, k = dense.shape[:2]
        rows = sparse.csr_array(dense.reshape(n * k, n))
    return rows, n, k


def _with_ends(rows: sparse.csr_array, over: np.ndarray) -> sparse.csr_array:
    """Return the rows, those of terminal states leading to themselves."""
    n_rows, n = rows.shape
    entries, loops = rows.tocoo(), np.flatnonzero(over)
    kept = ~over[entries.coords[0]]
    row = np.concatenate([entries.coords[0][kept], loops])
    column = np.concatenate([entries.coords[1][kept], loops // (n_rows // n)])
    data = np.concatenate([entries.data[kept], np.ones(len(loops))])
    ended = sparse.csr_array((data, (row, column)), shape=rows.shape)
    ended.eliminate_zeros()
    return ended


def _check_transitions(rows: sparse.csr_array, n_actions: int) -> None:
    """Raise an error that names the first state and action whose probabilities are none."""
    entries = rows.tocoo()
    wrong = np.flatnonzero(~(np.isfinite(entries.data) & (entries.data >= 0)))
    if len(wrong):
        row, column = (int(k[wrong[0]]) for k in entries.coords)
        raise ValueError(
            f"transition of {place(('state', 'action'), divmod(row, n_actions))} to state {column}: found "
            f"{entries.data[wrong[0]]} ({len(wrong)} such in all), expected a probability"
        )
    sums = np.asarray(rows.sum(axis=1)).ravel()
    wrong = np.flatnonzero(np.abs(sums - 1) > SUM)
    if len(wrong):
        raise ValueError(
            f"transition of {place(('state', 'action'), divmod(int(wrong[0]), n_actions))}: the probabilities sum to "
            f"{sums[wrong[0]]:.10g} ({len(wrong)} such rows in all), expected 1. Where nothing follows, name the state "
            "in terminal=; where this is rounding, divide the rows by their sums."
        )


def _other_reward(shape: tuple[int, ...], n_states: int, n_actions: int) -> str:
    """The mend for rewards in one of the other usual shapes."""
    if shape == (n_states,):
        return "For a reward of states alone, pass np.repeat(reward[:, None], n_actions, axis=1)."
    if shape == (n_states, n_actions, n_states):
        return "For a reward that depends on the next state, pass (transition * reward).sum(axis=2)."
    return ""


def _terminal(terminal: int | Sequence[int] | np.ndarray, n_states: int) -> np.ndarray:
    states = np.atleast_1d(np.asarray(terminal))
    if states.size == 0:
        return np.zeros(0, dtype=int)
    if states.ndim != 1 or states.dtype.kind not in "iu" or ((states < 0) | (states >= n_states)).any():
        listed = ", ".join(map(str, states.ravel()[:8]))
        raise ValueError(f"terminal: found {listed}, expected numbers of states from 0 to {n_states - 1}")
    return np.unique(states)
