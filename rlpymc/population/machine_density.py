"""The posterior density of a population of learners, and its gradient, as machine code that a sampler calls.

It is the density of the PyMC model that `build` makes, on the same unbounded scale and in the same order, without
PyTensor's graph between the sampler and the kernel: to the kernel it adds loops over the parameters.  The tests hold
the two against each other.
"""

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import lgamma
from typing import Any

import numpy as np
from llvmlite import ir

from rlpymc import math
from rlpymc.compiler import machine
from rlpymc.compiler.expressions import TRIAL, Graph, Node, pullback, raw
from rlpymc.compiler.signature import TOTAL, Name
from rlpymc.compiler.symbols import Symbol, lift
from rlpymc.compiler.vector import I64, POINTER, Code
from rlpymc.compiler.writer import Writer
from rlpymc.likelihood.evaluator import Evaluator
from rlpymc.model.parameters import Support
from rlpymc.model.priors import Normal, Prior

_SIGNATURE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *[ctypes.c_void_p] * 4)


@dataclass(frozen=True)
class Pooled:
    """A parameter that varies between subjects around the group: value = link(mu + sigma z).

    Parameters
    ----------
    mu, sigma : Prior
        Of mean and standard deviation on the unbounded scale.
    support : Support
        Of the parameter.
    size : int
        Number of entries of one subject.
    """

    mu: Prior
    sigma: Prior
    support: Support
    size: int


@dataclass(frozen=True)
class Single:
    """A parameter with a prior of its own: one value for each subject, or one for all.

    Parameters
    ----------
    prior : Prior
        Of each entry.
    size : int
        Number of entries of one subject.
    for_all : bool
        Whether all subjects share them.
    """

    prior: Prior
    size: int
    for_all: bool


@dataclass(frozen=True)
class Weights:
    """A parameter that is a whole number, over which the likelihood is summed.

    Parameters
    ----------
    values : tuple of int
        What it can be.
    log_weights : tuple of float
        Their log probabilities, where these are known.
    concentration : tuple of float
        Of the Dirichlet distribution of their probabilities in the group, where these are estimated.
    """

    values: tuple[int, ...]
    log_weights: tuple[float, ...] = ()
    concentration: tuple[float, ...] = ()


type Part = Pooled | Single | Weights


class Density:
    """The log density of a posterior on the unbounded scale, and its gradient, for one chain.

    Parameters
    ----------
    parts : dict
        What is known of each parameter that is estimated, in the model's order.
    constants : dict of (subject, *shape)
        All other parameters.
    evaluators : sequence of Evaluator
        The likelihood with gradient, with arrays of its own for each combination of the whole numbers.

    Attributes
    ----------
    size : int
        Numbers in a point.
    places : dict of slice
        Where variables stand in it, by the names of `build`: ``alpha_mu``, ``alpha_sigma``, ``alpha_z``, or ``alpha``.
    numbers : ndarray
        What the function takes beside the point.
    """

    def __init__(
        self, parts: Mapping[str, Part], constants: Mapping[str, np.ndarray], evaluators: Sequence[Evaluator]
    ) -> None:
        n_subjects = len(next(iter(evaluators[0].params.values())))
        self.places = _places(parts, n_subjects)
        self.size = max((p.stop for p in self.places.values()), default=0)
        self._evaluators = evaluators
        whole = {name: part.values for name, part in parts.items() if isinstance(part, Weights)}
        if evaluators[0].wrong_index:
            raise ValueError(f"{evaluators[0].wrong_index}; make the trials anew with read_trials")
        addresses = []
        for evaluate, chosen in zip(evaluators, product(*whole.values()), strict=True):
            given: dict[str, Any] = {**constants, **dict(zip(whole, chosen, strict=True))}
            for name, value in given.items():
                evaluate.params[name][...] = value
            outputs = evaluate.hold()
            addresses += [evaluate.start("compute"), evaluate.start("collect"), evaluate.addresses[0]]
            addresses += [outputs[TOTAL].ctypes.data]
            for name, part in parts.items():
                if not isinstance(part, Weights):
                    addresses += [evaluate.params[name].ctypes.data, outputs[Name("slope", name)].ctypes.data]
        self.numbers = np.array(addresses, dtype=np.int64)
        text = _text(tuple(parts.items()), n_subjects)
        self._machine = machine.load(text, False)
        self.address, self.copy_address = (self._machine.address(name) for name in ("density", "copy"))

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the log density at a point, and its gradient."""
        x, slopes, value = np.ascontiguousarray(x, dtype=float), np.empty(self.size), np.empty(1)
        places = (v.ctypes.data for v in (x, slopes, value, self.numbers))
        _SIGNATURE(self.address)(self.size, *places)
        return float(value[0]), slopes


def _places(parts: Mapping[str, Part], n_subjects: int) -> dict[str, slice]:
    """Slices of a point that hold the variables."""
    sizes: dict[str, int] = {}
    for name, part in parts.items():
        match part:
            case Pooled(size=size):
                sizes |= {f"{name}_mu": size, f"{name}_sigma": size, f"{name}_z": size * n_subjects}
            case Single(size=size, for_all=for_all):
                sizes[name] = size * (1 if for_all else n_subjects)
            case Weights(concentration=concentration) if concentration:
                sizes[f"{name}_probs"] = len(concentration) - 1
    ends = np.cumsum([0, *sizes.values()]).tolist()
    return {name: slice(a, b) for name, a, b in zip(sizes, ends[:-1], ends[1:], strict=True)}


@lru_cache(maxsize=128)
def _text(parts: tuple[tuple[str, Part], ...], n_subjects: int) -> str:
    """Return the density as a module in LLVM's language."""
    with Graph().active():
        return _Density(dict(parts), n_subjects).text()


def _leaf(name: str) -> Symbol:
    return Symbol(np.array(raw("adjoint", value=(name,)), dtype=object))


def _slopes(seeds: Sequence[tuple[Any, Any]]) -> dict[str, Node]:
    """Return the derivatives of a weighted sum of expressions by the leaves' names."""
    nodes = [(lift(value).node(), lift(weight).node()) for value, weight in seeds]
    return {leaf.value[0]: g for leaf, g in pullback(nodes, lambda n: n.stage == TRIAL, 0)}


class _Density(Writer):
    """The function in the making; its vectors have one lane."""

    def __init__(self, parts: Mapping[str, Part], n_subjects: int) -> None:
        self.parts, self.n = parts, n_subjects
        self.places = _places(parts, n_subjects)
        self.smooth: dict[str, Pooled | Single] = {k: p for k, p in parts.items() if not isinstance(p, Weights)}
        self.whole = {k: p for k, p in parts.items() if isinstance(p, Weights)}
        self.choices = list(product(*(range(len(part.values)) for part in self.whole.values())))
        self.stride = 4 + 2 * len(self.smooth)  # addresses of one combination of whole numbers
        self.module = ir.Module("rlpymc")
        self.values: dict[int, Any] = {}
        self.leaves: dict[str, Any] = {}

    def known(self, n: Node) -> dict[int, Any]:
        """Memory of values: they are kept until the leaves change."""
        return self.values

    def leaf(self, n: Node) -> Any:
        """Return the value of a leaf."""
        return self.leaves[n.value[0]] if n.op == "adjoint" else None

    def given(self, **leaves: Any) -> None:
        """Say what the leaves stand for from here on."""
        self.leaves, self.values = leaves, {}

    def of(self, value: Any) -> Any:
        """Return the value of an expression."""
        return self.value(lift(value).node() if not isinstance(value, Node) else value, "f")

    # ------------------------------------------------------------------------------------------------ memory
    def address(self, k: int, place: int) -> Any:
        """Return an address that belongs to a combination of whole numbers."""
        return self.code.load_single(self.user, self.code.single(k * self.stride + place), I64)

    def array(self, k: int, place: int) -> Any:
        """Return the array at such an address."""
        return self.code.builder.inttoptr(self.address(k, place), POINTER)

    def add_to(self, place: Any, value: Any) -> None:
        """Add to a variable."""
        self.code.set(place, self.code.add(self.code.get(place), value))

    # ---------------------------------------------------------------------------------------------- function
    def text(self) -> str:
        """Return the module."""
        self._write_copy()
        kinds = [I64, POINTER, POINTER, POINTER, POINTER]
        function = ir.Function(self.module, ir.FunctionType(I64, kinds), "density")
        code = self.code = Code(function, 1)
        b, (dim, self.x, self.slopes, result, self.user) = code.builder, function.args
        self.log_density = code.variable()
        code.set(self.log_density, code.constant(0.0))
        for j, (name, part) in enumerate(self.smooth.items()):
            for e, i in self._entries(part):
                self._set_parameter(name, part, j, e, i)
        for k in range(len(self.choices)):
            self._likelihood(k)
        self._sum_over_whole_numbers()
        for j, (name, part) in enumerate(self.smooth.items()):
            if isinstance(part, Pooled):
                self._pooled(name, part, j)
            else:
                self._single(name, part, j)
        value = code.get(self.log_density)
        code.store(value, result, code.single(0))
        finite = code.variable()
        code.set(finite, code.intrinsic("fabs", value))
        with code.loop(code.single(0), dim) as k:
            self.add_to(finite, code.intrinsic("fabs", code.load(self.slopes, k)))
        good = code.lane(code.compare("<", code.get(finite), code.constant(np.inf)), 0)
        b.ret(b.select(good, code.single(0), code.single(4)))  # as PyMC's samplers have it: a divergence
        return str(self.module)

    def _write_copy(self) -> None:
        """Write the function by which a sampler turns points into draws: these are points, too."""
        function = ir.Function(self.module, ir.FunctionType(I64, [I64, I64, POINTER, POINTER, POINTER]), "copy")
        code, (dim, _, x, out, _) = Code(function, 1), function.args
        with code.loop(code.single(0), dim) as k:
            code.store(code.load(x, k), out, k)
        code.builder.ret(code.single(0))

    def _entries(self, part: Pooled | Single) -> Iterator[tuple[Any, Any]]:
        """Go through the entries and subjects of a parameter."""
        code = self.code
        with (
            code.loop(code.single(0), code.single(part.size)) as e,
            code.loop(code.single(0), code.single(self.n)) as i,
        ):
            yield e, i

    def _place(self, name: str, e: Any, i: Any = None, size: int = 0) -> Any:
        """Index of an entry in a point."""
        code, start = self.code, self.code.single(self.places[name].start)
        at = e if i is None else code.builder.add(code.builder.mul(i, code.single(size)), e)
        return code.builder.add(start, at)

    def _at(self, part: Any, e: Any, i: Any) -> Any:
        return self.code.builder.add(self.code.builder.mul(i, self.code.single(part.size)), e)

    def _set_parameter(self, name: str, part: Any, j: int, e: Any, i: Any) -> None:
        """Write a parameter's value where the kernels read it."""
        code = self.code
        if isinstance(part, Pooled):
            v = {k: code.load(self.x, self._place(f"{name}_{k}", e)) for k in ("mu", "sigma")}
            z = code.load(self.x, self._place(f"{name}_z", e, i, part.size))
            self.given(**v, z=z)
            mu, sigma = part.mu.unbounded(_leaf("mu"))[0], part.sigma.unbounded(_leaf("sigma"))[0]
            value = self.of(part.support.constrain(mu + sigma * _leaf("z")))
        else:
            self.given(v=code.load(self.x, self._place(name, e, None if part.for_all else i, part.size)))
            value = self.of(part.prior.unbounded(_leaf("v"))[0])
        for k in range(len(self.choices)):
            code.store(value, self.array(k, 4 + 2 * j), self._at(part, e, i))

    def _likelihood(self, k: int) -> None:
        """Call a kernel."""
        code, b = self.code, self.code.builder
        sizes = [1, *(part.size for part in self.smooth.values())]
        for place, size in zip([3, *(5 + 2 * j for j in range(len(self.smooth)))], sizes, strict=True):
            array = self.array(k, place)
            with code.loop(code.single(0), code.single(size * self.n)) as at:
                code.store(code.constant(0.0), array, at)
        for place in (0, 1):
            b.call(_pointer(b, self.address(k, place)), [self.array(k, 2)])

    def _sum_over_whole_numbers(self) -> None:
        """Add the log likelihood, summed over the whole numbers; leave its derivatives with the first of them."""
        code, n_choices = self.code, len(self.choices)
        totals = [self.array(k, 3) for k in range(n_choices)]
        weights = self._log_weights()
        slopes = [code.variable() for _ in self.choices]  # with respect to the log weights
        for place in slopes:
            code.set(place, code.constant(0.0))
        with code.loop(code.single(0), code.single(self.n)) as i:
            if n_choices == 1:
                self.add_to(self.log_density, code.load(totals[0], i))
            else:
                terms = [code.add(code.load(total, i), w) for total, w in zip(totals, weights, strict=True)]
                self.given(**{str(k): term for k, term in enumerate(terms)})
                found = math.logsumexp(math.stack([_leaf(str(k)) for k in range(n_choices)]))
                self.add_to(self.log_density, self.of(found))
                each = _slopes([(found, 1.0)])
                shares = [self.value(each[str(k)]) for k in range(n_choices)]
                for place, share in zip(slopes, shares, strict=True):
                    self.add_to(place, share)
                for j, part in enumerate(self.smooth.values()):
                    arrays = [self.array(k, 5 + 2 * j) for k in range(n_choices)]
                    with code.loop(code.single(0), code.single(part.size)) as e:
                        at = self._at(part, e, i)
                        value: Any = code.constant(0.0)
                        for share, array in zip(shares, arrays, strict=True):
                            value = code.add(value, code.mul(share, code.load(array, at)))
                        code.store(value, arrays[0], at)
        self._slopes_of_weights([code.get(place) for place in slopes])

    def _log_weights(self) -> list[Any]:
        """Return the log probability of each combination of whole numbers, and add the density of the groups'."""
        code, found = self.code, {}
        for name, part in self.whole.items():
            if not part.concentration:
                found[name] = [code.constant(w) for w in part.log_weights]
                continue
            logs, density = self._simplex(name, part)
            found[name] = [self.of(v) for v in logs]
            self.add_to(self.log_density, self.of(density))
        sums = []
        for choice in self.choices:
            total: Any = code.constant(0.0)
            for name, k in zip(found, choice, strict=True):
                total = code.add(total, found[name][k])
            sums.append(total)
        return sums

    def _simplex(self, name: str, part: Weights) -> tuple[list[Any], Any]:
        """Return log probabilities of a group as PyMC maps them from the real line, and the log density there."""
        k, start = len(part.concentration), self.places[f"{name}_probs"].start
        self.given(**{f"y{j}": self.code.load(self.x, self.code.single(start + j)) for j in range(k - 1)})
        y = [_leaf(f"y{j}") for j in range(k - 1)]
        last = -sum(y[1:], y[0])
        logits = [*y, last]
        norm = math.logsumexp(math.stack(logits))
        logs = [v - norm for v in logits]
        constant = lgamma(sum(part.concentration)) - sum(lgamma(a) for a in part.concentration)
        density = sum((a - 1) * v for a, v in zip(part.concentration, logs, strict=True)) + constant
        # the map's log determinant is log(k) plus all log probabilities
        return logs, density + sum(logs[1:], logs[0]) + float(np.log(k))

    def _slopes_of_weights(self, slopes: Sequence[Any]) -> None:
        """Carry derivatives from the log weights to the groups' probabilities."""
        code = self.code
        for place, (name, part) in enumerate(self.whole.items()):
            if not part.concentration:
                continue
            logs, density = self._simplex(name, part)
            for k in range(len(logs)):
                total: Any = code.constant(0.0)
                for choice, slope in zip(self.choices, slopes, strict=True):
                    total = code.add(total, slope) if choice[place] == k else total
                self.leaves[f"g{k}"] = total
            found = _slopes([*((v, _leaf(f"g{k}")) for k, v in enumerate(logs)), (density, 1.0)])
            for j in range(len(logs) - 1):
                start = self.places[f"{name}_probs"].start
                code.store(self.value(found[f"y{j}"], "f"), self.slopes, code.single(start + j))

    def _pooled(self, name: str, part: Pooled, j: int) -> None:
        """Add the prior of a parameter that varies around the group's, and all its derivatives."""
        code, given = self.code, self.array(0, 5 + 2 * j)
        total = {k: code.variable() for k in ("mu", "sigma")}
        with code.loop(code.single(0), code.single(part.size)) as e:
            v = {k: code.load(self.x, self._place(f"{name}_{k}", e)) for k in ("mu", "sigma")}
            self.given(**v)
            maps = {"mu": part.mu.unbounded(_leaf("mu")), "sigma": part.sigma.unbounded(_leaf("sigma"))}
            natural = {k: self.of(value) for k, (value, _) in maps.items()}
            for place in total.values():
                code.set(place, code.constant(0.0))
            with code.loop(code.single(0), code.single(self.n)) as i:
                at = self._place(f"{name}_z", e, i, part.size)
                self.given(**natural, z=code.load(self.x, at), g=code.load(given, self._at(part, e, i)))
                value = part.support.constrain(_leaf("mu") + _leaf("sigma") * _leaf("z"))
                density = Normal().unbounded(_leaf("z"))[1]
                self.add_to(self.log_density, self.of(density))
                found = _slopes([(value, _leaf("g")), (density, 1.0)])
                code.store(self.value(found["z"], "f"), self.slopes, at)
                for k, place in total.items():
                    self.add_to(place, self.value(found[k], "f"))
            for k, (value, density) in maps.items():
                self.given(**{k: v[k], "g": code.get(total[k])})
                self.add_to(self.log_density, self.of(density))
                slope = _slopes([(value, _leaf("g")), (density, 1.0)])[k]
                code.store(self.value(slope, "f"), self.slopes, self._place(f"{name}_{k}", e))

    def _single(self, name: str, part: Single, j: int) -> None:
        """Add the prior of a parameter on its own, and its derivative."""
        code, given = self.code, self.array(0, 5 + 2 * j)
        value, density = part.prior.unbounded(_leaf("v"))
        slope = _slopes([(value, _leaf("g")), (density, 1.0)])["v"]
        total = code.variable()
        with code.loop(code.single(0), code.single(part.size)) as e:
            code.set(total, code.constant(0.0))
            with code.loop(code.single(0), code.single(self.n)) as i:
                g = code.load(given, self._at(part, e, i))
                if part.for_all:
                    self.add_to(total, g)
                else:
                    self._add_single(self._place(name, e, i, part.size), g, density, slope)
            if part.for_all:
                self._add_single(self._place(name, e), code.get(total), density, slope)

    def _add_single(self, at: Any, g: Any, density: Any, slope: Node) -> None:
        self.given(v=self.code.load(self.x, at), g=g)
        self.add_to(self.log_density, self.of(density))
        self.code.store(self.value(slope, "f"), self.slopes, at)


def _pointer(builder: Any, address: Any) -> Any:
    """Return a function that takes an address, from where it starts."""
    return builder.inttoptr(address, ir.FunctionType(ir.VoidType(), [POINTER]).as_pointer())
