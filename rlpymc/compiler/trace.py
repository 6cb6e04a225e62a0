"""A model's step as scalar expressions: what the kernel is printed from.

The model's own functions are called once, on symbols of one subject at one trial.
"""

import linecache
import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any

import numpy as np

from rlpymc.compiler.expressions import TRIAL, Graph, ModelError, Node, Unsupported, ancestors, constant, raw
from rlpymc.compiler.symbols import LARGE, Symbol, Table, lift
from rlpymc.model import Facts, Model
from rlpymc.model.parameters import Index, resolve_shape
from rlpymc.model.record import Record

# Operations that a step may have to become a loop: 2000 compile in 3 s, 4000 in 10 s, and 6000 in half a minute.  It is
# not less, as a scan, though ready sooner, takes hundreds of times as long for each evaluation.
MOST_OPERATIONS = 6000


@dataclass(frozen=True)
class Variant:
    """What of a model is settled before the data.

    Parameters
    ----------
    model, facts
        The model and what is known before the data.
    assumed : frozenset of str
        Columns that the trials do not have, which hold their default.
    by_trial : frozenset of str
        Parameters that vary by trial.
    resumed : bool
        Whether the state before the first trial is what an earlier one left, instead of the model's start.
    """

    model: Model
    facts: Facts
    assumed: frozenset[str] = frozenset()
    by_trial: frozenset[str] = frozenset()
    resumed: bool = False


@dataclass(frozen=True)
class Update:
    """What changes after a trial, in the learner or in what remembers responses.

    Parameters
    ----------
    numbers : dict
        New values of states held in variables, by (state, entry).
    writes : list of (state, position, value)
        Writes to tables, in order; their positions and values are from before any of them.
    """

    numbers: dict[tuple[str, int], Node] = field(default_factory=dict)
    writes: list[tuple[str, Node, Node]] = field(default_factory=list)

    @cached_property
    def nodes(self) -> list[Node]:
        """All that it computes."""
        return [*self.numbers.values(), *(n for _, *pair in self.writes for n in pair)]

    @property
    def states(self) -> set[str]:
        """The states that it changes."""
        return {name for name, _ in self.numbers} | {name for name, *_ in self.writes}


class Trace:
    """One subject's step; compares by content, so that what was compiled for a model serves another that does the same.

    Parameters
    ----------
    variant : Variant
        The model, and what is settled before the data.
    large : int
        Entries from which on a state is a table.

    Attributes
    ----------
    start : dict of (entries,) lists of Node
        Entries of each state before the first trial.
    shapes, tables : dict, set
        Shapes of the states, and which of them are tables.
    responses, terms : dict
        Distribution and log probability of each response.
    arguments : dict of ndarray of Node
        Arguments of the responses' distributions, by response and name.
    updates : dict of Update
        "learned" and "responded": what changes where the mask of this name is true.
    signals, probs : dict of Symbol
        The model's signals; the probabilities of the discrete responses.
    """

    def __init__(self, variant: Variant, large: int) -> None:
        self.variant, self.graph = variant, Graph()
        model, facts = variant.model, variant.facts
        with self.graph.active():
            self.column_shapes = {i.name: resolve_shape(i.shape, vars(facts)) for i in model.inputs}
            self.parameter_shapes = {p.name: resolve_shape(p.shape, vars(facts)) for p in model.parameters}
            first = Record(**{k: _leaves("parameter", k, shape) for k, shape in self.parameter_shapes.items()})
            start = {k: lift(v) for k, v in model.initial_state(first, facts).items()}
            if variant.resumed:
                start = {k: _leaves("given", k, v.shape) for k, v in start.items()}
            self.start = {k: list(v.nodes.reshape(-1)) for k, v in start.items()}
            self.shapes = {k: v.shape for k, v in start.items()}
            self.tables = {k for k, nodes in self.start.items() if len(nodes) >= large}
            p = Record(
                **{
                    k: _leaves("parameter_now", k, shape) if k in variant.by_trial else getattr(first, k)
                    for k, shape in self.parameter_shapes.items()
                }
            )
            self._tables = {k: Table(raw("table", value=k), self.shapes[k]) for k in self.tables}
            s = Record(**{k: self._tables.get(k, _leaves("state", k, shape)) for k, shape in self.shapes.items()})
            x = Record(**{i.name: self._column(i.name) for i in model.inputs})
            self.responses = model.respond(p, s, x)
            self.arguments = {
                (k, name): lift(v).nodes for k, r in self.responses.items() for name, v in r.arguments.items()
            }
            self.terms = {k: lift(r.log_prob(getattr(x, k))).node() for k, r in self.responses.items()}
            learned, responded = model.update(p, s, x), model.after_response(p, s, x)
            model.check_update(self.shapes, *({k: lift(v).shape for k, v in u.items()} for u in (learned, responded)))
            self.updates = {"learned": self._update(learned, s), "responded": self._update(responded, s)}
            self.signals = {k: lift(v) for k, v in (model.signals(p, s, x) if model.signals else {}).items()}
            self.probs = {k: lift(r.probs) for k, r in self.responses.items() if r.discrete}
        self._check_tables()

    def _column(self, name: str) -> Symbol:
        entry = next(i for i in self.variant.model.inputs if i.name == name)
        facts = vars(self.variant.facts)
        shape = self.column_shapes[name]
        if name in self.variant.assumed:
            return lift(np.full(shape, entry.default, dtype=entry.dtype))
        limit = int(facts[entry.kind.fact]) if isinstance(entry.kind, Index) else None
        kind = {"int64": "i", "bool": "b"}.get(entry.dtype, "f")
        return _array(
            shape,
            (raw("input", value=(name, k, limit), kind=kind) for k in range(int(np.prod(shape)))),  # type: ignore[arg-type]
        )

    def _update(self, new: Mapping[str, Any], s: Record) -> Update:
        found = Update()
        for name, value in new.items():
            table = self._tables.get(name)
            if table is None:
                for k, node in enumerate(lift(value).nodes.reshape(-1)):
                    if node is not getattr(s, name).nodes.reshape(-1)[k]:
                        found.numbers[name, k] = node
                continue
            value = lift(value)
            if not isinstance(value, Table):
                value = Table(value.nodes.reshape(-1), value.shape)
            whole = [] if value.base is table.base else list(_entries(value.base, len(self.start[name])))
            for k, node in enumerate(whole):
                if node is not table.entry(constant(k)):
                    found.writes.append((name, constant(k), node))
            found.writes.extend((name, *write) for write in value.writes)
        return found

    def _check_tables(self) -> None:
        """Refuse what the kernel's order of reads and writes cannot express."""
        later = {name for name, *_ in self.updates["responded"].writes}
        for node in ancestors(self.updates["learned"].nodes):
            if node.op == "read" and node.arguments[0].value in later:
                raise Unsupported(f"the learner reads {node.arguments[0].value!r}, which a choice rule changes")

    @property
    def operations(self) -> int:
        """How many operations there are in the state before the first trial, the terms and the updates."""
        updated = [n for update in self.updates.values() for n in update.nodes]
        roots = [*(n for nodes in self.start.values() for n in nodes), *self.terms.values(), *updated]
        return sum(bool(n.arguments) for n in ancestors(roots))

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all that a kernel is made of: names, shapes, and the expressions."""
        variant = self.variant
        inputs = [(i.name, i.dtype, str(i.kind), self.column_shapes[i.name]) for i in variant.model.inputs]
        settled = variant.model.name, inputs, sorted(variant.assumed), sorted(variant.by_trial), variant.resumed
        shapes = self.parameter_shapes, self.shapes, sorted(self.tables)
        kinds = {k: type(r).__name__ for k, r in self.responses.items()}
        terms = {k: n.number for k, n in self.terms.items()}
        updates = {
            name: (
                {entry: n.number for entry, n in update.numbers.items()},
                [(table, position.number, value.number) for table, position, value in update.writes],
            )
            for name, update in self.updates.items()
        }
        with self.graph.copy().active() as graph:  # tables make nodes of their entries when asked for them
            signals, probs = ({k: v.nodes for k, v in found.items()} for found in (self.signals, self.probs))
            parts: list[Mapping[Any, Any]] = [self.start, self.arguments, signals, probs]
            arrays = [{k: [n.number for n in np.ravel(v)] for k, v in part.items()} for part in parts]
            content = settled, shapes, kinds, terms, updates, arrays, graph.content
        return sha256(repr(content).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trace) and (self is other or self.fingerprint == other.fingerprint)

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def depends(self, active: Iterable[str]) -> "Dependence":
        """The nodes that depend on some parameters."""
        return Dependence(self, active)


class Dependence:
    """Which expressions and states change with some of the parameters, and so carry derivatives.

    Parameters
    ----------
    trace : Trace
        The step.
    active : iterable of str
        The parameters.
    """

    def __init__(self, trace: Trace, active: Iterable[str]) -> None:
        self.parameters, self.states = frozenset(active), set[str]()
        while True:
            self._known: dict[int, bool] = {}
            found = {k for k, nodes in trace.start.items() if any(map(self, nodes))}
            for update in trace.updates.values():
                found |= {name for (name, _), node in update.numbers.items() if self(node)}
                found |= {name for name, _, node in update.writes if self(node)}
            if found <= self.states:
                return
            self.states |= found

    def __call__(self, node: Node) -> bool:
        """True if a node depends on them."""
        for n in ancestors([node]) if node.number not in self._known else ():
            if n.number in self._known:
                continue
            if n.op in ("parameter", "parameter_now"):
                known = n.value[0] in self.parameters
            elif n.op == "state":
                known = n.value[0] in self.states
            elif n.op == "table":
                known = n.value in self.states
            elif n.op == "stop" or n.kind != "f":
                known = False
            else:
                known = n.op == "adjoint" or any(self._known[a.number] for a in n.arguments)
            self._known[n.number] = known
        return self._known[node.number]


@lru_cache(maxsize=256)
def trace(variant: Variant) -> Trace:
    """Return the step of a model as expressions.

    States with many entries are tables in memory; if a step does with them what tables cannot do, all are unrolled.

    Raises
    ------
    ModelError
        If the step is wrong: it branches on data, or takes an entry that an array may not have.
    Unsupported
        If the step does something that cannot be traced, or has too many operations; the message says what and where.
    """
    try:
        try:
            found = Trace(variant, LARGE)
        except Unsupported:
            found = Trace(variant, large=10**9)
    except ModelError as problem:
        raise ModelError(f"model {variant.model.name!r}: {problem}{_where(problem)}") from problem
    except Unsupported as problem:
        raise Unsupported(f"{problem}{_where(problem)}") from problem
    except (ArithmeticError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError) as problem:
        raise Unsupported(f"{type(problem).__name__}: {problem}{_where(problem)}") from problem
    if (count := found.operations) > MOST_OPERATIONS:
        raise Unsupported(
            f"its step has {count} operations, and a loop may have {MOST_OPERATIONS}; with fewer actions or states it "
            "has fewer"
        )
    return found


def _where(problem: BaseException) -> str:
    """Return the line of the model's own code in which something went wrong."""
    engine = [
        f"/rlpymc/{place}"
        for place in ("compiler/", "likelihood/", "math/", "model/learner.py", "model/record.py", "model/facts.py")
    ]
    engine += ["/site-packages/", sys.base_prefix]
    frames = traceback.extract_tb(problem.__traceback__)
    own = [f for f in frames if not any(part in f.filename for part in engine)]
    if not own:
        return ""
    frame = own[-1]
    line = linecache.getline(frame.filename, frame.lineno or 0).strip()
    return f", in {frame.name}: {line}"


def _leaves(op: str, name: str, shape: tuple[int, ...]) -> Symbol:
    return _array(shape, (raw(op, value=(name, k)) for k in range(int(np.prod(shape)))))


def _array(shape: tuple[int, ...], nodes: Iterable[Node]) -> Symbol:
    out = np.empty(int(np.prod(shape)), dtype=object)
    out[:] = list(nodes)
    return Symbol(out.reshape(shape))


def _entries(base: Any, size: int) -> Iterable[Node]:
    """Return the entries of a large array: expressions, or those of another state's table."""
    return (raw("read", base, constant(k)) for k in range(size)) if isinstance(base, Node) else base


def per_trial(nodes: Iterable[Node]) -> list[Node]:
    """Return those of some nodes and what they depend on that are computed anew on each trial."""
    return [n for n in ancestors(nodes) if n.stage == TRIAL]
