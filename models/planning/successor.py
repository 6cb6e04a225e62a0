"""Successor representation: where each action leads, discounted, and what reward each state holds.

    Q[i, b] = sum_j M[i, b, j] w[j]                                        Dayan (1993)
    M[s, a, :] <- M[s, a, :] + alpha_successor e,   e = onehot(s') + gamma sum_b pi'[b] M[s', b, :] - M[s, a, :]
    w[s'] <- w[s'] + alpha_reward (r - w[s'])                              Russek et al. (2017), SR-TD
    P(a) = softmax(beta Q[s])[a],   pi' = softmax(beta Q[s']) over all actions, from before the update

M[s, a, j] is how often state j will be visited after action a in s, discounted by gamma from the next state on, which
counts 1. For tasks with rewards that belong to the states that are reached. gamma's term is 0 where the episode ends.
M and w start at 0. All actions are in pi', on offer or not, and nothing that other choice rules add.
Not `model_based`: after rewards change it plans at once, but what it knows of paths is tied to the policy that it had.
Departs from its sources: Russek et al. follow the greedy action in place of pi', and count pairs of state and action.
"""

from rlpymc.math import add_at, onehot, size, softmax, sum, take, where, zeros
from rlpymc.model import Model
from rlpymc.model.usual_parameters import learning_rate
from rlpymc.models.planning.q_mdp import columns, gamma


def start(p, facts):
    n, k = facts.n_states, facts.n_actions
    return {
        "m": zeros((n, k, n)),  # (n_states, n_actions, n_states) discounted visits of each state to come
        "w": zeros(n),  # (n_states,) reward that each state holds
    }


def q(s, state):
    return sum(take(s.m, state) * s.w)


def values(p, s, x):
    return q(s, x.state)


def signals(p, s, x):
    policy = softmax(p.beta * q(s, x.next_state))
    future = sum(policy[:, None] * take(s.m, x.next_state), axis=0)
    visits = onehot(x.next_state, size(s.w)) + where(x.done, 0.0, p.gamma * future)
    return {
        "successor_prediction_error": visits - take(s.m, (x.state, x.action)),  # (n_states,)
        "reward_prediction_error": x.reward - take(s.w, x.next_state),
    }


def update(p, s, x):
    error = signals(p, s, x)
    return {
        "m": add_at(s.m, (x.state, x.action), p.alpha_successor * error["successor_prediction_error"]),
        "w": add_at(s.w, x.next_state, p.alpha_reward * error["reward_prediction_error"]),
    }


successor = Model(
    name="successor",
    family="planning",
    summary="learns which states each action leads to in the long run, and the reward of each state",
    reference="Dayan 1993; Russek, Momennejad, Botvinick, Gershman & Daw 2017; Momennejad et al. 2017",
    equation=(
        r"Q_{ib} = \sum_j M_{ibj} w_j,\quad w_{s'} \leftarrow w_{s'} + \alpha_w (r - w_{s'}),\quad "
        r"M_{sa\cdot} \leftarrow M_{sa\cdot} + \alpha_M (e_{s'} + \gamma \sum_b \pi'_b M_{s'b\cdot} - M_{sa\cdot})"
    ),
    inputs=columns,
    parameters=(
        learning_rate("alpha_successor", "learning rate of the successor representation"),
        learning_rate("alpha_reward", "learning rate of the rewards of states"),
        gamma,
    ),
    start=start,
    values=values,
    signals=signals,
    update=update,
    policy="softmax",
    departures=(
        "the next action is expected by the learner's own policy, not taken to be the greedy one",
        "counts visits of states, not of pairs of state and action",
    ),
    confused_with=("model_based", "q_mdp"),
)
