"""Soft-optimal planner: acts as well as its noise allows in a world that it knows (inverse reinforcement learning).

    r[s, a] = beta sum_k w[k] f[s, a, k]                       reward, in units of the temperature 1 / beta
    Q[s, a] = r[s, a] + gamma sum_s' P(s' | s, a) V[s'],       V[s] = log sum_a exp(Q[s, a]), 0 where an episode is over
    P(a) = exp(Q[s, a] - V[s])                                 Ziebart, Bagnell & Dey (2010); Levine (2018), section 3.1

For people who know where actions lead, and whose aims are to be found: w says what each feature is worth to them. The
task's rewards are not read. Only beta w shows in choices, so beta is held at 1, and w is in units of the temperature;
with weights that are known (fixed), free beta. A constant that all features add up to does not show either: the prior
of w decides it. Q is solved once for each person, and derivatives follow from its equation.
Not Ziebart et al. (2008), who average exp V over next states: the same where actions lead to one state for certain.
Departs from its source: discounted, and without end unless a state is terminal.
"""

from rlpymc.math import sum, take
from rlpymc.mdp.implicit import soft_q
from rlpymc.model import Expectation, Fact, Input, Model, Parameter, index, interval, real
from rlpymc.model.usual_parameters import inverse_temperature
from rlpymc.priors import Normal, Uniform


def derive(p, facts):
    reward = p.beta * sum(facts.features * p.w)
    return {"plan": soft_q(facts.transitions, reward, p.gamma, facts.terminal)}  # (n_states, n_actions)


def start(p, facts):
    return {"q": p.plan}  # (n_states, n_actions) value of each action in each state; nothing changes it


def values(p, s, x):
    return take(s.q, x.state)


def signals(p, s, x):
    return {"chosen_value": take(s.q, (x.state, x.action))}


def goes_where_it_can(x, p, facts):
    if "next_state" not in vars(x):
        return ""
    seen = (x.next_state >= 0) & (x.next_state < len(facts.transitions))
    here, chosen, after = x.state[seen], x.action[seen], x.next_state[seen]
    wrong = facts.transitions[here, chosen, after] == 0
    if not wrong.any():
        return ""
    k = wrong.argmax()
    return (
        f"column 'next_state': found {after[k]} after action {chosen[k]} in state {here[k]}, whose probability is 0 in "
        f"facts['transitions'] ({wrong.sum()} such of {wrong.size}): mend the fact, read_trials(..., "
        "facts={'transitions': ...}), or number the states as it does, states=[...]"
    )


soft_planner = Model(
    name="soft_planner",
    family="planning",
    summary="plans with known transitions, softly, for weighted features",
    reference="Ziebart, Bagnell & Dey 2010; Levine 2018",
    equation=(
        r"Q_{sa} = \beta \sum_k w_k f_{sak} + \gamma \sum_{s'} P_{sas'} V_{s'},\quad "
        r"V_s = \log \sum_a \exp Q_{sa},\quad P(a) = \exp(Q_{sa} - V_s)"
    ),
    inputs=(Input("state", index("n_states")), Input("action", index("n_actions"), response=True)),
    facts=(
        Fact("transitions", ("n_states", "n_actions", "n_states"), "probabilities"),
        Fact("features", ("n_states", "n_actions", "n_features")),
        Fact("terminal", ("n_states",), "boolean", default=False),
    ),
    parameters=(
        Parameter(
            "w",
            real,
            shape=("n_features",),
            prior=Normal(0.0, 1.0),
            plausible=0.5,
            meaning="what a unit of each feature is worth, in units of the temperature",
            citation="prior: rlpymc, weak for features about 1 apart",
        ),
        Parameter(
            "gamma",
            interval(0.0, 0.999),
            prior=Uniform(0.0, 0.999),
            value=0.9,
            meaning="discount of what comes a step later",
            citation="value: rlpymc; prior: rlpymc, flat",
        ),
        inverse_temperature(
            "beta",
            "inverse temperature, to be freed where w is fixed",
            value=1.0,
            citation="prior: rlpymc, weak for weights about 1",
        ),
    ),
    derive=derive,
    start=start,
    values=values,
    signals=signals,
    policy="logits",
    expectations=(Expectation(goes_where_it_can),),
    departures=("discounted, and without end unless a state is terminal",),
    confused_with=("q_mdp",),
)
