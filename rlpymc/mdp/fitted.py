"""Fitted Q-iteration: values learned from single steps, by least squares over and over."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import solve_triangular

from rlpymc.checks import LARGEST, array_of_numbers, check_finite, number, place, weight, whole
from rlpymc.mdp.episodes import Transitions
from rlpymc.mdp.exact import require_finite_values, smallest_change
from rlpymc.mdp.process import MDP
from rlpymc.mdp.soft import policy_at, value_at


@dataclass(frozen=True, eq=False)
class FittedQ:
    """Values fitted to single steps.

    Attributes
    ----------
    v : (n_states,)
        Value of each state.
    q : (n_states, n_actions)
        Value of each action.
    policy : (n_states, n_actions)
        The best action's, or the soft policy.
    iterations : int
        How many regressions it took.
    weights : (n_features,) or None
        Of the features; None where each state and action has a value of its own.
    """

    v: np.ndarray
    q: np.ndarray
    policy: np.ndarray
    iterations: int
    weights: np.ndarray | None = None


def fitted_q(
    m: MDP,
    data: Transitions | None = None,
    features: Any = None,
    *,
    soft: float = False,
    tolerance: float = 1e-14,
    max_iterations: int = 100_000,
) -> FittedQ:
    """Fit values by iterated least squares: of ``r + discount v(s')`` on features of state and action.

    Parameters
    ----------
    m : MDP
        With a discount below 1, or where every policy ends. With `data`, its `transition` and `reward` play no other
        part.
    data : Transitions, optional
        Steps to learn from; with none, every state and action once, and the expectation of what follows.
    features : (n_states, n_actions, n_features), optional
        ``q = features @ weights``; a value for each state and action unless given.
    soft : float
        The temperature of the soft value of the next state, in units of reward; True is 1, False or 0 the maximum.
    tolerance : float
        The change of values at which the iteration ends; see `value_iteration`.
    max_iterations : int
        Regressions after which to give up.

    Returns
    -------
    FittedQ
        Values, policy and weights. With a value for each state and action, these are the values of value iteration in
        the process, or in the one whose transitions are the frequencies in `data`.

    Raises
    ------
    ValueError
        If data are out of range, start in a terminal state, or leave a state and action or a feature undetermined.
    RuntimeError
        If the iteration does not settle: with features, least squares need not bring guesses closer.

    References
    ----------
    Ernst, Geurts & Wehenkel (2005), Journal of Machine Learning Research 6.
    """
    require_finite_values(m)
    temperature, given = weight("soft", soft), feature_table(m, features)
    tolerance = number("tolerance", tolerance, 0.0, LARGEST, "a number of at least 0")
    max_iterations = whole("max_iterations", max_iterations)
    if data is None:
        pair = np.flatnonzero(np.repeat(~m.ends, m.n_actions))
        earned, ahead = m.reward.ravel()[pair], m.transition[pair]
    else:
        pair, earned, ahead = _steps(m, data)
    if given is None:
        counts = np.bincount(pair, minlength=m.reward.size).reshape(m.reward.shape)
        missing = np.argwhere((counts == 0) & ~m.ends[:, None])
        if len(missing):
            raise ValueError(
                f"data: no step from {place(('state', 'action'), missing[0])} ({len(missing)} such in all), so that "
                "its value is anyone's guess. Draw steps from everywhere (sample_transitions), or give features, which "
                "share values."
            )
        mean = sparse.csr_array(
            (1 / counts.ravel()[pair], (pair, np.arange(len(pair)))), shape=(counts.size, len(pair))
        )
        constant, slope = mean @ earned, sparse.csr_array(mean @ ahead)
    else:
        constant, slope = _regression(given.reshape(m.reward.size, -1)[pair], earned, ahead)
    q, change = np.zeros(m.reward.shape), np.inf
    for done in range(1, max_iterations + 1):
        with np.errstate(over="ignore", invalid="ignore"):  # what diverges is reported below
            weights = constant + m.discount * (slope @ np.where(m.ends, 0.0, value_at(q, temperature)))
            new = weights.reshape(q.shape) if given is None else np.where(m.ends[:, None], 0.0, given @ weights)
            change = np.abs(new - q).max()
        q = new
        if not np.isfinite(change):
            break
        if change <= smallest_change(tolerance, q):
            own = None if given is None else weights
            return FittedQ(value_at(q, temperature) * ~m.ends, q, policy_at(q, temperature), done, own)
    raise RuntimeError(
        f"fitted values still change by {change:.3g} after {done} regressions, expected {tolerance:g}. Least squares "
        "on features need not settle: take fewer features, a smaller discount, or a value for each state and action."
    )


def feature_table(m: MDP, features: Any) -> np.ndarray | None:
    """Return features (n_states, n_actions, n_features), checked, or None if there are none."""
    if features is None:
        return None
    table = array_of_numbers("features", features)
    n_features = max(1, table.shape[2]) if table.ndim == 3 else 1
    table = array_of_numbers("features", table, (m.n_states, m.n_actions, n_features))
    check_finite("features", table, ("state", "action", "feature"))
    return table


def _steps(m: MDP, data: Transitions) -> tuple[np.ndarray, np.ndarray, sparse.csr_array]:
    """Return the pair of state and action, the reward, and the next state (as rows with a single 1) of each step."""
    state, action, next_state = (np.asarray(k) for k in (data.state, data.action, data.next_state))
    reward = array_of_numbers("reward of the data", data.reward)
    for name, found, n in (
        ("state", state, m.n_states),
        ("action", action, m.n_actions),
        ("next_state", next_state, m.n_states),
    ):
        if found.shape != reward.shape or found.ndim != 1 or found.dtype.kind not in "iu":
            raise ValueError(
                f"{name} of the data: found {found.dtype} of shape {found.shape}, expected whole numbers, one for each "
                f"of {reward.size} rewards"
            )
        wrong = np.flatnonzero((found < 0) | (found >= n))
        if len(wrong):
            raise ValueError(f"{name} of the data: found {found[wrong[0]]} in step {wrong[0]}, expected 0 to {n - 1}")
    check_finite("reward of the data", reward, ("step",))
    wrong = np.flatnonzero(m.ends[state])
    if len(wrong):
        raise ValueError(
            f"state of the data: step {wrong[0]} starts in the terminal state {state[wrong[0]]}, which nothing follows"
        )
    ahead = sparse.csr_array((np.ones(len(state)), (np.arange(len(state)), next_state)), shape=(len(state), m.n_states))
    return state * m.n_actions + action, reward, ahead


def _regression(rows: np.ndarray, earned: np.ndarray, ahead: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Return least-squares weights of what was earned, and how they change with the values (n_states,) ahead."""
    orthogonal, triangle = np.linalg.qr(rows)
    size = np.abs(triangle.diagonal())
    if len(rows) < rows.shape[1] or size.min() <= 1e-10 * np.linalg.norm(rows, axis=0).max():
        column = int(size.argmin()) if len(rows) >= rows.shape[1] else len(rows)
        raise ValueError(
            f"features: {rows.shape[1]} of them over {len(rows)} steps, and feature {column} is a sum of those before "
            "it there (or 0 throughout), so that its weight is anyone's guess. Leave it out, or add steps."
        )
    constant = solve_triangular(triangle, orthogonal.T @ earned)
    return constant, solve_triangular(triangle, (ahead.T @ orthogonal).T)
