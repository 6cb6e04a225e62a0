"""Promises that a model cannot keep, with the reason; each is run, and an error when it has healed."""

_STAIRCASE = "the likelihood is a staircase in alpha: there is no curvature, and so no standard error"

KNOWN_FAILURES: dict[tuple[str, str], str] = {
    ("delta+epsilon_greedy", "check_mle"): _STAIRCASE,
    ("delta+epsilon_greedy+lapse", "check_mle"): _STAIRCASE,
}
