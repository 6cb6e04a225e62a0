"""Actor and critic: one prediction error teaches the values of states and the preferences for actions.

    d = r + gamma V[s'] - V[s]               O'Doherty et al. (2004); V[s'] counts 0 where the episode ends
    V[s] <- V[s] + alpha d                   critic
    W[s, a] <- W[s, a] + d                   actor
    P(a) = softmax(beta W[s])[a]

beta is the step size of the actor times its inverse temperature: only their product shows in choices. V and W start
at 0. Option `actor`: "direct" (as above), or "gradient", along that of the log probability of the choice,
    W[s, :] <- W[s, :] + d (onehot(a) - pi),   pi = softmax(beta W[s])    Sutton & Barto (2018), eqs 13.2, 13.12-13.14
with pi over the actions on offer, from before the update and without what other choice rules add.
Not `q_mdp`: values are those of states under the learner's own policy, and preferences grow as long as errors last.
Departs from its sources: beta is in pi, so that W is in units of reward; the gradient is not discounted by the number
of steps from the start of an episode.
"""

from rlpymc.math import add_at, onehot, size, softmax, take, where, zeros
from rlpymc.model import Model
from rlpymc.model.usual_parameters import learning_rate
from rlpymc.models.planning.q_mdp import columns, gamma


def start(p, facts):
    return {
        "v": zeros(facts.n_states),  # (n_states,) the critic's value of each state
        "w": zeros((facts.n_states, facts.n_actions)),  # (n_states, n_actions) the actor's preferences
    }


def values(p, s, x):
    return take(s.w, x.state)


def signals(p, s, x):
    future = where(x.done, 0.0, take(s.v, x.next_state))
    return {"prediction_error": x.reward + p.gamma * future - take(s.v, x.state)}


def update(p, s, x):
    error = signals(p, s, x)["prediction_error"]
    return {"v": add_at(s.v, x.state, p.alpha * error), "w": add_at(s.w, (x.state, x.action), error)}


def update_by_gradient(p, s, x):
    error = signals(p, s, x)["prediction_error"]
    chosen = onehot(x.action, size(s.w))
    expected = softmax(where(x.available, p.beta * values(p, s, x), -float("inf")))
    return {"v": add_at(s.v, x.state, p.alpha * error), "w": add_at(s.w, x.state, error * (chosen - expected))}


def by_gradient(model):
    return model.changed(
        update=update_by_gradient,
        equation=model.equation.replace(r"W_{sa} + \delta", r"W_{sa} + \delta (1 - \pi_a)")
        + r",\quad W_{sb} \leftarrow W_{sb} - \delta \pi_b\ (b \ne a)",
        departures=("beta is in pi", "the gradient is not discounted by the steps from the start of an episode"),
    )


actor_critic = Model(
    name="actor_critic",
    family="planning",
    summary="values of states and preferences for actions, moved by one prediction error",
    reference="O'Doherty, Dayan, Schultz, Deichmann, Friston & Dolan 2004; Sutton & Barto 2018, section 13.5",
    equation=(
        r"\delta = r + \gamma V_{s'} - V_s,\quad V_s \leftarrow V_s + \alpha \delta,\quad "
        r"W_{sa} \leftarrow W_{sa} + \delta"
    ),
    inputs=columns,
    parameters=(
        learning_rate("alpha", "learning rate of the critic; that of the actor is in beta", plausible=0.2),
        gamma,
    ),
    start=start,
    values=values,
    signals=signals,
    update=update,
    policy="softmax",
    options={"actor": {"direct": None, "gradient": by_gradient}},
    departures=("the actor's learning rate is part of beta",),
    confused_with=("q_mdp",),
)
