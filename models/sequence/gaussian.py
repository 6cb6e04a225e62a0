"""Gaussian: each response is a number with the same mean and standard deviation, whatever came before.

    y ~ Normal(mu, sd)     LaplacianExpectationMaximization.jl, test/examples.jl, GaussianModel

A baseline for any task whose response is a number (`delta_prediction`, which it is at alpha = 0).
Departs from its source: the parameter is the standard deviation, and the source's sigma our unbounded scale (softplus).
"""

from rlpymc.model import Input, Model, Parameter, real, softplus
from rlpymc.priors import Gamma, Normal
from rlpymc.responses import Normal as NormalResponse


def policy(p, s, x):
    return NormalResponse(p.mu, p.sd)


gaussian = Model(
    name="gaussian",
    family="sequence",
    summary="each response is a number with the same normal distribution",
    reference="LaplacianExpectationMaximization.jl, test/examples.jl",
    equation=r"y \sim \mathcal{N}(\mu, \sigma)",
    inputs=(Input("prediction", real, response=True),),
    parameters=(
        Parameter(
            "mu",
            real,
            prior=Normal(0.0, 1.0),
            plausible=0.2,
            meaning="mean of the responses",
            citation="prior: rlpymc, weak for responses about 1 apart",
            units="prediction",
        ),
        Parameter(
            "sd",
            softplus,
            prior=Gamma(2.0, 0.5),
            plausible=1.0,
            meaning="standard deviation of the responses",
            citation="prior: rlpymc, weak for responses about 1 apart",
            units="prediction",
        ),
    ),
    policy=policy,
    departures=("a standard deviation instead of its softplus-inverse",),
    confused_with=("delta_prediction",),
)
