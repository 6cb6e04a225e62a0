"""Two-step hybrid: model-free SARSA(lambda) and model-based values, mixed.

    d1 = Q2[s2, a2] - Q1[a1],   d2 = r - Q2[s2, a2]                               Daw et al. (2011), supplemental
    Q1[a1] <- Q1[a1] + alpha1 (d1 + lam d2)                                       experimental procedures
    Q2[s2, a2] <- Q2[s2, a2] + alpha2 d2
    MB[a] = sum_s P(s | a) max_b Q2[s, b]
    P(a1) = softmax(beta1 (w MB + (1 - w) Q1 + stickiness [a1 was chosen before]))
    P(a2) = softmax(beta2 Q2[s2])

First action a leads to second state a with probability `common`, to each other one with equal shares of the rest.
The second response may be missing: the first is scored all the same, and nothing is learned.
Departs from its source: P(s | a) is known; there people decide between two mappings by counting.
"""

from rlpymc.math import add_at, max, onehot, size, sum, take, zeros
from rlpymc.model import Expectation, Input, Model, Parameter, index, real, unit
from rlpymc.model.usual_parameters import inverse_temperature, learning_rate
from rlpymc.priors import Beta, Normal
from rlpymc.responses import Categorical


def start(p, facts):
    if facts.n_actions != facts.n_states:
        raise ValueError(
            f"two_step_hybrid needs as many second states as first actions, found n_states={facts.n_states} and "
            f"n_actions={facts.n_actions}"
        )
    return {
        "q1": zeros(facts.n_actions),  # (n_actions,) model-free value of each first action
        "q2": zeros((facts.n_states, facts.n_actions)),  # (n_states, n_actions) value of each second action
        "last": zeros(facts.n_actions),  # (n_actions,) 1 at the previous first action
    }


def model_based(p, s):
    best = max(s.q2)  # (n_states,)
    rare = (1 - p.common) / (size(best) - 1)
    return p.common * best + rare * (sum(best) - best)


def first(p, s, x):
    return Categorical(logits=p.beta1 * (p.w * model_based(p, s) + (1 - p.w) * s.q1 + p.stickiness * s.last))


def second(p, s, x):
    return Categorical(logits=p.beta2 * take(s.q2, x.state2))


def signals(p, s, x):
    reached = take(s.q2, (x.state2, x.action2))
    return {"prediction_error1": reached - take(s.q1, x.action1), "prediction_error2": x.reward - reached}


def update(p, s, x):
    d = signals(p, s, x)
    return {
        "q1": add_at(s.q1, x.action1, p.alpha1 * (d["prediction_error1"] + p.lam * d["prediction_error2"])),
        "q2": add_at(s.q2, (x.state2, x.action2), p.alpha2 * d["prediction_error2"]),
    }


def remember(p, s, x):
    return {"last": onehot(x.action1, size(s.last))}


def leads_to_its_own_state(x, p, facts):
    led = x.state2 == x.action1
    share, n = led.mean(), led.size
    error = (p.common * (1 - p.common) / n) ** 0.5  # of the share, if the model is right
    if abs(share - p.common) <= 0.1 or abs(share - p.common) <= 4 * error:
        return ""
    return (
        f"columns 'action1' and 'state2': found that first action a leads to second state a in a share of {share:.2f} "
        f"of {n} trials, and two_step_hybrid takes common={p.common:g}: pass fixed={{'common': {share:.2f}}}, or "
        "number the states so that state a is where action a mostly leads, read_trials(..., states=[...])"
    )


DAW = "prior: Daw et al. 2011"


def share(name, meaning):
    return Parameter(name, unit, prior=Beta(1.1, 1.1), plausible=0.5, meaning=meaning, citation=DAW)


def temperature(name, meaning):
    citation = "prior: rlpymc, weak for rewards of 0 and 1"
    return inverse_temperature(name, meaning, plausible=4.0, citation=citation, units="1/reward")


two_step_hybrid = Model(
    name="two_step_hybrid",
    family="two_step",
    summary="SARSA(lambda) and model-based values of the first action, mixed",
    reference="Daw, Gershman, Seymour, Dayan & Dolan 2011",
    equation=(
        r"Q_1 \leftarrow Q_1 + \alpha_1 (\delta_1 + \lambda \delta_2),\quad "
        r"Q_2 \leftarrow Q_2 + \alpha_2 \delta_2;\quad "
        r"P(a_1) \propto \exp \beta_1 (w Q_{MB} + (1 - w) Q_1 + p\,\mathrm{rep}(a_1)),\quad "
        r"P(a_2) \propto \exp \beta_2 Q_2"
    ),
    inputs=(
        Input("action1", index("n_actions"), response=True),
        Input("state2", index("n_states"), after="action1"),
        Input("action2", index("n_actions"), response=True),
        Input("reward", real, after="action2"),
    ),
    parameters=(
        learning_rate("alpha1", "learning rate of the first stage", plausible=0.5, citation=DAW),
        learning_rate("alpha2", "learning rate of the second stage", plausible=0.5, citation=DAW),
        temperature("beta1", "inverse temperature of the first stage"),
        temperature("beta2", "inverse temperature of the second stage"),
        share("lam", "eligibility: how much of the second prediction error reaches the first action"),
        share("w", "weight of model-based values"),
        Parameter(
            "stickiness",
            real,
            prior=Normal(0.0, 0.5),
            plausible=0.2,
            meaning="tendency to repeat the previous first action, in units of value (p in the paper)",
            citation="prior: rlpymc, weak for rewards of 0 and 1",
            units="reward",
        ),
        Parameter(
            "common",
            unit,
            prior=Beta(7.0, 3.0),
            value=0.7,
            meaning="probability that first action a leads to second state a",
            citation="value: the task of Daw et al. 2011",
        ),
    ),
    start=start,
    policies={"action1": first, "action2": second},
    signals=signals,
    update=update,
    remember=remember,
    expectations=(Expectation(leads_to_its_own_state, constants=("common",)),),
    departures=("transition probabilities are known, and not found by counting",),
)
