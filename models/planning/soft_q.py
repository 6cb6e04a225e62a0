"""Soft Q-learning: as `q_mdp`, with a soft maximum, which counts how many good actions a state has.

    V(s') = log(sum_b exp(beta Q[s', b])) / beta      Haarnoja et al. (2017), eq. 5; 0 where the episode ends
    d = r + gamma V(s') - Q[s, a]
    Q[s, a] <- Q[s, a] + alpha d
    P(a) = softmax(beta Q[s])[a]                      the policy that is best for reward plus entropy / beta

1 / beta is at once the temperature of choices and the worth of a nat of entropy. As it vanishes, V becomes the maximum.
The sum is over all actions, on offer or not. At beta = 0, where V is infinite, it counts 0, and all choices are random.
Q starts at q0, a constant 0 that can be freed (n_states x n_actions). Option `terminal` as for `q_mdp`.
Not `q_mdp`, whose choices are as soft, but whose values come from the best action.
Departs from its sources: a table, as in Fox et al. (2016), without their prior policy, by which they weigh actions in
V; so a step that is left to go is worth up to log(n_actions) / beta by itself.
"""

from rlpymc.math import logsumexp, where
from rlpymc.model import Model
from rlpymc.models.planning.q_mdp import columns, learner, q_mdp, start, terminal, values


def soft_maximum(p, q):
    return logsumexp(p.beta * q) / where(p.beta > 0, p.beta, float("inf"))


soft_q = Model(
    name="soft_q",
    family="planning",
    summary="Q-learning with a bootstrapped soft maximum: values of reward and entropy",
    reference="Fox, Pakman & Tishby 2016; Haarnoja, Tang, Abbeel & Levine 2017",
    equation=(
        r"Q_{sa} \leftarrow Q_{sa} + \alpha (r + \gamma V_{s'} - Q_{sa}),\quad "
        r"V_{s'} = \tfrac{1}{\beta} \log \sum_b \exp(\beta Q_{s'b})"
    ),
    inputs=columns,
    parameters=q_mdp.declared["parameters"],
    start=start,
    values=values,
    **learner(soft_maximum),
    policy="softmax",
    options={"terminal": terminal(soft_maximum)},
    departures=("values are a table, and all actions have the same weight in the soft maximum",),
    confused_with=("q_mdp",),
)
