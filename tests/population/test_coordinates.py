"""Coordinates of populations: an exact change of variables, in which Gaussian likelihoods leave standard normals."""

import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import rlpymc as rl
from rlpymc import math
from rlpymc.fitting.nuts.machine_sampler import MachinePosterior
from rlpymc.likelihood.backends import likelihood_of
from rlpymc.model import Input, Model, Parameter, real
from rlpymc.model.parameters import integer
from rlpymc.model.priors import DiscreteUniform, Gamma, Normal
from rlpymc.model.responses import Normal as NormalResponse
from rlpymc.population import coordinates
from rlpymc.population.coordinates import Coordinates, Form
from rlpymc.population.machine_density import Density
from rlpymc.population.points import Points
from rlpymc.population.site_search import find_sites, quadrature
from rlpymc.population.sites import Sites
from rlpymc.population.subjects_likelihood import SubjectsLikelihood
from rlpymc.validation.examples import random_trials
from tests.helpers.messages import assert_says, refusal

KINDS = ("informed", "centred")
QUIET: dict[str, Any] = {"progress": False, "log_likelihood": False}
FEW = {"fixed": {"stick": 0.1, "rho": 0.9, "forget": 0.1, "epsilon": 0.05, "bias_wm": 0.5, "bias_rl": 0.3}}
CASES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "plain": ("delta", 2, {}),
    "shared": ("delta", 2, {"shared": ("beta",)}),
    "a vector": ("biased_random", 3, {}),
    "whole numbers": ("rlwm", 2, FEW),
    "no group": ("biased_random", 3, {"pooling": "none"}),
    "some without a group": ("delta+stickiness", 2, {"pooling": {"beta": "none"}, "shared": ("q0", "stickiness")}),
    "equal": ("delta(rates=sign)", 2, {"coupled": [("alpha_pos", "alpha_neg")], "priors": "wide"}),
    "other hyperpriors": ("delta", 2, {"priors": {"beta_mu": Gamma(2.0, 1.0), "beta_sigma": Gamma(2.0, 3.0)}}),
}


@cache
def built(case: str) -> rl.RLModel:
    """Return a model of trials with several resets and missing responses."""
    name, n_actions, options = CASES[case]
    model = rl.get_model(name)
    return rl.build(model, random_trials(model, n_actions=n_actions), **options)


def sample(model: rl.RLModel, **options: Any) -> xr.DataTree:
    """Sample; what so few draws are warned of is of no interest here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.SamplingWarning)
        return rl.sample(model, **{**QUIET, **options})


def logdet(found: Coordinates, x: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the map's Jacobian, to the last digit since formulas take complex numbers, and its log determinant."""
    steps = x + 1e-30j * np.eye(len(x))
    jacobian = found.noncentred(steps).imag.T / 1e-30
    return jacobian, float(np.linalg.slogdet(jacobian)[1])


def slopes_by_difference(function: Callable[[np.ndarray], float], x: np.ndarray, h: float = 1e-3) -> np.ndarray:
    """Return slopes by differences of the sixth order."""
    weights = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
    steps = h * np.eye(len(x))
    parts = [[w * (function(x + k * e) - function(x - k * e)) / h for k, w in weights.items()] for e in steps]
    return np.sum(parts, axis=1)


# ---------------------------------------------------------------------------------------------------- the map


@pytest.mark.parametrize(
    ("case", "kind", "together"),
    [
        *((case, "informed", True) for case in CASES),
        *((case, "informed", False) for case in ("a vector", "shared", "some without a group")),
        *((case, "centred", True) for case in ("plain", "a vector")),
    ],
)
def test_the_density_is_the_noncentred_one_up_to_the_volume(
    monkeypatch: pytest.MonkeyPatch, case: str, kind: str, together: bool
) -> None:
    if not together:
        monkeypatch.setattr(coordinates, "MOST_TOGETHER", 0)
    plain = MachinePosterior(built(case)).density()
    posterior = MachinePosterior(built(case), kind)
    density, rng = posterior.density(), np.random.default_rng(2)
    assert posterior.coordinates.form.kind == kind
    for scale in (0.3, 1.0, 2.0):
        x = scale * rng.normal(size=density.size)
        jacobian, volume = logdet(posterior.coordinates, x)
        value, slopes = density(x)
        wanted, inner = plain(posterior.coordinates.noncentred(x[None])[0])
        assert_allclose(value, wanted + volume, rtol=1e-12, atol=1e-10)
        by_volume = slopes_by_difference(lambda at: logdet(posterior.coordinates, at)[1], x)
        wanted_slopes = jacobian.T @ inner + by_volume
        assert_allclose(slopes, wanted_slopes, rtol=1e-9, atol=1e-10 * np.abs(slopes).max())


@pytest.mark.parametrize("kind", KINDS)
def test_slopes_are_those_of_the_density(kind: str) -> None:
    density = MachinePosterior(built("plain"), kind).density()
    x = np.random.default_rng(1).normal(size=density.size)
    wanted = slopes_by_difference(lambda at: density(at)[0], x)
    assert_allclose(density(x)[1], wanted, rtol=1e-8, atol=1e-8 * np.abs(wanted).max())


def density_with(model: rl.RLModel, sites: Sites | None) -> Density:
    """Return the density in informed coordinates of given sites."""
    posterior = MachinePosterior(model)
    points = posterior.coordinates.points
    posterior.coordinates = Coordinates(points, Form.of("informed", points.effects), sites)
    return posterior.density()


@pytest.mark.parametrize("case", ["plain", "a vector"])
def test_without_sites_it_is_the_noncentred_form(case: str) -> None:
    plain, without = MachinePosterior(built(case)).density(), density_with(built(case), None)
    x = np.random.default_rng(4).normal(size=plain.size)
    assert_allclose(without(x)[0], plain(x)[0], rtol=1e-14)
    assert_allclose(without(x)[1], plain(x)[1], rtol=1e-13)


def test_with_sites_without_end_it_is_the_centred_form() -> None:
    model, sharp = built("plain"), 1e10
    effects = model.spec.population.effects(model.data)
    points = Points(effects, 4)
    H, b = np.tile(sharp * np.eye(2), (4, 1, 1)), np.zeros((4, 2))
    nothing = np.zeros(len(points))
    informed = Coordinates(points, Form.of("informed", effects), Sites(H, b, np.zeros((4, 2, 0)), nothing, nothing))
    centred = Coordinates(points, Form.of("centred", effects))
    x = np.random.default_rng(5).normal(size=(1, len(points)))
    z = np.concatenate([np.arange(v.start, v.stop) for k, v in points.places.items() if k.endswith("_z")])
    scaled = x.copy()
    scaled[:, z] *= np.sqrt(sharp)
    assert_allclose(informed.noncentred(scaled), centred.noncentred(x), rtol=1e-8)


def test_an_impossible_point_is_refused() -> None:
    density = MachinePosterior(built("plain"), "informed").density()
    assert not np.isfinite(density(np.full(density.size, np.nan))[0])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_seen_does_not_depend_on_the_coordinates(kind: str) -> None:
    plain, posterior = MachinePosterior(built("a vector")), MachinePosterior(built("a vector"), kind)
    points = np.random.default_rng(6).normal(size=(3, plain.density().size))
    found = posterior.variables(points)
    xr.testing.assert_allclose(found, plain.variables(posterior.coordinates.noncentred(points)))
    theta = found["bias"]
    assert_allclose(found["bias_z"], (theta - found["bias_mu"]) / found["bias_sigma"], rtol=1e-8)
    if kind == "centred":
        place = posterior.coordinates.points.places["bias_z"]
        assert_allclose(theta.values[0].reshape((3, -1)), points[:, place], rtol=1e-12)


def test_only_normal_deviations_have_coordinates_to_choose() -> None:
    effects = built("plain").spec.population.effects(built("plain").data)
    alpha = effects[0]
    other = replace(alpha, variables=(*alpha.variables[:2], replace(alpha.variables[2], prior=Normal(0.0, 2.0))))
    assert Form.of("informed", (other, effects[1])).effects == (effects[1],)
    assert Form.of("informed", (other,)).kind == "noncentred"


# ------------------------------------------------------------------------------------- where the site is exact

LINE = Model(
    name="line",
    family="test",
    summary="A number on a straight line, with noise that is known.",
    reference="none",
    inputs=(Input("x", real), Input("y", real, response=True)),
    parameters=(
        Parameter("level", real, prior=Normal(0.0, 1.0), plausible=0.3),
        Parameter("slope", real, prior=Normal(0.0, 1.0), plausible=0.5),
    ),
    policy=lambda p, s, x: NormalResponse(p.level + p.slope * x.x, 0.7),
)
N, T = 6, 15


def line(model: Model = LINE, **options: Any) -> rl.RLModel:
    rng = np.random.default_rng(0)
    x, level, slope = rng.normal(size=(N, T)), rng.normal(size=(N, 1)), rng.normal(0.5, 0.4, size=(N, 1))
    y = level + (2.0 if "shared" in options else slope) * x + 0.7 * rng.normal(size=(N, T))
    table = pd.DataFrame({"subject": np.repeat(np.arange(N), T), "x": x.ravel(), "y": y.ravel()})
    return rl.build(model, rl.read_trials(table), **options)


def sites_of(model: rl.RLModel) -> Sites:
    found = MachinePosterior(model, "informed").coordinates._sites
    assert found is not None
    return found


def exact_site(model: rl.RLModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return H, b and G of lines, of which the slope may be one for all."""
    inputs = model.data.inputs
    design = np.stack([np.ones((N, T)), inputs["x"]], axis=2)
    H, b = design.transpose(0, 2, 1) @ design / 0.49, np.einsum("itk,it->ik", design, inputs["y"]) / 0.49
    k = 2 - len(model.spec.population.shared)
    return H[:, :k, :k], b[:, :k], H[:, :k, k:]


LINES: dict[str, dict[str, Any]] = {
    "pooled": {},
    "no group": {"pooling": "none"},
    "one without a group": {"pooling": {"slope": "none"}},
    "shared": {"shared": "slope"},
    "shared, the other without a group": {"shared": "slope", "pooling": {"level": "none"}},
}


@pytest.mark.parametrize("case", LINES)
def test_the_site_of_a_gaussian_likelihood_is_exact(case: str) -> None:
    model = line(**LINES[case])
    found = sites_of(model)
    H, b, G = exact_site(model)
    assert_allclose(found.H, H, rtol=1e-6)
    assert_allclose(found.b, b, rtol=1e-6, atol=1e-6)
    assert_allclose(found.G, G, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("case", LINES)
def test_with_an_exact_site_coordinates_are_standard_normal_whatever_the_group(case: str) -> None:
    model = line(**LINES[case])
    points = MachinePosterior(model).coordinates.points
    density = density_with(model, Sites(*exact_site(model), np.zeros(len(points)), np.zeros(len(points))))
    by_subject = [v for v in points.places.values() if v.stop - v.start == N]
    z = np.concatenate([np.arange(v.start, v.stop) for v in by_subject])
    assert len(z) == N * (2 - len(model.spec.population.shared))
    rng = np.random.default_rng(3)
    for scale in (0.0, 1.0, 3.0):
        x = scale * rng.normal(size=density.size)
        x[z] = 0.0
        middle = density(x)[0]
        x[z] = rng.normal(size=len(z))
        value, slopes = density(x)
        assert_allclose(value - middle, -0.5 * (x[z] ** 2).sum(), rtol=1e-8)
        assert_allclose(slopes[z], -x[z], rtol=1e-7, atol=1e-8)


def test_what_is_shared_is_estimated_beside() -> None:
    model = line(shared="slope")
    sites, points = sites_of(model), MachinePosterior(model).coordinates.points
    place = points.places["slope"]
    assert abs(sites.centre[place][0] - 2.0) < 0.2
    x = model.data.inputs["x"]  # how well the slope is known where each level is known as well as its group allows
    told = ((x - x.mean(axis=1, keepdims=True)) ** 2).sum() / 0.49
    assert 0.8 < sites.spread[place][0] * np.sqrt(told) < 1.05


def test_sites_are_of_the_likelihood_summed_over_whole_numbers() -> None:
    """All are moved by 5 as often as not; the data leave no doubt by how much."""
    moved = replace(
        LINE,
        name="moved",
        parameters=(
            *LINE.parameters,
            Parameter("times", integer(0, 1), prior=DiscreteUniform(0, 1), plausible=1),
        ),
        policy=lambda p, s, x: NormalResponse(p.level + p.slope * x.x + 5.0 * p.times, 0.7),
    )
    usual, found = sites_of(line()), sites_of(line(moved))
    assert_allclose(found.H, usual.H, rtol=0.02, atol=0.5)
    assert_allclose(found.b, usual.b, rtol=0.02, atol=0.5)


# ------------------------------------------------------------------------------------------- the search for sites


def test_points_have_the_moments_of_a_normal_distribution() -> None:
    for d in (1, 3, 20, 40):
        found = quadrature(d)
        assert len(found) >= 64
        assert_allclose(found.mean(axis=0), 0.0, atol=1e-14)
        assert_allclose(found.T @ found / len(found), np.eye(d), atol=1e-12)


def test_a_site_has_the_average_slope_of_the_likelihood() -> None:
    """Slopes on the unbounded scale, under the Gaussian that site and group make, are b - H mean."""
    model = built("plain")
    sites, places = sites_of(model), MachinePosterior(model).coordinates.points.places
    mu = np.array([sites.centre[places[f"{name}_mu"]][0] for name in ("alpha", "beta")])
    sigma = np.exp([sites.centre[places[f"{name}_sigma"]][0] for name in ("alpha", "beta")])
    cov = np.linalg.inv(sites.H + np.diag(sigma**-2.0))
    mean = np.einsum("iab,ib->ia", cov, sites.b + mu / sigma**2)
    theta = mean + np.einsum("iab,pb->pia", np.linalg.cholesky(cov), quadrature(2))
    likelihood, supports = likelihood_of(model.data), [model.spec.model.parameter(k).support for k in ("alpha", "beta")]
    held = {"q0": model.spec.population.constant(model.spec.model.parameter("q0"), model.data)}

    def total(at: np.ndarray) -> np.ndarray:
        return likelihood.total(
            held | {k: s.constrain(v) for k, s, v in zip(("alpha", "beta"), supports, at.T, strict=True)}
        )

    steps = 1e-4 * np.eye(2)
    slopes = [[(total(at + e) - total(at - e)) / 2e-4 for e in steps] for at in theta]
    wanted = np.mean(slopes, axis=0).T
    assert_allclose(sites.b - np.einsum("iab,ib->ia", sites.H, mean), wanted, rtol=0.1, atol=0.1)


def test_of_several_solutions_the_site_is_at_the_best() -> None:
    """Rounds alone end at a level of 0.8, near which they would begin, though the likelihood is higher at -1.3."""

    def wells(p: Any, s: Any, x: Any) -> NormalResponse:
        far, near = (math.exp(-2 * (p.level - at) * (p.level - at)) for at in (-1.3, 0.8))
        return NormalResponse(x.x + 2.0 - 2.0 * far - 1.2 * near + 0.0 * p.kind, 0.7)

    kind = Parameter("kind", integer(0, 1), prior=DiscreteUniform(0, 1))  # of a sum, several solutions are expected
    two = replace(LINE, name="wells", parameters=(*LINE.parameters[:1], kind), policy=wells)
    rng = np.random.default_rng(0)
    x = rng.normal(size=N * T)
    table = pd.DataFrame({"subject": np.repeat(np.arange(N), T), "x": x, "y": x + 0.7 * rng.normal(size=N * T)})
    found = sites_of(rl.build(two, rl.read_trials(table)))
    assert_allclose(found.b[:, 0] / found.H[:, 0, 0], -1.3, atol=0.4)


def test_the_same_data_have_the_same_sites() -> None:
    first, second = sites_of(built("plain")), sites_of(built("plain"))
    for name in ("H", "b", "centre", "spread"):
        assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("case", ["plain", "shared", "a vector", "whole numbers", "some without a group", "equal"])
def test_slopes_over_points_are_those_of_the_likelihood_over_points(case: str) -> None:
    model = built(case)
    population, data = model.spec.population, model.data
    constants = {p.name: population.constant(p, data) for p in data.model.parameters if not population.is_free(p)}
    found = SubjectsLikelihood(likelihood_of(data), Points(population.effects(data), 4), constants)
    rng, step = np.random.default_rng(7), 1e-5
    theta = rng.normal(size=(3, 4, found.k))
    away = {name: rng.normal(size=(3, *estimate.place.shape)) for name, estimate in found.besides.items()}
    slopes, by_name, shares = found.slopes(theta, away)
    assert_allclose(shares.sum(axis=2), 1.0)
    assert shares.shape[2] == (4 if case == "whole numbers" else 1)
    for k, e in enumerate(step * np.eye(found.k)):
        wanted = (found.total(theta + e, away) - found.total(theta - e, away)) / (2 * step)
        assert_allclose(slopes[..., k], wanted, rtol=1e-4, atol=1e-5)
    for name, at in away.items():
        up, down = (found.total(theta, away | {name: at + sign * step}) for sign in (1, -1))
        assert_allclose(by_name[name], (up - down) / (2 * step), rtol=1e-4, atol=1e-5)


class Broken:
    """A likelihood that is impossible for the first subject, and has no slope for the second."""

    def __init__(self, model: rl.RLModel) -> None:
        self.inner = likelihood_of(model.data)

    def total(self, params: Any) -> np.ndarray:
        total = self.inner.total(params)
        total[:2] = [-np.inf, 0.0]
        return total

    def gradient(self, params: Any, active: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        total, slopes = self.total(params), self.inner.gradient(params, active)[1]
        for slope in slopes.values():
            slope[:2] = [np.nan, -np.inf]
        return total, slopes


@pytest.mark.parametrize("case", ["plain", "whole numbers", "shared"])
def test_subjects_whose_data_are_impossible_have_no_site(case: str) -> None:
    model = built(case)
    population, data = model.spec.population, model.data
    constants = {p.name: population.constant(p, data) for p in data.model.parameters if not population.is_free(p)}
    likelihood: Any = Broken(model)
    found = find_sites(likelihood, Points(population.effects(data), 4), constants, together=True)
    assert_allclose(found.H[:2], 0.0, atol=1e-12)
    assert_allclose(found.b[:2], 0.0, atol=1e-12)
    assert np.isfinite(found.H).all()
    assert np.isfinite(found.b).all()
    assert not np.isinf(found.centre).any()
    assert not np.isinf(found.spread).any()


def test_subjects_whose_data_say_nothing_have_no_site_and_others_have() -> None:
    """A first choice is as likely whatever the parameters are."""
    model = rl.get_model("delta")
    trials = random_trials(model, n_actions=2)
    scored = trials["scored"].copy()
    scored[1] = trials["reset"][1] & scored[1]
    found = sites_of(rl.build(model, trials.assign(scored=scored)))
    assert_allclose(found.H[1], 0.0, atol=1e-12)
    assert_allclose(found.b[1], 0.0, atol=1e-12)
    assert np.linalg.eigvalsh(found.H[0]).min() > -1e-12
    assert np.abs(found.H[0]).max() > 0.01


def test_options_that_are_seldom_chosen_lead_nobody_astray() -> None:
    """For what is hardly ever chosen the likelihood is nearly flat on one side, and whole steps go far beyond."""
    rng = np.random.default_rng(0)
    bias = rng.normal(size=18) + rng.normal(0.0, 0.7, size=(15, 18))
    trials = rl.simulate("biased_random", rl.tasks.Bandit([0.5] * 19), {"bias": bias}, 15, 150, seed=1)
    posterior = MachinePosterior(rl.build("biased_random", trials), "informed")
    sites = posterior.coordinates._sites
    assert sites is not None
    assert_array_equal(sites.H, sites.H * np.eye(18))  # too many to be taken together
    assert (np.diagonal(sites.H, axis1=1, axis2=2) > 0.01).all()
    assert np.abs(sites.centre).max() < 4
    density, plain = posterior.density(), posterior.coordinates.points
    assert density(posterior.coordinates.start(1))[0] > density(plain.start(1))[0] - 50


def test_chains_start_where_the_sites_say() -> None:
    found = MachinePosterior(line(), "informed").coordinates
    sites = found._sites
    assert sites is not None
    starts = np.array([found.start(seed) for seed in range(300)])
    assert_array_equal(starts[7], found.start(7))
    z = np.concatenate([np.arange(v.start, v.stop) for k, v in found.points.places.items() if k.endswith("_z")])
    assert stats.kstest(starts[:, z].ravel(), stats.norm().cdf).pvalue > 0.01
    mu = found.points.places["slope_mu"].start
    assert abs(starts[:, mu].mean() - 0.5) < 0.4
    assert 0.05 < starts[:, mu].std() < 0.5


# -------------------------------------------------------------------------------------------------- sampling


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the chains of `fit` lie; tests work on copies."""
    return tmp_path_factory.mktemp("coordinates") / "run"


@pytest.fixture(scope="module")
def fit(folder: Path) -> xr.DataTree:
    return sample(built("plain"), draws=50, tune=100, chains=2, seed=3, folder=folder)


def assert_same_draws(one: xr.DataTree, other: xr.DataTree) -> None:
    for name, values in one["posterior"].data_vars.items():
        assert_array_equal(other["posterior"][name].values, values.values)


def test_they_are_informed_unless_told(fit: xr.DataTree) -> None:
    assert [fit.attrs[k] for k in ("sampled_by", "sampled_in", "why")] == ["machine", "informed", ""]
    assert json.loads(fit.attrs["rlpymc"])["sampler"]["coordinates"] == "informed"
    assert {"alpha_mu", "alpha_sigma", "alpha_z", "alpha_group", "alpha"} <= set(fit["posterior"].data_vars)


def test_the_same_seed_gives_the_same_draws(fit: xr.DataTree) -> None:
    again = sample(built("plain"), draws=50, tune=100, chains=2, seed=3, coordinates="informed")
    assert_same_draws(fit, again)


def test_a_broken_run_goes_on_as_if_it_had_not_been(fit: xr.DataTree, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "run")
    (tmp_path / "run" / "chain_1.nc").unlink()
    name, n_actions, options = CASES["plain"]
    anew = rl.build(name, random_trials(rl.get_model(name), n_actions=n_actions), **options)
    assert_same_draws(fit, sample(anew, draws=50, tune=100, chains=2, seed=3, folder=tmp_path / "run"))


@pytest.mark.usefixtures("fit")
def test_a_folder_of_other_coordinates_is_refused(folder: Path) -> None:
    options: Mapping[str, Any] = {"draws": 50, "tune": 100, "chains": 2, "seed": 3, "folder": folder}
    assert_says(refusal(sample, built("plain"), coordinates="centred", **options), str(folder), "coordinates")


def test_unknown_coordinates_are_answered_with_those_that_there_are() -> None:
    message = refusal(rl.sample, built("plain"), coordinates="noncentered")
    assert_says(message, "coordinates 'noncentered'", "Did you mean 'noncentred'?", "informed, noncentred, centred")


def test_what_cannot_be_had_is_refused_by_name_and_said_otherwise() -> None:
    model = rl.get_model("delta")
    trials = random_trials(model, n_actions=2)
    alone, scan = rl.build(model, trials, pooling="none"), rl.build(model, trials, backend="scan")
    assert_says(refusal(rl.sample, alone, coordinates="centred"), "coordinates='centred'", "partially pooled", "leave")
    assert_says(refusal(rl.sample, scan, coordinates="informed"), "coordinates='informed'", "a scan", "leave")
    found = sample(alone, draws=10, tune=10, chains=1, seed=1)
    assert [found.attrs[k] for k in ("sampled_by", "sampled_in", "why")] == ["machine", "informed", ""]
    asked = sample(built("plain"), draws=10, tune=10, chains=1, seed=1, coordinates="noncentred")
    assert (asked.attrs["sampled_in"], asked.attrs["why"]) == ("noncentred", "")


@pytest.mark.slow
@pytest.mark.parametrize("case", ["line", "bandit"])
def test_all_coordinates_give_the_same_posterior(case: str) -> None:
    truth = {"alpha": [0.2, 0.4, 0.5, 0.7, 0.3], "beta": [1.5, 3.0, 2.0, 2.5, 4.0]}
    bandit = rl.tasks.Bandit([0.2, 0.8])
    model = line() if case == "line" else rl.build("delta", rl.simulate("delta", bandit, truth, 5, 60, seed=1))
    of_each = {
        kind: sample(model, draws=10_000, tune=1000, chains=4, seed=2, coordinates=kind, target_accept=0.95)
        for kind in coordinates.COORDINATES
    }
    wanted = of_each.pop("informed")["posterior"].to_dataset()
    for fit in of_each.values():
        found = fit["posterior"].to_dataset()
        for name in found.data_vars:
            sd = wanted[name].std(("chain", "draw"))
            gap = np.abs(found[name].mean(("chain", "draw")) - wanted[name].mean(("chain", "draw"))) / sd
            assert float(gap.max()) < 0.15, name
            assert_allclose(found[name].std(("chain", "draw")) / sd, 1.0, atol=0.15, err_msg=name)
