"""Moments of posteriors by importance sampling, where these are known."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import digamma, polygamma

from rlpymc.population.moments import moments, with_long_tails

K = 3
COV = np.array([[1.0, 0.6, 0.1], [0.6, 0.8, -0.2], [0.1, -0.2, 0.5]])
BEGIN = np.zeros((1, K)), np.eye(K)[None]

type LogDensity = Callable[[np.ndarray], np.ndarray]


def gaussian(mean: np.ndarray, cov: np.ndarray) -> LogDensity:
    """Return a log density but for a constant, which is far from that of a normal distribution."""
    return lambda theta: stats.multivariate_normal(mean, cov).logpdf(theta).reshape(theta.shape[:2]) - 1e3


def of_subjects(*densities: LogDensity) -> LogDensity:
    """Return the log densities of several subjects."""
    return lambda theta: np.concatenate([f(theta[:, [i]]) for i, f in enumerate(densities)], axis=1)


def test_points_have_a_t_distribution() -> None:
    points, log_density = with_long_tails(K)
    wanted = stats.multivariate_t(np.zeros(K), 1.2**2 * np.eye(K), df=5)
    assert_allclose(log_density - log_density[0], wanted.logpdf(points) - wanted.logpdf(points[0]), rtol=1e-10)
    for x in points.T:
        assert stats.kstest(x / 1.2, stats.t(5).cdf).pvalue > 0.5


def test_a_gaussian_that_is_the_posterior_stays_as_it_is() -> None:
    mean, factor = np.array([[0.3, -2.0, 1e3]]), np.linalg.cholesky(COV)[None]
    found, cov, told = moments(gaussian(mean[0], COV), mean, factor)
    assert told.all()
    assert_allclose(found, mean, rtol=1e-10)
    assert_allclose(cov[0], COV, rtol=1e-8, atol=1e-10)


def test_a_gaussian_far_away_is_found() -> None:
    """Its sharpest direction is a two-hundredth of where the search begins, and 4 standard deviations off."""
    mean, cov = np.array([2.5, -2.5, 2.0]), 1e-4 * COV + 0.02 * np.ones((K, K))
    found, found_cov, told = moments(gaussian(mean, cov), *BEGIN)
    assert told.all()
    sd = np.sqrt(np.diag(cov))
    assert_allclose((found[0] - mean) / sd, 0.0, atol=0.1)
    white = np.linalg.solve(np.linalg.cholesky(cov), np.linalg.cholesky(found_cov[0]))
    assert_allclose(white @ white.T, np.eye(K), atol=0.3)


def test_long_tails_count() -> None:
    """Of the logarithms of gamma variables mean and variance are known, and of the nearest Gaussian they are others."""
    shape = 1.5
    found, cov, told = moments(lambda theta: (shape * theta - np.exp(theta)).sum(axis=2), *BEGIN)
    assert told.all()
    assert_allclose(found[0], digamma(shape), atol=0.1)
    assert_allclose(cov[0], polygamma(1, shape) * np.eye(K), atol=0.15)


def test_of_two_solutions_it_is_the_better_one() -> None:
    near, far = gaussian(np.full(K, 0.5), 0.03 * np.eye(K)), gaussian(np.full(K, -1.3), 0.03 * np.eye(K))
    found, cov, told = moments(lambda theta: np.logaddexp(near(theta) - 14.0, far(theta)), *BEGIN)
    assert told.all()
    assert_allclose(found[0], -1.3, atol=0.03)
    assert_allclose(cov[0], 0.03 * np.eye(K), atol=0.006)


def test_what_is_possible_in_part_is_told_and_what_is_not_stays_as_it_was() -> None:
    normal = gaussian(np.zeros(K), np.eye(K))
    half = lambda theta: np.where(theta[..., 0] > 0, normal(theta), -1e300)  # noqa: E731
    never = lambda theta: np.full(theta.shape[:2], -1e300)  # noqa: E731
    mean, factor = np.zeros((3, K)), np.tile(np.eye(K), (3, 1, 1))
    found, cov, told = moments(of_subjects(half, never, normal), mean, factor)
    assert_array_equal(told, [True, False, True])
    assert_allclose(found[0], [np.sqrt(2 / np.pi), 0.0, 0.0], atol=0.06)
    assert_allclose(np.diag(cov[0]), [1 - 2 / np.pi, 1.0, 1.0], atol=0.1)
    assert_array_equal(found[1], 0.0)
    assert_allclose(cov[1], np.eye(K), atol=1e-14)
    assert_allclose(found[2], 0.0, atol=1e-12)
    assert_allclose(cov[2], np.eye(K), atol=1e-12)


def test_one_subject_says_nothing_of_another() -> None:
    one, other = gaussian(np.full(K, 2.0), 0.01 * COV), gaussian(np.full(K, -1.0), 0.3 * COV)
    both = moments(of_subjects(one, other), np.zeros((2, K)), np.tile(np.eye(K), (2, 1, 1)))
    for i, density in enumerate((one, other)):
        for found, wanted in zip(both, moments(density, *BEGIN), strict=True):
            assert_allclose(found[i], wanted[0], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("d", [1, 7, 12])
def test_any_number_of_numbers(d: int) -> None:
    found, cov, told = moments(lambda theta: -8 * ((theta - 0.5) ** 2).sum(axis=2), np.zeros((1, d)), np.eye(d)[None])
    assert told.all()
    assert_allclose(found[0], 0.5, atol=0.05)
    assert_allclose(cov[0], np.eye(d) / 16, atol=0.02)
