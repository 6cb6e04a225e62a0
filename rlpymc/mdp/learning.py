"""Q-learning: values learned while acting."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlpymc.checks import LARGEST, SMALLEST, number, weight, whole
from rlpymc.mdp.episodes import Seed
from rlpymc.mdp.exact import require_finite_values
from rlpymc.mdp.fitted import feature_table
from rlpymc.mdp.process import MDP
from rlpymc.mdp.soft import policy_at, value_at


@dataclass(frozen=True, eq=False)
class LearnedQ:
    """Values learned while acting.

    Attributes
    ----------
    v : (n_states,)
        Value of each state.
    q : (n_states, n_actions)
        Value of each action; the value at the start where it was never tried.
    policy : (n_states, n_actions)
        The best action's, or the soft policy.
    visits : (n_states, n_actions) of int
        How often each action was tried.
    history : (n_kept, n_states, n_actions)
        `q` after every so many steps, if asked for.
    weights : (n_features,) or None
        Of the features; None where each state and action has a value of its own.
    """

    v: np.ndarray
    q: np.ndarray
    policy: np.ndarray
    visits: np.ndarray
    history: np.ndarray
    weights: np.ndarray | None = None


def q_learning(
    m: MDP,
    n_steps: int,
    *,
    seed: Seed,
    soft: float = False,
    alpha: float | None = None,
    epsilon: float = 0.1,
    start: float = 0.0,
    features: Any = None,
    horizon: int | None = None,
    every: int | None = None,
) -> LearnedQ:
    """Learn values while acting: ``q(s, a) += alpha (r + discount v(s') - q(s, a))``, v the maximum or the soft one.

    With features, ``weights += alpha features(s, a) (r + discount v(s') - q(s, a))``. What v(s') owes to the weights is
    left out, so that this follows no gradient of any loss (a "semi-gradient"). Without features it converges, if all is
    tried again and again and rates fall slowly enough, as those below do; with features it need not.

    Parameters
    ----------
    m : MDP
        With a discount below 1, or where every policy ends.
    n_steps : int
        Steps, over all episodes.
    seed : int or numpy.random.Generator
        The same seed gives the same values.
    soft : float
        The temperature of the soft value and of the actions taken, in units of reward; True is 1. False or 0: the
        maximum, and the best action (ties alike).
    alpha : float, optional
        Learning rate in (0, 1]; ``n ** -0.7`` at the n-th visit of a state and action unless told.
    epsilon : float
        Probability of an action at random instead, in [0, 1].
    start : float
        Value before the first step; 0 for all weights where there are features.
    features : (n_states, n_actions, n_features), optional
        ``q = features @ weights``; a value for each state and action unless given.
    horizon : int, optional
        Number of steps after which an episode is broken off; a new one starts then, as after a terminal state.
    every : int, optional
        Keep the values after each so many steps, as `history`.

    Returns
    -------
    LearnedQ
        Values, policy, visits. Unreachable states are never visited and stay at the start.

    Raises
    ------
    ValueError
        If a setting is out of range, or values may be infinite: discount 1, and some policy never ends.
    RuntimeError
        If the values grow without bounds, which they can with features.

    References
    ----------
    Watkins & Dayan (1992); Haarnoja, Tang, Abbeel & Levine (2017); rates: Even-Dar & Mansour (2003).
    """
    require_finite_values(m)
    n, temperature, given = whole("n_steps", n_steps), weight("soft", soft), feature_table(m, features)
    if alpha is not None:
        alpha = number("alpha", alpha, SMALLEST, 1.0, "a learning rate above 0 and at most 1")
    epsilon = number("epsilon", epsilon, 0.0, 1.0, "a number in [0, 1]")
    start = number("start", start, -LARGEST, LARGEST, "a finite number")
    longest = n if horizon is None else whole("horizon", horizon)
    every = None if every is None else whole("every", every)
    if given is not None and start != 0:
        raise ValueError(f"start: found {start:g}, expected 0 where there are features, whose weights start at 0")
    first = np.where(m.ends, 0.0, m.initial).cumsum()
    if first[-1] == 0:
        raise ValueError("initial: every first state is terminal, and nothing can be learned there")
    rng, k, draw = np.random.default_rng(seed), m.n_actions, _drawer(m)
    learned = np.where(m.ends[:, None], 0.0, np.full(m.reward.shape, start))
    if given is not None:
        learned = np.zeros(given.shape[2])

    def row(state: int) -> np.ndarray:
        return learned[state] if given is None else given[state] @ learned

    visits, history, age, s = np.zeros(m.reward.shape, dtype=int), [], longest, 0
    for step, luck in enumerate(rng.random((n, 4)), start=1):
        if age == longest or m.ends[s]:
            s, age = int(np.searchsorted(first, luck[0] * first[-1], side="right")), 0
        values = row(s)
        if luck[1] < epsilon:
            a = int(luck[2] * k)
        else:
            chances = policy_at(values, temperature).cumsum()
            a = int(np.searchsorted(chances[:-1], luck[2] * chances[-1], side="right"))
        later = draw(s * k + a, luck[3])
        ahead = 0.0 if m.ends[later] else float(value_at(row(later), temperature))
        visits[s, a] += 1
        rate = visits[s, a] ** -0.7 if alpha is None else alpha
        error = m.reward[s, a] + m.discount * ahead - values[a]
        if given is None:
            learned[s, a] += rate * error
        else:
            learned += rate * error * given[s, a]
            if not abs(error) < 1e100:
                raise RuntimeError(
                    f"values grew to {abs(error):.3g} within {step} steps; take a smaller alpha, or no features"
                )
        s, age = later, age + 1
        if every is not None and step % every == 0:
            history.append(_table(m, learned, given))
    q = _table(m, learned, given)
    return LearnedQ(
        v=value_at(q, temperature) * ~m.ends,
        q=q,
        policy=policy_at(q, temperature),
        visits=visits,
        history=np.array(history).reshape(-1, *q.shape),
        weights=None if given is None else learned,
    )


def _table(m: MDP, learned: np.ndarray, given: np.ndarray | None) -> np.ndarray:
    """Return a copy of the values of all states and actions."""
    return learned.copy() if given is None else np.where(m.ends[:, None], 0.0, given @ learned)


def _drawer(m: MDP) -> Callable[[int, float], int]:
    """Return a function that draws the next state of a row of `MDP.transition` from a uniform number."""
    pointers, states, cumulative = m.transition.indptr.tolist(), m.transition.indices.tolist(), m.cumulative.tolist()

    def draw(row: int, luck: float) -> int:
        first, last = pointers[row], pointers[row + 1] - 1
        before = cumulative[first - 1] if first else 0.0
        at = bisect_right(cumulative, before + luck * (cumulative[last] - before), first, last)
        return states[at]

    return draw
