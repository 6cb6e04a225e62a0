"""Fits of models with formulas: what they hold, what they say of new people, and whether they find what is there."""

import warnings
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy import stats

import rlpymc as rl
from rlpymc.comparison.own_parameters import OwnParameters
from rlpymc.fitting.posterior import flat, group_values, parameter_draws
from rlpymc.trials.model_data import data_for
from tests.helpers.messages import assert_says, refusal

N = 12


def people(n: int, seed: int, effect: float = 1.0) -> xr.Dataset:
    """Return trials of two groups, of which the second learns faster; ages are of no consequence."""
    rng = np.random.default_rng(seed)
    group = np.arange(n) % 2
    alpha = 1 / (1 + np.exp(-(-1.0 + effect * group + 0.5 * rng.normal(size=n))))
    beta = np.exp(1.0 + 0.3 * rng.normal(size=n))
    made = rl.simulate("delta", rl.tasks.Bandit([0.2, 0.8]), {"alpha": alpha, "beta": beta}, n, 60, seed=seed)
    names = np.array(["control", "treated"])[group]
    return made.assign(group=("subject", names), age=("subject", rng.uniform(20, 60, n).round()))


@pytest.fixture(scope="module")
def model() -> rl.RLModel:
    return rl.build("delta", people(N, 1), formulas={"alpha": "~ group + age", "beta": "age"})


@pytest.fixture(scope="module")
def fit(model: rl.RLModel) -> xr.DataTree:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.SamplingWarning)
        return rl.sample(model, draws=200, tune=300, chains=2, seed=1, progress=False)


def test_a_fit_keeps_what_formulas_read_and_their_matrices(fit: xr.DataTree) -> None:
    kept, trials = fit["covariates"].to_dataset(), people(N, 1)
    assert kept["group"].values.tolist() == trials["group"].values.tolist()
    assert_allclose(kept["age"].values, trials["age"].values)
    assert kept["alpha_coefficient"].values.tolist() == ["Intercept", "group[treated]", "age"]
    treated = trials["group"].values == "treated"
    assert_allclose(kept["alpha_design"].values, np.stack([np.ones(N), treated, trials["age"].values], axis=1))


def test_log_priors_are_those_of_pymc_and_of_the_group_alone(model: rl.RLModel, fit: xr.DataTree) -> None:
    from pymc.stats import compute_log_prior

    names = [v.name for v in model.free_RVs if not v.name.endswith("_z")]
    wanted = compute_log_prior(fit, var_names=names, model=model, extend_inferencedata=False, progressbar=False)
    found = fit["log_prior"].to_dataset()
    by_vector = found.rename({"alpha_group[treated]": "alpha_group_"})
    for name in names:
        here = by_vector["alpha_group_" if name == "alpha_group" else name]
        assert_allclose(here.values.reshape(2, 200), wanted[name].values.reshape(2, 200, -1).sum(axis=2), rtol=1e-8)


def test_sensitivity_to_priors_can_be_asked_for(fit: xr.DataTree) -> None:
    found = az.psense_summary(fit, var_names=["alpha_age"], likelihood_var_names=["choice"])
    assert np.isfinite(found[["prior", "likelihood"]].to_numpy(dtype=float)).all()


def test_new_people_are_drawn_from_the_population_of_their_covariates(model: rl.RLModel, fit: xr.DataTree) -> None:
    new = people(2, 9).assign_coords(subject=["new control", "new treated"]).assign(age=("subject", [20.0, 60.0]))
    data, posterior = data_for(rl.get_model("delta"), new), flat(fit["posterior"].to_dataset())
    drawn = parameter_draws(model, posterior, data, np.random.default_rng(0))["alpha"]
    v = {k: posterior[f"alpha_{k}"].values.ravel() for k in ("Intercept", "age", "group", "sigma")}
    for i, (treated, age) in enumerate(((0, 20.0), (1, 60.0))):
        mean = v["Intercept"] + treated * v["group"] + age * v["age"]
        z = (np.log(drawn[:, i] / (1 - drawn[:, i])) - mean) / v["sigma"]
        assert stats.kstest(z, "norm").pvalue > 1e-3
    predicted = rl.predict(model, fit, trials=new, draws=5, seed=1)
    assert predicted["action"].shape == (5, 2, 60)


def test_known_people_keep_their_own_parameters_in_new_trials(model: rl.RLModel, fit: xr.DataTree) -> None:
    known = people(N, 3).isel(subject=[4])
    posterior = flat(fit["posterior"].to_dataset())
    drawn = parameter_draws(model, posterior, data_for(rl.get_model("delta"), known))["alpha"]
    assert_allclose(drawn[:, 0], posterior["alpha"].sel(subject=known["subject"].values[0]).values)


def test_the_population_that_is_integrated_over_is_that_of_the_formula(model: rl.RLModel, fit: xr.DataTree) -> None:
    own, draws = OwnParameters(model, model.data), flat(fit["posterior"].to_dataset()).isel(sample=[0, 7])
    vectors = np.random.default_rng(0).normal(size=(2, 3, N, 2))
    design = fit["covariates"].to_dataset()
    wanted = np.zeros((2, 3, N))
    for k, effect in enumerate(model.spec.population.effects(model.data)):
        v = group_values(effect, draws)
        matrix = design[f"{effect.name}_design"].values
        slopes = [v[key] for key in effect.coefficients]  # type: ignore[attr-defined]
        centre = matrix[:, 1:] - matrix[:, 1:].mean(axis=0)
        mean = v["centre"][:, None] + np.stack(slopes, axis=1) @ centre.T
        wanted += stats.norm(mean[:, None], v["sigma"][:, None, None]).logpdf(vectors[..., k])
    assert_allclose(own.log_prior(vectors, draws), wanted, rtol=1e-9)
    found = rl.marginal_log_likelihood(model, fit, draws=40, n_samples=200)
    assert np.isfinite(found["choice"].values).all()


def test_a_fit_of_other_covariates_is_refused(model: rl.RLModel, fit: xr.DataTree) -> None:
    older = rl.build("delta", people(N, 1).assign(age=("subject", np.arange(30.0, 30.0 + N))), **formulas_of(model))
    message = refusal(rl.marginal_log_likelihood, older, fit)
    assert_says(message, "other covariates", "the trials that were fitted")


def formulas_of(model: rl.RLModel) -> dict[str, Any]:
    return {"formulas": {name: formula.text for name, formula in model.spec.population.formulas.items()}}


def test_contrasts_survive_a_file(fit: xr.DataTree, tmp_path: Path) -> None:
    rl.save(fit, tmp_path / "fit.nc")
    again = rl.load(tmp_path / "fit.nc")
    one, other = (rl.contrast(f, "alpha", "group").draws["effect_size"].values for f in (fit, again))
    assert_allclose(one, other)


@pytest.mark.slow
def test_differences_between_groups_are_found_and_covered() -> None:
    """In ten simulated studies, 80 % intervals of the difference cover it as often as not too seldom."""
    covered, estimates = [], []
    for seed in range(10):
        model = rl.build("delta", people(40, 100 + seed), formulas={"alpha": "group"})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rl.SamplingWarning)
            options: dict[str, Any] = {"draws": 500, "tune": 500, "progress": False, "log_likelihood": False}
            fit = rl.sample(model, seed=seed, constants=False, **options)
        draws = rl.contrast(fit, "alpha", "group").draws["link"].values.ravel()
        low, high = np.quantile(draws, [0.1, 0.9])
        covered.append(low < 1.0 < high)
        estimates.append(draws.mean())
    assert stats.binom.sf(sum(covered) - 1, 10, 0.8) > 1e-3 or sum(covered) == 10
    assert stats.binom.cdf(sum(covered), 10, 0.8) > 1e-3
    assert abs(np.mean(estimates) - 1.0) < 3 * np.std(estimates, ddof=1) / np.sqrt(10) + 0.1
