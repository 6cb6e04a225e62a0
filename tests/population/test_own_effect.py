"""Effects that others add: a class and a word are enough for PyMC's model, the machine density, results and draws."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

import rlpymc as rl
from rlpymc import math
from rlpymc.comparison.own_parameters import OwnParameters
from rlpymc.fitting.nuts.machine_sampler import MachinePosterior
from rlpymc.fitting.posterior import parameter_draws
from rlpymc.likelihood.modes import QUICK
from rlpymc.model.parameters import Parameter
from rlpymc.model.priors import HalfNormal, Normal, Prior
from rlpymc.model.record import Record
from rlpymc.population.effects import POOLINGS, Effect, Pooled, Variable
from rlpymc.population.presets import DEFAULT, PRESETS, GroupPriors
from rlpymc.trials.model_data import data_for
from rlpymc.validation.examples import random_trials
from tests.helpers.densities import assert_one_density
from tests.helpers.messages import assert_says, refusal

QUIET = {"progress": False, "log_likelihood": False}
FEW = {"fixed": {"stick": 0.1, "rho": 0.9, "forget": 0.1, "epsilon": 0.05, "bias_wm": 0.5, "bias_rl": 0.3}}


@dataclass(frozen=True)
class Laplace(Prior):
    """A distribution that the library does not have."""

    mu: float = 0.0
    b: float = 0.8

    def unbounded(self, v: Any) -> tuple[Any, Any]:
        return v, -math.abs(v - self.mu) / self.b - float(np.log(2 * self.b))

    def middle(self) -> float:
        return self.mu

    def scipy(self) -> Any:
        return stats.laplace(self.mu, self.b)


@dataclass(frozen=True)
class Heavy(Effect):
    """Deviations t from the group's mean have a Laplace distribution; their scale is given beforehand."""

    scale: float

    @classmethod
    def of(cls, parameter: Parameter, shape: tuple[int, ...], prior: Prior, group: GroupPriors) -> Self:
        mu, sigma = group(parameter, prior)
        variables = Variable("_mu", "group", mu), Variable("_t", "subject", Laplace())
        return cls(parameter.name, parameter.support, shape, variables, sigma.sigma / 2)

    def value(self, v: Record) -> Any:
        return self.support.constrain(v.mu + self.scale * v.t)

    def shown(self, v: Record) -> dict[str, Any]:
        return {"_group": self.support.constrain(v.mu), "_half": 0.5 * v.t}


class Odd(Effect):
    """Every subject at the group's value, which two positive numbers make; a third has no part in it."""

    @classmethod
    def of(cls, parameter: Parameter, shape: tuple[int, ...], prior: Prior, group: GroupPriors) -> Self:
        del prior, group
        parts = [Variable(f"_{k}", "group", HalfNormal(0.5)) for k in ("up", "down", "idle")]
        return cls(parameter.name, parameter.support, shape, (*parts, Variable("_spare", "subject", HalfNormal(2.0))))

    def value(self, v: Record) -> Any:
        return self.support.constrain(v.up - v.down)


def laplace(parameter: Parameter, shape: tuple[int, ...], prior: Prior, group: GroupPriors) -> Effect:
    """Return the library's effect with another distribution of deviations."""
    usual = Pooled.of(parameter, shape, prior, group)
    return replace(usual, variables=(*usual.variables[:2], Variable("_z", "subject", Laplace(b=0.7))))


WORDS: dict[str, Callable[..., Effect]] = {"heavy": Heavy.of, "odd": Odd.of, "laplace": laplace}


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Add the words, and take them away again."""
    with monkeypatch.context() as patch:
        for word, make in WORDS.items():
            patch.setitem(POOLINGS, word, make)
        yield
    assert list(POOLINGS) == ["partial", "none", "complete"]


def built(name: str, pooling: str, n_actions: int = 2, **options: Any) -> rl.RLModel:
    model = rl.get_model(name)
    return rl.build(model, random_trials(model, n_actions=n_actions), pooling=pooling, **options)


@pytest.mark.parametrize("pooling", WORDS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("delta", {}),
        ("delta", {"shared": "beta"}),
        ("biased_random", {"n_actions": 3}),
        pytest.param("rlwm", FEW, marks=pytest.mark.slow),
    ],
    ids=["plain", "shared", "a vector", "whole numbers"],
)
def test_density_and_gradient_are_those_of_the_pymc_model(name: str, options: dict[str, Any], pooling: str) -> None:
    model = built(name, pooling, **options)
    assert_one_density(model, (0.3, 1.0, 2.0), rtol=1e-10, atol=0.0, of_slopes=1e-10, least=0.0)


@pytest.mark.parametrize("pooling", WORDS)
def test_points_mean_what_they_mean_in_the_pymc_model(pooling: str) -> None:
    model = built("biased_random", pooling, n_actions=3)
    posterior = MachinePosterior(model)
    places = posterior.density().places.values()
    points = np.random.default_rng(0).normal(size=(3, posterior.density().size))
    found = posterior.variables(points)
    wanted = [v for v in model.unobserved_value_vars if v.name in found]
    assert {v.name for v in wanted} == {*found} == {v.name for v in (*model.free_RVs, *model.deterministics)}
    function, start = model.compile_fn(wanted, mode=QUICK), model.initial_point()
    for k, x in enumerate(points):
        values = zip(model.value_vars, places, strict=True)
        point = {v.name: x[place].reshape(start[v.name].shape) for v, place in values}
        for v, value in zip(wanted, function(point), strict=True):
            assert_allclose(found[v.name].values[0, k], value, rtol=1e-12)


def test_names_and_dims() -> None:
    model = built("biased_random", "heavy", n_actions=3)
    own = ("bias_dim_0",)
    dims = {"bias_mu": own, "bias_t": ("subject", *own), "bias_group": own, "bias_half": ("subject", *own)}
    assert {k: model.named_vars_to_dims[k] for k in dims} == dims
    assert model.named_vars_to_dims["bias"] == ("subject", *own)
    assert [v.name for v in model.free_RVs] == ["bias_mu", "bias_t"]
    assert [v.name for v in model.deterministics] == ["bias_group", "bias_half", "bias"]


def test_whole_numbers_have_the_group_s_probabilities() -> None:
    assert "capacity_probs" in built("rlwm", "heavy").named_vars


@pytest.fixture(scope="module")
def fits() -> list[xr.DataTree]:
    """Two runs with one seed."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.SamplingWarning)
        patch.setitem(POOLINGS, "heavy", Heavy.of)
        model = built("delta", "heavy")
        return [rl.sample(model, draws=30, tune=50, chains=2, seed=3, **QUIET) for _ in range(2)]


def test_it_is_sampled_by_the_machine_density(fits: list[xr.DataTree]) -> None:
    assert fits[0].attrs["sampled_by"] == "machine"


def test_results_are_the_values_of_its_variables(fits: list[xr.DataTree]) -> None:
    draws = fits[0]["posterior"].to_dataset()
    parts = [f"{name}{suffix}" for name in ("alpha", "beta") for suffix in ("_mu", "_t", "_group", "_half", "")]
    assert list(draws.data_vars) == parts
    parameter = rl.get_model("delta").parameter("alpha")
    scale = PRESETS[DEFAULT].group(parameter, parameter.prior)[1]
    expected = special.expit(draws["alpha_mu"] + scale.sigma / 2 * draws["alpha_t"])
    assert draws["alpha"].dims == ("chain", "draw", "subject")
    assert_allclose(draws["alpha"], expected.transpose(*draws["alpha"].dims), rtol=1e-12)
    assert_allclose(draws["alpha_group"], special.expit(draws["alpha_mu"]), rtol=1e-12)
    assert_allclose(draws["beta_half"], draws["beta_t"] / 2, rtol=1e-12)
    assert draws["alpha"].std() > 0


def test_the_same_seed_gives_the_same_draws(fits: list[xr.DataTree]) -> None:
    first, second = (fit["posterior"].to_dataset() for fit in fits)
    for name in first.data_vars:
        assert_array_equal(first[name], second[name])


# ---------------------------------------------------------------- priors, new people, likelihoods integrated


def test_priors_of_the_group_are_given_by_name() -> None:
    model = built("delta", "heavy", priors={"alpha_mu": Normal(0.3, 0.2)})
    alpha, beta = model.spec.population.effects(model.data)
    assert alpha.named["alpha_mu"].prior == Normal(0.3, 0.2)
    assert beta.named["beta_mu"].prior != Normal(0.3, 0.2)
    assert_allclose(model["alpha_mu"].owner.inputs[-1].eval(), 0.2)


@pytest.mark.parametrize("name", ["alpha_sigma", "alpha_t"])
def test_priors_that_nothing_of_the_group_has_are_refused(name: str) -> None:
    assert_says(refusal(built, "delta", "heavy", priors={name: Normal(0.0, 1.0)}), name, "alpha_mu", "beta_mu")


def test_a_prior_stays_where_the_variable_can_be() -> None:
    assert_says(refusal(built, "delta", "odd", priors={"alpha_up": Normal(0.0, 1.0)}), "alpha_up", "HalfNormal(0.5)")


def test_new_people_are_drawn_by_its_own_rule() -> None:
    model = built("delta", "heavy", fixed={"beta": 2.0})
    n, (effect,) = 4000, model.spec.population.effects(model.data)
    draws = xr.Dataset({"alpha_mu": ("sample", np.full(n, 0.4)), "alpha": (("sample", "subject"), np.zeros((n, 4)))})
    draws = draws.assign_coords(subject=model.data.subjects)
    others = model.data.trials.assign_coords(subject=["new", *model.data.subjects[1:]])
    found = parameter_draws(model, draws, data_for(model.spec.model, others), np.random.default_rng(1))["alpha"][:, 0]
    assert isinstance(effect, Heavy)
    assert stats.kstest((special.logit(found) - 0.4) / effect.scale, stats.laplace(0.0, 0.8).cdf).pvalue > 0.01
    assert stats.kstest((special.logit(found) - 0.4) / effect.scale, stats.norm().cdf).pvalue < 1e-6


def own_parameters(pooling: str) -> OwnParameters:
    model = built("delta", pooling, fixed={"beta": 2.0})
    return OwnParameters(model, model.data)


def test_other_deviations_are_integrated_over() -> None:
    group = xr.Dataset({"alpha_mu": ("sample", [0.4]), "alpha_sigma": ("sample", [1.5])})
    own, law = own_parameters("laplace"), stats.laplace(0.4, 1.5 * 0.7)
    u = np.linspace(-2.0, 3.0, 8).reshape((1, 2, 4, 1))
    assert_allclose(own.log_prior(u, group), law.logpdf(u[..., 0]), rtol=1e-12)
    drawn = own.from_population(group, 1000, np.random.default_rng(2))
    assert stats.kstest(drawn.ravel(), law.cdf).pvalue > 0.01


def test_a_population_of_unknown_density_is_not_integrated_over() -> None:
    assert_says(refusal(own_parameters, "heavy"), "'alpha'", "pooling='heavy'", "form='conditional'")


# ---------------------------------------------------------------- words that there are not


def test_an_unknown_word_is_answered_with_those_that_there_are() -> None:
    assert_says(
        refusal(built, "delta", "heavvy"), "pooling 'heavvy'", "Did you mean 'heavy'?", "partial, none, complete, heavy"
    )


def test_a_word_that_was_taken_away_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(POOLINGS, "heavy")
    message = refusal(built, "delta", "heavy")
    assert_says(message, "pooling 'heavy'", "partial, none, complete")
