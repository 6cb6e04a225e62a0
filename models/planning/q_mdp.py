"""Q-learning in a Markov decision process.

    d = r + gamma max_b Q[s', b] - Q[s, a]          Watkins & Dayan (1992); 0 for the max where the episode ends
    Q[s, a] <- Q[s, a] + alpha d
    P(a) = softmax(beta Q[s])[a]

For tasks with states that actions lead to. Q starts at q0, a constant 0 that can be freed (n_states x n_actions).
Option `terminal`: "stops" (no value after an end), or "bootstraps" (the end is a state like the others).
Departs from its source: nothing; the maximum of tied values is the first of them.
"""

from rlpymc.math import add_at, max, take, where
from rlpymc.model import Input, Model, Parameter, boolean, index, real, unit
from rlpymc.model.usual_parameters import learning_rate, start_value
from rlpymc.priors import Beta


def start(p, facts):
    return {"q": p.q0}  # (n_states, n_actions) value of each action in each state


def values(p, s, x):
    return take(s.q, x.state)


def learner(ends=True):
    """Return signals and update of a learner for which an end has no value, or is a state like the others."""

    def future(p, s, x):
        after = max(take(s.q, x.next_state))
        return where(x.done, 0.0, after) if ends else after

    def signals(p, s, x):
        return {"prediction_error": x.reward + p.gamma * future(p, s, x) - take(s.q, (x.state, x.action))}

    def update(p, s, x):
        return {"q": add_at(s.q, (x.state, x.action), p.alpha * signals(p, s, x)["prediction_error"])}

    return {"signals": signals, "update": update}


def terminal(learner):
    """Return the option by which the end of an episode can be a state like the others, of a ``learner(ends)``."""

    def bootstraps(model):
        departures = (*model.departures, "the end of an episode has a value")
        return model.changed(**learner(ends=False), departures=departures)

    return {"stops": None, "bootstraps": bootstraps}


columns = (
    Input("state", index("n_states")),
    Input("action", index("n_actions"), response=True),
    Input("next_state", index("n_states"), after="action", unless="done"),
    Input("reward", real, after="action"),
    Input("done", boolean, after="action", default=False),
)
gamma = Parameter(
    "gamma",
    unit,
    prior=Beta(1.1, 1.1),
    plausible=0.8,
    meaning="discount of what comes a step later",
    citation="prior: rlpymc, weak",
)

q_mdp = Model(
    name="q_mdp",
    family="planning",
    summary="Q-learning with a bootstrapped maximum over states and actions",
    reference="Watkins & Dayan 1992",
    equation=r"Q_{sa} \leftarrow Q_{sa} + \alpha (r + \gamma \max_b Q_{s'b} - Q_{sa})",
    inputs=columns,
    parameters=(
        learning_rate(plausible=0.2),
        gamma,
        start_value(shape=("n_states", "n_actions")),
    ),
    start=start,
    values=values,
    **learner(),
    policy="softmax",
    options={"terminal": terminal(learner)},
)
