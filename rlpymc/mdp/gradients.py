"""Policy gradients: of the expected reward of a softmax policy with respect to its logits, exact and sampled."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import log_softmax

from rlpymc.checks import weight, whole
from rlpymc.mdp.episodes import Episodes, Seed, sample_episodes
from rlpymc.mdp.exact import over_horizon
from rlpymc.mdp.policy import logits_by_step
from rlpymc.mdp.process import MDP

BATCH = 2_000_000  # numbers held at once while gradients of single episodes are summed up


@dataclass(frozen=True, eq=False)
class GradientEstimate:
    """A sampled policy gradient.

    Attributes
    ----------
    objective : float
        Mean over episodes of the discounted sum of rewards, with the bonus for entropy.
    objective_error : float
        Its standard error.
    gradient : (n_states, n_actions), or (horizon, n_states, n_actions) as the logits
        Mean over episodes of the estimator.
    variance : as `gradient`
        Variance of the estimator over episodes.
    standard_error : as `gradient`
        Standard error of `gradient`.
    """

    objective: float
    objective_error: float
    gradient: np.ndarray
    variance: np.ndarray
    standard_error: np.ndarray


def policy_gradient(m: MDP, logits: Any, horizon: int, entropy: float = False) -> tuple[float, np.ndarray]:
    """Return the expected reward of a softmax policy over a horizon, and its gradient, both exact.

    With d_t(s) the probability of being in s at step t, the gradient is
    ``sum_t discount^t d_t(s) pi(a | s) (q_t(s, a) - entropy * log pi(a | s) - v_t(s))``.

    Parameters
    ----------
    m : MDP
        Its discount applies; 1 is the plain sum.
    logits : (n_states, n_actions) or (horizon, n_states, n_actions)
        ``policy = softmax(logits)`` over actions, the same in all steps, or one for each.
    horizon : int
        Number of steps.
    entropy : float
        The temperature: weight of the policy's entropy (nats) beside the reward, in units of reward; True is 1.

    Returns
    -------
    objective : float
        Expected discounted sum of rewards and of entropies.
    gradient : shape of `logits`
        Its gradient. Logits of terminal and unreachable states have gradient 0.

    Raises
    ------
    ValueError
        If logits are not finite or of another shape.

    References
    ----------
    Sutton & Barto (2018), section 13.2; Levine (2018), section 4.1.
    """
    temperature, by_step = weight("entropy", entropy), logits_by_step(m, logits, horizon)
    log_policy = log_softmax(by_step, axis=-1)
    policy = np.exp(log_policy)
    bonus = -temperature * log_policy
    v, q = over_horizon(m, policy, bonus)
    gradient, occupancy = np.zeros(policy.shape), m.initial
    for t in range(len(policy)):
        taken = np.where(m.ends[:, None], 0.0, occupancy[:, None] * policy[t])
        gradient[t] = m.discount**t * taken * (q[t] + bonus[t] - v[t][:, None])
        occupancy = np.asarray(taken.ravel() @ m.transition)
    return float(m.initial @ v[0]), gradient if np.ndim(logits) == 3 else gradient.sum(axis=0)


def reinforce(
    m: MDP,
    logits: Any,
    horizon: int,
    n_episodes: int,
    *,
    seed: Seed,
    reward_to_go: bool = True,
    entropy: float = False,
) -> GradientEstimate:
    """Estimate the gradient of `policy_gradient` from sampled episodes (REINFORCE).

    The mean over episodes of ``sum_t grad log pi(a_t | s_t) R_t``. R_t is the discounted sum of all rewards of the
    episode, or, with less variance, of those from t on: an action does not change what came before it. For the entropy,
    ``-entropy * log pi(a_t | s_t)`` is a part of the reward. That the reward then depends on the policy adds a -1 to
    log pi, and nothing to the mean, since the expectation of ``grad log pi`` is 0; it is left out.

    Parameters
    ----------
    m, logits, horizon, entropy
        As for `policy_gradient`.
    n_episodes : int
        How many episodes.
    seed : int or numpy.random.Generator
        The same seed gives the same estimate.
    reward_to_go : bool
        Whether an action is credited only with what follows it.

    Returns
    -------
    GradientEstimate
        Objective and gradient with their standard errors, and the variance of the estimator.

    Raises
    ------
    ValueError
        If logits are not finite or of another shape, or there are fewer than two episodes.

    References
    ----------
    Williams (1992); Sutton & Barto (2018), section 13.3.
    """
    temperature, by_step = weight("entropy", entropy), logits_by_step(m, logits, horizon)
    n_episodes = whole("n_episodes", n_episodes, 2)  # one alone has no standard error
    log_policy = log_softmax(by_step, axis=-1)
    policy = np.exp(log_policy)
    lived = sample_episodes(m, policy, n_episodes, horizon, seed)
    made, step = lived.action >= 0, np.arange(len(policy))
    surprise = np.where(made, -log_policy[step, lived.state[:, :-1], lived.action], 0.0)
    earned = np.where(made, m.discount**step * (lived.reward + temperature * surprise), 0.0)
    following = earned[:, ::-1].cumsum(axis=1)[:, ::-1]
    credit = following if reward_to_go else np.broadcast_to(following[:, :1], following.shape)
    mean, variance = _moments(policy, lived, credit, steps=np.ndim(logits) == 3)
    total = following[:, 0]
    return GradientEstimate(
        objective=float(total.mean()),
        objective_error=float(total.std(ddof=1) / np.sqrt(len(total))),
        gradient=mean,
        variance=variance,
        standard_error=np.sqrt(variance / len(total)),
    )


def _moments(policy: np.ndarray, lived: Episodes, credit: np.ndarray, steps: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance over episodes of ``sum_t credit_t grad log pi(a_t | s_t)``, by step or summed."""
    shape = policy.shape if steps else policy.shape[1:]
    size, n = max(2, BATCH // int(np.prod(shape))), len(credit)
    centre, mean, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for first in range(0, n, size):
        state, action = lived.state[first : first + size], lived.action[first : first + size]
        gradient = np.zeros((len(action), *shape))
        for t in range(len(policy)):
            at = np.flatnonzero(action[:, t] >= 0)
            here = gradient[:, t] if steps else gradient
            here[at, state[at, t]] -= credit[first + at, t, None] * policy[t, state[at, t]]
            here[at, state[at, t], action[at, t]] += credit[first + at, t]
        if first == 0:
            centre = gradient.mean(axis=0)  # squares are summed around it, so that they do not cancel
        mean += (gradient - centre).sum(axis=0) / n
        squares += ((gradient - centre) ** 2).sum(axis=0)
    return centre + mean, (squares - n * mean**2) / (n - 1)
