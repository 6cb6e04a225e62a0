"""Random choices with a fixed bias: no learning at all.

    P(k) = softmax(0, bias[0], ..., bias[n-2])[k]     Wilson & Collins (2019), model 1: P(1) = b

A baseline for any task with one action per trial.
Not a choice kernel, whose bias follows the choices.
Departs from its source: the bias is in log odds against action 0, for any number of actions.
"""

from rlpymc.math import concatenate, zeros
from rlpymc.model import Input, Model, Parameter, index, real
from rlpymc.priors import Normal


def values(p, s, x):
    return concatenate([zeros(1), p.bias])


biased_random = Model(
    name="biased_random",
    family="bandit",
    summary="each action has a fixed probability",
    reference="Wilson & Collins 2019",
    equation=r"Q = (0, \text{bias}_1, \ldots, \text{bias}_{n-1})",
    inputs=(Input("action", index("n_actions"), response=True),),
    parameters=(
        Parameter(
            "bias",
            real,
            shape=("n_actions-1",),
            prior=Normal(0.0, 1.5),
            plausible=0.5,
            meaning="log odds of each further action against action 0",
            citation="prior: rlpymc, weak",
        ),
    ),
    values=values,
    policy="logits",
    departures=("log odds instead of a probability; any number of actions",),
)
