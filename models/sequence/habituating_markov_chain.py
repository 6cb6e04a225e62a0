"""Habituating Markov chain: transitions that were made become more likely, each by less than the one before.

    P(to | from) = softmax(w[from])[to]                                    LaplacianExpectationMaximization.jl,
    w[from] <- w[from] + (onehot(to) - softmax(w[from])) / (t + c)         test/examples.jl, HabituatingMarkovChain

For sequences of states, given as transitions: `state` and, as the response, `next_state`. t counts the transitions
learned from, of all states together, from 0. w starts at w0, states left by states gone to; c is a constant 1 that can
be freed. Only differences within a row of w0 show in behaviour: the prior says where its middle is.
Not markov_chain, whose w is the other way round, as in the source, and stays the same.
Departs from its source: no eta0, which the source overwrites before it is used; a step is 1e12 at most (c = 0).
"""

from rlpymc.math import add_at, maximum, onehot, size, softmax, take, zeros
from rlpymc.model import Input, Model, Parameter, index, positive, real
from rlpymc.priors import Gamma, Normal
from rlpymc.responses import Categorical


def start(p, facts):
    return {
        "w": p.w0,  # (n_states, n_states) logit of each next state after each state
        "t": zeros(()),  # () transitions learned from
    }


def policy(p, s, x):
    return Categorical(logits=take(s.w, x.state))


def signals(p, s, x):
    w = take(s.w, x.state)
    return {"prediction_error": onehot(x.next_state, size(w)) - softmax(w)}


def update(p, s, x):
    step = 1 / maximum(s.t + p.c, 1e-12)
    return {"w": add_at(s.w, x.state, step * signals(p, s, x)["prediction_error"]), "t": s.t + 1}


habituating_markov_chain = Model(
    name="habituating_markov_chain",
    family="sequence",
    summary="transitions that were made become more likely, by less and less",
    reference="LaplacianExpectationMaximization.jl, test/examples.jl",
    equation=(
        r"P(s' \mid s) = \exp(w_{ss'}) / \sum_k \exp(w_{sk}),\quad "
        r"w_{sk} \leftarrow w_{sk} + ([k = s'] - P(k \mid s)) / (t + c)"
    ),
    inputs=(Input("state", index("n_states")), Input("next_state", index("n_states"), response=True)),
    parameters=(
        Parameter(
            "w0",
            real,
            shape=("n_states", "n_states"),
            prior=Normal(0.0, 1.0),
            plausible=0.0,
            meaning="logit of each next state (column) after each state (row) before the first transition",
            citation="prior: rlpymc, weak",
        ),
        Parameter(
            "c",
            positive,
            prior=Gamma(2.0, 1.0),
            value=1.0,
            meaning="the larger, the less the first transitions teach",
            citation="value: LaplacianExpectationMaximization.jl; prior: rlpymc, weak",
        ),
    ),
    start=start,
    policy=policy,
    signals=signals,
    update=update,
    departures=("no eta0, which the source overwrites before it is used", "a step is 1e12 at most"),
    confused_with=("markov_chain",),
)
