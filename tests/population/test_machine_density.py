"""The posterior's density as machine code: that of the PyMC model, at the same points, with the same gradient."""

from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from rlpymc.fitting.nuts.machine_sampler import MachinePosterior
from rlpymc.likelihood.modes import QUICK
from rlpymc.model import priors
from rlpymc.validation.examples import random_trials
from tests.helpers.densities import assert_one_density

CASES = [
    ("delta", {}),
    ("delta", {"pooling": "none"}),
    ("delta", {"pooling": "complete"}),
    ("delta", {"shared": ("beta",)}),
    ("delta", {"fixed": {"alpha": 0.3}, "free": ("q0",)}),
    ("delta", {"priors": {"beta": priors.LogNormal(0.5, 0.7), "alpha": priors.Uniform(0.1, 0.9)}, "pooling": "none"}),
    ("delta", {"priors": {"beta_mu": priors.Gamma(2.0, 1.0), "beta_sigma": priors.Exponential(2.0)}}),
    ("delta+stickiness+lapse", {}),
    ("two_step_hybrid", {}),
    ("q_mdp", {"free": ("q0",)}),
    ("rlwm", {"fixed": {"capacity": 3}}),
    ("delta_prediction", {}),
    ("hmm(delta)", {"pooling": "none"}),
]
LONG = [("rlwm", {"pooling": "none"}), ("rlwm", {"fixed": {"stick": 0.1, "bias_rl": 0.2, "epsilon": 0.05}})]


def built(name, options, **more):
    model = rl.get_model(name)
    return rl.build(model, random_trials(model, n_actions=2), **options, **more)


@pytest.mark.parametrize(
    ("name", "options"),
    [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in LONG)],
    ids=[f"{n} {o}" for n, o in (*CASES, *LONG)],
)
def test_density_and_gradient_are_those_of_the_pymc_model(name, options):
    """Every form of pooling, priors of every kind, tables, whole numbers; PyMC keeps some constants in four bytes."""
    assert_one_density(built(name, options), (0.0, 1.0, 3.0), of_slopes=1e-8)


@pytest.mark.parametrize(
    "prior",
    [
        priors.Normal(0.4, 1.7),
        priors.HalfNormal(0.6),
        priors.LogNormal(-0.2, 0.8),
        priors.Beta(1.1, 3.0),
        priors.Gamma(2.5, 0.7),
        priors.Exponential(1.4),
        priors.Uniform(-2.0, 3.0),
    ],
    ids=str,
)
def test_priors_on_the_real_line(prior):
    """Value and density, Jacobian included, are SciPy's and PyMC's; the middle is the median."""
    with pm.Model() as model:
        variable = prior.pymc("x")
    transform, v = model.rvs_to_transforms[variable], np.linspace(-4, 4, 9)
    value, density = prior.unbounded(v)
    if transform is not None:
        assert_allclose(value, transform.backward(v, *variable.owner.inputs).eval(), rtol=1e-12)
    step = 1e-6
    slope = (prior.unbounded(v + step)[0] - prior.unbounded(v - step)[0]) / (2 * step)
    assert_allclose(density, prior.log_prob(value) + np.log(slope), atol=1e-7)
    assert_allclose(prior.unbounded(prior.middle())[0], prior.quantile(0.5), rtol=1e-10)


def test_far_out_the_density_stays_finite():
    """Where a probability rounds to 1, its logarithm does not become that of 0."""
    for v in (-300.0, 300.0):
        assert np.isfinite(priors.Beta(2.0, 2.0).unbounded(v)[1])
        assert np.isfinite(priors.Uniform(0.0, 1.0).unbounded(v)[1])


@pytest.mark.parametrize("options", [{}, {"pooling": "none"}, {"shared": ("beta",)}])
def test_variables_are_those_of_the_pymc_model(options):
    model = built("delta", options)
    posterior = MachinePosterior(model)
    density = posterior.density()
    points = np.random.default_rng(0).normal(size=(3, density.size))
    found = posterior.variables(points)
    wanted = [v for v in model.unobserved_value_vars if v.name in found]
    assert {v.name for v in wanted} == set(found.data_vars)
    function = model.compile_fn(wanted, mode=QUICK)
    for k, x in enumerate(points):
        shapes = model.initial_point()
        places = zip(model.value_vars, density.places.values(), strict=True)
        point = {v.name: x[place].reshape(shapes[v.name].shape) for v, place in places}
        for v, value in zip(wanted, function(point), strict=True):
            assert_allclose(found[v.name].values[0, k], value, rtol=1e-6)


def test_probabilities_of_a_group_are_those_of_the_pymc_model():
    model = built("rlwm", {})
    posterior = MachinePosterior(model)
    points = np.random.default_rng(0).normal(size=(2, posterior.density().size))
    found = posterior.variables(points)["capacity_probs"].values[0]
    assert_allclose(found.sum(axis=1), 1.0)
    transform = model.rvs_to_transforms[model["capacity_probs"]]
    assert_allclose(found[0], transform.backward(points[0, -3:]).eval(), rtol=1e-12)


def test_chains_have_memory_of_their_own():
    posterior = MachinePosterior(built("rlwm", {"pooling": "none"}))
    first, second = posterior.density(), posterior.density()
    x, y = np.random.default_rng(1).normal(size=(2, first.size))
    value, slopes = first(x)
    second(y)
    assert first(x)[0] == value
    assert_array_equal(first(x)[1], slopes)


def test_an_impossible_point_is_refused_and_not_finite():
    density = MachinePosterior(built("delta", {"pooling": "none"})).density()
    value, _ = density(np.full(density.size, np.nan))
    assert not np.isfinite(value)


def test_starting_points_differ_and_are_reproducible():
    posterior = MachinePosterior(built("rlwm", {}))
    density = posterior.density()
    start = posterior.compiled().initial_point_func
    assert_array_equal(start(4), start(4))
    assert (start(4) != start(5)).all()
    assert np.isfinite(density(start(4))[0])


# ------------------------------------------------------------------------------------- models that were changed
def test_a_model_as_built_is_served():
    """If this fails, sampling still works, by PyTensor, and takes ten times longer to start."""
    assert MachinePosterior.obstacle(built("delta", {})) == ""
    assert "scan" in MachinePosterior.obstacle(built("delta", {}, backend="scan"))


def test_an_unknown_nutpie_is_left_to_pytensor(monkeypatch):
    """What is used of nutpie is not documented: a version with other fields costs time, and nothing else."""

    @dataclass
    class Other:
        logp: object

    monkeypatch.setattr("nutpie.compile_pymc.CompiledPyMCModel", Other)
    assert "nutpie" in MachinePosterior.obstacle(built("delta", {}))


def add_potential(model):
    with model:
        pm.Potential("more", -(model["alpha_mu"] ** 2))


def add_variable(model):
    with model:
        pm.Normal("more")


def change_data(model):
    pm.set_data({"reward": 2 * model["reward"].get_value()}, model=model)


@pytest.mark.parametrize(
    ("change", "why"), [(add_potential, "were added"), (add_variable, "were added"), (change_data, "'reward'")]
)
def test_a_model_that_was_changed_is_left_to_pytensor(change, why):
    model = built("delta", {})
    change(model)
    assert why in MachinePosterior.obstacle(model)


def test_replaced_trials_are_served():
    model = rl.get_model("delta")
    trials = random_trials(model, n_actions=2)
    changed = trials.assign(reward=-trials["reward"])
    first, second = rl.build(model, trials), rl.build(model, changed)
    first.set_trials(changed)
    assert MachinePosterior.obstacle(first) == ""
    x = np.zeros(12)
    assert MachinePosterior(first).density()(x)[0] == MachinePosterior(second).density()(x)[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::rlpymc.fitting.nuts.diagnostics.SamplingWarning")
def test_both_ways_give_one_posterior():
    """The same model, once as built and once with a potential that changes nothing."""
    trials = rl.simulate("delta", rl.tasks.Bandit([0.2, 0.8]), {"alpha": 0.4, "beta": 2.0}, 3, 80, seed=3)
    options = {"draws": 800, "tune": 400, "chains": 2, "seed": 1, "progress": False, "log_likelihood": False}
    model = rl.build("delta", trials, pooling="none")
    own = rl.sample(model, **options)["posterior"].to_dataset()
    with model:
        pm.Potential("nothing", model["alpha"].sum() * 0.0)
    other = rl.sample(model, **options)["posterior"].to_dataset()
    for name in ("alpha", "beta"):
        assert own[name].dims == other[name].dims
        assert_allclose(own[name].mean(("chain", "draw")), other[name].mean(("chain", "draw")), rtol=0.12)
        assert_allclose(own[name].std(("chain", "draw")), other[name].std(("chain", "draw")), rtol=0.2)
