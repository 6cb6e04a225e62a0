"""Noisy win-stay lose-shift: repeat after a win, switch after a loss, with some random choices.

    after a win   P(same) = 1 - epsilon + epsilon / n,   each other epsilon / n
    after a loss  each other (1 - epsilon) / (n - 1) + epsilon / n,   P(same) = epsilon / n
    Wilson & Collins (2019), model 2, for two arms; here for n

For tasks with one action and one number back per trial; a win is a reward above 0. The first choice is uniform.
Not a delta rule with learning rate 1, whose values of the other actions last.
Departs from its source: n arms; at n = 2 it is the published model.
"""

from rlpymc.math import onehot, size, sum, where, zeros
from rlpymc.model import Expectation, Input, Model, Parameter, index, real, unit
from rlpymc.priors import Beta
from rlpymc.responses import Categorical


def start(p, facts):
    return {
        "last": zeros(facts.n_actions),  # (n_actions,) 1 at the previous action
        "won": zeros(()),  # () 1 if it was rewarded
    }


def policy(p, s, x):
    n = size(s.last)
    target = where(s.won > 0, s.last, (1 - s.last) / (n - 1))
    started = sum(s.last)
    return Categorical(probs=started * (1 - p.epsilon) * target + (1 - started * (1 - p.epsilon)) / n)


def update(p, s, x):
    return {"last": onehot(x.action, size(s.last)), "won": where(x.reward > 0, 1.0, 0.0)}


def wins_and_losses(x, p, facts):
    low, high = x.reward.min(), x.reward.max()
    if low == high or low <= 0 < high:
        return ""
    return (
        f"column 'reward': found {low:g} to {high:g}, and for wsls a win is a reward above 0: subtract what lies "
        f"between losses and wins, table['reward'] - ({(low + high) / 2:g}), say"
    )


wsls = Model(
    name="wsls",
    family="bandit",
    summary="repeat after a win, switch after a loss, or choose at random",
    reference="Wilson & Collins 2019",
    equation=r"P(\text{win-stay, lose-shift}) = 1 - \epsilon,\quad P(\text{any action}) = \epsilon / n",
    inputs=(Input("action", index("n_actions"), response=True), Input("reward", real, after="action")),
    parameters=(
        Parameter(
            "epsilon",
            unit,
            prior=Beta(1.1, 1.1),
            plausible=0.3,
            meaning="share of choices made at random",
            citation="prior: rlpymc, weak",
        ),
    ),
    start=start,
    policy=policy,
    update=update,
    expectations=(Expectation(wins_and_losses),),
    departures=("any number of arms: after a loss the other actions share the probability of switching",),
    confused_with=("delta",),
)
