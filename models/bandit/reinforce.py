"""REINFORCE, the gradient bandit: preferences go up the gradient of expected reward.

    W <- W + (r - rbar) (onehot(a) - pi)     Sutton & Barto (2018), eq. 2.12; pi = softmax(beta W), before the update
    rbar <- rbar + alpha (r - rbar)          the baseline, after W has moved
    P(a) = softmax(beta W)[a]

beta is the step size times the inverse temperature: only their product shows in choices. pi is over the actions on
offer, without what other choice rules add. W starts at 0, rbar at baseline0, a constant 0 that can be freed.
Not the delta rule: what is learned are preferences, without a value to be reached, and those of all actions move.
Departs from its sources: beta is in pi, so that W is in units of reward. The baseline is a running average with a
constant rate, where Sutton & Barto take that of all rewards, and starts at baseline0 and not at the first reward.
"""

from rlpymc.math import onehot, size, softmax, where, zeros
from rlpymc.model import Input, Model, index, real
from rlpymc.model.usual_parameters import learning_rate, start_value


def start(p, facts):
    return {
        "w": zeros(facts.n_actions),  # (n_actions,) preference for each action
        "baseline": p.baseline0,  # what reward is expected, whatever is chosen
    }


def values(p, s, x):
    return s.w


def signals(p, s, x):
    return {"prediction_error": x.reward - s.baseline}


def update(p, s, x):
    error = signals(p, s, x)["prediction_error"]
    expected = softmax(where(x.available, p.beta * s.w, -float("inf")))
    return {"w": s.w + error * (onehot(x.action, size(s.w)) - expected), "baseline": s.baseline + p.alpha * error}


reinforce = Model(
    name="reinforce",
    family="bandit",
    summary="preferences for actions, moved along the gradient of expected reward",
    reference="Williams 1992; Sutton & Barto 2018, section 2.8; Li & Daw 2011",
    equation=(
        r"W_b \leftarrow W_b + (r - \bar r) ([b = a] - \pi_b),\quad \bar r \leftarrow \bar r + \alpha (r - \bar r)"
    ),
    inputs=(Input("action", index("n_actions"), response=True), Input("reward", real, after="action")),
    parameters=(
        learning_rate("alpha", "learning rate of the baseline; that of the preferences is in beta", plausible=0.2),
        start_value("baseline0", "baseline before the first trial"),
    ),
    start=start,
    values=values,
    signals=signals,
    update=update,
    policy="softmax",
    departures=(
        "the learning rate of the preferences is part of beta",
        "the baseline has a constant learning rate, and starts at baseline0",
    ),
    confused_with=("delta", "choice_kernel"),
)
