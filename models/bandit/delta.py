"""Delta rule: one learned value per action.

    delta = r - q[a]                 prediction error
    q[a] <- q[a] + alpha * delta     Sutton & Barto (2018), eq. 2.5

For tasks with one action and one number back per trial. q starts at q0, in units of reward.
Options: `rates` ("one"; by "sign" of the prediction error; by "outcome"), `forgetting` of what was not chosen.
Not Rescorla & Wagner (1972), who sum the values of all cues present.
Departs from its source: nothing; forgetting goes to q0 and not, as in Ito & Doya (2009), to 0.
"""

from rlpymc.math import add_at, full, take
from rlpymc.model import Input, Model, index, real
from rlpymc.model.options import forget_unchosen, rates_by_outcome, rates_by_sign
from rlpymc.model.usual_parameters import learning_rate, start_value


def start(p, facts):
    return {"q": full(facts.n_actions, p.q0)}  # (n_actions,) learned value of each action


def values(p, s, x):
    return s.q


def signals(p, s, x):
    return {"prediction_error": x.reward - take(s.q, x.action)}


def update(p, s, x):
    return {"q": add_at(s.q, x.action, p.alpha * signals(p, s, x)["prediction_error"])}


delta = Model(
    name="delta",
    family="bandit",
    summary="one value per action, moved by the prediction error",
    reference="Sutton & Barto 2018, section 2.5",
    equation=r"Q_a \leftarrow Q_a + \alpha (r - Q_a)",
    inputs=(Input("action", index("n_actions"), response=True), Input("reward", real, after="action")),
    parameters=(
        learning_rate(citation="prior: Daw, Gershman, Seymour, Dayan & Dolan 2011"),
        start_value(),
    ),
    start=start,
    values=values,
    signals=signals,
    update=update,
    policy="softmax",
    options={
        "rates": {"one": None, "sign": rates_by_sign, "outcome": rates_by_outcome},
        "forgetting": {False: None, True: forget_unchosen},
    },
    confused_with=("choice_kernel", "wsls"),
)
