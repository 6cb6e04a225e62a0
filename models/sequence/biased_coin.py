"""Biased coin: each flip is 1 with the same probability, whatever came before.

    P(1) = bias     Bernoulli trials; LaplacianExpectationMaximization.jl, test/examples.jl, BiasedCoin

For sequences of responses between two. Its maximum-likelihood estimate is the share of ones.
Not biased_random, which has log odds, for any number of actions.
Departs from its source: the parameter is the probability, and the source's, its log odds, our unbounded scale.
"""

from rlpymc.math import stack
from rlpymc.model import Input, Model, Parameter, index, unit
from rlpymc.priors import Beta
from rlpymc.responses import Categorical


def policy(p, s, x):
    return Categorical(probs=stack([1 - p.bias, p.bias]))


biased_coin = Model(
    name="biased_coin",
    family="sequence",
    summary="each response is 1 with the same probability",
    reference="LaplacianExpectationMaximization.jl, test/examples.jl",
    equation=r"P(y = 1) = b",
    inputs=(Input("action", index("n_actions", 2), response=True),),
    parameters=(
        Parameter(
            "bias",
            unit,
            prior=Beta(1.1, 1.1),
            plausible=0.6,
            meaning="probability of response 1",
            citation="prior: rlpymc, weak",
        ),
    ),
    policy=policy,
    departures=("a probability instead of log odds",),
    confused_with=("biased_random",),
)
