"""Markov chain: the next state depends on the state alone.

    P(to | from) = softmax(w[:, from])[to]     LaplacianExpectationMaximization.jl, test/examples.jl, MarkovChain

For sequences of states, given as transitions: `state` and, as the response, `next_state`. Rows of w are states gone to,
columns states left. Only differences within a column show in behaviour: the prior says where its middle is.
Departs from its source: nothing; states count from 0.
"""

from rlpymc.math import size, stack, take
from rlpymc.model import Input, Model, Parameter, index, real
from rlpymc.priors import Normal
from rlpymc.responses import Categorical


def policy(p, s, x):
    return Categorical(logits=stack([take(p.w, (to, x.state)) for to in range(size(p.w))]))


markov_chain = Model(
    name="markov_chain",
    family="sequence",
    summary="each state has fixed probabilities of the next one",
    reference="LaplacianExpectationMaximization.jl, test/examples.jl",
    equation=r"P(s' \mid s) = \exp(w_{s's}) / \sum_k \exp(w_{ks})",
    inputs=(Input("state", index("n_states")), Input("next_state", index("n_states"), response=True)),
    parameters=(
        Parameter(
            "w",
            real,
            shape=("n_states", "n_states"),
            prior=Normal(0.0, 1.0),
            plausible=0.0,
            meaning="logit of each next state (row) after each state (column)",
            citation="prior: rlpymc, weak",
        ),
    ),
    policy=policy,
)
