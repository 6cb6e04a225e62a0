"""Choices of a mind that wanders: any learner in a hidden Markov model of attention."""

from functools import lru_cache
from typing import Any

from rlpymc.math import concatenate, full, put, softmax, stack, sum, take, where, zeros
from rlpymc.model.learner import Model
from rlpymc.model.parameters import Input, Parameter, boolean, real, unit
from rlpymc.model.priors import Beta, Normal
from rlpymc.model.responses import Categorical


def with_hidden_states(model: Model, n_states: int) -> Model:
    """The model whose choices come from a learner while it is engaged, and from a bias otherwise; see `hmm`."""
    if not isinstance(n_states, int) or n_states < 2:
        raise ValueError(f"n_states: found {n_states!r}, expected a whole number of at least 2")
    return _with_hidden_states(model, n_states)


@lru_cache(maxsize=256)
def _with_hidden_states(model: Model, n_states: int) -> Model:
    if len(model.responses) != 1 or model.responses[0].dtype != "int64":
        made = ", ".join(f"{r.name} ({'a choice' if r.dtype == 'int64' else 'a number'})" for r in model.responses)
        raise ValueError(
            f"hmm is for learners with one choice in a trial, among actions; {model.name} responds with {made}"
        )
    if any(p.name == "engaged0" for p in model.parameters):
        raise ValueError(f"hmm is for a learner, and {model.name} is a hidden Markov model already")
    response = model.responses[0].name

    def start(p: Any, facts: Any) -> dict[str, Any]:
        others = (1 - p.engaged0) / (n_states - 1)
        return {**model.initial_state(p, facts), "belief": put(full(n_states, others), 0, p.engaged0)}

    def emissions(p: Any, s: Any, x: Any) -> list[Any]:
        """Return the probabilities of the actions in each hidden state."""
        engaged = model.respond(p, s, x)[response].probs
        logits = [concatenate([zeros(1), take(p.bias, k)]) for k in range(n_states - 1)]
        available = getattr(x, "available", True)
        return [engaged, *(softmax(where(available, v, -float("inf"))) for v in logits)]

    def policy(p: Any, s: Any, x: Any) -> Categorical:
        parts = [take(s.belief, k) * probs for k, probs in enumerate(emissions(p, s, x))]
        return Categorical(probs=sum(stack(parts), axis=0))

    def remember(p: Any, s: Any, x: Any) -> dict[str, Any]:
        made = stack([take(probs, getattr(x, response)) for probs in emissions(p, s, x)])
        total = sum(s.belief * made)
        possible = x.scored & (total > 0)
        belief = where(possible, s.belief * made / where(possible, total, 1.0), s.belief)
        leaving = belief * p.leave
        moved = belief - leaving + (sum(leaving) - leaving) / (n_states - 1)
        return {**model.after_response(p, s, x), "belief": moved}

    title = model.name if n_states == 2 else f"{model.name}, n_states={n_states}"
    return Model(
        name=f"hmm({title})",
        family=model.family,
        summary=f"{model.card['summary']}; only while engaged",
        reference=f"{model.card['reference']}; Li, Shi, Li & Collins 2024; Ashwood et al. 2022",
        equation=(
            rf"{model.full_equation};\quad P(a) = \sum_z b_z P_z(a),\quad b \leftarrow T^\top (b \circ P(a)) / P(a)"
        ),
        inputs=(*model.inputs, Input("scored", boolean, default=True)),
        parameters=(
            *model.parameters,
            Parameter(
                "leave",
                unit,
                shape=(n_states,),
                prior=Beta(1.1, 5.0),
                plausible=0.1,
                meaning="probability of leaving each hidden state after a choice",
                citation="prior: rlpymc, weak",
            ),
            Parameter(
                "engaged0",
                unit,
                prior=Beta(1.1, 1.1),
                value=0.9,
                meaning="probability of being engaged at the start",
                citation="value: rlpymc",
            ),
            Parameter(
                "bias",
                real,
                shape=(n_states - 1, "n_actions-1"),
                prior=Normal(0.0, 1.0),
                value=0.0,
                meaning="log odds of each action against action 0 in each lapsed state",
                citation="value: Li, Shi, Li & Collins 2024, whose lapsed choices are uniform; prior: rlpymc, weak",
            ),
        ),
        start=start,
        policy=policy,
        update=model.update,
        facts=model.facts,
        derive=model.derive,
        signals=model.signals,
        remember=remember,
        conditions=model.conditions,
        special_cases={model.name: {"leave": 0.0, "engaged0": 1.0}},
        departures=model.departures,
    )
