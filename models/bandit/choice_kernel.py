"""Choice kernel alone: what was chosen lately is chosen again, whatever it brought.

    k[a] <- k[a] + alpha_kernel * (1[a chosen] - k[a]),   P(a) = softmax(beta_kernel * k)[a]
    Wilson & Collins (2019), model 4

A baseline for any task with one action per trial. The kernel is a choice rule of every learner; here it stands alone.
Not stickiness, which knows the previous choice only (alpha_kernel = 1).
Departs from its source: the weight may be negative (alternation).
"""

from rlpymc.model import Input, Model, index

choice_kernel = Model(
    name="choice_kernel",
    family="bandit",
    summary="habit without values",
    reference="Wilson & Collins 2019",
    inputs=(Input("action", index("n_actions"), response=True),),
    policy="choice_kernel",
    departures=("the kernel's weight may be negative",),
    confused_with=("delta",),
)
