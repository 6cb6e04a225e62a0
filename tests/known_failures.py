"""Promises that a model cannot keep, with the reason; each is run, and an error when it has healed."""

_STAIRCASE = "the likelihood is a staircase in alpha: there is no curvature, and so no standard error"
_LEVEL = "a softmax is the same when a number is added to all logits: their level has no standard error"
_DISCOUNT = "where all actions lead to states much alike, choices hardly tell the discount: its best value is a bound"

KNOWN_FAILURES: dict[tuple[str, str], str] = {
    ("delta+epsilon_greedy", "check_mle"): _STAIRCASE,
    ("delta+epsilon_greedy+lapse", "check_mle"): _STAIRCASE,
    ("soft_q(terminal=bootstraps)", "check_mle"): _DISCOUNT,
    ("markov_chain", "check_mle"): _LEVEL,
    ("habituating_markov_chain", "check_mle"): _LEVEL,
}
