"""Tabular Markov decision processes: the best policies, soft ones, control as inference, policy gradients, Q-learning.

A process (`MDP`) is solved exactly (`value_iteration`, `policy_iteration`), softly at a temperature
(`soft_value_iteration`, `soft_policy_iteration`), or as a question of inference over a finite horizon (`messages`,
`structured_variational`, `elbo`). Policies are evaluated (`policy_evaluation`), differentiated (`policy_gradient`,
`reinforce`) and followed (`sample_episodes`); values are learned from single steps (`fitted_q`) or while acting
(`q_learning`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
