"""Promises that every model keeps: `rlpymc.validation.checks` under its short path."""

from rlpymc.validation.checks import (
    all_checks,
    check_backends,
    check_card,
    check_does_not_peek,
    check_exchange,
    check_gradient,
    check_likelihood_forms,
    check_masks,
    check_mle,
    check_probabilities,
    check_reference,
    check_simulation,
    check_special_cases,
)

__all__ = [
    "all_checks",
    "check_backends",
    "check_card",
    "check_does_not_peek",
    "check_exchange",
    "check_gradient",
    "check_likelihood_forms",
    "check_masks",
    "check_mle",
    "check_probabilities",
    "check_reference",
    "check_simulation",
    "check_special_cases",
]
