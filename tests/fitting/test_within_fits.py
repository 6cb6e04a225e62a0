"""Fits of parameters that vary within subjects, with correlated deviations: what they hold, predict and say."""

import shutil
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

import rlpymc as rl
from rlpymc.comparison.own_parameters import OwnParameters
from rlpymc.fitting.posterior import flat, parameter_draws
from rlpymc.trials.model_data import data_for
from tests.helpers.messages import assert_says, refusal
from tests.helpers.sessions import table

BY_SESSION = "(1 | subject:session)"
OPTIONS: dict[str, Any] = {
    "formulas": {"alpha": f"session + {BY_SESSION}", "beta": f"load + (load | subject) + {BY_SESSION}"},
    "correlated": True,
}


@cache
def trials() -> xr.Dataset:
    return rl.read_trials(table("early", "late"), reset="session")


def quick_sample(model: rl.RLModel, **options: Any) -> xr.DataTree:
    usual = {"draws": 40, "tune": 60, "chains": 2, "seed": 1, "progress": False, "constants": False, "cores": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.SamplingWarning)
        return rl.sample(model, **(usual | options))


@pytest.fixture(scope="module")
def model() -> rl.RLModel:
    return rl.build("delta", trials(), **OPTIONS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the fit keeps its chains."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def fit(model: rl.RLModel, folder: Path) -> xr.DataTree:
    return quick_sample(model, folder=folder)


@pytest.fixture(scope="module")
def posterior(fit: xr.DataTree) -> xr.Dataset:
    return fit["posterior"].to_dataset()


def by_hand(posterior: xr.Dataset, name: str) -> xr.DataArray:
    """Return a parameter at each trial from the variables of a fit."""
    v = {k.removeprefix(f"{name}_"): x for k, x in posterior.data_vars.items() if str(k).startswith(f"{name}_")}
    z, anew = v["z"], v["1|subject:session_z"]
    if name == "beta":
        r, again = (
            posterior[f"{k}_corr"].sel(parameter="alpha", other_parameter="beta") for k in ("effects", "session")
        )
        z = r * posterior["alpha_z"] + np.sqrt(1 - r**2) * z
        anew = again * posterior["alpha_1|subject:session_z"] + np.sqrt(1 - again**2) * anew
    eta = v["Intercept"] + v["sigma"] * z + v["1|subject:session_sigma"] * anew
    at = xr.where(trials()["session"] == "", "early", trials()["session"])
    eta = sum(eta.sel(session=label, drop=True) * (at == label) for label in ("early", "late"))
    if name == "alpha":
        eta = eta + v["session"].sel(alpha_session_dim="late", drop=True) * (at == "late")
        return special.expit(eta)
    slopes = v["load"] + v["load|subject_sigma"] * v["load|subject_z"]
    return np.exp(eta + slopes * trials()["load"])


# -------------------------------------------------------------------------------------------- what a fit holds


def test_the_fit_is_of_machine_code(fit: xr.DataTree) -> None:
    assert (fit.attrs["sampled_by"], fit.attrs["sampled_in"]) == ("machine", "informed")


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_parameters_follow_from_the_variables_of_the_fit(fit: xr.DataTree, posterior: xr.Dataset, name: str) -> None:
    found, exists = rl.parameters(fit, name), trials()["exists"]
    assert found.dims == ("chain", "draw", "subject", "trial")
    wanted = by_hand(posterior, name).where(exists).transpose(*found.dims)
    assert_allclose(found.values, wanted.values, rtol=1e-9)
    assert_array_equal(np.isnan(found.values).all(axis=(0, 1)), ~exists.values)
    few = rl.parameters(fit, name, draws=3)
    assert few["draw"].values.tolist() == [0, 19, 39]
    assert_array_equal(few.values, found.sel(draw=few["draw"]).values)


def test_what_varies_by_session_alone_is_in_the_posterior(fit: xr.DataTree, posterior: xr.Dataset) -> None:
    assert "beta" not in posterior
    assert posterior["alpha"].dims == ("chain", "draw", "subject", "session")
    at, by_trial = trials()["session"].values, rl.parameters(fit, "alpha").values
    for label in ("early", "late"):
        for i, subject in enumerate(trials()["subject"].values):
            here = by_trial[:, :, i, at[i] == label]
            own = posterior["alpha"].sel(subject=subject, session=label).values
            assert_allclose(here, np.broadcast_to(own[..., None], here.shape), rtol=1e-12)


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_the_reliability_is_the_share_of_what_lasts(posterior: xr.Dataset, name: str) -> None:
    lasting, anew = posterior[f"{name}_sigma"] ** 2, posterior[f"{name}_1|subject:session_sigma"] ** 2
    assert_allclose(posterior[f"{name}_reliability"], lasting / (lasting + anew), rtol=1e-12)


@pytest.mark.parametrize("name", ["effects_corr", "session_corr"])
def test_correlations_are_matrices(posterior: xr.Dataset, name: str) -> None:
    found = posterior[name].transpose("chain", "draw", "parameter", "other_parameter")
    assert found.shape == (2, 40, 2, 2)
    assert found["parameter"].values.tolist() == found["other_parameter"].values.tolist() == ["alpha", "beta"]
    assert_allclose(np.diagonal(found.values, axis1=2, axis2=3), 1.0)
    assert_allclose(found.values, found.values.swapaxes(2, 3))
    assert found.values[..., 1, 0].std() > 0


def test_log_likelihoods_are_those_of_the_parameters(fit: xr.DataTree, posterior: xr.Dataset) -> None:
    last = {k: by_hand(posterior, k).isel(chain=1, draw=39, drop=True) for k in ("alpha", "beta")}
    wanted = rl.log_prob("delta", trials(), last).values[trials()["scored"].values]
    found = fit["log_likelihood"]["choice"].isel(chain=1, draw=39).values
    assert_allclose(found, wanted, rtol=1e-9)


def test_sensitivity_to_priors_can_be_asked_for(fit: xr.DataTree) -> None:
    names = ["alpha_session", "beta_load", "alpha_reliability"]
    found = az.psense_summary(fit, var_names=names, likelihood_var_names=["choice"])
    assert np.isfinite(found[["prior", "likelihood"]].to_numpy(dtype=float)).all()


def test_a_fit_survives_a_file(fit: xr.DataTree, posterior: xr.Dataset, tmp_path: Path) -> None:
    rl.save(fit, tmp_path / "fit.nc")
    again = rl.load(tmp_path / "fit.nc")
    xr.testing.assert_identical(again["posterior"].to_dataset().drop_attrs(), posterior.drop_attrs())
    assert_array_equal(rl.parameters(again, "beta", draws=2), rl.parameters(fit, "beta", draws=2))
    assert_allclose(again["log_likelihood"]["choice"], fit["log_likelihood"]["choice"], rtol=1e-12)
    one, other = (rl.contrast(f, "alpha", "session").draws["link"].values for f in (fit, again))
    assert_array_equal(one, other)


# -------------------------------------------------------------------------------------------------- predictions


def new_trials(subjects: list[str], sessions: tuple[str, str]) -> xr.Dataset:
    found = table(*sessions, seed=7)
    found = found[found["subject"].isin(["s4", "s2"])]
    return rl.read_trials(found.replace({"subject": dict(zip(["s4", "s2"], subjects, strict=True))}), reset="session")


def drawn(model: rl.RLModel, posterior: xr.Dataset, new: xr.Dataset, seed: int = 0) -> dict[str, np.ndarray]:
    return parameter_draws(model, flat(posterior), data_for(rl.get_model("delta"), new), np.random.default_rng(seed))


def test_known_people_keep_their_own_in_known_sessions(model: rl.RLModel, posterior: xr.Dataset) -> None:
    found = drawn(model, posterior, new_trials(["s2", "s4"], ("late", "early")))["alpha"]
    for i, subject in enumerate(("s2", "s4")):
        for at, label in ((slice(12), "late"), (slice(12, 24), "early")):
            own = flat(posterior)["alpha"].sel(subject=subject, session=label).transpose("sample").values
            assert_allclose(found[:, i, at], np.broadcast_to(own[:, None], (80, 12)), rtol=1e-12)


def test_known_people_are_drawn_anew_in_sessions_of_a_new_name(posterior: xr.Dataset) -> None:
    """What lasts of a person stays; the deviation of the session is drawn, and correlated as those of the fit are."""
    model = rl.build("delta", trials(), **(OPTIONS | {"formulas": dict.fromkeys(("alpha", "beta"), BY_SESSION)}))
    fit = quick_sample(model, log_likelihood=False, draws=200, chains=1)["posterior"].to_dataset()
    new, draws = new_trials(["s4", "new"], ("late", "third")), flat(fit)
    found = drawn(model, fit, new)
    again = drawn(model, fit, new, seed=1)
    for name in ("alpha", "beta"):
        own = draws[name].sel(subject="s4", session="late").values
        assert_allclose(found[name][:, 0, :12], np.broadcast_to(own[:, None], (200, 12)), rtol=1e-12)
        assert (found[name][:, :, 12:] != again[name][:, :, 12:]).all()
    eta = {k: link(found[k][:, 0, 12]) for k, link in (("alpha", special.logit), ("beta", np.log))}
    z = draws["alpha_z"].sel(subject="s4").values
    of_alpha = eta["alpha"] - draws["alpha_Intercept"].values - draws["alpha_sigma"].values * z
    anew = of_alpha / draws["alpha_1|subject:session_sigma"].values
    assert stats.kstest(anew, "norm").pvalue > 1e-3
    r, again_r = (
        draws[f"{k}_corr"].sel(parameter="alpha", other_parameter="beta").values for k in ("effects", "session")
    )
    lasting = r * z + np.sqrt(1 - r**2) * draws["beta_z"].sel(subject="s4").values
    of_beta = eta["beta"] - draws["beta_Intercept"].values - draws["beta_sigma"].values * lasting
    alone = of_beta / draws["beta_1|subject:session_sigma"].values - again_r * anew
    assert stats.kstest(alone / np.sqrt(1 - again_r**2), "norm").pvalue > 1e-3


def test_new_people_are_drawn_from_the_population(model: rl.RLModel, posterior: xr.Dataset) -> None:
    new, draws = new_trials(["new", "s2"], ("early", "late")), flat(posterior)
    found = drawn(model, posterior, new)["alpha"]
    place = new["subject"].values.tolist().index("new")
    late = draws["alpha_session"].sel(alpha_session_dim="late").values
    spread = np.hypot(draws["alpha_sigma"].values, draws["alpha_1|subject:session_sigma"].values)
    for t, mean in ((0, draws["alpha_Intercept"].values), (12, draws["alpha_Intercept"].values + late)):
        z = (special.logit(found[:, place, t]) - mean) / spread
        assert stats.kstest(z, "norm").pvalue > 1e-3
    assert (found[:, place, 0] == found[:, place, 11]).all()


def test_predictions_of_all_kinds(model: rl.RLModel, fit: xr.DataTree) -> None:
    predicted = rl.predict(model, fit, draws=4, seed=1)
    assert_array_equal(predicted["action"].values[:, ~trials()["scored"].values], -1)
    params = {k: rl.parameters(fit, k).stack(sample=("chain", "draw")) for k in ("alpha", "beta")}
    chosen = np.sort(np.random.default_rng(1).choice(80, size=4, replace=False))
    one = {k: v.isel(sample=chosen[2], drop=True) for k, v in params.items()}
    exists = trials()["exists"].values
    wanted = rl.log_prob("delta", trials(), one).values
    probs = np.take_along_axis(predicted["action_probs"].values[2], trials()["action"].values[..., None], axis=2)
    assert_allclose(probs[..., 0][exists], np.exp(wanted[exists]), rtol=1e-9)
    yoked = rl.predict(model, fit, "yoked", trials=new_trials(["new", "s2"], ("early", "late")), draws=3, seed=1)
    assert set(np.unique(yoked["action"].values)) <= {0, 1}
    long = trials().sel(subject=["s4", "s2"])
    free = rl.predict(model, fit, "free_run", task=rl.tasks.Bandit([0.2, 0.8]), trials=long, draws=3, seed=1)
    assert free["action"].shape == (3, 2, 24)


# ------------------------------------------------------------------------------------------------------ contrasts


def test_contrasts_of_a_column_within_people(fit: xr.DataTree, posterior: xr.Dataset) -> None:
    """On the unbounded scale the coefficient; the mean over people counts what lasts and what does not."""
    found = rl.contrast(fit, "alpha", "session")
    late = posterior["alpha_session"].sel(alpha_session_dim="late").values
    assert_allclose(found.draws["link"].sel(contrast="late - early").values, late, rtol=1e-9)
    sd = np.hypot(posterior["alpha_sigma"], posterior["alpha_1|subject:session_sigma"]).values
    z = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    at = posterior["alpha_Intercept"].values[0, 5] + np.array([0.0, late[0, 5]])
    wanted = special.expit(at[:, None] + sd[0, 5] * z).mean(axis=1)
    assert_allclose(found.means["average"].isel(chain=0, draw=5).values, wanted, rtol=1e-4)
    slope = rl.contrast(fit, "beta", "load", levels=[0.0, 2.0])
    assert_allclose(slope.draws["link"].values[..., 0], 2.0 * posterior["beta_load"].values, rtol=1e-9)


# --------------------------------------------------------------------------------------------- integrated likelihoods


def test_the_population_that_is_integrated_over_is_multivariate_normal(
    model: rl.RLModel, posterior: xr.Dataset
) -> None:
    """Of a person: alpha and beta, a slope, and two deviations of each by session, on the unbounded scale."""
    own, draws = OwnParameters(model, model.data), flat(posterior).isel(sample=[0, 57])
    names = [e.name for e in own.numbers for _ in range(max(1, int(np.prod(e.shape))))]
    session = [k for e in own.numbers for k in (range(e.shape[0]) if e.shape else [None])]
    assert len(names) == 2 + 1 + 4
    vectors = np.random.default_rng(0).normal(size=(2, 3, 6, len(names)))
    found = own.log_prior(vectors, draws)
    for k in range(2):
        v = draws.isel(sample=k)
        sd = np.array([float(v[f"{n}_sigma"]) for n in names])
        R = np.eye(len(names))
        for i, one in enumerate(names):
            for j, other in enumerate(names):
                pair = {one, other}
                if pair == {"alpha", "beta"}:
                    R[i, j] = v["effects_corr"].sel(parameter="alpha", other_parameter="beta")
                if pair == {f"{x}_1|subject:session" for x in ("alpha", "beta")} and session[i] == session[j]:
                    R[i, j] = v["session_corr"].sel(parameter="alpha", other_parameter="beta")
        mean = [float(v[f"{n}_centre"]) if f"{n}_centre" in v else 0.0 for n in names]
        wanted = stats.multivariate_normal(mean, R * np.outer(sd, sd)).logpdf(vectors[k])
        assert_allclose(found[k], wanted, rtol=1e-8)


def test_vectors_of_a_posterior_give_its_likelihoods(
    model: rl.RLModel, fit: xr.DataTree, posterior: xr.Dataset
) -> None:
    own, draws = OwnParameters(model, model.data), flat(posterior).isel(sample=[3, 44])
    found = own.log_lik(own.draws(draws)[:, None], draws)[0, :, 0]
    terms = fit["log_likelihood"]["choice"].stack(sample=("chain", "draw")).transpose("sample", ...).values[[3, 44]]
    subject = np.nonzero(trials()["scored"].values)[0]
    wanted = np.stack([[row[subject == i].sum() for i in range(6)] for row in terms])
    assert_allclose(found, wanted, rtol=1e-9)


def test_integrated_likelihoods_are_those_of_plain_sampling(model: rl.RLModel, fit: xr.DataTree) -> None:
    """Means over people drawn from the population, by hand, for one draw and one subject."""
    found = rl.marginal_log_likelihood(model, fit, draws=4, n_samples=3000, seed=1)
    assert np.isfinite(found["choice"].values).all()
    own, draws = OwnParameters(model, model.data), flat(fit["posterior"].to_dataset())
    assert found["choice"].dims[-1] == "subject"
    first = draws.isel(sample=[0])
    vectors = own.from_population(first, 20_000, np.random.default_rng(2))
    values = own.log_lik(vectors, first)[0, 0]
    wanted = special.logsumexp(values, axis=0) - np.log(len(values))
    assert_allclose(found["choice"].isel(chain=0, draw=0).values, wanted, atol=0.1)


# ------------------------------------------------------------------------------- runs that broke, labels, halves


def test_a_broken_run_resumes_bit_for_bit(fit: xr.DataTree, folder: Path, tmp_path: Path) -> None:
    """By a model that is built anew: sites are found again, and the missing chain is the same."""
    shutil.copytree(folder, tmp_path / "run")
    (tmp_path / "run" / "chain_1.nc").unlink()
    again = quick_sample(rl.build("delta", trials(), **OPTIONS), folder=tmp_path / "run")
    before, now = (f["posterior"].to_dataset().drop_attrs() for f in (fit, again))
    xr.testing.assert_identical(before, now)
    other = trials().assign(load=2 * trials()["load"])
    message = refusal(quick_sample, rl.build("delta", other, **OPTIONS), folder=tmp_path / "run")
    assert_says(message, "another run")


def test_sessions_may_be_numbers(tmp_path: Path) -> None:
    data = rl.read_trials(table(1, 10), reset="session")
    model = rl.build("delta", data, formulas={"alpha": BY_SESSION}, fixed={"beta": 3.0})
    fit = quick_sample(model, draws=10, chains=1, log_likelihood=False)
    assert fit["posterior"]["session"].values.tolist() == [1, 10]
    rl.save(fit, tmp_path / "fit.nc")
    loaded, found = (rl.parameters(f, "alpha") for f in (rl.load(tmp_path / "fit.nc"), fit))
    assert_array_equal(loaded, found)
    late = fit["posterior"]["alpha"].sel(session=10, subject="s4").values
    assert_array_equal(found.sel(subject="s4").values[..., 12:], np.broadcast_to(late[..., None], (1, 10, 12)))


def test_halves_are_sessions() -> None:
    data = rl.read_trials(table("early", "late").drop(columns="session"), reset="block")
    halves = rl.split_half(data)
    block, exists = data["block"].values, data["exists"].values
    assert_array_equal(halves["session"].values[exists], np.array(["first", "second"])[block[exists] % 2])
    assert set(halves["session"].values[~exists]) == {""}
    xr.testing.assert_identical(halves.drop_vars("session"), data)
    model = rl.build("delta", halves, formulas={"alpha": BY_SESSION})
    assert "alpha_reliability" in model.named_vars
    assert model.coords["session"] == ("first", "second")
    by_reset = rl.split_half(data.drop_vars("block"), name="half")
    assert_array_equal(by_reset["half"].values, halves["session"].values)
    assert_says(refusal(rl.split_half, halves), "'session' already", "name='half'")
    assert_says(refusal(rl.split_half, data, "sessions"), "'sessions'", "block")
    once = data.isel(trial=slice(6))
    assert_says(refusal(rl.split_half, once), "one block alone", "by=")
