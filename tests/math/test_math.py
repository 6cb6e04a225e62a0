"""Every function that models are written in means the same on NumPy arrays and on PyTensor variables."""

from typing import Any

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from rlpymc import math

INF = float("inf")
SHAPES = [(), (3,), (2, 3)]


def values(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape) + 0.1


def on_pytensor(function: Any, *arguments: Any) -> np.ndarray:
    """A function's value on PyTensor variables of these values, as float64 where it holds numbers."""
    inputs = [pt.tensor(f"x{k}", shape=np.shape(a), dtype=np.asarray(a).dtype) for k, a in enumerate(arguments)]
    out = pt.as_tensor(function(*inputs))
    compiled = pytensor.function(inputs, out, mode="FAST_COMPILE", on_unused_input="ignore")
    return compiled(*arguments)


def gradient(function: Any, at: Any) -> np.ndarray:
    """Return the derivative of the sum of a function's entries."""
    x = pt.tensor("x", shape=np.shape(at), dtype="float64")
    return pytensor.function([x], pt.grad(pt.sum(function(x)), x), mode="FAST_COMPILE")(np.asarray(at, dtype=float))


def assert_same(function: Any, *arguments: Any) -> None:
    plain, graph = function(*arguments), on_pytensor(function, *arguments)
    assert np.asarray(plain).dtype == graph.dtype == np.float64
    assert np.shape(plain) == graph.shape
    assert_allclose(graph, plain, rtol=1e-14, atol=1e-14)


# ---------------------------------------------------------------- one meaning


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["exp", "expm1", "tanh", "sigmoid", "erf", "abs", "softplus", "stop_gradient"])
def test_functions_of_any_number(name: str, shape: tuple[int, ...]) -> None:
    assert_same(getattr(math, name), values(shape))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["log", "log1p", "sqrt"])
def test_functions_of_positive_numbers(name: str, shape: tuple[int, ...]) -> None:
    assert_same(getattr(math, name), np.abs(values(shape)))


@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("name", ["sum", "max", "logsumexp", "log_softmax", "softmax"])
def test_reductions_run_over_the_last_axis(name: str, shape: tuple[int, ...]) -> None:
    function = getattr(math, name)
    assert_same(function, values(shape))
    if name in ("sum", "max", "logsumexp"):
        assert np.shape(function(values(shape))) == shape[:-1]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_the_larger_and_the_smaller(name: str, shape: tuple[int, ...]) -> None:
    assert_same(getattr(math, name), values(shape), values(shape)[..., ::-1] if shape else np.array(0.3))
    assert_same(lambda x: getattr(math, name)(x, 0.1), values(shape))


def test_sum_over_another_axis() -> None:
    assert_same(lambda x: math.sum(x, axis=0), values((2, 3)))


def test_equal_and_where_go_entry_by_entry() -> None:
    a, b = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 3.0])
    assert on_pytensor(math.equal, a, b).tolist() == math.equal(a, b).tolist() == [True, False, True]
    assert_same(lambda x, y: math.where(math.equal(x, y), x, -1.0), a, b)
    assert_same(lambda x, y: math.where(x > y, x, y), a, b)


def test_arrays_are_made_and_joined() -> None:
    a, b = values((3,)), values((3,)) + 1
    assert_same(lambda x, y: math.stack([x, y]), a, b)
    assert_same(lambda x, y: math.stack([x[0], 0.1]), a, b)
    assert_same(lambda x, y: math.concatenate([x, math.zeros(1), y]), a, b)
    assert_same(lambda x: math.full(4, x), np.array(0.1))
    assert_same(lambda x: math.full((2, 3), x), np.array(0.1))
    assert_same(lambda x: x + math.zeros((2, 3)), values((2, 3)))
    assert_same(lambda i: math.onehot(i, 4), np.array(2))
    assert math.arange(3).tolist() == [0, 1, 2]


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_size_is_a_plain_integer(shape: tuple[int, ...]) -> None:
    assert math.size(values(shape)) == math.size(pt.tensor("x", shape=shape)) == 3
    assert isinstance(math.size(pt.tensor("x", shape=shape)), int)


def test_a_length_that_is_not_known_beforehand_is_refused() -> None:
    with pytest.raises(ValueError, match="length that is known beforehand"):
        math.max(pt.vector("x"))


@settings(max_examples=50, deadline=None)
@given(arrays(float, (4,), elements=st.floats(-700, 700)))
def test_softmax_is_a_distribution(x: np.ndarray) -> None:
    assert_allclose(math.softmax(x).sum(), 1.0, rtol=1e-12)
    assert_allclose(np.exp(math.log_softmax(x)), math.softmax(x))
    assert math.logsumexp(x) >= x.max()


@settings(max_examples=50, deadline=None)
@given(st.floats(-1e300, 1e300))
def test_softplus_does_not_overflow(x: float) -> None:
    assert math.softplus(x) >= max(x, 0.0)
    assert np.isfinite(math.softplus(x))


# ---------------------------------------------------------------- double precision


@pytest.mark.parametrize("name", ["exp", "log1p", "sigmoid", "sqrt"])
def test_whole_numbers_and_truths_are_taken_in_double_precision(name: str) -> None:
    function = getattr(math, name)
    assert_same(lambda x: function(math.where(x > 0, 1, 0)), np.array([0.5, -0.5]))


def test_constants_keep_double_precision() -> None:
    assert_same(lambda x: math.where(x > 0, 0.1, 0.7), np.array([0.5, -0.5]))
    assert_same(lambda x: math.put(x, 1, 0.1), np.array([0.5, -0.5]))
    assert_same(lambda x: math.add_at(x, 1, 0.1), np.array([0.5, -0.5]))


def test_take_keeps_truths_true_or_false() -> None:
    taken = on_pytensor(lambda x, i: math.take(x, i), np.array([True, False]), np.array(1))
    assert taken.dtype == math.take(np.array([True, False]), np.array(1)).dtype == bool


# ---------------------------------------------------------------- entries

INDICES = [1, np.array(1), (1,), (np.array(1),), (0, 2), (np.array(0), np.array(2)), (np.array(0), 2)]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_take_put_add_at_by_numbers_and_variables(index: Any) -> None:
    table = values((2, 3))
    plain = tuple(int(k) for k in index) if isinstance(index, tuple) else int(index)
    parts = index if isinstance(index, tuple) else (index,)
    variable = [isinstance(k, np.ndarray) for k in parts]

    def with_index(function: Any) -> Any:
        def call(a: Any, *given: Any) -> Any:
            rest = list(given)
            built = tuple(rest.pop(0) if v else k for k, v in zip(parts, variable, strict=True))
            return function(a, built if isinstance(index, tuple) else built[0])

        return call

    arguments = [k for k, v in zip(parts, variable, strict=True) if v]
    changed = np.array(table)
    changed[plain] = 0.1
    more = np.array(table)
    more[plain] += 0.1
    for function, expected in (
        (math.take, table[plain]),
        (lambda a, i: math.put(a, i, 0.1), changed),
        (lambda a, i: math.add_at(a, i, 0.1), more),
    ):
        assert_array_equal(with_index(function)(table, *arguments), expected)
        assert_array_equal(on_pytensor(with_index(function), table, *arguments), expected)


def test_a_row_of_a_table_can_be_put() -> None:
    assert_same(lambda a, i, v: math.put(a, i, v), values((2, 3)), np.array(1), np.array([1.0, 2.0, 3.0]))


def test_put_leaves_the_array_it_was_given_as_it_was() -> None:
    array = np.zeros(3)
    math.add_at(math.put(array, 0, 1.0), 1, 1.0)
    assert array.tolist() == [0, 0, 0]


@pytest.mark.parametrize("function", [math.take, lambda a, i: math.put(a, i, 0.1), lambda a, i: math.add_at(a, i, 1.0)])
def test_infinities_elsewhere_do_no_harm(function: Any) -> None:
    array = np.array([-INF, 0.5, -INF])
    found = on_pytensor(function, array, np.array(1))
    assert not np.isnan(found).any()
    assert_array_equal(found, function(array, np.array(1)))
    i = pt.as_tensor(np.array(1))
    slope = gradient(lambda a: math.where(math.equal(function(a, i), -INF), 0.0, function(a, i)), array)
    assert np.isfinite(slope).all()


def test_plain_negative_indices_count_from_the_end() -> None:
    for function in (math.take, lambda a, i: math.put(a, i, 9.0)):
        found = on_pytensor(lambda a, f=function: f(a, -1), np.arange(3.0))
        assert_array_equal(found, function(np.arange(3.0), -1))


# ---------------------------------------------------------------- ties, bounds and gradients


def test_a_maximum_gives_its_gradient_to_the_first_of_ties() -> None:
    assert gradient(math.max, [1.0, 2.0, 2.0]).tolist() == [0, 1, 0]
    assert gradient(lambda x: math.maximum(x, 0.0), 0.0) == 1
    assert gradient(lambda x: math.maximum(0.0, x), 0.0) == 0
    assert gradient(lambda x: math.minimum(x, 0.0), 0.0) == 1


def test_log_of_zero_is_minus_infinity_in_silence() -> None:
    assert math.log(0.0) == -INF
    assert math.log(np.array([0.0, 1.0])).tolist() == [-INF, 0.0]
    assert on_pytensor(math.log, np.array(0.0)) == -INF
    assert gradient(math.log, [0.0, 2.0]).tolist() == [0.0, 0.5]


def test_no_gradient_flows_to_the_branch_not_taken() -> None:
    assert gradient(lambda x: math.where(x > 0, math.log(x), 0.0), [0.0, 2.0]).tolist() == [0.0, 0.5]


def test_stop_gradient() -> None:
    assert gradient(lambda x: x * math.stop_gradient(x), 3.0) == 3.0


@pytest.mark.parametrize("x", [[-INF, 1.0, 2.0], [1.0, -INF, 2.0], [1.0, -INF, -INF]])
def test_what_is_impossible_has_probability_zero(x: list[float]) -> None:
    array = np.array(x)
    assert_same(math.softmax, array)
    assert_same(math.logsumexp, array)
    assert_same(math.log_softmax, array)
    assert (math.softmax(array)[np.isinf(array)] == 0).all()
    for function in (math.softmax, math.logsumexp, lambda y: math.log_softmax(y)[0 if x[0] > -INF else 1]):
        assert np.isfinite(gradient(function, array)).all()


@pytest.mark.parametrize("at", [-30.0, -1.0, 0.0, 1.0, 30.0])
def test_the_gradient_of_softplus_is_the_logistic_function(at: float) -> None:
    assert_allclose(gradient(math.softplus, at), math.sigmoid(at), rtol=1e-12)


@pytest.mark.parametrize("x", [[0.0, 0.0, 0.0], [1.0, 1.0, -2.0]])
def test_the_gradient_of_logsumexp_is_the_softmax_at_ties_too(x: list[float]) -> None:
    assert_allclose(gradient(math.logsumexp, x), math.softmax(np.array(x)), rtol=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["exp", "tanh", "sigmoid", "erf", "expm1"]), st.floats(-3, 3))
def test_gradients_are_finite_differences(name: str, at: float) -> None:
    function, step = getattr(math, name), 1e-6
    slope = (function(at + step) - function(at - step)) / (2 * step)
    assert_allclose(gradient(function, at), slope, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("size", [0.0, 1e17, -1e17, 1e300])
def test_the_normaliser_is_not_lost_where_logits_are_huge(n: int, size: float) -> None:
    ties = np.full(n, size)
    assert_same(math.log_softmax, ties)
    assert_same(lambda x: math.log_softmax(x, 1), ties)
    assert_allclose(np.exp(math.log_softmax(ties)).sum(), 1.0, rtol=1e-14)
    assert_allclose(gradient(lambda x: math.log_softmax(x, 0), ties), np.eye(n)[0] - 1 / n, rtol=1e-14)
    trials = rl.read_trials(pd.DataFrame({"subject": 1, "action": [*range(n)], "scored": True, "reward": 1.0}))
    params = {"alpha": 0.0, "beta": abs(size), "q0": np.sign(size)}
    for backend in ("fused", "scan"):
        found = rl.log_prob("delta", trials, params, backend=backend)
        assert_allclose(found.values, -np.log(n), rtol=1e-14)
