"""The reference likelihood: a PyTensor scan over trials, batched over segments.

A model's functions are called once, on symbolic variables of one subject at one trial (`Core`).  That small graph is
then vectorised.  Only the update runs inside the scan; it yields the state before each trial.  All else (responses,
log probabilities, signals) depends on that state and the trial alone, and is computed for all trials at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import vectorize_graph

from rlpymc.likelihood.derived import without_derive
from rlpymc.model import Facts, Model
from rlpymc.model.parameters import resolve_shape
from rlpymc.model.record import Record
from rlpymc.model.responses import Response
from rlpymc.trials.segments import Segments

type Tensor = Any
type Tensors = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Core:
    """The graph of one subject at one trial."""

    p: Tensors
    s: Tensors
    x: Tensors
    start: Tensors
    learner: Tensors  # what the learner's update changes
    rules: Tensors  # what the choice rules' own updates change
    responses: Mapping[str, Response]
    log_prob: Tensors  # of each response
    signals: Tensors


@lru_cache(maxsize=256)
def core(model: Model, facts: Facts) -> Core:
    """Return the graph of one subject at one trial, in which derived values are parameters."""
    model = without_derive(model, facts)
    p = {
        q.name: pt.tensor(q.name, shape=resolve_shape(q.shape, vars(facts)), dtype="float64") for q in model.parameters
    }
    x = {i.name: pt.tensor(i.name, shape=resolve_shape(i.shape, vars(facts)), dtype=i.dtype) for i in model.inputs}
    start = {k: pt.as_tensor(v).astype("float64") for k, v in model.initial_state(Record(**p), facts).items()}
    s = {k: pt.tensor(k, shape=v.type.shape, dtype="float64") for k, v in start.items()}
    records = Record(**p), Record(**s), Record(**x)
    learner, rules = model.update(*records), model.after_response(*records)
    shapes = ({k: pt.as_tensor(v).type.shape for k, v in states.items()} for states in (start, learner, rules))
    model.check_update(*shapes)
    responses = model.respond(*records)
    return Core(
        p=p,
        s=s,
        x=x,
        start=start,
        learner={k: pt.as_tensor(v).astype("float64") for k, v in learner.items()},
        rules={k: pt.as_tensor(v).astype("float64") for k, v in rules.items()},
        responses=responses,
        log_prob={k: r.log_prob(x[k]) for k, r in responses.items()},
        signals={k: pt.as_tensor(v) for k, v in (model.signals(*records) if model.signals else {}).items()},
    )


def next_state(graph: Core, learned: Tensor, responded: Tensor) -> Tensors:
    """Return the state after a trial, given whether the learner learned and whether a response was made."""
    new = {k: pt.switch(learned, v, graph.s[k]) for k, v in graph.learner.items()}
    new |= {k: pt.switch(responded, v, graph.s[k]) for k, v in graph.rules.items()}
    return {k: new.get(k, v) for k, v in graph.s.items()}


def placeholders(
    model: Model, facts: Facts, segments: Segments, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[list[Tensor], Tensors, Tensor, "Forward"]:
    """Return symbolic arguments (parameters of these shapes, columns, masks) and what the model says of them.

    Returns
    -------
    list of tensors
        All arguments: parameters, columns, and the masks scored, learned, responded, as the model declares them.
    dict of tensors
        The parameters among them.
    tensor
        The mask scored.
    Forward
        The graphs.
    """
    graph, trial_shape = core(model, facts), segments.place.shape
    params = {k: pt.tensor(k, shape=shapes[k], dtype="float64") for k in graph.p}
    inputs = {k: pt.tensor(k, shape=(*trial_shape, *v.type.shape), dtype=v.type.dtype) for k, v in graph.x.items()}
    by_response = trial_shape if len(graph.responses) == 1 else (*trial_shape, len(graph.responses))
    scored = pt.tensor("scored", shape=by_response, dtype="bool")
    masks = [scored, *(pt.tensor(name, shape=trial_shape, dtype="bool") for name in ("learned", "responded"))]
    forward = Forward(model, facts, segments, params, inputs, *masks[1:])
    return [*params.values(), *inputs.values(), *masks], params, masks[0], forward


class Forward:
    """Everything that a model says about each trial, as graphs with dims (segment, position, ...).

    Parameters
    ----------
    model : Model
        The model.
    facts : Facts
        What is known before the data.
    segments : Segments
        The layout.
    params : dict of tensors
        By name: one for all (shape), by subject (subject, *shape), or by trial (subject, trial, *shape).
    inputs : dict of tensors (subject, trial, *shape)
        The model's columns.
    learned, responded : tensor (subject, trial)
        Masks.
    """

    def __init__(
        self,
        model: Model,
        facts: Facts,
        segments: Segments,
        params: Tensors,
        inputs: Tensors,
        learned: Tensor,
        responded: Tensor,
    ) -> None:
        self.graph, self.segments = core(model, facts), segments
        by_segment, by_position = {}, {}
        for name, variable in self.graph.p.items():
            value, own = pt.as_tensor(params[name]).astype("float64"), variable.type.shape
            match value.ndim - variable.ndim:  # static shapes: a sampler may swap in inputs whose shapes it forgot
                case 0:
                    by_segment[name] = pt.specify_shape(value, own)
                case 1:
                    value = value if segments.trivial else value[segments.subject]
                    by_segment[name] = pt.specify_shape(value, (len(segments.subject), *own))
                case 2:
                    by_position[name] = self._lay_out(value)
        self._inputs = {k: self._lay_out(pt.as_tensor(v)) for k, v in inputs.items()}
        self._by_segment, self._by_position = by_segment, by_position
        inside = pt.constant(segments.exists.T)
        self.states, self.final = self._scan(self._lay_out(learned) & inside, self._lay_out(responded) & inside)

    def _lay_out(self, value: Tensor) -> Tensor:
        """(subject, trial, ...) -> (position, segment, ...), with static lengths."""
        value = pt.as_tensor(value)
        n_segments, length = self.segments.row.shape
        rest = tuple(value.type.shape[2:])
        if not self.segments.trivial:
            value = value.reshape((-1, *(value.shape[k] for k in range(2, value.ndim))))[self.segments.row]
        return pt.specify_shape(value, (n_segments, length, *rest)).swapaxes(0, 1)

    def _scan(self, learned: Tensor, responded: Tensor) -> tuple[Tensors, Tensors]:
        """Return the state before each trial, (position, segment, ...), and the state after the last position."""
        graph, n_segments = self.graph, self.segments.row.shape[0]
        if not graph.s:
            return {}, {}
        first = {**self._by_segment, **{k: v[0] for k, v in self._by_position.items()}}
        start = {
            k: pt.broadcast_to(v, (n_segments, *graph.s[k].type.shape))
            for k, v in self._vectorised(graph.start, first, {}, {}).items()
        }
        learned_here, responded_here = (pt.tensor(name, shape=(), dtype="bool") for name in ("learned", "responded"))
        update = next_state(graph, learned_here, responded_here)
        inputs, moving, fixed = list(self._inputs), list(self._by_position), list(self._by_segment)

        def step(learned: Tensor, responded: Tensor, *values: Tensor) -> list[Tensor]:
            rest = list(values)
            now = {graph.x[k]: rest.pop(0) for k in inputs} | {graph.p[k]: rest.pop(0) for k in moving}
            now |= {v: rest.pop(0) for v in graph.s.values()} | {graph.p[k]: rest.pop(0) for k in fixed}
            new = vectorize_graph(list(update.values()), {**now, learned_here: learned, responded_here: responded})
            return [
                pt.specify_shape(pt.broadcast_to(v, (n_segments, *graph.s[k].type.shape)), start[k].type.shape)
                for k, v in zip(update, new, strict=True)
            ]

        after = pytensor.scan(
            step,
            sequences=[learned, responded, *self._inputs.values(), *self._by_position.values()],
            outputs_info=list(start.values()),
            non_sequences=list(self._by_segment.values()),
            strict=True,
            return_list=True,
            return_updates=False,
        )
        states = {k: pt.concatenate([start[k][None], v[:-1]]) for k, v in zip(graph.s, after, strict=True)}
        return states, {k: v[-1] for k, v in zip(graph.s, after, strict=True)}

    def _vectorised[Key](self, outputs: dict[Key, Tensor], p: Tensors, s: Tensors, x: Tensors) -> dict[Key, Tensor]:
        graph = self.graph
        replace = {graph.p[k]: v for k, v in p.items()} | {graph.s[k]: v for k, v in s.items()}
        replace |= {graph.x[k]: v for k, v in x.items()}
        return dict(zip(outputs, vectorize_graph(list(outputs.values()), replace), strict=True)) if outputs else {}

    def trial_by_trial[Key](self, outputs: dict[Key, Tensor]) -> dict[Key, Tensor]:
        """Return outputs of the core graph, (segment, position, ...), given the state before each trial."""
        found = self._vectorised(outputs, self._by_segment | self._by_position, self.states, self._inputs)
        length, n_segments = self.segments.row.shape[::-1]
        return {
            k: pt.broadcast_to(v, (length, n_segments, *v.type.shape[v.ndim - outputs[k].ndim :])).swapaxes(0, 1)
            for k, v in found.items()
        }

    def put_back(self, value: Tensor) -> Tensor:
        """(segment, position, ...) -> (subject, trial, ...); padding holds some other trial's entry."""
        if self.segments.trivial:
            return value
        return value.reshape((-1, *(value.shape[k] for k in range(2, value.ndim))))[self.segments.place]

    def terms(self, scored: Tensor) -> Tensor:
        """Return the log probability of each response, (subject, trial[, response]), 0 where not scored."""
        found = [self.put_back(v) for v in self.trial_by_trial(self.graph.log_prob).values()]
        return pt.switch(scored, found[0] if len(found) == 1 else pt.stack(found, axis=-1), 0.0)
