"""Habituating coin: a coin whose log odds follow what was flipped.

    P(1) = logistic(w),   w <- w + alpha (y - logistic(w))     LaplacianExpectationMaximization.jl, test/examples.jl,
                                                               HabituatingBiasedCoin

For sequences of responses between two. w starts at w0; with alpha = 0 it is biased_coin with bias logistic(w0).
Where alpha < 0 differences in w0 grow with each trial, so that w0, to enough digits, can encode any sequence: there the
likelihood has high and very narrow peaks, which no fit should end on. A start or prior with alpha near 0 avoids them.
Not choice_kernel, which tracks shares and not log odds, and for any number of actions.
Departs from its source: nothing; alpha is its eta, and may be negative (alternation).
"""

from rlpymc.math import sigmoid, stack
from rlpymc.model import Input, Model, Parameter, index, real
from rlpymc.priors import Normal
from rlpymc.responses import Categorical


def start(p, facts):
    return {"w": p.w0}  # log odds of response 1


def policy(p, s, x):
    return Categorical(logits=stack([0.0, s.w]))


def signals(p, s, x):
    return {"prediction_error": x.action - sigmoid(s.w)}


def update(p, s, x):
    return {"w": s.w + p.alpha * signals(p, s, x)["prediction_error"]}


habituating_coin = Model(
    name="habituating_coin",
    family="sequence",
    summary="log odds move towards the responses that were made",
    reference="LaplacianExpectationMaximization.jl, test/examples.jl",
    equation=r"P(y = 1) = \sigma(w),\quad w \leftarrow w + \alpha (y - \sigma(w))",
    inputs=(Input("action", index("n_actions", 2), response=True),),
    parameters=(
        Parameter(
            "w0",
            real,
            prior=Normal(0.0, 1.5),
            plausible=0.3,
            meaning="log odds of response 1 before the first trial",
            citation="prior: rlpymc, weak",
        ),
        Parameter(
            "alpha",
            real,
            prior=Normal(0.0, 0.5),
            plausible=0.3,
            meaning="how much a response that was fully unexpected moves the log odds",
            citation="prior: rlpymc, weak",
        ),
    ),
    start=start,
    policy=policy,
    signals=signals,
    update=update,
    confused_with=("biased_coin", "choice_kernel"),
)
