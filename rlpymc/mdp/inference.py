"""Control as inference: the actions that one would have taken, given that everything turned out well.

At each step t there is a binary variable O_t, whether the step was "optimal", with p(O_t = 1 | s, a) = exp r(s, a).
Given that all steps were, the posterior of actions is a policy. `messages` computes it exactly, and with it a wish: the
exact posterior also believes that chance obliged. `structured_variational` keeps the process as it is and changes only
the policy, which gives the best trade of reward against entropy, and a lower bound of the log evidence.

exp r is a probability if no reward is above 0. Subtracting a constant c from all rewards makes it one and takes
``horizon * c`` from the log evidence; where no state is terminal, that changes no policy.
A temperature is a scale of rewards: pass ``reward / temperature``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import logsumexp

from rlpymc.checks import whole
from rlpymc.mdp.exact import over_horizon
from rlpymc.mdp.policy import policy_by_step
from rlpymc.mdp.process import MDP
from rlpymc.mdp.soft import soft_policy, soft_value


@dataclass(frozen=True, eq=False)
class Messages:
    """The exact posterior, given that every step was optimal.

    Attributes
    ----------
    v : (horizon, n_states)
        ``log p(O_t:T | s_t)``.
    q : (horizon, n_states, n_actions)
        ``log p(O_t:T | s_t, a_t)``.
    policy : (horizon, n_states, n_actions)
        ``p(a_t | s_t, O_t:T)``.
    initial : (n_states,)
        ``p(s_1 | O_1:T)``.
    log_evidence : float
        ``log p(O_1:T)``.
    """

    v: np.ndarray
    q: np.ndarray
    policy: np.ndarray
    initial: np.ndarray
    log_evidence: float


@dataclass(frozen=True, eq=False)
class Variational:
    """The policy that maximises the evidence lower bound, the process being what it is.

    Attributes
    ----------
    v : (horizon, n_states)
        Soft values: the bound of ``log p(O_t:T | s_t)``.
    q : (horizon, n_states, n_actions)
        Soft values of actions.
    policy : (horizon, n_states, n_actions)
        Probabilities.
    elbo : float
        The bound of ``log p(O_1:T)``.
    """

    v: np.ndarray
    q: np.ndarray
    policy: np.ndarray
    elbo: float


def messages(m: MDP, horizon: int, action_prior: Any = None) -> Messages:
    """Return the exact posterior of actions, by messages from the last step to the first.

    ``q_t = r + log E exp v_t+1`` and ``v_t = log sum_a p(a | s) exp q_t``. The expectation of an exponential is
    optimistic: one good outcome outweighs many bad ones, as if the agent could choose its luck.

    Parameters
    ----------
    m : MDP
        With discount 1.
    horizon : int
        Number of steps T. Nothing follows the last; a terminal state ends it all before.
    action_prior : (n_states, n_actions), optional
        p(a | s) before anything is known; uniform unless told. All ones leave it out, as half of the literature does:
        without terminal states, ``log n_actions`` is then added to `v` for each step that is left, and policies are
        the same.

    Returns
    -------
    Messages
        Values, policy, and log evidence.

    Raises
    ------
    ValueError
        If the discount is not 1, or the prior is none.

    References
    ----------
    Levine (2018), section 2.3, with the action prior kept.
    """
    log_prior = _log_prior(m, horizon, action_prior)
    q = np.zeros((len(log_prior), m.n_states, m.n_actions))
    v, later = np.zeros(q.shape[:2]), np.zeros(m.n_states)
    for t in reversed(range(len(q))):
        q[t] = m.reward + _log_expected_exp(m, later)
        v[t] = later = np.where(m.ends, 0.0, soft_value(q[t] + log_prior[t]))
    evidence = float(logsumexp(v[0], b=m.initial))
    initial = m.initial * np.exp(v[0] - evidence)
    return Messages(v, q, soft_policy(q + log_prior), initial, evidence)


def structured_variational(m: MDP, horizon: int, action_prior: Any = None) -> Variational:
    """Return the policy with the highest evidence lower bound, among all trajectories that the process makes itself.

    ``q_t = r + E v_t+1`` and ``v_t = log sum_a p(a | s) exp q_t``: soft value iteration over a finite horizon. Where
    every action leads to one state for certain, these are the exact messages, and the bound is tight given the first
    state; otherwise it is strict, unless all next states are equally good.

    Parameters
    ----------
    m : MDP
        With discount 1.
    horizon : int
        Number of steps T.
    action_prior : (n_states, n_actions), optional
        As for `messages`. With the uniform prior, ``log n_actions`` is subtracted for each step.

    Returns
    -------
    Variational
        Values, policy, and the bound.

    Raises
    ------
    ValueError
        If the discount is not 1, or the prior is none.

    References
    ----------
    Levine (2018), section 3.2.
    """
    log_prior = _log_prior(m, horizon, action_prior)
    q = np.zeros((len(log_prior), m.n_states, m.n_actions))
    v, later = np.zeros(q.shape[:2]), np.zeros(m.n_states)
    for t in reversed(range(len(q))):
        q[t] = m.reward + m.expected(later)
        v[t] = later = np.where(m.ends, 0.0, soft_value(q[t] + log_prior[t]))
    return Variational(v, q, soft_policy(q + log_prior), float(m.initial @ v[0]))


def elbo(m: MDP, policy: Any, horizon: int, action_prior: Any = None) -> float:
    """Return the evidence lower bound of a policy: the expected sum of ``r - log policy + log p(a | s)``.

    The log evidence is larger by the divergence of the policy's trajectories from the posterior ones,
    ``log p(O) = elbo + KL(trajectories || posterior)``.

    Parameters
    ----------
    m : MDP
        With discount 1.
    policy : (n_states, n_actions), (horizon, n_states, n_actions), or (n_states,) of int
        Probabilities, or actions.
    horizon : int
        Number of steps T.
    action_prior : (n_states, n_actions), optional
        As for `messages`. With the uniform prior this is the expected reward and entropy, less ``log n_actions`` for
        each step.

    Returns
    -------
    float
        The bound; minus infinity if the policy takes actions that the prior excludes.

    Raises
    ------
    ValueError
        If the discount is not 1, or policy or prior are none.
    """
    log_prior = _log_prior(m, horizon, action_prior)
    by_step = policy_by_step(m, policy, horizon)
    log_policy = np.log(by_step, out=np.zeros(by_step.shape), where=by_step > 0)
    v, _ = over_horizon(m, by_step, log_prior - log_policy)
    return float(v[0, m.initial > 0] @ m.initial[m.initial > 0])


def log_joint(m: MDP, state: Any, action: Any, action_prior: Any = None) -> np.ndarray:
    """Return ``log p(s_1, a_1, ..., s_T, a_T, O_1:T = 1)`` of trajectories.

    Less the log evidence of `messages`, this is the log posterior of a trajectory.

    Parameters
    ----------
    m : MDP
        With discount 1.
    state, action : (..., T) of int
        States and actions; after a terminal state both -1, in it the action -1.
    action_prior : (n_states, n_actions), optional
        As for `messages`.

    Returns
    -------
    (...)
        ``log p(s_1) + sum log p(s_t+1 | s_t, a_t) + sum log p(a_t | s_t) + sum r``.

    Raises
    ------
    ValueError
        If shapes differ, or there is no such state or action.

    References
    ----------
    Levine (2018), section 2.2.
    """
    s, a = np.asarray(state), np.asarray(action)
    if s.shape != a.shape or s.ndim == 0 or s.size == 0:
        raise ValueError(f"state and action: found shapes {s.shape} and {a.shape}, expected the same, (..., T)")
    log_prior = _log_prior(m, s.shape[-1], action_prior)[0]
    for name, found, n in (("state", s, m.n_states), ("action", a, m.n_actions)):
        if found.dtype.kind not in "iu" or ((found < -1) | (found >= n)).any():
            raise ValueError(f"{name}: found {found.min()} to {found.max()}, expected whole numbers from 0 to {n - 1}")
    lived = (s >= 0) & ~m.ends[s]
    if (lived != (a >= 0)).any() or (s[..., 0] < 0).any() or ((s[..., 1:] >= 0) != lived[..., :-1]).any():
        raise ValueError(
            "state and action: expected an action in each state that is not terminal, none in one that is, and a state "
            "after each action but the last"
        )
    with np.errstate(divide="ignore"):  # what cannot happen has log probability minus infinity
        first = np.log(m.initial[s[..., 0]])
        row = np.where(lived, s * m.n_actions + a, 0)[..., :-1]
        moves = np.zeros(row.shape)
        if row.size:  # SciPy's answer to no entries at all is another type
            moved = m.transition[row.ravel(), np.maximum(s[..., 1:], 0).ravel()].reshape(row.shape)
            moves = np.where(lived[..., :-1], np.log(moved), 0.0)
    return np.asarray(first + moves.sum(axis=-1) + np.where(lived, m.reward[s, a] + log_prior[s, a], 0.0).sum(axis=-1))


def posterior_dynamics(m: MDP, found: Messages, step: int) -> sparse.csr_array:
    """Return ``p(s_t+1 | s_t, a_t, O_t+1:T)``, where the exact posterior believes that actions lead.

    Parameters
    ----------
    m : MDP
        The process.
    found : Messages
        From `messages` of the process.
    step : int
        t, counted from 0; after the last step, where nothing counts any more, these are the process's own.

    Returns
    -------
    scipy.sparse.csr_array (n_states * n_actions, n_states)
        Row ``state * n_actions + action``, as in `MDP.transition`.

    Raises
    ------
    ValueError
        If there is no such step, or the messages are of another process.
    """
    if step not in range(len(found.v)):
        raise ValueError(f"step: found {step}, expected 0 to {len(found.v) - 1}")
    if found.q.shape[1:] != m.reward.shape:
        raise ValueError(
            f"found: messages of shape {found.q.shape[1:]}, expected those of this process, {m.reward.shape}"
        )
    later = found.v[step + 1] if step + 1 < len(found.v) else np.zeros(m.n_states)
    gain = np.repeat(_log_expected_exp(m, later).ravel(), np.diff(m.transition.indptr))
    believed = m.transition.copy()
    believed.data = m.transition.data * np.exp(later[m.transition.indices] - gain)
    return believed


def _log_expected_exp(m: MDP, v: np.ndarray) -> np.ndarray:
    """Return ``log sum over s' of p(s' | s, a) exp v(s')``, (n_states, n_actions)."""
    first = m.transition.indptr[:-1]  # every row has entries
    ahead = v[m.transition.indices]
    best = np.maximum.reduceat(ahead, first)
    relative = np.exp(ahead - np.repeat(best, np.diff(m.transition.indptr)))
    summed = np.add.reduceat(m.transition.data * relative, first)
    return np.asarray((best + np.log(summed)).reshape(m.n_states, m.n_actions))


def _log_prior(m: MDP, horizon: int, action_prior: Any) -> np.ndarray:
    """Return the log prior of actions at each step (horizon, n_states, n_actions), and check horizon and discount."""
    if m.discount != 1:
        raise ValueError(
            f"discount: found {m.discount:g}, expected 1: evidence has no discount. Make another MDP with discount=1. "
            "The chance of ending that a discount can stand for is a terminal state to which every action may lead."
        )
    shape = (whole("horizon", horizon), m.n_states, m.n_actions)
    if action_prior is None:
        return np.broadcast_to(-np.log(m.n_actions), shape)
    if np.shape(action_prior) == shape[1:] and np.all(np.asarray(action_prior) == 1):
        return np.broadcast_to(0.0, shape)
    with np.errstate(divide="ignore"):  # what the prior excludes has log probability minus infinity
        return np.log(policy_by_step(m, action_prior, shape[0], "action_prior"))
