"""Densities of next states: normalised, with the derivatives and draws that they should have, wherever v is."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.special import iv
from scipy.stats import kstest

from rlpymc.transitions import (
    FAMILIES,
    Beta,
    CustomSin,
    DoubleReLU,
    Exponential,
    ExpSin,
    Gaussian,
    MixtureLike,
    Product,
    ReLU,
    SinSquared,
    Transition,
    features,
    integrated_distance,
    periodic,
    total_variation,
)
from rlpymc.transitions.numeric import Numeric
from rlpymc.transitions.periodic import _table
from rlpymc.transitions.table_op import look_up

SIN = CustomSin(1.7, 4)
CASES = [
    (Gaussian(0.3), [0.7]),
    (Exponential(), [-2.0]),
    (Beta(), [1.0, 4.0]),
    (Beta(), [0.3, 60.0]),
    (SIN, [1.5]),
    (SIN, [-12.0]),
    (SIN, [90.0]),
    (CustomSin(0.5, 4), [-3.0]),
    (CustomSin(1, 4), [0.2]),
    (CustomSin(10, 4), [2.0]),
    (CustomSin(1.7, 0.13), [3.0]),
    (CustomSin(1.7, 60), [2.0]),
    (SinSquared(), [2.0]),
    (SinSquared(1.3), [-40.0]),
    (ExpSin(), [1.0]),
    (ExpSin(2), [-9.0]),
    (MixtureLike(), [1.0, 1.0]),
    (MixtureLike(), [-30.0, -4.0]),
    (MixtureLike(), [0.4, 25.0]),
    (ReLU(0.5), [1.0, -3.0]),
    (ReLU(), [9.0, -20.0]),
    (DoubleReLU(2), [1.0, 0.5, 3.0]),
]
every_case = pytest.mark.parametrize(("family", "v"), CASES, ids=lambda k: str(k))


def integral(function, family, v):
    """Of a function on the line, by SciPy's rule on each piece where the density is smooth."""
    edges = family.breakpoints(np.array(v))
    return sum(quad(function, a, b, epsabs=1e-13, epsrel=1e-11)[0] for a, b in pairwise(edges))


def density(family, v):
    """By its definition, with log Z taken from the family."""
    log_z = float(family.log_partition(np.array(v)[None])[0])

    def at(x):
        x = np.float64(x)
        psi = family.statistics(x)
        return float(np.exp(family.log_base(x) + sum(a * b for a, b in zip(v, psi, strict=True)) - log_z))

    return at


@every_case
def test_density_moments_and_distribution_function(family, v):
    p, row = density(family, v), np.array(v)[None]
    assert_allclose(integral(p, family, v), 1, rtol=0, atol=1e-10)
    mean = integral(lambda x: x * p(x), family, v)
    variance = integral(lambda x: (x - mean) ** 2 * p(x), family, v)
    assert_allclose(family.mean(row)[0], mean, rtol=1e-9, atol=1e-10)
    assert_allclose(family.variance(row)[0], variance, rtol=1e-9, atol=1e-10)
    x = float(family.sample(row, np.random.default_rng(1))[0])
    assert_allclose(family.prob(x, row)[0], p(x), rtol=1e-12)
    edges = family.breakpoints(np.array(v))
    below = [*edges[edges < x], x]
    part = sum(quad(p, a, b, epsabs=1e-13)[0] for a, b in pairwise(below))
    assert_allclose(family.cdf(x, row)[0], part, rtol=0, atol=1e-9)


@every_case
def test_derivatives_of_log_partition(family, v):
    v, h = np.array(v), 1e-5
    steps = h * np.eye(len(v))
    slope = [(family.log_partition((v + s)[None]) - family.log_partition((v - s)[None]))[0] / (2 * h) for s in steps]
    assert_allclose(family.mean_statistics(v[None])[0], slope, rtol=1e-6, atol=1e-7)
    curve = [
        (family.mean_statistics((v + s)[None]) - family.mean_statistics((v - s)[None]))[0] / (2 * h) for s in steps
    ]
    assert_allclose(family.statistics_covariance(v[None])[0], curve, rtol=1e-6, atol=1e-7)


@every_case
def test_derivatives_by_next_state(family, v):
    x, h = family.sample(np.array(v)[None], np.random.default_rng(2), (50,)), 1e-6
    x = x[(np.abs(x) > 1e-3) & family.in_support(x - h) & family.in_support(x + h)]
    for function, slope in (
        (family.log_base, family.base_slope(x)),
        (family.base_slope, family.base_curvature(x)),
        (lambda x: np.stack(family.statistics(x), axis=-1), family.slopes(x)),
        (family.slopes, family.curvatures(x)),
    ):
        assert_allclose(slope, (function(x + h) - function(x - h)) / (2 * h), rtol=1e-4, atol=1e-5)


@every_case
def test_draws_follow_the_density(family, v):
    """By the test of Kolmogorov and Smirnov, at a level of one in a thousand for this fixed seed."""
    draws = family.sample(np.array(v)[None], np.random.default_rng(3), (20_000,))
    assert family.in_support(draws).all()
    assert kstest(draws, lambda x: family.cdf(x, np.array(v)[None])).pvalue > 1e-3


@every_case
def test_expression_is_the_same_function(family, v):
    v = np.array(v)
    far = {Exponential: [[-1e-6], [-1e5]], Beta: [[1e4, -0.999], [200.0, 1e4]]}.get(
        type(family), [k * np.ones(len(v)) for k in (-3e4, -700.0, -0.3, 0.0, 60.0, 8e4)]
    )
    v = np.concatenate([v[None], far])
    inputs = [pt.vector() for _ in range(v.shape[1])]
    log_z = family.log_partition_graph(*inputs)
    compute = pytensor.function(inputs, [log_z, *pt.grad(log_z.sum(), inputs)], mode="FAST_COMPILE")
    value, *slopes = compute(*v.T)
    assert_allclose(value, family.log_partition(v), rtol=1e-12, atol=1e-10)
    assert_allclose(np.stack(slopes, axis=1), family.mean_statistics(v), rtol=1e-8, atol=1e-9)


def test_tables_are_right_on_the_whole_line():
    rng = np.random.default_rng(4)
    v = np.concatenate([rng.normal(0, 3, 300), rng.normal(0, 50, 300), np.geomspace(1e-4, 1e5, 40)])
    v = np.concatenate([v, -v])
    for family in (
        SIN,
        SinSquared(),
        SinSquared(1.3),
        ExpSin(),
        CustomSin(0.5, 4),
        CustomSin(10, 1),
        CustomSin(1.7, 0.13),
    ):
        table = _table(family)
        value, slope, curvature = np.squeeze(look_up(v, table.growth, table.coefficients, table.tail))
        assert_allclose(value, family.log_partition(v), rtol=1e-13, atol=1e-10)
        assert_allclose(slope, family.mean_statistics(v)[:, 0], rtol=0, atol=1e-9)
        assert_allclose(curvature, family.statistics_covariance(v)[:, 0, 0], rtol=0, atol=1e-6)


def test_tables_have_two_derivatives():
    x, v = pt.vector(), np.array([0.0, 2.0, -0.4, 300.0, -4e7])
    log_z = SIN.log_partition_graph(x)
    slope = pt.grad(log_z.sum(), x)
    found = pytensor.function([x], [log_z, slope, pt.grad(slope.sum(), x)])
    wanted = [*SIN.log_partition(v), *SIN.mean_statistics(v)[:, 0], *SIN.statistics_covariance(v)[:, 0, 0]]
    assert_allclose(np.concatenate(found(v)), wanted, rtol=1e-12, atol=1e-9)
    assert np.isnan(found([np.nan, np.inf])).all()


def test_log_partition_is_infinite_outside_the_domain_in_expressions():
    a, b = pt.scalar(), pt.scalar()
    for family, v in ((Exponential(), (0.0,)), (Exponential(), (2.0,)), (Beta(), (-1.0, 3.0)), (Beta(), (1.0, -2.0))):
        inputs = [a, b][: len(v)]
        log_z = family.log_partition_graph(*inputs)
        value, *slopes = pytensor.function(inputs, [log_z, *pt.grad(log_z, inputs)], mode="FAST_COMPILE")(*v)
        assert value == np.inf
        assert np.isfinite(slopes).all()


def test_log_partition_has_its_known_values():
    for alpha in (0.5, 0.8, 1.0, 1.7, 2.0, 3.3, 10.0):
        family = CustomSin(alpha, 4)
        assert_allclose(family.log_partition(0.0), family.log_partition_at_zero, rtol=0, atol=1e-10)
    v, k = np.array([0.3, 2.0, 6.0]), np.arange(1, 9)[:, None]
    series = iv(0, v) + 2 * ((-1.0) ** k * iv(2 * k, v) * np.exp(-8.0 * k**2 * 4)).sum(axis=0)
    assert_allclose(CustomSin(2, 4).log_partition(v), np.log(np.sqrt(2 * np.pi) * series), rtol=0, atol=1e-12)
    assert_allclose(SIN.log_partition([-2.5, 2.5]), SIN.log_partition([2.5, 2.5]), rtol=1e-14)
    # with large v, a normal distribution around each peak of the sine
    peaks, v = (np.pi / 2 + 2 * np.pi * np.arange(-9, 9)) / 4, 1e6
    assert_allclose(
        SIN.log_partition(v) - v, np.log(np.exp(SIN.log_base(peaks)).sum() * np.sqrt(2 * np.pi / v) / 4), atol=1e-6
    )


def test_draws_of_a_row_do_not_depend_on_the_other_rows():
    v = np.array([0.1, -3.0, 40.0, 1.0, 0.1, 7.0])
    u = np.random.default_rng(5).random((6, 2))
    fixed = SimpleNamespace(random=lambda size: u)
    together = SIN.sample(v, fixed)
    for k in range(6):
        alone = SIN.sample(v[k], SimpleNamespace(random=lambda size, k=k: u[k]))
        assert_allclose(alone, together[k], rtol=0, atol=1e-12)
    assert_array_equal(SIN.sample(v, np.random.default_rng(6)), SIN.sample(v, np.random.default_rng(6)))


@pytest.mark.parametrize("family", [SIN, CustomSin(0.6, 20), SinSquared(), SinSquared(10), ExpSin()], ids=repr)
def test_short_cuts_of_draws_change_nothing(family, monkeypatch):
    """Shares of cells from polynomials instead of integrals, and periods from the nearest ones instead of all."""
    v = np.linspace(-6, 6, 501)[:, None] / family.peakedness
    by_polynomial, by_integral = family._masses(0, v), Numeric._masses(family, 0, v)
    shares = [masses / masses.sum(axis=1, keepdims=True) for masses in (by_polynomial, by_integral)]
    assert_allclose(*shares, rtol=0, atol=1e-12)
    draws = family.sample(np.repeat(v, 20, axis=0), np.random.default_rng(8))
    monkeypatch.setattr(periodic, "NEAREST", 10_000)
    monkeypatch.setattr(periodic, "_rest", lambda family: 0.0)
    assert_array_equal(family.sample(np.repeat(v, 20, axis=0), np.random.default_rng(8)), draws)


@pytest.mark.parametrize("family", [SIN, MixtureLike(), Gaussian(1.0), ReLU(), Beta(), Exponential()], ids=repr)
def test_draws_at_the_ends_of_uniform_numbers(family):
    v = {Exponential: [-1.0], Beta: [1.0, 2.0]}.get(type(family), np.ones(family.n_statistics))
    ends = np.array([[0.0, 0.0], [1 - 2**-53, 1 - 2**-53], [0.0, 1 - 2**-53], [1 - 2**-53, 0.0]])[
        :, : family.n_uniforms
    ]
    draws = family.sample(np.array(v)[None], SimpleNamespace(random=lambda size: ends), (4,))
    assert np.isfinite(draws).all()
    assert family.in_support(draws).all()


def test_shapes():
    rng, v, x = np.random.default_rng(7), np.linspace(-1, 1, 5), np.linspace(-2, 2, 5)
    wanted = SIN.log_prob(x, v)
    assert wanted.shape == (5,)
    for states, natural in ((x[:, None], v), (x, v[:, None]), (x[:, None], v[:, None])):
        assert_array_equal(SIN.log_prob(states, natural), wanted)
    assert SIN.log_prob(x, 0.3).shape == (5,)
    assert SIN.log_prob(x, v[:, None, None]).shape == (5, 5)
    assert_array_equal(SIN.log_prob(x, v[:, None, None]).diagonal(), wanted)
    assert SIN.sample(0.3, rng).shape == ()
    assert SIN.sample(v, rng).shape == SIN.mean(v[:, None]).shape == SIN.sample(v[:1], rng, 5).shape == (5,)
    assert SIN.sample(v[:, None, None], rng, (5, 7)).shape == (5, 7)
    pair = MixtureLike()
    assert pair.log_prob(x, [1.0, 1.0]).shape == (5,)
    assert pair.mean_statistics(np.ones((3, 2))).shape == (3, 2)
    assert pair.statistics_covariance(np.ones((3, 4, 2))).shape == (3, 4, 2, 2)


def test_product_is_the_sum_of_its_parts():
    families = (SIN, MixtureLike(), Gaussian(0.5))
    product, rng = Product(families), np.random.default_rng(8)
    v = rng.normal(size=(6, 4))
    x = product.sample(v, rng)
    assert x.shape == product.mean(v).shape == product.variance(v).shape == (6, 3)
    parts = (v[:, :1], v[:, 1:3], v[:, 3:])
    for name in ("log_prob", "unnormalised_log_prob", "prob"):
        each = [getattr(f, name)(x[:, k], own) for k, (f, own) in enumerate(zip(families, parts, strict=True))]
        whole = np.prod(each, axis=0) if name == "prob" else np.sum(each, axis=0)
        assert_allclose(getattr(product, name)(x, v), whole, rtol=1e-13)
    each = [f.log_partition(own) for f, own in zip(families, parts, strict=True)]
    assert_allclose(product.log_partition(v), np.sum(each, axis=0), rtol=1e-14)
    assert_allclose(product.mean_statistics(v)[:, 1:3], families[1].mean_statistics(parts[1]), rtol=1e-14)
    covariance = product.statistics_covariance(v)
    assert_allclose(covariance[:, 1:3, 1:3], families[1].statistics_covariance(parts[1]), rtol=1e-14)
    assert (covariance[:, 0, 1:] == 0).all()
    assert_allclose(product.log_prob(x[0], v[0]), product.log_prob(x, v)[0], rtol=1e-14)
    many = product.sample(v[0], np.random.default_rng(9), 20_000)
    assert_allclose(many.mean(axis=0), product.mean(v[0]), atol=4 * np.sqrt(product.variance(v[0]).max() / 20_000))
    assert np.abs(np.corrcoef(many.T) - np.eye(3)).max() < 4 / np.sqrt(20_000)
    # coordinates of the same family have draws of their own
    same = Product([SIN, SIN]).sample([1.0, 1.0], rng, 1000)
    assert abs(np.corrcoef(same.T)[0, 1]) < 4 / np.sqrt(1000)


def test_density_is_zero_outside_the_support():
    for family, v, outside in ((Exponential(), [-1.0], [-1.0, 0.0]), (Beta(), [0.0, 2.0], [-0.1, 0.0, 1.0, 1.2])):
        assert (family.log_prob(np.array(outside), np.array(v)[None]) == -np.inf).all()
        assert (family.cdf(np.array(outside), np.array(v)[None]) == (np.array(outside) >= 1)).all()


# ------------------------------------------------------------------------------------------------ distances
def test_distances():
    assert_allclose(total_variation(Gaussian(1.0), 0.0, 2.0), 0.6826894921370859, rtol=0, atol=1e-10)
    fine = np.linspace(-14, 14, 2_000_001)
    difference = np.abs(SIN.prob(fine, 1.0) - Gaussian(0.7).prob(fine, 0.3))
    found = integrated_distance(SIN, 1.0, 0.3, Gaussian(0.7))
    assert_allclose(found, np.trapezoid(difference, fine), rtol=0, atol=1e-9)
    assert_allclose(total_variation(SIN, 1.0, 0.3, Gaussian(0.7)), found / 2, rtol=1e-14)
    assert_allclose(total_variation(Exponential(), -1.0, -2.0), 0.25, rtol=0, atol=1e-10)  # where they cross, x = log 2
    assert total_variation(SIN, 1.0, 1.0) == 0
    assert_allclose(total_variation(Beta(), [0.0, 0.0], [1.0, 0.0]), 0.25, rtol=0, atol=1e-10)  # 1 against 2 x
    with pytest.raises(ValueError, match=r"cannot be normalised"):
        total_variation(Exponential(), -2.0, 0.0)


# ------------------------------------------------------------------------------------------------ features and laws
def test_features():
    state, action = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([-1.0, 1.0])
    assert_array_equal(features.linear(state, action), [[1, 2, -1], [3, 4, 1]])
    assert features.linear(state[:, None, None], np.ones((2, 3, 5))).shape == (2, 3, 5, 3)
    assert_array_equal(features.constant(2.5)(state, action), [[2.5], [2.5]])
    network = features.random_network(3, 2, 8, seed=1)
    phi = network(state, action)
    assert_allclose(np.linalg.norm(phi, axis=1), 1, rtol=1e-14)
    assert_array_equal(phi, features.random_network(3, 2, 8, seed=1)(state, action))
    rng = np.random.default_rng(1)  # the same by hand
    hidden = np.maximum(np.array([1.0, 2, -1]) @ rng.normal(size=(3, 8)) + rng.normal(size=8), 0)
    out = hidden @ rng.normal(size=(8, 8)) + rng.normal(size=8)
    assert_allclose(phi[0], out / np.linalg.norm(out), rtol=1e-13)
    with pytest.raises(ValueError, match=r"state: found 1 coordinates, expected 2"):
        network(state[:, :1], action)
    with pytest.raises(ValueError, match=r"n_layers: found 0"):
        features.random_network(3, 0, 8, seed=1)


def test_transition():
    law, rng = Transition(SIN, [[1.0, 2.0]]), np.random.default_rng(10)
    state, action = rng.normal(size=(4, 1)), np.array([-1.0, 1, 1, -1])
    assert_allclose(law.natural(state, action)[:, 0], state[:, 0] + 2 * action, rtol=1e-14)
    assert law.sample(state, action, rng).shape == (4, 1)
    assert law.sample(state[0], action[0], rng).shape == (1,)
    assert law.sample(state[0], action, rng).shape == (4, 1)
    assert_allclose(law.log_prob(state, state, action), SIN.log_prob(state, state[:, 0] + 2 * action), rtol=1e-14)
    worlds = Transition(Product([SIN, Gaussian(1.0)]), rng.normal(size=(3, 2, 3)))
    states = rng.normal(size=(3, 5, 2))
    natural = worlds.natural(states, np.ones((3, 5)))
    assert natural.shape == worlds.sample(states, np.ones((3, 5)), rng).shape == (3, 5, 2)
    alone = Transition(worlds.density, worlds.W[1]).natural(states[1], np.ones(5))
    assert_allclose(natural[1], alone, rtol=1e-13)
    with pytest.raises(ValueError, match=r"features: found 3 for states of shape \(4, 2\), expected 2"):
        law.natural(np.ones((4, 2)), action)
    with pytest.raises(ValueError, match=r"W: found shape \(2, 2\), expected \(1, n_features\)"):
        Transition(SIN, np.ones((2, 2)))
    with pytest.raises(
        ValueError, match=r"state: found the number 0.3, expected \(..., n_coordinates\); .* is \[0.3\]"
    ):
        law.sample(0.3, 1.0, rng)
    with pytest.raises(TypeError, match=r"density: found .*CustomSin.*, expected a family such as CustomSin\(1.7, 4\)"):
        Transition(CustomSin, [[1.0, 2.0]])
    with pytest.raises(TypeError, match=r"features: found 'linear', expected a function"):
        Transition(SIN, [[1.0, 2.0]], "linear")


# ------------------------------------------------------------------------------------------------ bad input
@pytest.mark.parametrize("bad", [0, -1.0, np.nan, np.inf, "4", None, True, [1.7]])
def test_parameters_of_families(bad):
    for make, name in (
        (lambda: CustomSin(bad, 4), "alpha"),
        (lambda: CustomSin(1.7, bad), "period"),
        (lambda: Gaussian(bad), "variance"),
        (lambda: ReLU(bad), "variance"),
    ):
        with pytest.raises(ValueError, match=f"{name}: found"):
            make()


def test_alpha_where_integrals_are_right():
    for bad in (0.4, 11):
        with pytest.raises(ValueError, match=r"alpha: found .*, expected a number from 0.5 to 10"):
            CustomSin(bad, 4)
    with pytest.raises(ValueError, match=r"period: found 0.1, expected a number from 0.122 to 490 for alpha = 1.7"):
        CustomSin(1.7, 0.1)


def test_natural_parameters_and_states():
    with pytest.raises(ValueError, match=r"v: found shape \(3, 2\), expected \(..., 1\)"):
        SIN.log_partition(np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"v: found shape \(3,\), expected \(..., 2\)"):
        Beta().mean(np.ones(3))
    with pytest.raises(ValueError, match=r"v: found nan for row 2, column 0.*expected a finite number"):
        SIN.mean([[1.0], [2.0], [np.nan]])
    with pytest.raises(ValueError, match=r"v, row 1: found 0.5, expected a number below 0"):
        Exponential().sample([-1.0, 0.5], np.random.default_rng(1))
    with pytest.raises(ValueError, match=r"v: found -2, 1, expected numbers above -1"):
        Beta().log_partition([-2.0, 1.0])
    with pytest.raises(ValueError, match=r"next_state: found inf for row 1"):
        SIN.log_prob([0.0, np.inf], 1.0)
    with pytest.raises(ValueError, match=r"next_state: found shape \(4, 3\), expected \(..., 1\) or \(n,\)"):
        SIN.log_prob(np.ones((4, 3)), 1.0)
    with pytest.raises(ValueError, match=r"size: found 3, expected a shape to which that of v .* \(2,\), broadcasts"):
        SIN.sample([1.0, 2.0], np.random.default_rng(1), 3)
    with pytest.raises(ValueError, match=r"next_state: found shape \(3,\), expected \(..., 2\)"):
        Product([SIN, SIN]).log_prob(np.ones(3), np.ones((3, 2)))
    with pytest.raises(TypeError, match=r"families: found"):
        Product([])


def test_families_are_listed_and_say_what_they_are():
    assert {type(family) for family, _ in CASES} == set(FAMILIES)
    assert repr(SIN) == "CustomSin(alpha=1.7, period=4)"
