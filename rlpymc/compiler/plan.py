"""What a kernel computes: expressions on a trial, what it keeps of them for the way back, the derivatives it adds.

Kernels are written by `lanes` from this plan.

In expressions for derivatives a leaf "adjoint" stands for a derivative that is known where it is used:
("weight", r): with respect to the log probability of response r, ("argument", key, k): to an entry of an argument of a
response's distribution, ("after", state, k): to a state after the trial, ("write", mask, j): to what the j-th write of
an update wrote, ("sum", j): to the j-th of what is computed once a segment, ("start", state, k): to a state before the
first trial, ("table", state): to all entries of a table before the first trial, summed.
"""

from dataclasses import dataclass, field

from rlpymc.compiler.expressions import SEGMENT, TRIAL, Node, ancestors, constant, make, pullback, raw
from rlpymc.compiler.trace import Trace, Update, per_trial

EXPENSIVE = {"exp", "log", "log1p", "expm1", "sqrt", "tanh", "sigmoid", "erf", "pow", "div", "read"}
type Slopes = list[tuple[Node, Node]]  # leaves, and what is added to their derivatives


@dataclass
class Block:
    """What is computed on a trial under one mask: a response's term, or an update."""

    mask: tuple[str, int] | None  # which mask, and which of its entries; None: always
    roots: list[Node]
    slopes: Slopes
    name: str = ""  # of an update: its mask's
    update: Update = field(default_factory=Update)
    kept: list[Node] = field(default_factory=list)  # forward values that the way back needs

    def __post_init__(self) -> None:
        self.forward = {n.number for n in per_trial(self.roots)}


class Plan:
    """The plan of one kernel.

    Parameters
    ----------
    trace : Trace
        The model's step.
    mode : str
        Of `rlpymc.compiler.lanes.MODES`.
    active : tuple of str
        Parameters with respect to which the gradient is wanted.
    always : frozenset of str
        Masks that are true on all trials.

    Attributes
    ----------
    responses, updates : list of Block
        In order.
    kept : dict of Node
        All forward values that the way back needs, by number.
    slots : dict of int
        Their places on the tape.
    sums : list of Node
        What is computed once a segment and carries derivatives.
    """

    def __init__(self, trace: Trace, mode: str, active: tuple[str, ...], always: frozenset[str] = frozenset()) -> None:
        self.trace, self.mode, self.active, self._always = trace, mode, active, always
        self.backward = mode in ("gradient", "terms_pullback", "arguments_pullback")
        self.live = trace.depends(active)
        self.responses = [] if mode in ("latents", "states") else self._response_blocks()
        self.updates = self._update_blocks()
        self.kept = {n.number: n for b in self.blocks for n in b.kept}
        self.slots = {number: k for k, number in enumerate(sorted(self.kept))}
        segment = {leaf.number: leaf for b in self.blocks for leaf, _ in b.slopes if leaf.stage <= SEGMENT}
        self.sums = list(segment.values())

    @property
    def blocks(self) -> list[Block]:
        """Responses, then updates."""
        return [*self.responses, *self.updates]

    @property
    def shown(self) -> list[Node]:
        """What latents are besides states: the entries of signals and of probabilities."""
        arrays = (*self.trace.signals.values(), *self.trace.probs.values()) if self.mode == "latents" else ()
        return [n for v in arrays for n in v.nodes.flat]

    def is_live(self, state: str) -> bool:
        """True if a state carries derivatives."""
        return state in self.live.states

    @property
    def numbers(self) -> list[tuple[str, int]]:
        """The states held in variables that carry derivatives."""
        held = [name for name in self.trace.start if name not in self.trace.tables and self.is_live(name)]
        return [(name, k) for name in held for k in range(len(self.trace.start[name]))]

    @property
    def live_tables(self) -> list[str]:
        """The tables that carry derivatives."""
        return [name for name in self.trace.start if name in self.trace.tables and self.is_live(name)]

    def live_writes(self, update: Update) -> list[tuple[int, str, Node]]:
        """Return the writes of an update that carry derivatives: number, table, position."""
        return [(j, s, at) for j, (s, at, _) in enumerate(update.writes) if self.is_live(s)]

    # ------------------------------------------------------------------------------------------------ blocks
    def _response_blocks(self) -> list[Block]:
        if self.mode in ("arguments", "arguments_pullback"):
            nodes = {(key, k): n for key, v in self.trace.arguments.items() for k, n in enumerate(v.reshape(-1))}
            seeds = [(n, raw("adjoint", value=("argument", *place))) for place, n in nodes.items()]
            return [self._block(None, list(nodes.values()), seeds)]
        blocks = []
        for r, term in enumerate(self.trace.terms.values()):
            weight = raw("adjoint", value=("weight", r)) if self.mode == "terms_pullback" else constant(1.0)
            blocks.append(self._block(("scored", r), [term], [(term, weight)]))
        return blocks

    def _update_blocks(self) -> list[Block]:
        blocks = []
        for mask, update in self.trace.updates.items():
            seeds = [
                (n, raw("adjoint", value=("after", s, k))) for (s, k), n in update.numbers.items() if self.is_live(s)
            ]
            seeds += [
                (update.writes[j][2], raw("adjoint", value=("write", mask, j))) for j, *_ in self.live_writes(update)
            ]
            if update.nodes:
                blocks.append(self._block((mask, 0), update.nodes, seeds, update))
        return blocks

    def _block(
        self, mask: tuple[str, int] | None, roots: list[Node], seeds: Slopes, update: Update | None = None
    ) -> Block:
        name = mask[0] if mask is not None else ""
        slopes = pullback(seeds, self.live, SEGMENT) if self.backward else []
        block = Block(None if name in self._always else mask, roots, slopes, name, update or Update())
        wanted = [g for _, g in block.slopes] + [n.arguments[1] for n, _ in block.slopes if n.op == "read"]
        if self.backward:
            wanted += [at for _, _, at in self.live_writes(block.update)]
        seen = set[int]()
        wanted.reverse()  # the last one comes first
        while wanted:
            node = wanted.pop()
            if node.number in seen:
                continue
            seen.add(node.number)
            if node.stage < TRIAL or node.op in ("input", "adjoint", "parameter_now", "constant"):
                continue
            if node.number in block.forward and (node.op == "state" or node.op in EXPENSIVE):
                block.kept.append(node)
            else:
                wanted.extend(reversed(node.arguments))
        return block

    # ------------------------------------------------------------------------------------- start and parameters
    def start_slopes(self) -> tuple[Slopes, dict[str, str]]:
        """A segment's share of the derivatives of parameters, and the tables that are whole parameters."""
        seeds = [(node, raw("adjoint", value=("sum", j))) for j, node in enumerate(self.sums)]
        whole = {}
        for name, nodes in self.trace.start.items():
            if not self.is_live(name):
                continue
            if name in self.trace.tables and (parameter := whole_parameter(nodes)) is not None:
                if parameter in self.active:
                    whole[name] = parameter
            elif name in self.trace.tables and all(n is nodes[0] for n in nodes):
                seeds.append((nodes[0], raw("adjoint", value=("table", name))))
            else:
                seeds += [(node, raw("adjoint", value=("start", name, k))) for k, node in enumerate(nodes)]
        return pullback(seeds, self.live, 0), whole

    def indices(self) -> list[tuple[str, int, int]]:
        """Return the input columns that lead to entries of tables: name, entry, and what they are below."""
        roots = [*self.shown, *(n for b in self.blocks for n in b.roots)]
        positions = [n.arguments[1] for n in ancestors(roots) if n.op == "read"]
        positions += [at for update in self.trace.updates.values() for _, at, _ in update.writes]
        return sorted({n.value for n in ancestors(positions) if n.op == "input" and n.value[2] is not None})


def whole_parameter(nodes: list[Node]) -> str | None:
    """Return the parameter whose entries, in order, these are."""
    if all(n.op == "parameter" and n.value == (nodes[0].value[0], k) for k, n in enumerate(nodes)):
        return str(nodes[0].value[0])
    return None


def factors(term: Node) -> tuple[Node, list[Node], list[Node]]:
    """Split a log probability into a rest, and what logarithms are added and subtracted of."""
    rest = constant(0.0)
    up: list[Node] = []
    down: list[Node] = []

    waiting = [(term, 1)]  # the last one comes first
    while waiting:
        node, sign = waiting.pop()
        match node.op:
            case "add" | "sub":
                a, b = node.arguments
                waiting += [(b, sign if node.op == "add" else -sign), (a, sign)]
            case "neg":
                waiting.append((node.arguments[0], -sign))
            case "log":
                (up if sign > 0 else down).append(node.arguments[0])
            case _:
                rest = make("add" if sign > 0 else "sub", rest, node)
    return rest, up, down
