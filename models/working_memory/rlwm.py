"""Reinforcement learning and working memory, side by side.

    w = rho min(1, capacity / set_size)                                              Collins & Frank (2012, 2018)
    P = w pi(W) + (1 - w) pi(Q),   pi(V) = epsilon / n + (1 - epsilon) softmax(beta (V[stimulus] + stick [a = last]))
    W <- W + forget (1/n - W)                                   all of it, then
    Q[s, a] <- Q[s, a] + alpha' (r' - Q[s, a])                  r' = r0 if r = 0 else 1
    W[s, a] <- W[s, a] + wm' (r - W[s, a])                      after r = 0: alpha' = alpha bias_rl, wm' = bias_wm;
                                                                else alpha' = alpha, wm' = 1
For learning which of n actions belongs to each stimulus, in blocks (resets) of set_size stimuli; Q and W start at 1/n.
Option `interaction`: the prediction error is r' - (w W[s, a] + (1 - w) Q[s, a]).
Departs from its sources: nothing; parameters have the names of the fits of Collins (2025; beta is 25 there).
"""

from rlpymc.math import add_at, equal, full, minimum, onehot, put, size, softmax, take, where, zeros
from rlpymc.model import Input, Model, Parameter, at_least, index, integer, interval, unit
from rlpymc.model.usual_parameters import inverse_temperature, learning_rate
from rlpymc.priors import Beta, DiscreteUniform, Gamma, Normal
from rlpymc.responses import Categorical


def start(p, facts):
    shape = (facts.n_stimuli, facts.n_actions)
    return {
        "q": full(shape, 1 / facts.n_actions),  # (n_stimuli, n_actions) learned values
        "wm": full(shape, 1 / facts.n_actions),  # (n_stimuli, n_actions) what working memory holds
        "last": zeros(facts.n_actions),  # (n_actions,) 1 at the previous action
    }


def weight(p, x):
    return p.rho * minimum(1.0, p.capacity / x.set_size)


def policy(p, s, x):
    def choose(table):
        chosen = softmax(p.beta * (take(table, x.stimulus) + p.stick * s.last))
        return p.epsilon / size(s.last) + (1 - p.epsilon) * chosen

    return Categorical(probs=weight(p, x) * choose(s.wm) + (1 - weight(p, x)) * choose(s.q))


def expected(p, s, x):
    return take(s.q, (x.stimulus, x.action))


def expected_by_both(p, s, x):
    held = after_forgetting(p, s)
    return weight(p, x) * take(held, (x.stimulus, x.action)) + (1 - weight(p, x)) * expected(p, s, x)


def after_forgetting(p, s):
    return s.wm + p.forget * (1 / size(s.last) - s.wm)


def learner(expectation):
    """Return signals and update of a learner with this expectation of the reward."""

    def signals(p, s, x):
        return {"prediction_error": where(equal(x.reward, 0), p.r0, 1.0) - expectation(p, s, x)}

    def update(p, s, x):
        place, failed = (x.stimulus, x.action), equal(x.reward, 0)
        rate = p.alpha * where(failed, p.bias_rl, 1.0)
        kept = after_forgetting(p, s)
        stored = take(kept, place) + where(failed, p.bias_wm, 1.0) * (x.reward - take(kept, place))
        return {"q": add_at(s.q, place, rate * signals(p, s, x)["prediction_error"]), "wm": put(kept, place, stored)}

    return {"signals": signals, "update": update}


def remember(p, s, x):
    return {"last": onehot(x.action, size(s.last))}


def with_interaction(model):
    own = r"\delta = r' - (w W_{sa} + (1 - w) Q_{sa})"
    return model.changed(**learner(expected_by_both), equation=rf"{model.equation};\quad {own}")


def share(name, plausible, meaning, prior=Beta(1.1, 1.1)):  # noqa: B008 (a prior does not change)
    return Parameter(name, unit, prior=prior, plausible=plausible, meaning=meaning, citation="prior: rlpymc, weak")


rlwm = Model(
    name="rlwm",
    family="working_memory",
    summary="a slow learner and a fast working memory of limited capacity, mixed",
    reference="Collins & Frank 2012; Collins & Frank 2018; Collins 2025",
    equation=(
        r"P = w\,\pi(W) + (1 - w)\,\pi(Q),\quad w = \rho \min(1, K / n_s),\quad "
        r"Q_{sa} \leftarrow Q_{sa} + \alpha (r' - Q_{sa}),\quad "
        r"W \leftarrow W + \phi (1/n - W),\quad W_{sa} \leftarrow r"
    ),
    inputs=(
        Input("stimulus", index("n_stimuli")),
        Input("set_size", at_least(1)),
        Input("action", index("n_actions"), response=True),
        Input("reward", integer(0, 1), after="action"),
    ),
    parameters=(
        learning_rate(plausible=0.1),
        Parameter(
            "stick",
            interval(-1.0, 1.0),
            prior=Normal(0.0, 0.2),
            plausible=0.1,
            meaning="tendency to repeat the previous action, in units of value",
            citation="bounds: the fits of Collins 2025; prior: rlpymc, weak",
        ),
        share("rho", 0.8, "trust in working memory where it holds everything"),
        share("forget", 0.2, "forgetting of working memory in a trial"),
        share("epsilon", 0.05, "share of choices made at random", Beta(1.1, 10.0)),
        share("bias_wm", 0.3, "how much of a failure working memory takes in"),
        share("bias_rl", 0.3, "learning rate after a failure, relative to alpha"),
        Parameter(
            "r0",
            unit,
            prior=Beta(1.1, 1.1),
            value=0.0,
            meaning="what a reward of 0 counts as",
            citation="value: the fits of Collins 2025; prior: rlpymc, weak",
        ),
        Parameter(
            "capacity",
            integer(2, 5),
            prior=DiscreteUniform(2, 5),
            plausible=3,
            meaning="number of stimuli that working memory holds",
            citation="bounds: the fits of Collins 2025",
        ),
        inverse_temperature(
            prior=Gamma(2.0, 0.1), value=25.0, citation="value: the fits of Collins 2025; prior: rlpymc, weak"
        ),
    ),
    start=start,
    policy=policy,
    **learner(expected),
    remember=remember,
    options={"interaction": {False: None, True: with_interaction}},
)
