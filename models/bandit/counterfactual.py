"""Counterfactual delta rule: both outcomes are shown, and both values move.

    q[chosen] <- q[chosen] + alpha       * (r - q[chosen])              Palminteri et al. (2015), factual
    q[other]  <- q[other]  + alpha_other * (r_other - q[other])                     and counterfactual learning

For two options on offer in each trial, out of any number, with the outcome of each one shown.
Not the fictitious update (Glascher et al. 2009), which makes up the other outcome as -r.
Departs from its source: no contextual value.
"""

from rlpymc.math import add_at, arange, equal, full, size, sum, take, where
from rlpymc.model import Input, Model, boolean, index, real
from rlpymc.model.usual_parameters import learning_rate, start_value


def start(p, facts):
    return {"q": full(facts.n_actions, p.q0)}  # (n_actions,) learned value of each action


def values(p, s, x):
    return s.q


def other(s, x):
    """Return a mask: on offer and not chosen."""
    return x.available & ~equal(arange(size(s.q)), x.action)


def signals(p, s, x):
    return {
        "prediction_error": x.reward - take(s.q, x.action),
        "prediction_error_other": x.reward_other - sum(where(other(s, x), s.q, 0.0)),
    }


def update(p, s, x):
    error = signals(p, s, x)
    moved = where(other(s, x), s.q + p.alpha_other * error["prediction_error_other"], s.q)
    return {"q": add_at(moved, x.action, p.alpha * error["prediction_error"])}


def two_on_offer(x):
    return sum(where(x.available, 1, 0)) == 2


counterfactual = Model(
    name="counterfactual",
    family="bandit",
    summary="values of the chosen and of the other option move, each towards its outcome",
    reference="Palminteri, Khamassi, Joffily & Coricelli 2015",
    equation=r"Q_c \leftarrow Q_c + \alpha (r - Q_c),\quad Q_u \leftarrow Q_u + \alpha_u (r_u - Q_u)",
    inputs=(
        Input("available", boolean, shape=("n_actions",), default=True),
        Input("action", index("n_actions"), response=True),
        Input("reward", real, after="action"),
        Input("reward_other", real, after="action"),
    ),
    parameters=(
        learning_rate("alpha", "learning rate of the chosen option"),
        learning_rate("alpha_other", "learning rate of the option not chosen", plausible=0.2),
        start_value(),
    ),
    start=start,
    values=values,
    signals=signals,
    update=update,
    policy="softmax",
    special_cases={"delta": {"alpha_other": 0.0}},
    conditions=(("exactly two options are on offer", two_on_offer),),
    departures=("no contextual value, which Palminteri et al. add",),
    confused_with=("delta",),
)
