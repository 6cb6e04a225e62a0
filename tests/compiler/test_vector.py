"""Vector code: functions as exact as is documented, lanes that do not touch one another, and machine code on disk.

The exact values are made here, in decimal numbers of 50 digits.
"""

import math
import operator
import os
import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from rlpymc.compiler import machine, vector
from rlpymc.compiler.vector import I64, POINTER, Code

WIDTHS = [1, 2, 4, 8, 16]
INF, NAN, TINY, LARGEST = float("inf"), float("nan"), 5e-324, sys.float_info.max
FUNCTIONS: dict[str, Callable[[Code, Any], Any]] = {
    "exp": lambda code, x: code.exp(x),
    "exp_masked": lambda code, x: code.exp(x, often_minus_infinity=True),
    "log": lambda code, x: code.log(x),
    "log1p": lambda code, x: code.log1p(x),
    "expm1": lambda code, x: code.expm1(x),
    "tanh": lambda code, x: code.tanh(x),
    "sigmoid": lambda code, x: code.sigmoid(x),
    "erf": lambda code, x: code.erf(x),
}
KNOWN: dict[str, Any] = {
    "exp": np.exp,
    "exp_masked": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sigmoid": special.expit,
    "erf": special.erf,
}


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Keep machine code out of the user's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RLPYMC_CACHE", str(tmp_path_factory.mktemp("machine")))
        yield


# ---------------------------------------------------------------- functions made of code


class Arguments:
    """Whole numbers, and places of numbers, that a function is called with."""

    def __init__(self, code: Code) -> None:
        self.code = code

    def whole(self, k: int) -> Any:
        return self.code.load_single(self.code.function.args[0], self.code.single(k), I64)

    def place(self, k: int) -> Any:
        return self.code.builder.inttoptr(self.whole(k), POINTER)


def text(width: int, **bodies: Callable[[Code, Arguments], None]) -> str:
    """Return a module with a function for each body."""
    module = ir.Module()
    for name, body in bodies.items():
        code = Code(ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), name), width)
        body(code, Arguments(code))
        code.builder.ret_void()
    return str(module)


def call(function: Callable[[int], None], *arguments: Any) -> None:
    items = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]
    table = np.array(items, dtype=np.int64)
    function(table.ctypes.data)


def run(width: int, body: Callable[[Code, Arguments], None], *arguments: Any) -> None:
    """Call code once."""
    call(machine.load(text(width, body=body)).function("body"), *arguments)


def over_all(function: Callable[[Code, Any], Any]) -> Callable[[Code, Arguments], None]:
    """Return code that applies a function to the n vectors at its first place and writes them at its second."""

    def body(code: Code, given: Arguments) -> None:
        x, y = given.place(0), given.place(1)
        with code.loop(code.single(0), given.whole(2)) as k:
            here = code.builder.mul(k, code.single(code.width))
            code.store(function(code, code.load(x, here)), y, here)

    return body


@cache
def functions_text(width: int) -> str:
    return text(width, **{name: over_all(function) for name, function in FUNCTIONS.items()})


@cache
def functions(width: int, plain: bool = False) -> machine.Machine:
    """Return all functions compiled, `plain` for any processor of the kind, which may have no fused multiplication."""
    with pytest.MonkeyPatch.context() as patch:
        if plain:
            patch.setattr(machine, "_processor", lambda *_: (llvm.get_process_triple(), "generic", ""))
        return machine.Machine(functions_text(width))


def evaluated(name: str, x: Any, width: int, plain: bool = False) -> np.ndarray:
    x = np.asarray(x, dtype=float)
    padded = np.concatenate([x.ravel(), np.full(-x.size % width, 0.5)])
    y = np.full_like(padded, 99.0)
    call(functions(width, plain).function(name), padded, y, padded.size // width)
    return y[: x.size].reshape(x.shape)


# ---------------------------------------------------------------- exact values


def series(first: Decimal, ratio: Callable[[int], Decimal]) -> Decimal:
    """Return the sum of terms, each a multiple of the one before."""
    term = total = first
    k = 1
    while term and abs(term) > abs(total) * Decimal("1e-45"):
        term *= ratio(k)
        total += term
        k += 1
    return total


def exact_expm1(x: Decimal) -> Decimal:
    return series(x, lambda k: x / (k + 1)) if abs(x) < Decimal("1e-10") else x.exp() - 1


def exact_log1p(x: Decimal) -> Decimal:
    return series(x, lambda k: -x * k / (k + 1)) if abs(x) < Decimal("1e-10") else (1 + x).ln()


def exact_tanh(x: Decimal) -> Decimal:
    e = exact_expm1(2 * x)
    return e / (e + 2)


def exact_erf(x: Decimal) -> Decimal:
    """Return 2 / sqrt(pi) exp(-x**2) (x + 2 x**3 / 3 + 4 x**5 / 15 + ...), whose terms have one sign."""
    pi = Decimal("3.14159265358979323846264338327950288419716939937510582")
    return 2 / pi.sqrt() * (-x * x).exp() * series(x, lambda k: 2 * x * x / (2 * k + 1))


# Beyond these limits no double tells the difference.
EXACT: dict[str, tuple[float, Callable[[Decimal], Decimal]]] = {
    "exp": (1000, Decimal.exp),
    "exp_masked": (1000, Decimal.exp),
    "log": (INF, Decimal.ln),
    "log1p": (INF, exact_log1p),
    "expm1": (1000, exact_expm1),
    "tanh": (100, exact_tanh),
    "sigmoid": (1000, lambda x: 1 / (1 + (-x).exp())),
    "erf": (7, exact_erf),
}


def exact(name: str, x: float) -> Decimal:
    limit, function = EXACT[name]
    with localcontext(prec=50):
        return function(Decimal(min(max(float(x), -limit), limit)))


@pytest.mark.parametrize(
    ("name", "x", "value"),
    [
        ("exp", 1.0, "2.71828182845904523536028747135266"),
        ("log", 10.0, "2.30258509299404568401799145468436"),
        ("log1p", 2.0**-40, "9.09494701772514647608762799434693E-13"),
        ("expm1", 2.0**-40, "9.09494701773341828221315701724E-13"),
        ("tanh", 1.0, "0.761594155955764888119458282604793"),
        ("sigmoid", 1.0, "0.731058578630004879251159241821836"),
        ("erf", 0.5, "0.520499877813046537682746653891965"),
        ("erf", -3.0, "-0.999977909503001414558627223870418"),
    ],
)
def test_exact_values_are(name, x, value):
    assert abs(exact(name, x) / Decimal(value) - 1) < Decimal("1e-30")


# ---------------------------------------------------------------- errors

# Where the largest errors were found among millions of arguments, on processors with fused multiplication and without.
HARD: dict[str, list[float]] = {
    "exp": [
        *(-708.0315905054705, -4.491563900320216, 33.635371018455075, 707.4128418616291, 0.35654618856265996),
        *(-417.56963346334487, 71.75247611030102, -80.69378142539642, 707.4087300550798, 446.7731771189424),
        *(-21.091502011005918, 33.663264368250836, 0.3593126011765979),
    ],
    "log": [1.4078700667332182, 0.6984197362937458, 1.4063344049387123, 0.6999071300720149, 1.4129794102806483],
    "log1p": [-0.29374224106011726, -0.29749123331599525, 0.40439826768629067, -0.29912605994449193],
    "expm1": [
        *(0.3578611543867709, 0.35905913581794313, 0.3599417351073576, 0.36005818213645213, 0.36143155681424854),
        *(0.3467790336635831, 0.4045597108632375, 0.36764309251012073, 0.38043052563968466),
    ],
    "tanh": [
        *(0.18025274223240287, 0.18190434330259278, -0.17924127169392146, 0.17998749991053348, -0.20917266600241735),
        *(-0.20642214926665536, 0.20648416736937536),
    ],
    "sigmoid": [-2.737382746889285, -2.727231515695927, -4.143819410660953, -2.7640772292604034, -2.724591091199276],
    "erf": [-0.4666378970097249, 0.47106553341671276, 0.9618800335490716, 0.9719705645811573, -0.9681496119396666],
}
# Limits and switches, and where functions are steep, flat or near 0.
RANGES: dict[str, list[tuple[float, float]]] = {
    "exp": [
        *((-746.0, 710.0), (-745.2, -744.0), (-745.2, -707.0), (-708.01, -707.99), (707.99, 708.01), (707.0, 709.79)),
        *((709.78, 709.784), (-1.0, 1.0), (-0.36, 0.36), (0.34, 0.37), (-40.0, 40.0)),
    ],
    "log": [(0.0, 10.0), (0.5, 2.0), (0.69, 0.72), (1.39, 1.43), (0.999, 1.001), (0.0, 2.3e-308), (1e308, 1.79e308)],
    "log1p": [
        *((-1.0, 0.0), (-0.5, 1.0), (-0.31, -0.28), (0.39, 0.42), (-0.01, 0.01), (0.99, 1.01), (0.0, 100.0)),
        *((-1.0, -0.999), (1e15, 1e16)),
    ],
    "expm1": [
        *((-1.0, 1.0), (0.34, 0.41), (-0.36, -0.34), (-0.01, 0.01), (-40.0, 40.0), (-745.0, -700.0), (36.0, 38.0)),
        *((707.0, 709.79), (709.78, 709.784)),
    ],
    "tanh": [(-1.0, 1.0), (0.17, 0.23), (-0.19, -0.17), (-0.01, 0.01), (-3.0, 3.0), (-20.0, 20.0), (18.0, 21.0)],
    "sigmoid": [
        *((-5.0, 5.0), (-2.8, -2.7), (-4.2, -3.4), (-40.0, 40.0), (-746.0, 40.0), (-745.2, -744.0), (-709.0, -707.0)),
        (707.0, 709.0),
    ],
    "erf": [(-1.0, 1.0), (0.44, 0.48), (0.95, 1.0), (0.999, 1.001), (-3.0, 3.0), (5.8, 6.1), (-6.1, 6.1)],
}


def neighbours(x: Any) -> np.ndarray:
    x = np.asarray(x, dtype=float)
    return np.concatenate([x, np.nextafter(x, INF), np.nextafter(x, -INF)])


@cache
def points(name: str) -> np.ndarray:
    """Return arguments of all magnitudes, denormal ones too; those of a range stay together, as do their vectors."""
    name = name.removesuffix("_masked")
    rng = np.random.default_rng(1)
    ranges = [rng.uniform(*limits, 240) for limits in RANGES[name]]
    sizes = 10 ** np.concatenate([rng.uniform(-323.3, 308.2, 400), rng.uniform(-20, 3, 400), [-300, 300]])
    halves = (np.arange(-40, 40) + 0.5) * math.log(2)
    if name == "log":
        near = [neighbours(2.0 ** np.arange(-1074, 1024, 7)), neighbours(math.sqrt(2) * 2.0 ** np.arange(-60, 60))]
        ends = [1.0, TINY, 2 * TINY, 2.2250738585072014e-308, np.nextafter(2.2250738585072014e-308, 0), LARGEST]
        all_of = [sizes, *near, 1 - sizes[sizes < 1], ends]
        above = 0.0
    elif name == "log1p":
        below = sizes[sizes < 1]
        near = [neighbours(2.0 ** np.arange(-60, 60) - 1), neighbours(math.sqrt(2) * 2.0 ** np.arange(-60, 60) - 1)]
        all_of = [sizes, -below, below - 1, *near, [LARGEST, TINY, -TINY, 1.0, np.nextafter(-1.0, 0)]]
        above = -1.0
    else:
        near = [neighbours(halves), neighbours([-745.1332191019411, -708.0, 708.0, 709.782712893384]), halves - 700]
        all_of = [sizes, -sizes, *near, np.arange(-750.0, 720, 7), np.arange(-8, 8, 0.25), [TINY, -TINY, LARGEST]]
        above = -INF
    x = np.concatenate([HARD[name], *ranges, *all_of])
    return x[x > above]


@cache
def exact_points(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return exact values: rounded, the unit of the last place there, and what was rounded off, in units."""
    values = [exact(name, x) for x in points(name)]
    rounded = np.array([float(v) for v in values])
    unit = np.spacing(np.minimum(np.abs(rounded), 1e308))  # the same up to the largest number
    with localcontext(prec=50):
        terms = zip(values, rounded, unit, strict=True)
        rest = [float((v - Decimal(float(r))) / Decimal(float(u))) if np.isfinite(r) else 0.0 for v, r, u in terms]
    return rounded, unit, np.array(rest)


@cache
def errors(name: str, width: int, plain: bool = False) -> np.ndarray:
    """Return the errors at all points, in units of the last place."""
    rounded, unit, rest = exact_points(name)
    y = evaluated(name, points(name), width, plain)
    with np.errstate(all="ignore"):
        off = np.abs((y - rounded) / unit - rest)
    return np.where(np.isinf(rounded) & (y == rounded), 0.0, off)


def documented() -> dict[str, float]:
    """Return the largest errors by the module's docstring."""
    (line,) = re.findall(r"^    (exp [\d.]+, .*)$", vector.__doc__ or "", re.MULTILINE)
    return {name: float(error) for name, error in (item.split() for item in line.split(", "))}


def test_all_errors_are_documented():
    assert set(documented()) == set(FUNCTIONS) - {"exp_masked"}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_is_no_larger_than_documented(name, width):
    error = errors(name, width)
    worst = np.argmax(error)
    assert error[worst] <= documented()[name.removesuffix("_masked")], f"at {points(name)[worst]!r}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_is_no_larger_than_documented_on_plain_processors(name):
    error = errors(name, 4, plain=True)
    worst = np.argmax(error)
    assert error[worst] <= documented()[name.removesuffix("_masked")], f"at {points(name)[worst]!r}"


@pytest.mark.parametrize("name", documented())
def test_documented_error_is_not_far_above_what_is_found(name):
    found = max(*(errors(name, width).max() for width in WIDTHS), errors(name, 4, plain=True).max())
    assert documented()[name] <= found + 1.5


# ---------------------------------------------------------------- lanes


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values_are_those_of_numpy(name, width):
    x = np.array([0.0, -0.0, INF, -INF, NAN, TINY, -TINY, LARGEST, -LARGEST, 1.0, -1.0])
    with np.errstate(all="ignore"):
        expected = KNOWN[name](x)
    one_by_one = np.concatenate([evaluated(name, [v] * width, width)[:1] for v in x])
    assert_allclose(one_by_one, expected, rtol=1e-15, atol=0)
    assert_allclose(evaluated(name, x, width), expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_widths_give_the_same_bits(name):
    x = np.concatenate([points(name), [INF, -INF, NAN, 0.0, 1.0]])
    one = evaluated(name, x, 1)
    for width in WIDTHS[1:]:
        assert_array_equal(evaluated(name, x, width), one)


@pytest.mark.parametrize("width", WIDTHS[1:])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_extreme_lane_changes_no_other(name, width):
    """One extreme value at each place in turn, beside numbers that are ordinary, or nearly not."""
    rng = np.random.default_rng(2)
    ordinary = np.stack([rng.uniform(0.01, 5, (width, width)), rng.uniform(690, 708, (width, width))])
    if name not in ("log", "log1p"):
        ordinary = np.concatenate([ordinary, -ordinary])
    alone = evaluated(name, ordinary, width)
    place = np.eye(width, dtype=bool)
    for extreme in (INF, -INF, NAN, 1e308, -1e308, -745.0, -720.0, 709.0, TINY, 0.0, -1.0):
        y = evaluated(name, np.where(place, extreme, ordinary), width)
        assert_array_equal(y[:, ~place].view(np.int64), alone[:, ~place].view(np.int64))
        (expected,) = evaluated(name, [extreme], 1)
        assert_array_equal(y[:, place], np.full_like(y[:, place], expected))


@pytest.mark.parametrize("width", [1, 4])
def test_pow_is_that_of_c_in_each_lane(width):
    cases = [(2.0, 0.5), (0.3, -7.1), (-8.0, 3.0), (0.0, 0.0), (INF, 0.0), (NAN, 0.0), (1.0, NAN), (1e-200, 1.6)]
    a, b = np.array(cases).T.copy()
    y = np.zeros(len(cases))

    def body(code: Code, given: Arguments) -> None:
        with code.loop(code.single(0), code.single(len(cases) // width)) as k:
            here = code.builder.mul(k, code.single(width))
            value = code.intrinsic("pow", code.load(given.place(0), here), code.load(given.place(1), here))
            code.store(value, given.place(2), here)

    run(width, body, a, b, y)
    assert y.tolist() == [math.pow(*case) for case in cases]


def test_lanes_are_split_spread_and_joined():
    x, y = np.array([3.0, 5.0, 7.0]), np.zeros(12)

    def body(code: Code, given: Arguments) -> None:
        there, value = given.place(1), code.load(given.place(0), code.single(0))
        lanes = [code.lane(value, w) for w in range(3)]
        code.store(code.gather(lanes[::-1]), there, code.single(0))
        code.store(code.splat(lanes[1]), there, code.single(3))
        code.store(code.constant(2), there, code.single(6))
        second = code.load_single(given.place(0), code.single(1))
        code.store(code.splat(second), there, code.single(9))

    run(3, body, x, y)
    assert_array_equal(y.reshape(4, 3), [[7, 5, 3], [5, 5, 5], [2, 2, 2], [5, 5, 5]])


# ---------------------------------------------------------------- control


def note(code: Code, out: Any, index: Any) -> None:
    """Write a number after those before, whose count stands first."""
    count = code.builder.add(code.load_single(out, code.single(0), I64), code.single(1))
    code.builder.store(index, code.at(out, count, I64))
    code.builder.store(count, code.at(out, code.single(0), I64))


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(("first", "end"), [(0, 5), (3, 4), (-3, 2), (0, 0), (2, 2), (5, 2), (0, -1)])
def test_loop_runs_over_a_range(first, end, backward):
    out = np.zeros(20, dtype=np.int64)

    def body(code: Code, given: Arguments) -> None:
        with code.loop(given.whole(1), given.whole(2), backward=backward) as index:
            note(code, given.place(0), index)

    run(2, body, out, first, end)
    expected = list(range(first, end))
    assert out[1 : out[0] + 1].tolist() == (expected[::-1] if backward else expected)


def test_loops_in_loops():
    out = np.zeros(30, dtype=np.int64)

    def body(code: Code, given: Arguments) -> None:
        there = given.place(0)
        with code.loop(code.single(0), code.single(4), backward=True) as i:
            with code.loop(code.single(0), i) as j:
                note(code, there, code.builder.add(code.builder.mul(i, code.single(10)), j))
            note(code, there, code.single(-1))

    run(2, body, out)
    assert out[1 : out[0] + 1].tolist() == [30, 31, 32, -1, 20, 21, -1, 10, -1, -1]


def test_a_variable_changes_in_a_loop():
    x, y = np.arange(12.0), np.zeros(4)

    def body(code: Code, given: Arguments) -> None:
        with code.loop(code.single(0), code.single(3)) as k:
            new = code.variable()  # one place, however often
            code.set(new, code.load(given.place(0), code.builder.mul(k, code.single(4))))
            before = code.load(given.place(1), code.single(0))
            code.store(code.add(before, code.get(new)), given.place(1), code.single(0))

    run(4, body, x, y)
    assert_array_equal(y, x.reshape(3, 4).sum(axis=0))


@pytest.mark.parametrize("width", WIDTHS)
def test_everywhere_and_choose(width):
    """The one of two ways is gone that holds for all lanes, and nothing of the other is done."""
    rows = np.concatenate([np.ones((1, width)), 1 - np.eye(width), np.zeros((1, width))])
    y, out = np.zeros_like(rows), np.zeros(len(rows) + 2, dtype=np.int64)

    def body(code: Code, given: Arguments) -> None:
        there = given.place(2)
        with code.loop(code.single(0), code.single(len(rows))) as k:
            here = code.builder.mul(k, code.single(width))
            x = code.load(given.place(0), here)

            def often() -> Any:
                note(code, there, code.single(1))
                return code.add(x, code.constant(10))

            def seldom() -> Any:
                note(code, there, code.single(0))
                none = code.everywhere(code.compare("==", x, code.constant(0)))
                return code.choose(none, lambda: code.constant(30), lambda: code.add(x, code.constant(20)))

            condition = code.everywhere(code.compare("!=", x, code.constant(0)))
            code.store(code.choose(condition, often, seldom), given.place(1), here)

    run(width, body, rows, y, out)
    every, none = rows.all(axis=1), ~rows.any(axis=1)
    assert out[1:-1].tolist() == every.tolist()
    assert_array_equal(y, np.where(every[:, None], rows + 10, np.where(none[:, None], 30, rows + 20)))


# ---------------------------------------------------------------- kinds and comparisons

SAMPLES: dict[str, list[Any]] = {
    "f": [0.0, -0.0, 1.0, -1.0, 2.7, -2.7, 0.3, -0.3, 2.0**53, -(2.0**62)],
    "i": [0, 1, -1, 2, -7, 2**53, -(2**62), 2**63 - 1, -(2**63), 4],
    "b": [False, True] * 5,
}
DTYPES: dict[str, Any] = {"f": np.float64, "i": np.int64, "b": np.bool_}


def read(code: Code, place: Any, kind: str) -> Any:
    """Return a vector that is kept as eight bytes for each lane, conditions as whole numbers."""
    value = code.load(place, code.single(0), "f" if kind == "f" else "i")
    return code.convert(value, "i", "b") if kind == "b" else value


def kept(values: np.ndarray) -> np.ndarray:
    return values.astype(np.int64) if values.dtype == bool else values.copy()


@pytest.mark.parametrize("wanted", "fib")
@pytest.mark.parametrize("kind", "fib")
def test_convert(kind, wanted):
    x = np.array(SAMPLES[kind], dtype=DTYPES[kind])
    y = kept(np.zeros(len(x), dtype=DTYPES[wanted]))

    def body(code: Code, given: Arguments) -> None:
        value = code.convert(read(code, given.place(0), kind), kind, wanted)
        value = code.convert(value, "b", "i") if wanted == "b" else value
        code.store(value, given.place(1), code.single(0))

    run(len(x), body, kept(x), y)
    assert_array_equal(y, x.astype(DTYPES[wanted]))


def test_what_is_not_a_number_counts_as_true():
    y = np.zeros(4)

    def body(code: Code, given: Arguments) -> None:
        value = code.load(given.place(0), code.single(0))
        code.store(code.convert(code.convert(value, "f", "b"), "b", "f"), given.place(1), code.single(0))

    run(4, body, np.array([NAN, INF, TINY, -0.0]), y)
    assert y.tolist() == [1, 1, 1, 0]


SIGNS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("kind", "fib")
def test_compare(kind, sign):
    """Each with each, NaN among them; and conditions are ordered as 0 and 1."""
    values = {"f": [NAN, INF, -INF, 0.0, -0.0, 1.0, TINY], "i": [0, 1, -1, 2**63 - 1, -(2**63)], "b": [False, True]}
    sample = np.array(values[kind], dtype=DTYPES[kind])
    a, b = (m.ravel() for m in np.meshgrid(sample, sample))
    y = np.full(a.size, 9, dtype=np.int64)

    def body(code: Code, given: Arguments) -> None:
        condition = code.compare(sign, *(read(code, given.place(k), kind) for k in range(2)), kind)
        code.store(code.convert(condition, "b", "i"), given.place(2), code.single(0))

    run(a.size, body, kept(a), kept(b), y)
    assert_array_equal(y, SIGNS[sign](a, b))


def test_select_and_arithmetic_with_infinities():
    """The lane that is not taken may be anything."""
    x = np.array([0.0, 2.0, INF, NAN])
    y = np.zeros((6, 4))

    def body(code: Code, given: Arguments) -> None:
        a = code.load(given.place(0), code.single(0))
        two = code.constant(2)
        found = [code.add(a, two), code.sub(a, two), code.mul(a, two), code.div(two, a), code.neg(a)]
        found.append(code.select(code.compare(">", a, code.constant(0)), code.div(two, a), code.constant(-1)))
        for k, value in enumerate(found):
            code.store(value, given.place(1), code.single(4 * k))

    run(4, body, x, y)
    assert_array_equal(y, [x + 2, x - 2, x * 2, [INF, 1, 0, NAN], -x, [-1, 1, 0, -1]])


@pytest.mark.parametrize("coefficients", [(3.0,), (2.0, -1.0), (1.0, 0.0, -4.0, 5.0)])
def test_polynomial_has_its_highest_power_first(coefficients):
    x = np.array([0.0, 1.0, -2.0, 10.0])
    y = np.zeros(4)
    run(4, over_all(lambda code, v: code.polynomial(v, coefficients)), x, y, 1)
    assert_array_equal(y, np.polyval(coefficients, x))


# ---------------------------------------------------------------- machine code on disk


@cache
def simple(answer: float = 42.0) -> str:
    return text(2, go=lambda code, given: code.store(code.constant(answer), given.place(0), code.single(0)))


def answer_of(made: machine.Machine) -> float:
    y = np.zeros(2)
    call(made.function("go"), y)
    assert y[0] == y[1]
    return float(y[0])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a new folder for machine code, which is not there yet."""
    path = tmp_path / "machine" / "code"
    monkeypatch.setenv("RLPYMC_CACHE", str(path))
    return path


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of texts that are compiled from now on."""
    texts: list[str] = []
    compile_text = machine._compile

    def noted(source: str, *options: Any) -> bytes:
        texts.append(source)
        return compile_text(source, *options)

    monkeypatch.setattr(machine, "_compile", noted)
    return texts


def refuse(*_: Any, **__: Any) -> Any:
    raise PermissionError("refused")


def test_the_second_time_a_file_is_read(folder, monkeypatch):
    machine.Machine(simple())
    assert [f.name for f in folder.iterdir()] == [f"{machine.fingerprint(simple())}.o"]
    monkeypatch.setattr(machine, "_compile", refuse)
    assert answer_of(machine.Machine(simple())) == 42
    with pytest.raises(PermissionError, match="refused"):
        machine.Machine(simple(43.0))


def test_what_is_read_gives_the_same_bits(folder, compiled):
    x = np.linspace(-800, 800, 64)
    for _ in range(2):
        y = np.zeros_like(x)
        call(machine.Machine(functions_text(4)).function("exp"), x, y, len(x) // 4)
        assert_array_equal(y, evaluated("exp", x, 4))
    assert len(compiled) == 1


def spoilt(good: bytes, other: bytes) -> list[bytes]:
    """Return files that are not what was written."""
    rng = np.random.default_rng(3)
    lengths = [0, 1, 31, 32, 33, len(good) // 2, len(good) - 1]
    bad = [*(good[:n] for n in lengths), good + b"\0", other, bytes(len(good)), good[32:], good[:32] + other[32:]]
    for place in [0, 31, 32, len(good) - 1, *rng.integers(len(good), size=40)]:
        flipped = bytearray(good)
        flipped[place] ^= 1 << int(rng.integers(8))
        bad.append(bytes(flipped))
    return bad


def test_a_spoilt_file_is_made_anew(folder, compiled):
    machine.Machine(simple())
    machine.Machine(simple(43.0))
    file, other = (folder / f"{machine.fingerprint(simple(v))}.o" for v in (42.0, 43.0))
    good = file.read_bytes()
    for bad in spoilt(good, other.read_bytes()):
        assert bad != good
        compiled.clear()
        file.write_bytes(bad)
        assert answer_of(machine.Machine(simple())) == 42
        assert file.read_bytes() == good
        assert answer_of(machine.Machine(simple())) == 42
        assert compiled == [simple()]
    assert set(folder.iterdir()) == {file, other}


def test_a_folder_that_is_a_file_costs_time_alone(tmp_path, monkeypatch, compiled):
    file = tmp_path / "file"
    file.write_text("not a folder")
    for path in (file, file / "below"):
        monkeypatch.setenv("RLPYMC_CACHE", str(path))
        assert answer_of(machine.Machine(simple())) == 42
    assert len(compiled) == 2
    assert [f.name for f in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "not a folder"


def test_a_folder_that_cannot_be_written_costs_time_alone(folder, monkeypatch, compiled):
    folder.mkdir(parents=True)
    monkeypatch.setattr(machine, "write_whole", refuse)
    for _ in range(2):
        assert answer_of(machine.Machine(simple())) == 42
    assert len(compiled) == 2
    assert list(folder.iterdir()) == []


def test_no_part_is_left_where_a_file_cannot_be_put(folder):
    """A folder stands in the file's place; a file that another process has open on Windows would, too."""
    in_the_way = folder / f"{machine.fingerprint(simple())}.o"
    in_the_way.mkdir(parents=True)
    machine._doubt.cache_clear()
    with pytest.warns(machine.CacheWarning, match="not a file that only we can write"):
        assert answer_of(machine.Machine(simple())) == 42
    assert list(folder.iterdir()) == [in_the_way]


def planted(folder, value):
    """Put machine code that answers something else, with its digest as it should be, where `simple()` is looked for."""
    machine.Machine(simple(value))
    theirs, ours = (folder / f"{machine.fingerprint(simple(v))}.o" for v in (value, 42.0))
    code = theirs.read_bytes()[32:]
    ours.write_bytes(sha256(ours.stem.encode() + code).digest() + code)
    return ours


@pytest.mark.skipif(sys.platform == "win32", reason="owners and modes are not told there")
@pytest.mark.parametrize("spoil", ["file", "folder", "link", "pipe", "owner"])
def test_code_that_others_could_have_written_is_not_run(folder, compiled, monkeypatch, spoil):
    file = planted(folder, 13.0)
    assert answer_of(machine.Machine(simple())) == 13  # as if it were ours: the digest is no signature
    compiled.clear()
    machine._doubt.cache_clear()
    if spoil == "file":
        file.chmod(0o666)
    elif spoil == "folder":
        folder.chmod(0o777)
    elif spoil == "link":
        file.rename(folder / "elsewhere")
        file.symlink_to(folder / "elsewhere")
    elif spoil == "pipe":
        file.unlink()
        os.mkfifo(file)
    else:
        monkeypatch.setattr(machine.os, "getuid", lambda: os.geteuid() + 1)
    before = {f.name for f in folder.iterdir()}
    with pytest.warns(machine.CacheWarning, match="compiled anew in each process") as said:
        assert answer_of(machine.Machine(simple())) == 42
    assert len(said) == 1
    assert compiled == [simple()]
    assert {f.name for f in folder.iterdir()} == before
    if spoil in ("folder", "owner"):  # nothing is written where others write
        assert file.read_bytes()[:32] == sha256(file.stem.encode() + file.read_bytes()[32:]).digest()
        compiled.clear()
        assert answer_of(machine.Machine(simple())) == 42
        assert compiled == [simple()]


def test_only_files_of_the_cache_are_removed_from_its_folder(folder, monkeypatch):
    folder.mkdir(parents=True)
    strange = [folder / name for name in ("main.o", f"{'0' * 63}.o", f"{'g' * 64}.o", f"{'0' * 64}.obj")]
    for file in strange:
        file.write_bytes(b"somebody's")
    monkeypatch.setattr(machine, "MOST_FILES", 2)
    for k in range(5):
        machine.Machine(simple(float(k)))
    assert all(file.read_bytes() == b"somebody's" for file in strange)
    assert len(list(folder.iterdir())) == len(strange) + 2


def test_nobody_has_a_home(monkeypatch):
    """Users without an entry in the system's list, as in containers, have no folder for caches."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("RLPYMC_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert answer_of(machine.Machine(simple())) == 42


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="other systems have their own folder")
@pytest.mark.parametrize("base", [None, "", "/somewhere"])
def test_the_folder_of_caches(base, monkeypatch):
    """An empty name counts as none, by the rules for these folders."""
    monkeypatch.delenv("RLPYMC_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if base is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", base)
    assert machine.folder() == (Path(base) if base else Path.home() / ".cache") / "rlpymc"


def test_fingerprint_tells_text_compiler_and_processor(monkeypatch):
    found = [machine.fingerprint(simple()), machine.fingerprint(simple(43.0))]
    triple = llvm.get_process_triple()
    for processor in [(triple, "generic", ""), (triple, "generic", "+fma"), ("other", "generic", "")]:
        monkeypatch.setattr(machine, "_processor", lambda *_, p=processor: p)
        found.append(machine.fingerprint(simple()))
    monkeypatch.setattr(machine.llvmlite, "__version__", "0")
    found.append(machine.fingerprint(simple()))
    assert len(set(found)) == len(found)
    assert found[-1] == machine.fingerprint(simple())


def test_code_of_another_processor_is_not_taken(folder, monkeypatch, compiled):
    machine.Machine(simple())
    monkeypatch.setattr(machine, "_processor", lambda *_: (llvm.get_process_triple(), "generic", ""))
    assert answer_of(machine.Machine(simple())) == 42
    assert len(compiled) == len(list(folder.iterdir())) == 2


@pytest.mark.skipif(not llvm.get_host_cpu_features().get("avx512f"), reason="has no vectors of 64 bytes")
def test_vectors_of_64_bytes_are_left_out_on_demand():
    source = functions_text(8)
    assert machine.fingerprint(source, True) != machine.fingerprint(source, False)
    module = llvm.parse_assembly(source)
    assert "zmm" in machine._target(True).emit_assembly(module)
    assert "zmm" not in machine._target(False).emit_assembly(llvm.parse_assembly(source))


def test_the_oldest_files_are_removed(folder, monkeypatch):
    monkeypatch.setattr(machine, "MOST_FILES", 3)
    names = []
    for k in range(6):
        machine.Machine(simple(float(k)))
        names.append(f"{machine.fingerprint(simple(float(k)))}.o")
        os.utime(folder / names[-1], (1000 + k, 1000 + k))
    assert {f.name for f in folder.iterdir()} == set(names[-3:])


PROCESS = """
import ctypes, importlib.util, sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("machine", sys.argv[1])
machine = importlib.util.module_from_spec(spec)
spec.loader.exec_module(machine)
text = Path(sys.argv[2]).read_text()
x = (ctypes.c_double * 8)(*range(8))
y = (ctypes.c_double * 8)()
table = (ctypes.c_int64 * 3)(ctypes.addressof(x), ctypes.addressof(y), 1)
print("ready", flush=True)
sys.stdin.readline()
machine.Machine(text).function("exp")(ctypes.addressof(table))
print(*(v.hex() for v in y))
"""


def test_processes_at_once(folder, tmp_path, compiled):
    """They compile the same text into an empty folder."""
    source = tmp_path / "text.ll"
    source.write_text(functions_text(8))
    command = [sys.executable, "-W", "error", "-c", PROCESS, str(machine.__file__), str(source)]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(4)]
    try:
        assert [p.stdout.readline() for p in started] == ["ready\n"] * 4
        for p in started:
            p.stdin.write("go\n")
            p.stdin.flush()
        said = [p.communicate(timeout=60) for p in started]
    finally:
        for p in started:
            p.kill()
            p.communicate()
    expected = " ".join(float(v).hex() for v in evaluated("exp", np.arange(8.0), 8))
    assert [(out.strip(), err) for out, err in said] == [(expected, "")] * 4
    assert [p.returncode for p in started] == [0] * 4
    key = machine.fingerprint(functions_text(8))
    assert [f.name for f in folder.iterdir()] == [f"{key}.o"]
    machine.Machine(functions_text(8))
    assert compiled == []
