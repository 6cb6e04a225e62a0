"""The posterior density of a population of learners, and its gradient, as machine code that a sampler calls.

It is the density of the PyMC model that `build` makes, on the same unbounded scale and in the same order, without
PyTensor's graph between the sampler and the kernel: to the kernel it adds loops over effects, their entries, and
subjects.  The tests hold the two against each other.
"""

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from llvmlite import ir

from rlpymc import math
from rlpymc.compiler import machine
from rlpymc.compiler.expressions import Graph, Node
from rlpymc.compiler.signature import TOTAL, Name
from rlpymc.compiler.symbols import lift
from rlpymc.compiler.vector import I64, POINTER, Code
from rlpymc.likelihood.evaluator import Evaluator
from rlpymc.model.record import Record
from rlpymc.population.coordinates import Coordinates, Form
from rlpymc.population.effects import Effect
from rlpymc.population.machine_coordinates import DENSITY, LANES, OutsideWriter, memory, return_verdict
from rlpymc.population.machine_predictors import PredictedEvaluator
from rlpymc.population.named_numbers import FormulaWriter, derivatives, leaf
from rlpymc.population.points import Points
from rlpymc.population.whole_numbers import WholeNumber, combinations

_SIGNATURE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *[ctypes.c_void_p] * 4)
SLOPE = "log likelihood"  # the leaf that stands for its derivative; no attribute has such a name


class Density:
    """The log density of a posterior on the unbounded scale, and its gradient, for one chain.

    Parameters
    ----------
    coordinates : Coordinates
        What it is a function of, with the parameters that are estimated.
    constants : dict of (subject, *shape)
        All other parameters.
    evaluators : sequence of Evaluator
        The likelihood with gradient, with arrays of its own for each combination of the whole numbers.

    Attributes
    ----------
    size : int
        Numbers in a point.
    places : dict of slice
        Where variables stand in it, by the names of `build`.
    numbers : ndarray
        What the function takes beside the point.
    """

    def __init__(
        self,
        coordinates: Coordinates,
        constants: Mapping[str, np.ndarray],
        evaluators: Sequence[Evaluator | PredictedEvaluator],
    ) -> None:
        points = coordinates.points
        self.size, self.places, self._evaluators = len(points), points.places, evaluators
        if wrong := evaluators[0].wrong_index:
            raise ValueError(f"{wrong}; make the trials anew with read_trials")
        addresses = []
        for evaluate, chosen in zip(evaluators, combinations(points.effects), strict=True):
            given: dict[str, Any] = {**constants, **chosen}
            for name, value in given.items():
                evaluate.params[name][...] = value
            outputs = evaluate.hold()
            addresses += [evaluate.start("compute"), evaluate.start("collect"), evaluate.addresses[0]]
            addresses += [outputs[TOTAL].ctypes.data]
            for effect in points.effects:
                for name in (effect.name, *effect.copies) if effect.name not in chosen else ():
                    addresses += [evaluate.params[name].ctypes.data, outputs[Name("slope", name)].ctypes.data]
        covariates = [np.array(c.values) for effect in points.effects for c in effect.covariates]
        self._memory = [*covariates, *memory(coordinates)]
        addresses += [array.ctypes.data for array in self._memory]
        self.numbers = np.array(addresses, dtype=np.int64)
        self._machine = machine.load(_text(points.effects, points.n_subjects, coordinates.form), False)
        self.address, self.copy_address = (self._machine.address(name) for name in ("density", "copy"))

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the log density at a point, and its gradient."""
        x, slopes, value = np.ascontiguousarray(x, dtype=float), np.empty(self.size), np.empty(1)
        places = (v.ctypes.data for v in (x, slopes, value, self.numbers))
        _SIGNATURE(self.address)(self.size, *places)
        return float(value[0]), slopes


@lru_cache(maxsize=128)
def _text(effects: tuple[Effect, ...], n_subjects: int, form: Form) -> str:
    """Return the density as a module in LLVM's language."""
    with Graph().active():
        density = _Density(effects, n_subjects)
        plain = form.kind == "noncentred"
        density.write("density" if plain else "noncentred")
        if not plain:
            before = density.n_addresses + len(density.covariates)
            OutsideWriter(form, density.places, n_subjects).write(density.module, before)
        return str(density.module)


class _Number:
    """The expressions of a parameter that is a number, and where its arrays are among the addresses.

    The leaves of `value` are the variables on their natural scales; those of `maps`, which take each there and give its
    log density, are on the unbounded one.
    """

    def __init__(self, effect: Effect, place: int) -> None:
        self.effect, self.size, self.group_size = effect, prod(effect.shape), prod(effect.group_shape)
        self.values = [place + 2 * k for k in range(1 + len(effect.copies))]  # the parameter's, then its copies'
        self.given, *self.copied = (at + 1 for at in self.values)
        self.group, self.subject = (
            {v.key: name for name, v in effect.named.items() if v.level == level} for level in ("group", "subject")
        )
        self.known = {c.key: leaf(c.key) for c in effect.covariates} | {key: leaf(key) for key in effect.foreign}
        self.value = effect.value(Record(**{v.key: leaf(v.key) for v in effect.variables}, **self.known))
        self.maps = {v.key: v.prior.unbounded(leaf(v.key)) for v in effect.variables}

    def slopes(self) -> dict[str, Node]:
        """Return the derivatives of all that concerns a subject, whose variables are on the unbounded scale here."""
        group = {key: leaf(key) for key in self.group}
        own = {key: group.get(key, natural) for key, (natural, _) in self.maps.items()}
        value = self.effect.value(Record(**own, **self.known))
        return derivatives([(value, leaf(SLOPE)), *((self.maps[key][1], 1.0) for key in self.subject)])

    def slope_of_group(self, key: str) -> Node:
        """Return the derivative with respect to one of the group's variables."""
        value, density = self.maps[key]
        return derivatives([(value, leaf(SLOPE)), (density, 1.0)])[key]


class _Density(FormulaWriter):
    """The function in the making; its vectors have one lane, but where subjects go side by side."""

    def __init__(self, effects: tuple[Effect, ...], n_subjects: int) -> None:
        super().__init__()
        self.n, self.places = n_subjects, Points(effects, n_subjects).places
        self.numbers, self.row = list[_Number](), 4  # addresses for each combination of the whole numbers
        for e in effects:
            if not isinstance(e, WholeNumber):
                self.numbers.append(_Number(e, self.row))
                self.row += 2 * (1 + len(e.copies))
        self.whole = [e for e in effects if isinstance(e, WholeNumber)]
        self.choices = combinations(effects)
        self.n_addresses = len(self.choices) * self.row  # behind these stand those of the covariates
        self.covariates = [(e.name, c.key) for e in effects for c in e.covariates]
        self.linked = {name for e in effects for name in e.foreign.values()}  # to whose slopes others add
        self.module = ir.Module("rlpymc")

    # ------------------------------------------------------------------------------------------------ memory
    @contextmanager
    def entries_of(self, number: _Number, g: Any) -> Iterator[Any]:
        """Repeat what is written inside for the entries of a parameter that have an entry of the group in common."""
        with self.each(number.size // number.group_size) as r:
            yield self.code.builder.add(self.code.builder.mul(r, self.code.single(number.group_size)), g)

    def add_to(self, place: Any, value: Any) -> None:
        """Add what is in all lanes to a sum."""
        single = self.narrow.splat(self.code.total(value))
        self.narrow.set(place, self.narrow.add(self.narrow.get(place), single))

    def over_subjects(self, number: _Number, write: Callable[[Any], None]) -> None:
        """Write what is done for each subject: for several at once if their numbers are neighbours, then for the rest.

        Parameters
        ----------
        number : _Number
            What it is done with.
        write : callable
            Writes it, for the first of the subjects.
        """
        code, single = self.narrow, self.narrow.single
        blocks = self.n // LANES if number.size == 1 else 0
        if blocks:
            self.code = code.of_width(LANES)
            with code.loop(single(0), single(blocks)) as block:
                write(code.builder.mul(block, single(LANES)))
            self.code = code
        if blocks * LANES < self.n:
            with code.loop(single(blocks * LANES), single(self.n)) as i:
                write(i)

    def for_all(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return numbers as vectors for so many subjects as are at work."""
        return {key: self.code.splat(self.narrow.lane(value, 0)) for key, value in values.items()}

    def at(self, number: _Number, e: Any, i: Any) -> Any:
        """Return the position of a subject's entry in an array of parameters."""
        return self.code.builder.add(self.code.builder.mul(i, self.code.single(number.size)), e)

    def covariates_of(self, number: _Number, i: Any) -> dict[str, Any]:
        """Return the covariates of a subject."""
        found = {}
        for k, (name, key) in enumerate(self.covariates):
            if name == number.effect.name:
                address = self.narrow.load_single(self.user, self.narrow.single(self.n_addresses + k), I64)
                found[key] = self.code.load(self.code.builder.inttoptr(address, POINTER), i)
        return found

    def positions(self, names: dict[str, str], at: Any) -> dict[str, Any]:
        """Return where an entry of some variables is in a point."""
        b, single = self.code.builder, self.code.single
        return {key: b.add(single(self.places[name].start), at) for key, name in names.items()}

    def load(self, positions: dict[str, Any]) -> dict[str, Any]:
        """Return the numbers of a point at some positions."""
        return {key: self.code.load(self.x, at) for key, at in positions.items()}

    # ---------------------------------------------------------------------------------------------- function
    def write(self, name: str) -> None:
        """Write it under a name."""
        self._write_copy()
        code = self.code = self.narrow = Code(ir.Function(self.module, DENSITY, name), 1)
        function = code.function
        b, (dim, self.x, self.slopes, result, self.user) = code.builder, function.args
        rows = np.arange(self.n_addresses).reshape((len(self.choices), -1)).tolist()
        self.addresses = [[code.load_single(self.user, code.single(k), I64) for k in row] for row in rows]
        self.arrays = [[b.inttoptr(address, POINTER) for address in row] for row in self.addresses]
        self.log_density = self.place()
        for number in self.numbers:
            self._set_parameter(number)
        for name in self.linked:
            with self.each(self.places[name].stop - self.places[name].start) as k:
                code.store(code.constant(0.0), self.slopes, b.add(code.single(self.places[name].start), k))
        for k in range(len(self.choices)):
            self._likelihood(k)
        self._sum_over_whole_numbers()
        for number in self.numbers:
            self._prior(number)
        code.store(code.get(self.log_density), result, code.single(0))
        return_verdict(code, dim, self.slopes, result)

    def _write_copy(self) -> None:
        """Write the function by which a sampler turns points into draws: these are points, too."""
        function = ir.Function(self.module, ir.FunctionType(I64, [I64, I64, POINTER, POINTER, POINTER]), "copy")
        code, (dim, _, x, out, _) = Code(function, 1), function.args
        with code.loop(code.single(0), dim) as k:
            code.store(code.load(x, k), out, k)
        code.builder.ret(code.single(0))

    def _natural(self, number: _Number, unbounded: dict[str, Any]) -> dict[str, Any]:
        """Return variables on their natural scales."""
        self.given(unbounded)
        return {key: self.of(number.maps[key][0]) for key in unbounded}

    def _set_parameter(self, number: _Number) -> None:
        """Write a parameter's values where the kernels read them."""
        with self.each(number.group_size) as g, self.entries_of(number, g) as e:
            group = self._natural(number, self.load(self.positions(number.group, g)))

            def write(i: Any, e: Any = e, group: dict[str, Any] = group) -> None:
                at = self.at(number, e, i)
                own = self._natural(number, self.load(self.positions(number.subject, at)))
                own |= self.load(self.positions(number.effect.foreign, at))
                self.given(self.for_all(group) | own | self.covariates_of(number, i))
                for row in self.arrays:
                    for place in number.values:
                        self.code.store(self.of(number.value), row[place], at)

            self.over_subjects(number, write)

    def _likelihood(self, k: int) -> None:
        """Call a kernel."""
        b, zero = self.code.builder, self.code.constant(0.0)
        slopes = [(place, number.size) for number in self.numbers for place in (number.given, *number.copied)]
        for place, size in [(3, 1), *slopes]:
            with self.each(size * self.n) as at:
                self.code.store(zero, self.arrays[k][place], at)
        kind = ir.FunctionType(ir.VoidType(), [POINTER]).as_pointer()
        for address in self.addresses[k][:2]:
            b.call(b.inttoptr(address, kind), [self.arrays[k][2]])
        for number in self.numbers:
            for place in number.copied:
                with self.each(number.size * self.n) as at:
                    both = [self.code.load(self.arrays[k][j], at) for j in (number.given, place)]
                    self.code.store(self.code.add(*both), self.arrays[k][number.given], at)

    def _sum_over_whole_numbers(self) -> None:
        """Add the log likelihood, summed over the whole numbers; leave its derivatives with the first of them."""
        code, several = self.code, len(self.choices) > 1
        terms = [leaf(f"total {k}") for k in range(len(self.choices))]
        density, positions = lift(0.0), list[int]()
        for effect in self.whole:
            natural = {}
            for name, v in effect.named.items():
                own = range(self.places[name].start, self.places[name].stop)
                natural[v.key], log_prior = v.prior.unbounded(math.stack([leaf(f"x {at}") for at in own]))
                density, positions = density + log_prior, [*positions, *own]
            logs = dict(zip(effect.values, lift(effect.value(Record(**natural)).log_weights), strict=True))
            terms = [term + logs[chosen[effect.name]] for term, chosen in zip(terms, self.choices, strict=True)]
        found = math.logsumexp(math.stack(terms)) if several else terms[0]
        slopes, slopes_of_prior = derivatives([(found, 1.0)]), derivatives([(density, 1.0)])
        group = self.load({f"x {at}": code.single(at) for at in positions})
        self.given(group)
        self.add_to(self.log_density, self.of(density))
        sums = {f"x {at}": self.place() for at in positions}
        for name, place in sums.items():
            self.add_to(place, self.of(slopes_of_prior[name]))
        with self.each(self.n) as i:
            self.given(group | {f"total {k}": code.load(row[3], i) for k, row in enumerate(self.arrays)})
            self.add_to(self.log_density, self.of(found))
            for name, place in sums.items():
                self.add_to(place, self.of(slopes[name]))
            shares = [self.of(slopes[f"total {k}"]) for k in range(len(terms))]
            for number in self.numbers if several else ():
                with self.each(number.size) as e:
                    at, value = self.at(number, e, i), code.constant(0.0)
                    for share, row in zip(shares, self.arrays, strict=True):
                        value = code.add(value, code.mul(share, code.load(row[number.given], at)))
                    code.store(value, self.arrays[0][number.given], at)
        for at, place in zip(positions, sums.values(), strict=True):
            code.store(code.get(place), self.slopes, code.single(at))

    def _prior(self, number: _Number) -> None:
        """Add the priors of a parameter's variables, and store all derivatives."""
        code, slopes = self.code, number.slopes()
        with self.each(number.group_size) as g:
            positions, sums = self.positions(number.group, g), {key: self.place() for key in number.group}
            unbounded = self.load(positions)
            natural = self._natural(number, unbounded)
            with self.entries_of(number, g) as e:

                def write(i: Any, e: Any = e, natural: dict[str, Any] = natural, sums: dict[str, Any] = sums) -> None:
                    at = self.at(number, e, i)
                    own, slope = self.positions(number.subject, at), self.code.load(self.arrays[0][number.given], at)
                    others = self.positions(number.effect.foreign, at)
                    known = self.load(own | others) | self.covariates_of(number, i)
                    self.given(self.for_all(natural) | known | {SLOPE: slope})
                    for key in own:
                        self.add_to(self.log_density, self.of(number.maps[key][1]))
                    for key, where in (own | others).items():
                        found = self.of(slopes.get(key, 0.0))
                        if number.subject.get(key, "") in self.linked or key in others:
                            found = self.code.add(found, self.code.load(self.slopes, where))
                        self.code.store(found, self.slopes, where)
                    for key, place in sums.items():
                        self.add_to(place, self.of(slopes.get(key, 0.0)))

                self.over_subjects(number, write)
            for key, where in positions.items():
                self.given({key: unbounded[key], SLOPE: code.get(sums[key])})
                self.add_to(self.log_density, self.of(number.maps[key][1]))
                code.store(self.of(number.slope_of_group(key)), self.slopes, where)
