"""The change of a sampler's coordinates as machine code around a posterior's density.

Subjects go side by side through vectors.  A subject's numbers are an entry of a row each: coordinates, slopes and
deviations stand in memory of the caller's as (row, subject), filled up with subjects of whom nothing is known, and who
so change nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np
from llvmlite import ir

from rlpymc.compiler.expressions import Node
from rlpymc.compiler.symbols import lift
from rlpymc.compiler.vector import F64, FLAGS, I64, POINTER, Code
from rlpymc.model.priors import Prior
from rlpymc.model.record import Record
from rlpymc.population.coordinates import Coordinates, Form, scale_of, subjects_variable
from rlpymc.population.effects import Effect, Pooled
from rlpymc.population.named_numbers import FormulaWriter, derivatives, leaf
from rlpymc.population.sites import is_normal, like_prior

DENSITY = ir.FunctionType(I64, [I64, POINTER, POINTER, POINTER, POINTER])
LANES = 4
type Entries = list[tuple[Effect, Any]]  # effects, and the number of an entry of each


def memory(coordinates: Coordinates) -> list[np.ndarray]:
    """Return what the function takes beside what the density does: a point, slopes, a table, rows of numbers.

    The table has the sites, and below them the covariates of all effects.
    """
    form = coordinates.form
    if form.kind == "noncentred":
        return []
    n, width = coordinates.points.n_subjects, _padded(coordinates.points.n_subjects, form)
    covariates = [c.values for effect in form.effects for c in effect.covariates]
    table = np.zeros((form.rows + len(covariates), width))
    table[: form.rows, :n] = coordinates.table
    for row, values in zip(table[form.rows :], covariates, strict=True):
        row[:n] = values
    size = len(coordinates.points)
    return [np.zeros(size), np.zeros(size), table, np.zeros((3 * sum(form.sizes), width))]


def return_verdict(code: Code, dim: Any, slopes: Any, result: Any) -> None:
    """End a density: 0, or 4 if the value or a slope is not finite, which samplers of PyMC's take for a divergence."""
    b, zero = code.builder, ir.Constant(F64, 0.0)
    with b.goto_entry_block():
        place = b.alloca(F64)
    b.store(code.load_single(result, code.single(0)), place)
    with code.loop(code.single(0), dim) as k:
        nothing = b.fmul(code.load_single(slopes, k), zero)  # or NaN
        b.store(b.fadd(b.load(place, typ=F64), nothing), place)
    finite = b.fcmp_ordered("==", b.fmul(b.load(place, typ=F64), zero), zero)
    b.ret(b.select(finite, code.single(0), code.single(4)))


def _padded(n_subjects: int, form: Form) -> int:
    """Return the length of rows."""
    lanes = _lanes(form)
    return -(-n_subjects // lanes) * lanes


def _lanes(form: Form) -> int:
    """Return the number of subjects side by side; where all count, known or not, only one."""
    return LANES if form.kind == "informed" else 1


class OutsideWriter(FormulaWriter):
    """The function in the making.

    Parameters
    ----------
    form : Form
        The coordinates.
    places : mapping of slice
        Where variables stand in a point.
    n_subjects : int
        Number of subjects.
    """

    def __init__(self, form: Form, places: Mapping[str, slice], n_subjects: int) -> None:
        super().__init__()
        self.form, self.places, self.n = form, places, n_subjects
        self.width, self.k = _padded(n_subjects, form), sum(form.sizes)

    def write(self, module: ir.Module, n_addresses: int) -> None:
        """Write it into a module that has the function `noncentred`, behind whose addresses stand those of `memory`."""
        code = self.code = Code(ir.Function(module, DENSITY, "density"), _lanes(self.form))
        b, (dim, x, slopes, result, user) = code.builder, code.function.args
        inner_x, inner_slopes, self.table, self.rows = (
            b.inttoptr(code.load_single(user, code.single(n_addresses + k), I64), POINTER) for k in range(4)
        )
        volume = self.place()
        self._copy(x, inner_x, dim)
        for entries, site in self._blocks():
            self._map(entries, site, x, inner_x, volume)
        b.call(module.globals["noncentred"], [dim, inner_x, inner_slopes, result, user])
        self._copy(inner_slopes, slopes, dim)
        for entries, site in self._blocks():
            self._pull_back(entries, site, x, slopes)
        value = b.fadd(code.load_single(result, code.single(0)), code.total(code.get(volume)), flags=FLAGS)
        value = b.fadd(value, ir.Constant(F64, self.n * self.form.log_scale), flags=FLAGS)
        b.store(value, code.at(result, code.single(0)))
        return_verdict(code, dim, slopes, result)

    # ------------------------------------------------------------------------------------------------ memory
    def _copy(self, source: Any, target: Any, n: Any) -> None:
        with self.code.loop(self.code.single(0), n) as k:
            self.code.builder.store(self.code.load_single(source, k), self.code.at(target, k))

    def _add(self, place: Any, value: Any) -> None:
        self.code.set(place, self.code.add(self.code.get(place), value))

    def _gather(self, entries: Entries, x: Any, row: int) -> None:
        """Copy subjects' variables from a point into rows."""
        b, code = self.code.builder, self.code
        for j, (effect, e) in enumerate(entries):
            with code.loop(code.single(0), code.single(self.n)) as i:
                value = code.load_single(x, self._at(effect, e, i))
                b.store(value, code.at(self.rows, b.add(code.single((row + j) * self.width), i)))

    def _scatter(self, entries: Entries, x: Any, row: int) -> None:
        """Copy them back."""
        b, code = self.code.builder, self.code
        for j, (effect, e) in enumerate(entries):
            with code.loop(code.single(0), code.single(self.n)) as i:
                value = code.load_single(self.rows, b.add(code.single((row + j) * self.width), i))
                b.store(value, code.at(x, self._at(effect, e, i)))

    def _at(self, effect: Effect, e: Any, i: Any) -> Any:
        """Return where a subject's deviation is in a point."""
        b, code = self.code.builder, self.code
        place = b.add(b.mul(i, code.single(prod(effect.shape))), e)
        return b.add(place, code.single(self.places[subjects_variable(effect)].start))

    def _at_group(self, effect: Effect, key: str, e: Any) -> Any:
        """Return where a variable of the group is, given the number of a subject's entry."""
        b, single = self.code.builder, self.code.single
        own = b.urem(e, single(prod(effect.group_shape)))
        return b.add(single(self.places[f"{effect.name}_{key}"].start), own)

    # ---------------------------------------------------------------------------------------------- the map
    def _blocks(self) -> Iterator[tuple[Entries, list[Any]]]:
        """Go through what is mapped together, within a loop where that is each number; with rows of the table."""
        code, b = self.code, self.code.builder
        if self.form.together:
            pairs = zip(self.form.effects, self.form.sizes, strict=True)
            yield (
                [(effect, code.single(j)) for effect, size in pairs for j in range(size)],
                [code.single(row) for row in range(self.form.rows)],
            )
            return
        first, m = 0, self.form.n_common
        for effect, size in zip(self.form.effects, self.form.sizes, strict=True):
            with code.loop(code.single(0), code.single(size)) as e:
                row = b.add(e, code.single(first))
                links = [b.add(b.mul(row, code.single(m)), code.single(2 * self.k + q)) for q in range(m)]
                yield [(effect, e)], [row, b.add(row, code.single(self.k)), *links] if self.form.rows else []
            first += size

    def _group(self, entries: Entries, x: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the group's variables on the unbounded scale and the natural one, by key and number of the entry."""
        code, unbounded, natural = self.code, {}, {}
        for j, (effect, e) in enumerate(entries):
            for key, prior in _of_group(effect).items():
                value = code.splat(code.load_single(x, self._at_group(effect, key, e)))
                unbounded[f"{key} {j}"] = value
                self.given({key: value})
                natural[f"{key} {j}"] = self.of(prior.unbounded(leaf(key))[0])
        for q, place in enumerate(self._places_in_common()):
            natural[f"phi {q}"] = code.splat(code.load_single(x, code.single(place)))
        return unbounded, natural

    def _places_in_common(self) -> list[int]:
        """Return where the numbers in common are in a point."""
        return [at for e in self.form.common for at in range(self.places[e.name].start, self.places[e.name].stop)]

    @contextmanager
    def _subjects(
        self, entries: Entries, site: list[Any], natural: dict[str, Any], rows: dict[str, int]
    ) -> Iterator[Any]:
        """Repeat for some subjects at a time, given what the formulas hold; the place in a row is yielded."""
        code, b = self.code, self.code.builder
        width = code.single(self.width)
        with code.loop(code.single(0), code.single(self.width // code.width)) as c:
            at = b.mul(c, code.single(code.width))
            leaves = dict(natural)
            for key, row in rows.items():
                for j in range(len(entries)):
                    leaves[f"{key} {j}"] = code.load(self.rows, b.add(at, code.single((row + j) * self.width)))
            for j, row in enumerate(site):
                leaves[f"site {j}"] = code.load(self.table, b.add(at, b.mul(row, width)))
            for name, row in self._covariates(entries).items():
                leaves[name] = code.load(self.table, b.add(at, code.single(row * self.width)))
            self.given(leaves)
            yield at

    def _store_row(self, value: Any, row: int, at: Any) -> None:
        self.code.store(value, self.rows, self.code.builder.add(at, self.code.single(row * self.width)))

    def _formulas(self, entries: Entries, n_site: int) -> tuple[list[Any], Any]:
        """Return what the density takes, and the volume, as formulas."""
        effects = [effect for effect, _ in entries]
        z, phi, site = (
            [leaf(f"{key} {j}") for j in range(n)]
            for key, n in (("z", len(effects)), ("phi", self.form.n_common), ("site", n_site))
        )
        mu, rows = zip(*(self._moments(effect, j) for j, effect in enumerate(effects)), strict=True)
        scale = scale_of(effects, self._entries(entries), rows)
        return self.form.map(effects, z, mu, scale, phi, site)

    def _entries(self, entries: Entries) -> list[int]:
        """Return which of its effect's entries each number is; all the same where each is mapped alone."""
        names = [effect.name for effect, _ in entries]
        return [names[:j].count(name) for j, name in enumerate(names)]

    def _moments(self, effect: Effect, j: int) -> tuple[Any, list[Any]]:
        """Return the mean and the row of A of a number of a subject of whom nothing is known, as formulas."""
        if not is_normal(effect):
            mean, sd = like_prior(effect)
            return lift(mean), [lift(sd)]
        assert isinstance(effect, Pooled)
        v = Record(
            **{key: leaf(f"{key} {j}") for key in _of_group(effect)},
            **{c.key: leaf(f"{effect.name} {c.key}") for c in effect.covariates},
        )
        return effect.mean(v), [v.sigma * factor for factor in effect.row(v)]

    def _covariates(self, entries: Entries) -> dict[str, int]:
        """Return in which row of the table the covariates of some effects are."""
        names = [(e, f"{e.name} {c.key}") for e in self.form.effects for c in e.covariates]
        here = [effect for effect, _ in entries]
        return {name: self.form.rows + k for k, (effect, name) in enumerate(names) if effect in here}

    def _map(self, entries: Entries, site: list[Any], x: Any, inner_x: Any, volume: Any) -> None:
        """Write subjects' deviations, or numbers, into the point of the density."""
        k = len(entries)
        values, log_volume = self._formulas(entries, len(site))
        self._gather(entries, x, 0)
        _, natural = self._group(entries, x)
        with self._subjects(entries, site, natural, {"z": 0}) as at:
            for j, value in enumerate(values):
                self._store_row(self.of(value), 2 * k + j, at)
            self._add(volume, self.of(log_volume))
        self._scatter(entries, inner_x, 2 * k)

    def _pull_back(self, entries: Entries, site: list[Any], x: Any, slopes: Any) -> None:
        """Turn slopes by them into slopes by coordinates, and add what the map makes of the group's and common ones."""
        code, k = self.code, len(entries)
        values, log_volume = self._formulas(entries, len(site))
        found = derivatives([(log_volume, 1.0), *((v, leaf(f"slope {j}")) for j, v in enumerate(values))])
        self._gather(entries, x, 0)
        self._gather(entries, slopes, k)
        unbounded, natural = self._group(entries, x)
        sums = {name: self.place() for name in natural}
        with self._subjects(entries, site, natural, {"z": 0, "slope": k}) as at:
            for j in range(k):
                self._store_row(self.of(found[f"z {j}"]), 2 * k + j, at)
            for name, place in sums.items():
                self._add(place, self.of(found.get(name, lift(0.0))))
        self._scatter(entries, slopes, 2 * k)
        totals = {name: code.total(code.get(place)) for name, place in sums.items()}
        for q, place in enumerate(self._places_in_common()):
            self._add_at(code.at(slopes, code.single(place)), totals[f"phi {q}"])
        for j, (effect, e) in enumerate(entries):
            for key, prior in _of_group(effect).items():
                slope: Node = derivatives([(prior.unbounded(leaf(key))[0], leaf("slope"))])[key]
                self.given({key: unbounded[f"{key} {j}"], "slope": code.splat(totals[f"{key} {j}"])})
                self._add_at(code.at(slopes, self._at_group(effect, key, e)), code.lane(self.of(slope), 0))

    def _add_at(self, where: Any, value: Any) -> None:
        """Add a number to one in memory."""
        b = self.code.builder
        b.store(b.fadd(b.load(where, typ=F64), value, flags=FLAGS), where)


def _of_group(effect: Effect) -> dict[str, Prior]:
    """Return the priors of the group's variables by key, where subjects are normal around a mean made of these."""
    return {v.key: v.prior for v in effect.variables if v.level == "group"} if is_normal(effect) else {}
