"""Estimates of transition models: they are the optima and have the errors that they say, and complain of bad data."""

import warnings

import numpy as np
import pymc as pm
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import approx_fprime, minimize
from scipy.stats import norm

import rlpymc as rl
from rlpymc.model.priors import Normal
from rlpymc.transitions import (
    Beta,
    CustomSin,
    DoubleReLU,
    Exponential,
    ExpSin,
    Gaussian,
    MixtureLike,
    Product,
    ReLU,
    ScoreMatchingWarning,
    SinSquared,
    build,
    features,
    fit_mle,
    gaussian_variance,
    log_likelihood,
    score_matching,
    score_matching_objective,
)

SIN = CustomSin(1.7, 4)
QUICK = "FAST_COMPILE"
VALID = (Gaussian(0.5), SIN, CustomSin(2, 3), SinSquared(), ExpSin(), MixtureLike())


def example(family, n=300, seed=1):
    """Transitions with two features, and the W that they come from."""
    rng = np.random.default_rng(seed)
    phi = features.linear(rng.uniform(-1, 1, (n, 1)), rng.choice([-1.0, 1.0], n))
    if isinstance(family, Exponential | Beta):
        phi = np.stack([np.ones(n), phi[:, 0]], axis=1)
    W = {Exponential: [[-2.0, 0.5]], Beta: [[5.0, 0.5], [6.0, -0.5]]}.get(
        type(family), np.ones((family.n_statistics, 2)) * [1.0, 0.7]
    )
    return phi, family.sample(phi @ np.transpose(W), rng), np.array(W)


# ------------------------------------------------------------------------------------------------ score matching
@pytest.mark.parametrize("family", [*VALID, Beta()], ids=repr)
@pytest.mark.parametrize("ridge", [0.0, 3.0])
def test_closed_form_is_the_minimum_of_the_objective(family, ridge):
    phi, x, W = example(family)
    found = score_matching(family, phi, x, ridge).W

    def objective(w):
        return score_matching_objective(family, w.reshape(W.shape), phi, x, ridge) / len(x)

    best = minimize(objective, np.zeros(W.size), tol=1e-13, options={"gtol": 1e-9})
    assert_allclose(best.x.reshape(W.shape), found, rtol=0, atol=1e-5)
    assert objective(found.ravel()) <= best.fun + 1e-12


@pytest.mark.parametrize("family", VALID, ids=repr)
def test_objective_is_made_of_derivatives_of_the_log_density(family):
    phi, x, W = example(family, n=40)
    h, v = 1e-4, phi @ W.T
    up, middle, down = (family.log_prob(x + k, v) for k in (h, 0.0, -h))
    slope, curve = (up - down) / (2 * h), (up - 2 * middle + down) / h**2
    away = np.abs(x) > 0.01  # from the base's kink
    wanted = (slope**2 / 2 + curve)[away].sum()
    assert_allclose(score_matching_objective(family, W, phi[away], x[away]), wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("family", VALID, ids=repr)
def test_score_identity(family):
    """At the truth, the estimating equations are 0 on average, in each density."""
    for v in (np.full(family.n_statistics, 0.7), np.full(family.n_statistics, -1.3)):
        if isinstance(family, Gaussian):
            x, w = np.polynomial.hermite_e.hermegauss(40)
            x, w = v[0] + np.sqrt(0.5) * x, w / w.sum()

            def expect(f, v, x=x, w=w):
                return w @ f(x)
        else:
            expect = family.expectation
        for j in range(family.n_statistics):

            def equation(x, j=j, v=v):
                slopes = family.slopes(x)
                return (slopes @ v + family.base_slope(x)) * slopes[..., j] + family.curvatures(x)[..., j]

            assert abs(expect(equation, v if family.n_statistics > 1 else v[0])) < 1e-10


@pytest.mark.parametrize("family", VALID, ids=repr)
@pytest.mark.parametrize("estimate", [score_matching, fit_mle])
def test_estimates_are_near_the_truth_by_their_standard_errors(family, estimate):
    phi, x, W = example(family, n=3000)
    found = estimate(family, phi, x)
    z = (found.W - W) / found.se
    assert np.abs(z).max() < 4
    assert_allclose(found.cov, found.cov.T, rtol=1e-12)
    assert found.n == 3000


@pytest.mark.slow
def test_standard_errors_are_the_spread_of_estimates():
    for family in (SIN, MixtureLike()):
        found = [score_matching(family, *example(family, n=2000, seed=seed)[:2]) for seed in range(150)]
        spread = np.cov(np.stack([one.W.ravel() for one in found]).T)
        said = np.mean([one.cov for one in found], axis=0)
        assert_allclose(np.sqrt(np.diag(said)), np.sqrt(np.diag(spread)), rtol=4 / np.sqrt(2 * 150))


def test_coordinates_are_estimated_on_their_own():
    rng = np.random.default_rng(2)
    phi = rng.normal(size=(400, 3))
    families = (SIN, MixtureLike(), Gaussian(2.0))
    x = Product(families).sample(phi @ rng.normal(size=(4, 3)).T, rng)
    together = score_matching(families, phi, x, ridge=[0.0, 2.0, 5.0])
    places = (slice(0, 1), slice(1, 3), slice(3, 4))
    for k, (family, ridge, place) in enumerate(zip(families, (0.0, 2.0, 5.0), places, strict=True)):
        alone = score_matching(family, phi, x[:, k], ridge)
        assert_allclose(together.W[place], alone.W, rtol=1e-12)
        rows = np.arange(12).reshape(4, 3)[place].ravel()
        assert_allclose(together.cov[np.ix_(rows, rows)], alone.cov, rtol=1e-9)
    assert_allclose(score_matching(Product(families), phi, x, [0.0, 2.0, 5.0]).W, together.W, rtol=1e-14)
    by_likelihood = fit_mle(families, phi, x)
    assert_allclose(by_likelihood.W[1:3], fit_mle(families[1], phi, x[:, 1]).W, rtol=1e-9)
    assert_array_equal(by_likelihood.cov[:3, 3:], np.zeros((3, 9)))
    same = score_matching(SIN, phi, x[:, [0, 2]])
    assert_allclose(same.W[1:], score_matching(SIN, phi, x[:, 2]).W, rtol=1e-12)
    for one in (together, by_likelihood):
        assert one.W.shape == one.se.shape == (4, 3)
        assert len(one.to_dataframe()) == 12
        assert one.method in repr(one)


def test_data_of_one_axis():
    phi, x, _ = example(SIN)
    assert_array_equal(score_matching(SIN, phi, x).W, score_matching(SIN, phi, x[:, None]).W)
    assert_array_equal(score_matching(SIN, phi[:, 0], x).W, score_matching(SIN, phi[:, :1], x).W)
    assert_allclose(log_likelihood(SIN, [[0.3, 0.1]], phi, x), SIN.log_prob(x, phi @ [0.3, 0.1]).sum(), rtol=1e-14)


# ------------------------------------------------------------------------------------------------ where it is not valid
@pytest.mark.parametrize(
    ("family", "why"),
    [
        (Exponential(), "does not vanish at 0"),
        (ReLU(), "kink"),
        (ReLU(0.3), "kink"),
        (Beta(), "both shapes are above 2"),
    ],
    ids=repr,
)
def test_warning_where_score_matching_is_not_valid(family, why):
    phi, _, W = example(family)
    if isinstance(family, Beta):
        W = np.array([[1.0, 0.0], [4.0, 0.0]])  # Beta(2, 5)
    x = family.sample(phi @ W.T, np.random.default_rng(3))
    with pytest.warns(ScoreMatchingWarning, match=why):
        found = score_matching(family, phi, x, ridge=1e-4)
    if isinstance(family, Exponential):
        assert (found.W == 0).all()


@pytest.mark.parametrize("family", [*VALID, Beta()], ids=repr)
def test_no_warning_where_it_is(family):
    phi, x, _ = example(family)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score_matching(family, phi, x)


def test_warning_names_the_coordinate():
    phi, x, _ = example(SIN)
    with pytest.warns(ScoreMatchingWarning, match=r"coordinate 1, ReLU\(1\)"):
        score_matching([SIN, ReLU()], phi, np.stack([x, x], axis=1))


# ------------------------------------------------------------------------------------------------ maximum likelihood
@pytest.mark.parametrize("family", [*VALID, Beta(), Exponential(), ReLU(), ReLU(0.4)], ids=repr)
def test_maximum_of_the_likelihood(family):
    phi, x, W = example(family, n=500)
    found = fit_mle(family, phi, x)

    def log_lik(w):
        return log_likelihood(family, w.reshape(W.shape), phi, x)

    best = found.W.ravel()
    for step in 0.02 * np.eye(W.size):
        assert log_lik(best) > max(log_lik(best + step), log_lik(best - step))
    information = -approx_fprime(best, lambda w: approx_fprime(w, log_lik, 1e-4), 1e-4)
    assert_allclose(found.cov, np.linalg.inv(information), rtol=2e-2, atol=2e-3 * found.cov.max())


def test_closed_forms_of_the_likelihood():
    rng = np.random.default_rng(4)
    phi, noise = rng.normal(size=(60, 2)), rng.normal(size=(60, 2))
    x = phi @ np.array([[1.0, 2.0], [0.0, -1.0]]) + noise * [0.5, 2.0]
    found = fit_mle(Gaussian(0.7), phi, x)
    assert_allclose(found.W, np.linalg.lstsq(phi, x)[0].T, rtol=1e-12)
    assert_allclose(found.W, score_matching(Gaussian(0.7), phi, x).W, rtol=1e-10)
    assert_allclose(gaussian_variance(phi, x), ((x - phi @ found.W.T) ** 2).mean(axis=0), rtol=1e-12)
    best = max(np.geomspace(0.1, 1, 2001), key=lambda s: log_likelihood(Gaussian(s), found.W[:1], phi, x[:, 0]))
    assert_allclose(best, gaussian_variance(phi, x)[0], rtol=2e-3)
    y = rng.exponential(0.5, 80)
    assert_allclose(fit_mle(Exponential(), np.full(80, 2.0), y).W, [[-1 / (2 * y.mean())]], rtol=1e-14)


# ------------------------------------------------------------------------------------------------ posterior
@pytest.mark.parametrize("family", [*VALID, Beta(), Exponential(), ReLU(), DoubleReLU(0.5)], ids=repr)
def test_posterior_density(family):
    phi, x, W = example(family, n=50)
    model = build(family, phi, x, prior=Normal(0.5, 3.0))
    prior = norm(0.5, 3.0).logpdf(W).sum()
    log_density, gradient = model.compile_logp(mode=QUICK), model.compile_dlogp(mode=QUICK)
    # PyMC's own normalisation of the prior has fewer digits
    assert_allclose(log_density({"W": W}), log_likelihood(family, W, phi, x) + prior, rtol=1e-10, atol=3e-7)
    start = model.initial_point()
    assert np.isfinite(log_density(start))
    slope = approx_fprime(W.ravel(), lambda w: log_likelihood(family, w.reshape(W.shape), phi, x), 1e-6)
    assert_allclose(gradient({"W": W}), slope + (0.5 - W.ravel()) / 9, rtol=1e-3, atol=1e-3)


def test_posterior_density_is_right_far_away():
    """Where a sampler may wander before it is tuned."""
    phi, x, _ = example(SIN, n=50)
    model = build(SIN, phi, x)
    log_density, gradient = model.compile_logp(mode=QUICK), model.compile_dlogp(mode=QUICK)
    for W in ([[0.0, 0.0]], [[300.0, -20.0]], [[-4e4, 1e6]]):
        v = phi @ W[0]
        wanted = log_likelihood(SIN, W, phi, x) + norm(0, 10).logpdf(W).sum()
        assert_allclose(log_density({"W": np.array(W)}), wanted, rtol=1e-12, atol=1e-7)
        slope = (np.sin(4 * x) - SIN.mean_statistics(v)[:, 0]) @ phi - np.array(W[0]) / 100
        assert_allclose(gradient({"W": np.array(W)}), slope, rtol=1e-9, atol=1e-9)
    beyond = build(Exponential(), np.ones(3), np.array([1.0, 2.0, 0.5])).compile_logp(mode=QUICK)
    assert beyond({"W": np.array([[0.5]])}) == -np.inf


@pytest.mark.slow
def test_posterior_sampled():
    phi, x, _ = example(SIN, n=1000)
    model = build(SIN, phi, x)
    with model:
        fit = pm.sample(
            500, tune=300, chains=2, cores=1, nuts_sampler="nutpie", random_seed=1, progressbar=False, quiet=True
        )
    draws, best = fit["posterior"]["W"].values.reshape(-1, 2), fit_mle(SIN, phi, x)
    # the likelihood of 1000 transitions is nearly normal: within Monte-Carlo error and a tenth of a standard deviation
    assert np.abs((draws.mean(axis=0) - best.W[0]) / best.se[0]).max() < 0.25
    assert_allclose(draws.std(axis=0), best.se[0], rtol=0.15)
    assert not fit["sample_stats"]["diverging"].any()


def test_draws_of_the_model_are_draws_of_the_family():
    phi, x, _ = example(MixtureLike(), n=400)
    with build([MixtureLike(), SIN], phi, np.stack([x, x], axis=1), prior=Normal(0.7, 1e-6)):
        drawn = pm.sample_prior_predictive(20, random_seed=1, compile_kwargs={"mode": QUICK})["prior_predictive"]
    v = phi @ np.full((2, 2), 0.7)
    for name, family, natural in (("next_state_0", MixtureLike(), v), ("next_state_1", SIN, v[:, 0])):
        one = drawn[name].values[0]
        assert one.shape == (20, 400)
        error = (one - family.mean(natural)) / np.sqrt(family.variance(natural))
        assert abs(error.mean()) < 4 / np.sqrt(one.size)
        assert abs(error.var() - 1) < 4 * np.sqrt(3 / one.size)


# ------------------------------------------------------------------------------------------------ bad input
DATA = example(SIN, n=30)[:2]


@pytest.mark.parametrize("use", [score_matching, fit_mle, build])
def test_bad_data(use):
    phi, x = DATA
    holes, outside = x.copy(), np.abs(x) + 0.1
    holes[7], outside[11] = np.nan, -0.2
    for bad, match in (
        ((SIN, phi[:-1], x), r"found 29 rows of features and 30 of next_states"),
        ((SIN, phi, holes), r"next_states: found nan for row 7, column 0"),
        ((SIN, np.where(phi == phi[3, 0], np.inf, phi), x), r"features: found inf for row 3, column 0"),
        ((Exponential(), np.ones(30), outside), r"next_states, row 11: found -0.2, expected numbers between 0 and inf"),
        ((Beta(), np.ones(30), np.linspace(0.01, 1, 30)), r"next_states, row 29: found 1, expected .* between 0 and 1"),
        (([SIN, SIN, SIN], phi, x), r"found 3 families for next_states of 1 coordinates"),
        ((SIN, phi[None], x), r"features: found shape \(1, 30, 2\)"),
        ((SIN, phi[:0], x[:0]), r"features: found shape \(0, 2\), expected"),
    ):
        with pytest.raises(ValueError, match=match):
            use(*bad)
    with pytest.raises(ValueError, match=r"unknown family 'CustomSinus'. Did you mean 'CustomSin'\?"):
        use("CustomSinus", phi, x)
    with pytest.raises(ValueError, match=r"family: found the name 'CustomSin', expected .* transitions.CustomSin\("):
        use("CustomSin", phi, x)
    with pytest.raises(ValueError, match=r"next_states: expected numbers, .* could not convert string to float: 'far'"):
        use(SIN, phi, ["far"] * 30)
    with pytest.raises(TypeError, match=r"family: found None, expected a family such as Gaussian"):
        use(None, phi, x)
    with pytest.raises(TypeError, match=r"families: found"):
        use([SIN, "sin"], phi, np.stack([x, x], axis=1))


def test_features_that_depend_on_each_other():
    phi, x = DATA
    twice = np.concatenate([phi, phi[:, :1] + phi[:, 1:]], axis=1)
    for estimate in (score_matching, fit_mle):
        with pytest.raises(ValueError, match=r"CustomSin\(.*linearly dependent .* leave one out"):
            estimate(SIN, twice, x)
    assert np.isfinite(score_matching(SIN, twice, x, ridge=1e-3).W).all()
    with pytest.warns(ScoreMatchingWarning), pytest.raises(ValueError, match=r"statistics.* linearly dependent"):
        score_matching(DoubleReLU(), phi, x)
    with pytest.raises(ValueError, match=r"statistics.* linearly dependent"):
        fit_mle(DoubleReLU(), phi, x)


def test_ridge_and_weights():
    phi, x = DATA
    for bad in (-1.0, np.nan, [1.0, 2.0]):
        with pytest.raises(ValueError, match=r"ridge: found"):
            score_matching(SIN, phi, x, ridge=bad)
    for function in (log_likelihood, score_matching_objective):
        with pytest.raises(ValueError, match=r"W: found shape \(1, 3\), expected \(1, 2\)"):
            function(SIN, np.ones((1, 3)), phi, x)


def test_a_single_transition_says_nothing_of_errors():
    phi, x = DATA
    for few in (score_matching(SIN, phi[:1], x[:1], ridge=0.1), score_matching(SIN, phi[:2], x[:2])):
        assert np.isfinite(few.W).all()
        assert np.isnan(few.se).all()
    assert np.isfinite(score_matching(SIN, phi[:3], x[:3]).se).all()
    for estimate in (score_matching, fit_mle):
        with pytest.raises(ValueError, match=r"linearly dependent"):
            estimate(SIN, phi[:1], x[:1])


def test_priors_are_priors():
    with pytest.raises(TypeError, match=r"prior: found 'normal', expected one such as rlpymc.priors.Normal\(0, 10\)"):
        build(SIN, *DATA, prior="normal")


def test_no_maximum():
    with pytest.raises(ValueError, match=r"there is no W at which v = W phi is a number below 0 in all rows"):
        fit_mle(Exponential(), np.array([-1.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0]))
    peak = np.full(5, np.pi / 8)  # the likelihood grows with v
    with pytest.raises((RuntimeError, ValueError), match=r"no maximum|not determined"):
        fit_mle(SIN, np.ones(5), peak)


def test_names_are_public():
    assert rl.transitions.build is build
    assert {"score_matching", "fit_mle", "ShootingPlanner", "run_episodes"} <= set(rl.transitions.__all__)
