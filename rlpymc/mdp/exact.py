"""Values and policies by dynamic programming: the best ones, and those of a given policy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import bicgstab, spsolve
from scipy.special import entr

from rlpymc.checks import LARGEST, axes, few, number, weight, whole
from rlpymc.mdp.policy import actions, among_best, greedy, one_hot, policy_by_step
from rlpymc.mdp.process import MDP

DENSE = 1500  # states up to which a linear system is solved as a full matrix


@dataclass(frozen=True, eq=False)
class Solution:
    """Values and policy.

    Attributes
    ----------
    v : (n_states,)
        Value of each state; with a horizon (horizon, n_states).
    q : (n_states, n_actions)
        Value of each action; with a horizon (horizon, n_states, n_actions).
    policy : (n_states, n_actions)
        Probability of each action; with a horizon (horizon, n_states, n_actions).
    iterations : int
        Sweeps over all states, or evaluations of a policy.
    history : (iterations, n_states) or None
        The values of each policy on the way, in policy iteration.
    """

    v: np.ndarray
    q: np.ndarray
    policy: np.ndarray
    iterations: int
    history: np.ndarray | None = None


def value_iteration(m: MDP, *, tolerance: float = 1e-14, max_iterations: int = 1_000_000) -> Solution:
    """Return the best values and policy, by sweeps ``q = r + discount E v, v = max q`` from 0.

    Parameters
    ----------
    m : MDP
        With a discount below 1, or where every policy ends.
    tolerance : float
        The sweeps end when no value changes by more than this, or, where all values are below 1, than this times the
        largest; `v` is then within ``discount / (1 - discount)`` times that of the best. They also end when changes are
        within a few units of the last place of the largest value.
    max_iterations : int
        Sweeps after which to give up.

    Returns
    -------
    Solution
        Ties are broken evenly; see `greedy`.

    Raises
    ------
    ValueError
        If values may be infinite: discount 1, and some policy never ends.
    RuntimeError
        If the values still change after `max_iterations` sweeps.

    References
    ----------
    Sutton & Barto (2018), eq. 4.10.
    """
    v, q, sweeps = sweep(m, lambda q: q.max(axis=1), tolerance, max_iterations)
    return Solution(v, q, greedy(q), sweeps)


def sweep(
    m: MDP, value: Callable[[np.ndarray], np.ndarray], tolerance: float, max_iterations: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return values of states and actions, and the number of sweeps, once ``v = value(r + discount E v)`` holds."""
    require_finite_values(m)
    tolerance = number("tolerance", tolerance, 0.0, LARGEST, "a number of at least 0")
    max_iterations = whole("max_iterations", max_iterations)
    v, change = np.zeros(m.n_states), np.inf
    for done in range(1, max_iterations + 1):
        new = np.where(m.ends, 0.0, value(m.reward + m.discount * m.expected(v)))
        v, change = new, np.abs(new - v).max()
        if change <= smallest_change(tolerance, v):
            return v, m.reward + m.discount * m.expected(v), done
        if not np.isfinite(change):
            break
    raise RuntimeError(
        f"values still change by {change:.3g} after {done} sweeps, expected {tolerance:g}. Allow more with "
        "max_iterations=, less exact ones with tolerance=, or take the iteration over policies, which needs few steps."
    )


def smallest_change(tolerance: float, values: np.ndarray) -> float:
    """Return the change that counts as none: the tolerance, less where values are small, more where rounding is."""
    largest = float(np.abs(values).max())
    return float(max(tolerance * min(1.0, largest), 4 * np.spacing(largest)))


def policy_iteration(m: MDP, start: Any = None, *, max_iterations: int = 1000) -> Solution:
    """Return the best values and policy, by evaluating policies and improving them.

    The iteration ends with a policy whose actions are all among the best (see `greedy`): ties, and differences of
    rounding, are no improvements.

    Parameters
    ----------
    m : MDP
        With a discount below 1, or where every policy ends.
    start : (n_states,) of int, optional
        The first policy: an action for each state; action 0 everywhere unless told.
    max_iterations : int
        Evaluations after which to give up.

    Returns
    -------
    Solution
        Its `history` has the values of each policy on the way, which never fall; its `policy` breaks ties evenly.

    Raises
    ------
    ValueError
        If there is no such action, or values may be infinite: discount 1, and some policy never ends.
    RuntimeError
        If there are better policies still after `max_iterations` evaluations.

    References
    ----------
    Sutton & Barto (2018), section 4.3.
    """
    require_finite_values(m)
    state = np.arange(m.n_states)
    action = np.zeros(m.n_states, dtype=int) if start is None else actions(m, "start", start)
    history: list[np.ndarray] = []
    while len(history) < whole("max_iterations", max_iterations):
        v = values_of(m, one_hot(m, action), 0.0)
        q = m.reward + m.discount * m.expected(v)
        history.append(v)
        if among_best(q)[state, action].all():
            return Solution(v, q, greedy(q), len(history), np.array(history))
        action = q.argmax(axis=1)
    raise RuntimeError(f"a better policy was found after each of {max_iterations} evaluations; allow more of them")


def policy_evaluation(m: MDP, policy: Any, *, entropy: float = False, horizon: int | None = None) -> Solution:
    """Return the values of a policy, with a bonus for its entropy or without.

    Parameters
    ----------
    m : MDP
        The process.
    policy : (n_states, n_actions), (horizon, n_states, n_actions), or (n_states,) of int
        Probability of each action, at each step if there is a horizon; or the action of each state.
    entropy : float
        The temperature: weight of the policy's entropy (nats) beside the reward, in units of reward; True is 1.
    horizon : int, optional
        Number of steps. Without one, the policy goes on for ever or until it ends.

    Returns
    -------
    Solution
        With ``v = sum_a policy (q - entropy * log policy)`` and ``q = r + discount E v``; with a horizon, `v` and `q`
        have a row for each step, and nothing follows the last.

    Raises
    ------
    ValueError
        If the policy is none, or the discount is 1, there is no horizon, and the policy may never end.

    Notes
    -----
    The linear system is solved directly where it is small or its states have few neighbours in common, as on a grid,
    and iteratively where every state can be reached from every other in a few steps.

    References
    ----------
    Sutton & Barto (2018), eq. 4.4.
    """
    temperature = weight("entropy", entropy)
    if horizon is not None:
        by_step = policy_by_step(m, policy, horizon)
        log_policy = np.log(by_step, out=np.zeros_like(by_step), where=by_step > 0)
        v, q = over_horizon(m, by_step, -temperature * log_policy)
        return Solution(v, q, by_step, len(by_step))
    if axes("policy", policy) == 3:
        raise ValueError(
            f"policy: found one for each of {len(policy)} steps, expected a horizon with it, or (n_states, n_actions)"
        )
    whole_policy = policy_by_step(m, policy, 1)[0]
    if m.discount == 1:
        lost = never_ending(m, whole_policy)
        if len(lost):
            raise ValueError(
                f"discount 1 without a horizon: from {few(lost)} this policy never reaches a terminal state. "
                "Give the MDP a discount below 1, or name a horizon."
            )
    v = values_of(m, whole_policy, temperature)
    return Solution(v, m.reward + m.discount * m.expected(v), whole_policy, 1)


def over_horizon(m: MDP, policy: np.ndarray, bonus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``v = sum_a policy (q + bonus)`` and ``q = r + discount E v`` of every step, from the last to the first.

    The bonus of an action (horizon, n_states, n_actions) may be minus infinity.
    """
    q = np.zeros(policy.shape)
    v = np.zeros(policy.shape[:2])
    later = np.zeros(m.n_states)
    for t in reversed(range(len(policy))):
        q[t] = m.reward + m.discount * m.expected(later)
        counted = (policy[t] > 0) & ~m.ends[:, None]
        weighted = np.multiply(policy[t], q[t] + bonus[t], out=np.zeros(q[t].shape), where=counted)
        v[t] = later = weighted.sum(axis=1)
    return v, q


def values_of(m: MDP, policy: np.ndarray, temperature: float) -> np.ndarray:
    """Return the values of a policy (n_states, n_actions) without a horizon, its entropy weighted by a temperature."""
    lived = np.where(m.ends[:, None], 0.0, policy)
    earned = (lived * m.reward + temperature * entr(lived)).sum(axis=1)
    return _solve(m.leads_to(lived), m.discount, earned)


def _solve(chain: sparse.csr_array, discount: float, earned: np.ndarray) -> np.ndarray:
    """Solve ``v = earned + discount * chain v``."""
    n = len(earned)
    system = sparse.csr_array(sparse.eye_array(n) - discount * chain)
    if n <= DENSE:
        return np.linalg.solve(system.toarray(), earned)
    # Where any state is a few steps from any other, a factor fills up, and iterations are few; on long lines and wide
    # grids iterations are many, and the factor stays sparse. The second round corrects what rounding left of the first.
    v = np.zeros(n)
    for _ in range(2):
        with np.errstate(divide="ignore", invalid="ignore"):  # an iteration that breaks down divides 0 by 0
            correction, failed = bicgstab(system, earned - system @ v, rtol=1e-10, maxiter=300)
        if failed or not np.isfinite(correction).all():
            break
        v += correction
    if np.abs(earned - system @ v).max() <= 1e-13 * max(np.abs(earned).max(), np.abs(v).max()):
        return v
    return np.asarray(spsolve(system.tocsc(), earned))


def require_finite_values(m: MDP) -> None:
    """Raise an error if some policy may go on for ever, and without a discount."""
    if m.discount == 1 and len(m.endless):
        raise ValueError(
            f"discount 1 without a horizon: from {few(m.endless)} some policy never reaches a terminal state, and "
            "values may be infinite. Give the MDP a discount below 1, or take a finite horizon (policy_evaluation, "
            "messages, structured_variational)."
        )


def never_ending(m: MDP, policy: np.ndarray) -> np.ndarray:
    """Return the states from which a policy (n_states, n_actions) cannot reach a terminal state."""
    if not len(m.terminal):
        return np.arange(m.n_states)
    backwards = sparse.csr_array(m.leads_to(policy).T)
    steps = csgraph.dijkstra(backwards, indices=m.terminal, unweighted=True, min_only=True)
    return np.flatnonzero(np.isinf(steps))
