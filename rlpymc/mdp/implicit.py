"""Soft values of a process as an expression of its rewards and discount, with derivatives."""

from typing import Any

import numpy as np


def soft_q(transition: np.ndarray, reward: Any, discount: Any, terminal: Any = False) -> Any:
    """Return the soft values of actions of an endless process, at temperature 1, as a PyTensor expression.

    They are the fixed point of ``q = reward + discount E v, v = log sum_a exp(q)``, found by Newton's method.
    Gradients follow from the fixed point's equation (the implicit function theorem), and not from the way to it.  At
    another temperature, values are ``temperature * soft_q(transition, reward / temperature, discount)``.

    Parameters
    ----------
    transition : (n_states, n_actions, n_states)
        Probability of the next state.
    reward : tensor (n_states, n_actions)
        In units of the temperature.
    discount : tensor ()
        In [0, 1).
    terminal : (n_states,) of bool
        States with which an episode is over; their value is 0.

    Returns
    -------
    tensor (n_states, n_actions)
        NaN where rewards are not finite or the discount is outside [0, 1).

    References
    ----------
    Ziebart, Bagnell & Dey (2010), "Modeling interaction via the principle of maximum causal entropy"; Haarnoja, Zhou,
    Abbeel & Levine (2018), "Soft actor-critic", section 4.1.
    """
    import pytensor.tensor as pt
    from pytensor.tensor.blockwise import Blockwise

    from rlpymc.mdp.soft_values_op import SoftValues  # PyTensor and numba, which models that plan otherwise do without

    onward = np.asarray(transition, dtype=float) * ~np.broadcast_to(np.asarray(terminal, dtype=bool), len(transition))
    reward, discount = (pt.as_tensor(x).astype("float64") for x in (reward, discount))
    v = Blockwise(SoftValues())(reward, pt.constant(onward), discount)
    return reward + discount * pt.dot(pt.constant(onward), v)
