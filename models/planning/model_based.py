"""A model of the world, learned and planned with: transitions, rewards, and one sweep of backups a trial.

    T[s, a, :] <- T[s, a, :] + alpha_transition (u - T[s, a, :])      Glascher et al. (2010), FORWARD; u = onehot(s'),
    R[s, a] <- R[s, a] + alpha_reward (r - R[s, a])                   or 0 where the episode ends: it leads nowhere
    Q[i, b] <- R[i, b] + gamma sum_j T[i, b, j] max_c Q[j, c]         all i, b at once, with new T and R and old Q
    P(a) = softmax(beta Q[s])[a]

For tasks with states that actions lead to. T starts at 1 / n_states, R and Q at 0. Planning goes on from the values of
the trial before (adaptive real-time dynamic programming; Barto, Bradtke & Singh 1995), so that Q follows what T and R
imply within a few trials. The state prediction error is 1 - T[s, a, s'], or 1 less the expected share of ends.
Not the planner of `two_step_hybrid`, who knows the transitions. Not `successor`, who learns where its own policy leads.
Departs from its sources: Glascher et al. plan to the end on each trial, and tell rewards, which belong to states;
the maximum of tied values is the first of them.
"""

from rlpymc.math import full, max, onehot, put, size, sum, take, where, zeros
from rlpymc.model import Model
from rlpymc.model.usual_parameters import learning_rate
from rlpymc.models.planning.q_mdp import columns, gamma


def start(p, facts):
    n, k = facts.n_states, facts.n_actions
    return {
        "transition": full((n, k, n), 1 / n),  # (n_states, n_actions, n_states) probability of each next state
        "reward": zeros((n, k)),  # (n_states, n_actions) expected reward
        "q": zeros((n, k)),  # (n_states, n_actions) value of each action in each state
    }


def values(p, s, x):
    return take(s.q, x.state)


def signals(p, s, x):
    expected = take(s.transition, (x.state, x.action))
    return {
        "reward_prediction_error": x.reward - take(s.reward, (x.state, x.action)),
        "state_prediction_error": where(x.done, sum(expected), 1 - take(expected, x.next_state)),
    }


def update(p, s, x):
    place, n = (x.state, x.action), size(s.transition)
    reached = where(x.done, 0.0, onehot(x.next_state, n))
    leads_to = take(s.transition, place)
    leads_to = leads_to + p.alpha_transition * (reached - leads_to)
    brings = take(s.reward, place) + p.alpha_reward * signals(p, s, x)["reward_prediction_error"]

    def backup(reward, transition):
        return reward + p.gamma * sum(transition * max(s.q))

    return {
        "transition": put(s.transition, place, leads_to),
        "reward": put(s.reward, place, brings),
        "q": put(backup(s.reward, s.transition), place, backup(brings, leads_to)),  # T and R have changed here alone
    }


model_based = Model(
    name="model_based",
    family="planning",
    summary="learns transitions and rewards, and plans with them by one sweep of backups a trial",
    reference="Glascher, Daw, Dayan & O'Doherty 2010; Barto, Bradtke & Singh 1995",
    equation=(
        r"T_{sa\cdot} \leftarrow T_{sa\cdot} + \alpha_T (e_{s'} - T_{sa\cdot}),\quad "
        r"R_{sa} \leftarrow R_{sa} + \alpha_R (r - R_{sa}),\quad "
        r"Q_{ib} \leftarrow R_{ib} + \gamma \sum_j T_{ibj} \max_c Q_{jc}"
    ),
    inputs=columns,
    parameters=(
        learning_rate("alpha_transition", "learning rate of transitions"),
        learning_rate("alpha_reward", "learning rate of rewards"),
        gamma,
    ),
    start=start,
    values=values,
    signals=signals,
    update=update,
    policy="softmax",
    departures=(
        "one sweep of backups a trial, from the values of the trial before",
        "rewards are learned, for states and actions",
        "the end of an episode leads nowhere",
    ),
    confused_with=("q_mdp", "successor"),
)
