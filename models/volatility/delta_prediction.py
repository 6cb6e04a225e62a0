"""Delta rule for predictions: the response is a number, the expected outcome with normal noise.

    prediction ~ Normal(v, sigma)
    v <- v + alpha (outcome - v)          the delta rule, with a rate that stays the same

For predict-a-number tasks (Nassar et al. 2010, whose own learner adapts its rate). v starts at v0.
Departs from its source: the error is that of the learner's value, and not of the prediction that was given.
"""

from rlpymc.model import Input, Model, Parameter, positive, real
from rlpymc.model.usual_parameters import learning_rate, start_value
from rlpymc.priors import Gamma
from rlpymc.responses import Normal as NormalResponse


def start(p, facts):
    return {"v": p.v0}  # what outcome is expected


def policy(p, s, x):
    return NormalResponse(s.v, p.sigma)


def signals(p, s, x):
    return {"prediction_error": x.outcome - s.v}


def update(p, s, x):
    return {"v": s.v + p.alpha * signals(p, s, x)["prediction_error"]}


delta_prediction = Model(
    name="delta_prediction",
    family="volatility",
    summary="predictions follow one value, moved by the prediction error",
    reference="Nassar, Wilson, Heasly & Gold 2010",
    equation=r"y \sim \mathcal{N}(V, \sigma),\quad V \leftarrow V + \alpha (o - V)",
    inputs=(Input("prediction", real, response=True), Input("outcome", real, after="prediction")),
    parameters=(
        learning_rate(),
        Parameter(
            "sigma",
            positive,
            prior=Gamma(2.0, 0.5),
            plausible=1.0,
            meaning="standard deviation of predictions around the expected outcome",
            citation="prior: rlpymc, weak for outcomes about 1 apart",
            units="outcome",
        ),
        start_value("v0", "outcome expected before the first trial", units="outcome"),
    ),
    start=start,
    policy=policy,
    signals=signals,
    update=update,
    special_cases={"gaussian": {"alpha": 0.0, "v0": "mu", "sigma": "sd"}},
    departures=("the error is that of the learner's value, not of the prediction that was given",),
)
