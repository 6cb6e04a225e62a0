"""Tabular Markov decision processes: the best policies, soft ones, control as inference, policy gradients, Q-learning.

A process (`MDP`) is solved exactly (`value_iteration`, `policy_iteration`), softly at a temperature
(`soft_value_iteration`, `soft_policy_iteration`), or as a question of inference over a finite horizon (`messages`,
`structured_variational`, `elbo`). Policies are evaluated (`policy_evaluation`), differentiated (`policy_gradient`,
`reinforce`) and followed (`sample_episodes`); values are learned from single steps (`fitted_q`) or while acting
(`q_learning`).
"""

from rlpymc.mdp.episodes import Episodes, Transitions, sample_episodes, sample_transitions
from rlpymc.mdp.exact import Solution, policy_evaluation, policy_iteration, value_iteration
from rlpymc.mdp.fitted import FittedQ, fitted_q
from rlpymc.mdp.gradients import GradientEstimate, policy_gradient, reinforce
from rlpymc.mdp.inference import (
    Messages,
    Variational,
    elbo,
    log_joint,
    messages,
    posterior_dynamics,
    structured_variational,
)
from rlpymc.mdp.learning import LearnedQ, q_learning
from rlpymc.mdp.policy import greedy
from rlpymc.mdp.process import MDP
from rlpymc.mdp.soft import soft_policy, soft_policy_iteration, soft_value, soft_value_iteration

__all__ = [
    "MDP",
    "Episodes",
    "FittedQ",
    "GradientEstimate",
    "LearnedQ",
    "Messages",
    "Solution",
    "Transitions",
    "Variational",
    "elbo",
    "fitted_q",
    "greedy",
    "log_joint",
    "messages",
    "policy_evaluation",
    "policy_gradient",
    "policy_iteration",
    "posterior_dynamics",
    "q_learning",
    "reinforce",
    "sample_episodes",
    "sample_transitions",
    "soft_policy",
    "soft_policy_iteration",
    "soft_value",
    "soft_value_iteration",
    "structured_variational",
    "value_iteration",
]
