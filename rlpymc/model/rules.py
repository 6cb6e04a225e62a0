"""The choice rules of models: how the values of actions, and the choices made before, become probabilities.

Rules compose in a fixed order: one that turns values into logits or probabilities (`softmax`, `epsilon_greedy`,
`logits`), what adds to logits (`stickiness`, `choice_kernel`), and what mixes probabilities (`lapse`).  Each is the
same for every learner.  Options that are not on offer (``x.available`` false) have probability 0 under all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rlpymc.checks import unknown
from rlpymc.math import full, onehot, put, size, softmax, take, where, zeros
from rlpymc.model.choice_probabilities import epsilon_greedy, mixed_with_chance, softmax_logits
from rlpymc.model.parameters import Input, Parameter, boolean, real, unit
from rlpymc.model.priors import Beta, Normal
from rlpymc.model.responses import Categorical
from rlpymc.model.usual_parameters import inverse_temperature, learning_rate

type Step = Callable[[Any, Any, Any], dict[str, Any]]  # (p, s, x) -> new states


@dataclass(frozen=True)
class Rule:
    """One choice rule.

    Parameters
    ----------
    name : str
        How it is called in ``get_model("delta", policy="softmax+stickiness")``.
    stage : {"values", "bias", "mixture"}
        Its place: it takes values to logits (or probabilities), adds to logits, or mixes probabilities.
    parameters : tuple of Parameter
        Its own parameters.
    start : callable, optional
        ``start(p, facts) -> state``, its own memory, which restarts with the learner's.
    logits : callable, optional
        ``logits(p, s, x, values) -> (n_actions,)``; for a bias, `values` are the logits so far.
    probs : callable, optional
        ``probs(p, s, x, given) -> (n_actions,)``; for a mixture, `given` are the probabilities so far, otherwise
        the values.
    update : callable, optional
        ``update(p, s, x) -> state``; runs whenever a response was made.
    equation, reference, summary : str
        For the model's card.
    absent_at : mapping
        The values of its parameters at which it changes nothing.
    smooth : bool
        Whether the probabilities change smoothly with the values; if not, gradients do not tell which way is up.
    """

    name: str
    stage: Literal["values", "bias", "mixture"]
    parameters: tuple[Parameter, ...] = ()
    start: Callable[[Any, Any], dict[str, Any]] | None = None
    logits: Callable[[Any, Any, Any, Any], Any] | None = None
    probs: Callable[[Any, Any, Any, Any], Any] | None = None
    update: Step | None = None
    equation: str = ""
    reference: str = ""
    summary: str = ""
    absent_at: Mapping[str, float] = field(default_factory=dict)
    smooth: bool = True


available = Input("available", boolean, shape=("n_actions",), default=True)


def _softmax_logits(p: Any, s: Any, x: Any, values: Any) -> Any:
    return softmax_logits(values, p.beta)


def _values_as_logits(p: Any, s: Any, x: Any, values: Any) -> Any:
    return values


def _epsilon_greedy_probs(p: Any, s: Any, x: Any, values: Any) -> Any:
    return epsilon_greedy(values, p.epsilon, x.available)


def _last_start(p: Any, facts: Any) -> dict[str, Any]:
    return {"last": zeros(facts.n_actions)}  # (n_actions,) 1 at the previous choice


def _stickiness_logits(p: Any, s: Any, x: Any, values: Any) -> Any:
    return values + p.stickiness * s.last


def _last_update(p: Any, s: Any, x: Any) -> dict[str, Any]:
    return {"last": onehot(x.action, size(s.last))}


def _kernel_start(p: Any, facts: Any) -> dict[str, Any]:
    return {"kernel": zeros(facts.n_actions)}  # (n_actions,) how often each was chosen lately


def _kernel_logits(p: Any, s: Any, x: Any, values: Any) -> Any:
    return values + p.beta_kernel * s.kernel


def _kernel_update(p: Any, s: Any, x: Any) -> dict[str, Any]:
    kept = (1 - p.alpha_kernel) * s.kernel
    return {"kernel": put(kept, x.action, take(kept, x.action) + p.alpha_kernel)}


def _lapse_probs(p: Any, s: Any, x: Any, probs: Any) -> Any:
    return mixed_with_chance(probs, p.lapse, x.available)


RULES = {
    rule.name: rule
    for rule in (  # in the order in which they compose
        Rule(
            "softmax",
            "values",
            parameters=(
                inverse_temperature(
                    plausible=3.0, citation="prior: rlpymc, weak for rewards about 1 apart", units="1/reward"
                ),
            ),
            logits=_softmax_logits,
            equation=r"P(a) \propto \exp(\beta\, Q_a)",
            reference="Sutton & Barto 2018, eq. 2.11",
            summary="softmax of values",
        ),
        Rule(
            "epsilon_greedy",
            "values",
            parameters=(
                Parameter(
                    "epsilon",
                    unit,
                    prior=Beta(1.1, 3.0),
                    plausible=0.2,
                    meaning="probability of choosing at random",
                    citation="prior: rlpymc, weak",
                ),
            ),
            probs=_epsilon_greedy_probs,
            equation=r"P(a) = (1-\epsilon)\,[a \in \arg\max Q]\,/\,\#\arg\max Q + \epsilon / n",
            reference="Sutton & Barto 2018, section 2.2",
            summary="the best value, or any action with probability epsilon; ties share",
            smooth=False,
        ),
        Rule(
            "logits",
            "values",
            logits=_values_as_logits,
            equation=r"P(a) \propto \exp(Q_a)",
            summary="values are logits",
        ),
        Rule(
            "stickiness",
            "bias",
            parameters=(
                Parameter(
                    "stickiness",
                    real,
                    prior=Normal(0.0, 1.0),
                    plausible=0.5,
                    meaning="tendency to repeat the previous choice, in logits",
                    citation="prior: rlpymc, weak",
                ),
            ),
            start=_last_start,
            logits=_stickiness_logits,
            update=_last_update,
            equation=r"+\ \text{stickiness}\,[a = a_{t-1}]",
            reference="Gershman, Pesaran & Daw 2009",
            summary="a bonus for the previous choice",
            absent_at={"stickiness": 0.0},
        ),
        Rule(
            "choice_kernel",
            "bias",
            parameters=(
                learning_rate("alpha_kernel", "learning rate of the choice kernel"),
                Parameter(
                    "beta_kernel",
                    real,
                    prior=Normal(0.0, 2.0),
                    plausible=1.0,
                    meaning="weight of the choice kernel, in logits; negative: alternates",
                    citation="prior: rlpymc, weak",
                ),
            ),
            start=_kernel_start,
            logits=_kernel_logits,
            update=_kernel_update,
            equation=r"+\ \beta_K K_a,\quad K_a \leftarrow K_a + \alpha_K ([a = a_t] - K_a)",
            reference="Wilson & Collins 2019",
            summary="a bonus for what was chosen lately",
            absent_at={"beta_kernel": 0.0},
        ),
        Rule(
            "lapse",
            "mixture",
            parameters=(
                Parameter(
                    "lapse",
                    unit,
                    prior=Beta(1.1, 10.0),
                    plausible=0.05,
                    meaning="share of choices made at random",
                    citation="prior: rlpymc, weak",
                ),
            ),
            probs=_lapse_probs,
            equation=r"P \leftarrow (1-\text{lapse})\,P + \text{lapse}/n",
            reference="Nassar & Frank 2016; Collins & Frank 2018",
            summary="some choices are random",
            absent_at={"lapse": 0.0},
        ),
    )
}


def parse_policy(policy: str) -> tuple[Rule, ...]:
    """Return the rules of a policy such as ``"softmax+stickiness+lapse"``, in the order in which they compose."""
    names = [name.strip() for name in policy.split("+")]
    for name in names:
        if name not in RULES:
            raise unknown("choice rule", name, RULES)
        if names.count(name) > 1:
            raise ValueError(f"policy {policy!r}: {name} is there twice")
    rules = tuple(rule for name, rule in RULES.items() if name in names)
    of_values = [rule.name for rule in rules if rule.stage == "values"]
    if len(of_values) > 1:
        raise ValueError(f"policy {policy!r}: {' and '.join(of_values)} both turn values into choices; keep one")
    if rules[0].probs and (biases := [rule.name for rule in rules if rule.stage == "bias"]):
        raise ValueError(f"policy {policy!r}: {biases[0]} adds to logits, and {rules[0].name} has none; use softmax")
    return rules


def policy_from_rules(values: Step | None, rules: tuple[Rule, ...]) -> Callable[[Any, Any, Any], Categorical]:
    """Return ``policy(p, s, x)`` that applies rules to a learner's values; without values, to logits of zero."""

    def policy(p: Any, s: Any, x: Any) -> Categorical:
        n = size(x.available)
        current: Any = full(n, 0.0) if values is None else values(p, s, x)
        shape = tuple(getattr(current, "type", current).shape) if hasattr(current, "shape") else ()
        if shape != (n,):
            raise ValueError(f"values returns shape {shape}, expected one value for each action, ({n},)")
        is_probability = False
        for rule in rules:
            if rule.logits is not None:
                current = rule.logits(p, s, x, current)
                continue
            assert rule.probs is not None, f"rule {rule.name} has neither logits nor probs"
            if rule.stage == "mixture" and not is_probability:
                current = softmax(where(x.available, current, -float("inf")))
            current, is_probability = rule.probs(p, s, x, current), True
        return (
            Categorical(probs=current)
            if is_probability
            else Categorical(logits=where(x.available, current, -float("inf")))
        )

    return policy
