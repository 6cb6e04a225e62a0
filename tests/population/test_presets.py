"""Priors of a group by name: what they are, and that every way to a density agrees on them."""

import json
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy import special, stats

import rlpymc as rl
from rlpymc.fitting.nuts.machine_sampler import MachinePosterior
from rlpymc.fitting.posterior import parameter_draws
from rlpymc.model.parameters import phi_interval
from rlpymc.model.priors import Beta, Gamma, HalfNormal, LogNormal, Normal, Uniform
from rlpymc.population.presets import PRESETS, middle_and_width
from rlpymc.trials.model_data import data_for
from rlpymc.validation.examples import random_trials
from tests.helpers.densities import assert_one_density
from tests.helpers.messages import assert_says, refusal


def built(name: str, **options: Any) -> rl.RLModel:
    model = rl.get_model(name)
    return rl.build(model, random_trials(model, n_actions=2), **options)


def effect_of(model: rl.RLModel, name: str) -> Any:
    return next(e for e in model.spec.population.effects(model.data) if e.name == name)


def group_of(model: rl.RLModel, name: str) -> tuple[Any, Any]:
    """Return the priors of the group's mean and standard deviation."""
    named = effect_of(model, name).named
    return named[f"{name}_mu"].prior, named[f"{name}_sigma"].prior


# ---------------------------------------------------------------- densities


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("pooling", ["partial", "none", {"beta": "complete"}], ids=str)
def test_machine_code_and_pymc_have_one_density(preset: str, pooling: Any) -> None:
    assert_one_density(built("delta+lapse", priors=preset, pooling=pooling), (0.0, 1.0, 2.0))


def delta_by_loop(trials: xr.Dataset, alpha: np.ndarray, beta: np.ndarray) -> float:
    total = 0.0
    for i in range(trials.sizes["subject"]):
        q = np.zeros(2)
        for t in range(trials.sizes["trial"]):
            if trials["reset"].values[i, t]:
                q = np.zeros(2)
            if not trials["exists"].values[i, t]:
                continue
            action = int(trials["action"].values[i, t])
            if trials["scored"].values[i, t]:
                total += beta[i] * q[action] - special.logsumexp(beta[i] * q)
            if trials["learned"].values[i, t]:
                q[action] += alpha[i] * (trials["reward"].values[i, t] - q[action])
    return total


def test_hbayesdm_is_a_plain_loop_with_its_priors() -> None:
    """A subject's values are Phi_approx(mu + sigma z) on [0, 1] and [0, 5]; up to a constant the density is this."""
    trials = rl.simulate("delta", rl.tasks.Bandit([0.3, 0.7]), {"alpha": 0.3, "beta": 2.0}, 3, 12, seed=2)
    model = rl.build("delta", trials, priors="hbayesdm")
    density, names = MachinePosterior(model).density(), list(MachinePosterior(model).density().places)
    assert names == [f"{p}_{part}" for p in ("alpha", "beta") for part in ("mu", "sigma", "z")]
    away = []
    for x in np.random.default_rng(1).normal(size=(4, density.size)):
        at = {name: x[place] for name, place in density.places.items()}
        expected, values = 0.0, {}
        for name, upper in (("alpha", 1.0), ("beta", 5.0)):
            mu, sigma, z = at[f"{name}_mu"][0], np.exp(at[f"{name}_sigma"][0]), at[f"{name}_z"]
            u = mu + sigma * z
            values[name] = upper / (1 + np.exp(-(0.07056 * u**3 + 1.5976 * u)))
            expected += -0.5 * mu**2 - 0.5 * (sigma / 0.2) ** 2 + np.log(sigma) - 0.5 * (z**2).sum()
        away.append(density(x)[0] - expected - delta_by_loop(trials, values["alpha"], values["beta"]))
    assert_allclose(away, away[0], rtol=0, atol=1e-8)
    assert_allclose(away[0], 2 * np.log(2 / 0.2) - (2 + 2 + 6) * 0.5 * np.log(2 * np.pi), atol=1e-8)


# ---------------------------------------------------------------- what they are


def spread_of_subjects(preset: str, name: str) -> float:
    """Variance of a subject's value on the unbounded scale, by simulation, in units of the prior's half-width."""
    model, rng = built("delta", priors=preset), np.random.default_rng(1)
    mu, sigma = (prior.sample(rng, (200_000,)) for prior in group_of(model, name))
    parameter = model.spec.model.parameter(name)
    width = middle_and_width(parameter, parameter.prior)[1]
    return float(np.var(mu + sigma * rng.normal(size=mu.shape)) / width**2)


@pytest.mark.parametrize(
    ("preset", "expected"), [("matched", 1.0), ("wide", 2.0), ("small_samples", 0.64 + 0.33**2)], ids=str
)
@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_how_much_a_subject_s_value_varies(preset: str, expected: float, name: str) -> None:
    """Under "matched" as much as its own prior."""
    assert_allclose(spread_of_subjects(preset, name), expected, rtol=0.02)


def test_the_default_is_matched() -> None:
    assert group_of(built("delta"), "beta") == group_of(built("delta", priors="matched"), "beta")
    assert built("delta").spec.population.preset == "matched"


def test_priors_by_parameter_go_with_the_default() -> None:
    model = built("delta", priors={"beta": LogNormal(0.5, 1.0)})
    assert group_of(model, "alpha") == group_of(built("delta"), "alpha")
    assert_allclose(group_of(model, "beta")[0].mu, 0.5)


def test_gershman_s_priors_are_of_subjects_values() -> None:
    model = built("delta(rates=sign)+stickiness+lapse", priors="gershman2016", pooling="none")
    own = {name: effect_of(model, name).named[name].prior for name in ("alpha_pos", "beta", "stickiness", "lapse")}
    assert own["alpha_pos"] == Beta(1.0, 1.0)
    assert_allclose(own["beta"].scipy().mean(), 4.82 * 0.88)
    assert_allclose(own["beta"].scipy().var(), 4.82 * 0.88**2)
    assert own["stickiness"] == Normal(0.15, 1.42)
    assert own["lapse"] == model.spec.model.parameter("lapse").prior


def test_gershman_s_group_follows_by_the_matched_rule() -> None:
    mu, sigma = group_of(built("delta", priors="gershman2016"), "beta")
    low, middle, high = np.log(stats.gamma(4.82, scale=0.88).ppf([0.16, 0.5, 0.84]))
    assert_allclose([mu.mu, mu.sigma, sigma.sigma], [middle, 0.4 * (high - low), 0.3 * (high - low)])


def test_hbayesdm_s_links_and_bounds() -> None:
    delta = built("delta(rates=sign)+lapse", priors="hbayesdm")
    supports = {e.name: e.support for e in delta.spec.population.effects(delta.data)}
    unit = phi_interval(0.0, 1.0)
    assert supports == {"alpha_pos": unit, "alpha_neg": unit, "beta": phi_interval(0.0, 10.0), "lapse": unit}
    assert group_of(delta, "beta") == (Normal(0.0, 1.0), HalfNormal(0.2))
    two_step = built("two_step_hybrid", priors="hbayesdm", fixed={"stickiness": 0.0})
    assert effect_of(two_step, "beta1").support.link == "log"
    assert effect_of(two_step, "lam").support == unit


def test_without_a_population_hbayesdm_is_uniform_between_its_bounds() -> None:
    assert effect_of(built("delta", priors="hbayesdm", pooling="none"), "beta").named["beta"].prior == Uniform(0.0, 5.0)


def test_a_preset_leaves_the_model_s_own_links() -> None:
    built("delta", priors="hbayesdm")
    assert rl.get_model("delta").parameter("beta").support.link == "log"


def test_the_link_of_hbayesdm_is_inverted() -> None:
    support, x = phi_interval(-1.0, 4.0), np.array([-3.5, -2.5, -1e-9, 0.0, 0.3, 5.0])
    value = support.constrain(x)
    assert_allclose(support.unconstrain(value), x, rtol=1e-9, atol=1e-15)
    assert_allclose(value, -1 + 5 * stats.norm.cdf(x), atol=5 * 1.5e-4)
    step = 1e-6
    slope = (support.constrain(x + step) - support.constrain(x - step)) / (2 * step)
    assert_allclose(np.exp(support.log_slope(x)), slope, rtol=1e-3)
    with np.errstate(divide="ignore"):
        assert_allclose(support.unconstrain(np.array([-1.0, 4.0])), [-np.inf, np.inf])


def test_new_people_come_through_the_preset_s_link() -> None:
    model = built("delta", priors="hbayesdm", fixed={"alpha": 0.3})
    draws = xr.Dataset(
        {
            "beta_mu": ("sample", np.full(5, 0.4)),
            "beta_sigma": ("sample", np.full(5, 1e-12)),
            "beta": (("sample", "subject"), np.zeros((5, model.data.shape[0]))),
        },
        coords={"subject": model.data.subjects},
    )
    others = model.data.trials.assign_coords(subject=["new", *model.data.subjects[1:]])
    found = parameter_draws(model, draws, data_for(model.spec.model, others), np.random.default_rng(1))["beta"]
    assert_allclose(found[:, 0], 5 * special.expit(0.07056 * 0.4**3 + 1.5976 * 0.4), rtol=1e-9)


def test_maximum_likelihood_and_em_do_not_know_presets() -> None:
    """EM starts where the priors have their middle, as wide as they are, whatever the default of `build`."""
    from rlpymc.fitting.em.unbounded import Unbounded
    from rlpymc.population.population import Population

    model = rl.get_model("delta")
    data = data_for(model, random_trials(model, n_actions=2))
    problem = Unbounded(data, Population(), "fused", 1)
    for k, (prior, link) in enumerate(((Beta(1.1, 1.1), special.logit), (Gamma(2.0, 0.5), np.log))):
        low, middle, high = link(prior.quantile([0.16, 0.5, 0.84]))
        assert_allclose([problem.middle[k], problem.width[k]], [middle, (high - low) / 2])


# ---------------------------------------------------------------- what is kept, and what does not fit


def test_the_name_is_kept_with_results() -> None:
    assert json.loads(built("delta", priors="hbayesdm").spec.to_json())["preset"] == "hbayesdm"


@pytest.mark.parametrize(
    ("name", "options", "parts"),
    [
        ("delta", {"priors": "match"}, ("preset of priors 'match'", "Did you mean 'matched'?", "hbayesdm")),
        ("delta+stickiness", {"priors": "hbayesdm"}, ("'hbayesdm'", "'stickiness'", "fixed={'stickiness'", "'wide'")),
        ("rlwm", {"priors": "hbayesdm"}, ("'hbayesdm'", "'capacity'", "'alpha'", "rlwm")),
        ("delta", {"priors": "hbayesdm", "free": "q0"}, ("'hbayesdm'", "'q0'")),
        ("biased_random", {"priors": "gershman2016"}, ("'gershman2016'", "'bias'", "biased_random", "'matched'")),
    ],
    ids=lambda v: str(v) if isinstance(v, dict) else "",
)
def test_a_preset_that_does_not_fit_is_named(name: str, options: dict[str, Any], parts: tuple[str, ...]) -> None:
    assert_says(refusal(built, name, **options), *parts)


def test_what_a_preset_lacks_can_be_fixed() -> None:
    model = built("delta+stickiness", priors="hbayesdm", fixed={"stickiness": 0.2})
    assert {e.name for e in model.spec.population.effects(model.data)} == {"alpha", "beta"}
