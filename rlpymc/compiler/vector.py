"""Arithmetic on vectors in LLVM's language: some numbers side by side, one for each lane.

A `Code` writes instructions into a function.  What it computes with are vectors of `width` floats ("f"), whole numbers
("i") or conditions ("b"), and single whole numbers for addresses and loops.  LLVM turns them into the vector
instructions of the machine, whatever their width there.

Its own functions take no calls, so that lanes stay together.  Their largest errors, in units of the last place, over
all finite arguments (measured in the tests against 50 digits):

    exp 1, log 1, log1p 2, expm1 2, tanh 3, sigmoid 3, erf 2

Infinities, NaN, zeros and denormal numbers are treated as in C.  `pow` is C's, called lane by lane.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

from llvmlite import ir

I64, F64, BIT, POINTER = ir.IntType(64), ir.DoubleType(), ir.IntType(1), ir.PointerType()
# What LLVM may do to arithmetic: no infinity or NaN is assumed away, since an impossible choice has one.
FLAGS = ("contract", "nsz", "arcp")

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_SHIFTER = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest whole number in the low bits
_ORDINARY = 708.0  # up to here exp is neither 0 nor infinite nor denormal
# exp(r) = 1 + r + r**2 P(r), |r| <= log(2) / 2; erf(x) = x P(x**2), x <= 1; erfc(x) = exp(-x**2) P((x - 2.5) /
# (x + 2.5)), 1 <= x <= 6: Chebyshev fits in 60 digits, highest power first.
_EXP = (
    *(2.0914686968086876e-09, 2.5105217004720745e-08, 2.75572736431103e-07, 2.7557255400206422e-06),
    *(2.4801587325547743e-05, 0.00019841269874820627, 0.0013888888888883748, 0.008333333333326136),
    *(0.04166666666666667, 0.1666666666666667, 0.5),
)
_ERF = (
    *(-7.795898827002142e-10, 1.3720064546777686e-08, -1.6208483801871705e-07, 1.6447424703317362e-06),
    *(-1.492473690741966e-05, 0.00012055294904839707, -0.0008548325975389692, 0.0052239776071164225),
    *(-0.02686617064323777, 0.11283791670945006, -0.37612638903183543, 1.1283791670955126),
)
_ERFC = (
    *(8.134380709229634e-08, -1.5625258507743158e-06, -2.2842173094341345e-06, 7.48480117852628e-06),
    *(1.8609712314617464e-05, -3.4172229273553035e-05, -0.00012887649615317198, 0.00022837955896605415),
    *(0.0008759154019168855, -0.002642365927759658, -0.0039937011641469865, 0.0399225390747838),
    *(-0.12503305237885554, 0.251713193217456, -0.3717367339489732, 0.21080636406114356),
)
# log(1 + f) by s = f / (2 + f), the polynomial of the C library's log (Freely Distributable LIBM, Sun, 1993)
_LOG_ODD = (0.1531383769920937332, 0.2222219843214978396, 0.3999999999940941908)
_LOG_EVEN = (0.1479819860511658591, 0.1818357216161805012, 0.2857142874366239149, 0.6666666666666735130)


def _types(width: int) -> dict[str, ir.VectorType]:
    return {"f": ir.VectorType(F64, width), "i": ir.VectorType(I64, width), "b": ir.VectorType(BIT, width)}


class Code:
    """Writes instructions at the end of a function.

    Parameters
    ----------
    function : llvmlite.ir.Function
        Where to.
    width : int
        Number of lanes.
    name : str
        Of the first block of instructions.
    """

    def __init__(self, function: ir.Function, width: int, name: str = "start") -> None:
        self.function, self.width = function, width
        self.builder = ir.IRBuilder(function.append_basic_block(name))
        self.types = _types(width)

    def of_width(self, width: int) -> "Code":
        """Return what writes at the same place with another number of lanes."""
        other = copy(self)
        other.width, other.types = width, _types(width)
        return other

    # ------------------------------------------------------------------------------------- numbers and memory
    def constant(self, value: Any, kind: str = "f") -> ir.Constant:
        """Return a number, the same in all lanes."""
        value = float(value) if kind == "f" else int(value)
        return ir.Constant(self.types[kind], [value] * self.width)

    def single(self, value: int) -> ir.Constant:
        """Return a single whole number."""
        return ir.Constant(I64, value)

    def splat(self, value: Any, kind: str = "f") -> Any:
        """Return a single number as a vector."""
        empty = ir.Constant(self.types[kind], ir.Undefined)
        first = self.builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(
            first, empty, ir.Constant(ir.VectorType(ir.IntType(32), self.width), [0] * self.width)
        )

    def lane(self, vector: Any, w: int) -> Any:
        """The number in one lane."""
        return self.builder.extract_element(vector, ir.Constant(ir.IntType(32), w))

    def total(self, vector: Any) -> Any:
        """Return the sum over lanes, a single number."""
        value = self.lane(vector, 0)
        for w in range(1, self.width):
            value = self.builder.fadd(value, self.lane(vector, w), flags=FLAGS)
        return value

    def gather(self, values: Sequence[Any], kind: str = "f") -> Any:
        """Return a vector of single numbers, one for each lane."""
        vector: Any = ir.Constant(self.types[kind], ir.Undefined)
        for w, value in enumerate(values):
            vector = self.builder.insert_element(vector, value, ir.Constant(ir.IntType(32), w))
        return vector

    def at(self, pointer: Any, index: Any, item: Any = F64) -> Any:
        """Return the address of an item counted from a pointer."""
        return self.builder.gep(pointer, [index], source_etype=item)

    def load(self, pointer: Any, index: Any, kind: str = "f") -> Any:
        """Return the vector that starts at an item of eight bytes."""
        return self.builder.load(self.at(pointer, index), typ=self.types[kind], align=8)

    def store(self, value: Any, pointer: Any, index: Any) -> None:
        """Write a vector where an item of eight bytes starts."""
        self.builder.store(value, self.at(pointer, index), align=8)

    def load_single(self, pointer: Any, index: Any, item: Any = F64) -> Any:
        """Return one item."""
        return self.builder.load(self.at(pointer, index, item), typ=item)

    def variable(self) -> Any:
        """Return the place of a vector of floats that changes."""
        with self.builder.goto_entry_block():
            return self.builder.alloca(self.types["f"])

    def get(self, place: Any) -> Any:
        """A variable's value."""
        return self.builder.load(place, typ=self.types["f"])

    def set(self, place: Any, value: Any) -> None:
        """Change what a variable holds."""
        self.builder.store(value, place)

    # ------------------------------------------------------------------------------------------------- control
    @contextmanager
    def loop(self, first: Any, end: Any, backward: bool = False) -> Iterator[Any]:
        """Repeat what is written inside for each whole number from `first` to before `end`, or from the last to it."""
        b = self.builder
        begin = b.block
        body, after = b.append_basic_block("loop"), b.append_basic_block("after")
        start = b.sub(end, self.single(1)) if backward else first
        b.cbranch(b.icmp_signed("<", first, end), body, after)
        b.position_at_end(body)
        index = b.phi(I64)
        index.add_incoming(start, begin)
        yield index
        new = b.sub(index, self.single(1)) if backward else b.add(index, self.single(1))
        index.add_incoming(new, b.block)
        again = b.icmp_signed(">=", new, first) if backward else b.icmp_signed("<", new, end)
        b.cbranch(again, body, after)
        b.position_at_end(after)

    def choose(self, condition: Any, often: Callable[[], Any], seldom: Callable[[], Any]) -> Any:
        """Return one of two vectors, computing only that one; the second is expected to be seldom needed."""
        b = self.builder
        blocks = [b.append_basic_block(name) for name in ("often", "seldom", "joined")]
        b.cbranch(condition, *blocks[:2]).set_weights([1000, 1])
        found = []
        for block, compute in zip(blocks, (often, seldom), strict=False):
            b.position_at_end(block)
            value = compute()
            found.append((value, b.block))
            b.branch(blocks[2])
        b.position_at_end(blocks[2])
        joined = b.phi(found[0][0].type)
        for value, block in found:
            joined.add_incoming(value, block)
        return joined

    def everywhere(self, condition: Any) -> Any:
        """True if a condition holds in all lanes."""
        bits = self.builder.bitcast(condition, ir.IntType(self.width))
        return self.builder.icmp_unsigned("==", bits, ir.Constant(ir.IntType(self.width), 2**self.width - 1))

    # ---------------------------------------------------------------------------------------------- arithmetic
    def select(self, condition: Any, a: Any, b: Any) -> Any:
        """Return a where the condition holds, and b elsewhere."""
        return self.builder.select(condition, a, b)

    def convert(self, value: Any, kind: str, wanted: str) -> Any:
        """Return a vector as one of another kind."""
        if kind == wanted:
            return value
        if wanted == "f":
            value = value if kind == "i" else self.builder.zext(value, self.types["i"])
            return self.builder.sitofp(value, self.types["f"])
        if wanted == "i":
            if kind == "f":
                return self.builder.fptosi(value, self.types["i"])
            return self.builder.zext(value, self.types["i"])
        return self.compare("!=", value, self.constant(0, kind), kind)

    def compare(self, sign: str, a: Any, b: Any, kind: str = "f") -> Any:
        """Return a comparison; with NaN all but != are false."""
        if kind == "f":
            return self.builder.fcmp_unordered(sign, a, b) if sign == "!=" else self.builder.fcmp_ordered(sign, a, b)
        return getattr(self.builder, "icmp_signed" if kind == "i" else "icmp_unsigned")(sign, a, b)

    def add(self, a: Any, b: Any) -> Any:
        """Return a + b, floats."""
        return self.builder.fadd(a, b, flags=FLAGS)

    def sub(self, a: Any, b: Any) -> Any:
        """Return a - b, floats."""
        return self.builder.fsub(a, b, flags=FLAGS)

    def mul(self, a: Any, b: Any) -> Any:
        """Return a * b, floats."""
        return self.builder.fmul(a, b, flags=FLAGS)

    def div(self, a: Any, b: Any) -> Any:
        """Return a / b, floats."""
        return self.builder.fdiv(a, b, flags=FLAGS)

    def neg(self, a: Any) -> Any:
        """Return -a, floats."""
        return self.builder.fneg(a, flags=FLAGS)

    def intrinsic(self, name: str, *values: Any) -> Any:
        """The value of a function that LLVM knows, for floats."""
        module, label = self.function.module, f"llvm.{name}.v{self.width}f64"
        if label not in module.globals:
            ir.Function(module, ir.FunctionType(self.types["f"], [v.type for v in values]), label)
        function = module.globals[label]
        return self.builder.call(function, values)

    def polynomial(self, x: Any, coefficients: Sequence[float]) -> Any:
        """Return a polynomial, highest power first."""
        value: Any = self.constant(coefficients[0])
        for c in coefficients[1:]:
            value = self.add(self.mul(value, x), self.constant(c))
        return value

    def _bits(self, value: Any) -> Any:
        return self.builder.bitcast(value, self.types["i"])

    def _float(self, bits: Any) -> Any:
        return self.builder.bitcast(bits, self.types["f"])

    def _shifted(self, direction: str, bits: Any, by: int) -> Any:
        return getattr(self.builder, direction)(bits, self.constant(by, "i"))

    # ----------------------------------------------------------------------------------------------- functions
    def _reduced(self, x: Any) -> tuple[Any, Any]:
        """Return k, plus a large number, and r with x = k log(2) + r, |r| <= log(2) / 2."""
        k = self.add(self.mul(x, self.constant(1.4426950408889634)), self.constant(_SHIFTER))
        whole = self.sub(k, self.constant(_SHIFTER))
        r = self.sub(x, self.mul(whole, self.constant(_LN2_HIGH)))
        return k, self.sub(r, self.mul(whole, self.constant(_LN2_LOW)))

    def _power_of_two(self, exponent: Any) -> Any:
        """Return 2**exponent, for the bits of a whole number, whatever is above its lowest eleven."""
        return self._float(self._shifted("shl", self.builder.add(exponent, self.constant(1023, "i")), 52))

    def _is_ordinary(self, x: Any) -> Any:
        return self.everywhere(self.compare("<", self.intrinsic("fabs", x), self.constant(_ORDINARY)))

    def exp(self, x: Any, often_minus_infinity: bool = False) -> Any:
        """Return the exponential; quick without denormal results, and, unless it is to be expected, infinities."""
        if not often_minus_infinity:
            return self.choose(
                self._is_ordinary(x), lambda: self._exp_ordinary(x), lambda: self.called("exp", Code._exp_full, x)
            )
        low = self.compare("<", x, self.constant(-_ORDINARY))
        zero = self.compare("<", x, self.constant(-746.0))
        inside = self.builder.and_(self.compare("<", x, self.constant(_ORDINARY)), self.builder.not_(low))
        return self.choose(
            self.everywhere(self.builder.or_(inside, zero)),
            lambda: self.select(low, self.constant(0.0), self._exp_ordinary(x)),
            lambda: self.called("exp", Code._exp_full, x),
        )

    def _exp_minus_one(self, r: Any) -> Any:
        return self.add(self.mul(self.mul(r, r), self.polynomial(r, _EXP)), r)

    def _exp_ordinary(self, x: Any) -> Any:
        k, r = self._reduced(x)
        return self.mul(self.add(self._exp_minus_one(r), self.constant(1.0)), self._power_of_two(self._bits(k)))

    def _exp_full(self, x: Any) -> Any:
        """Return exp by two factors, so that denormal numbers and the largest ones are right."""
        y = self.select(self.compare("<", x, self.constant(-746.0)), self.constant(-746.0), x)
        y = self.select(self.compare(">", y, self.constant(710.0)), self.constant(710.0), y)
        k, r = self._reduced(y)
        n = self.builder.sub(self._bits(k), self._bits(self.constant(_SHIFTER)))
        half = self._shifted("ashr", n, 1)
        value = self.add(self._exp_minus_one(r), self.constant(1.0))
        value = self.mul(value, self._power_of_two(half))
        return self.mul(value, self._power_of_two(self.builder.sub(n, half)))

    def expm1(self, x: Any) -> Any:
        """Return exp(x) - 1, precise near 0."""

        def ordinary() -> Any:
            k, r = self._reduced(x)
            scale = self._power_of_two(self._bits(k))
            return self.add(self.mul(scale, self._exp_minus_one(r)), self.sub(scale, self.constant(1.0)))

        def other() -> Any:
            limit = self.constant(_ORDINARY)
            inside = self.compare("<", self.intrinsic("fabs", x), limit)
            return self.select(inside, ordinary(), self.sub(self.called("exp", Code._exp_full, x), self.constant(1.0)))

        return self.choose(self._is_ordinary(x), ordinary, other)

    def log(self, x: Any) -> Any:
        """Return the natural logarithm."""
        return self._log(x, None)

    def log1p(self, x: Any) -> Any:
        """Return log(1 + x), precise near 0."""
        u = self.add(x, self.constant(1.0))
        large = self.compare(">", u, self.constant(2.0))
        lost = self.select(
            large,
            self.sub(self.constant(1.0), self.sub(u, x)),
            self.sub(x, self.sub(u, self.constant(1.0))),
        )
        infinite = self.compare("==", x, self.constant(float("inf")))
        lost = self.select(infinite, self.constant(0.0), self.div(lost, u))
        return self._log(u, lost)

    def _log(self, x: Any, correction: Any) -> Any:
        """Return log(x) + correction, the latter tiny."""
        small = self.compare("<", x, self.constant(2.2250738585072014e-308))
        y = self.select(small, self.mul(x, self.constant(2.0**54)), x)
        bits = self.builder.add(self._bits(y), self.constant(0x3FF0000000000000 - 0x3FE6A09E00000000, "i"))
        exponent = self.builder.or_(self._shifted("lshr", bits, 52), self.constant(0x4330000000000000, "i"))
        k = self.sub(self._float(exponent), self.constant(4503599627371519.0))
        k = self.select(small, self.sub(k, self.constant(54.0)), k)
        fraction = self.builder.and_(bits, self.constant(0x000FFFFFFFFFFFFF, "i"))
        f = self.sub(
            self._float(self.builder.add(fraction, self.constant(0x3FE6A09E00000000, "i"))), self.constant(1.0)
        )
        s = self.div(f, self.add(self.constant(2.0), f))
        z = self.mul(s, s)
        w = self.mul(z, z)
        r = self.add(self.mul(w, self.polynomial(w, _LOG_ODD)), self.mul(z, self.polynomial(w, _LOG_EVEN)))
        half_square = self.mul(self.constant(0.5), self.mul(f, f))
        low = self.mul(k, self.constant(_LN2_LOW))
        low = low if correction is None else self.add(low, correction)
        inner = self.sub(half_square, self.add(self.mul(s, self.add(half_square, r)), low))
        value = self.sub(self.mul(k, self.constant(_LN2_HIGH)), self.sub(inner, f))
        infinite = self.compare("==", x, self.constant(float("inf")))
        value = self.select(infinite, self.constant(float("inf")), value)
        value = self.select(self.compare("==", x, self.constant(0.0)), self.constant(float("-inf")), value)
        return self.select(self.compare(">=", x, self.constant(0.0)), value, self.constant(float("nan")))

    def tanh(self, x: Any) -> Any:
        """Return the hyperbolic tangent."""
        size = self.intrinsic("fabs", x)
        size = self.select(self.compare(">", size, self.constant(20.0)), self.constant(20.0), size)
        e = self.expm1(self.mul(self.constant(2.0), size))
        return self.intrinsic("copysign", self.div(e, self.add(e, self.constant(2.0))), x)

    def sigmoid(self, x: Any) -> Any:
        """Return 1 / (1 + exp(-x))."""
        e = self.exp(self.neg(self.intrinsic("fabs", x)))
        above = self.select(self.compare("<", x, self.constant(0.0)), e, self.constant(1.0))
        return self.div(above, self.add(self.constant(1.0), e))

    def erf(self, x: Any) -> Any:
        """Return the error function."""
        size = self.intrinsic("fabs", x)
        near = self.compare("<", size, self.constant(1.0))
        small = self.mul(size, self.polynomial(self.mul(size, size), _ERF))
        y = self.select(self.compare(">", size, self.constant(6.0)), self.constant(6.0), size)
        t = self.div(self.sub(y, self.constant(2.5)), self.add(y, self.constant(2.5)))
        tail = self.mul(self._exp_ordinary(self.neg(self.mul(y, y))), self.polynomial(t, _ERFC))
        value = self.select(near, small, self.sub(self.constant(1.0), tail))
        return self.intrinsic("copysign", value, x)

    def called(self, name: str, body: Callable[["Code", Any], Any], x: Any) -> Any:
        """Return a function of a vector that is written once, out of line, and called."""
        module, label = self.function.module, f"rlpymc_{name}_{self.width}"
        if label not in module.globals:
            function = ir.Function(module, ir.FunctionType(x.type, [x.type]), label)
            function.linkage = "private"
            function.attributes.add("noinline")
            code = Code(function, self.width)
            code.builder.ret(body(code, function.args[0]))
        return self.builder.call(module.globals[label], [x])
