"""Likelihoods integrated over people's own parameters, against quadrature and against leaving people out in earnest."""

import warnings
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp

import rlpymc as rl
from rlpymc.comparison.marginal import integrated
from rlpymc.fitting.posterior import flat
from rlpymc.likelihood import draws
from rlpymc.math import add_at, full, take
from rlpymc.model.parameters import Parameter, integer, unit
from tests.helpers import quadrature
from tests.helpers.messages import assert_says, refusal

SETTINGS: dict[str, Any] = {"draws": 300, "tune": 300, "chains": 2, "seed": 1, "progress": False}


def sample(model: rl.RLModel, **options: Any) -> xr.DataTree:
    """Sample; what so few draws are warned of is of no interest here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.SamplingWarning)
        return rl.sample(model, **{**SETTINGS, **options})


@pytest.fixture(scope="module")
def trials() -> xr.Dataset:
    return quadrature.trials(3, 40, beta=np.array([1.0, 3.0, 9.0]))


@pytest.fixture(scope="module")
def model(trials: xr.Dataset) -> rl.RLModel:
    return quadrature.build(trials, "partial")


@pytest.fixture(scope="module")
def fit(model: rl.RLModel) -> xr.DataTree:
    return sample(model)


def by_quadrature(trials: xr.Dataset, i: int, mu: float, sigma: float, alpha: float = quadrature.ALPHA) -> float:
    return quadrature.evidence(quadrature.log_prob(trials, i, np.exp(mu + sigma * quadrature.GRID), alpha))


def test_totals_are_sums_over_trials_in_chunks_of_any_size(model: rl.RLModel, monkeypatch: pytest.MonkeyPatch) -> None:
    shape, rng = (7, 3), np.random.default_rng(0)
    params = {"alpha": rng.random(shape), "beta": rng.lognormal(size=shape), "q0": np.zeros(shape)}
    expected = draws.log_prob_draws(model.data, params, "fused").sum(axis=2)
    assert_allclose(draws.log_prob_totals(model.data, params, "fused"), expected, rtol=1e-10)
    monkeypatch.setattr(draws, "CHUNK_TRIALS", 3 * 40 * 3)  # three draws at a time
    assert_allclose(draws.log_prob_totals(model.data, params, "fused"), expected, rtol=1e-10)


# ---------------------------------------------------------------- against quadrature


def test_populations_narrow_and_wide(trials: xr.Dataset, model: rl.RLModel, fit: xr.DataTree) -> None:
    """From one far narrower than the posterior of any person to one far wider, and some away from all of them."""
    moments = [(0.8, 0.001), (0.8, 0.05), (0.8, 0.5), (1.5, 3.0), (-1.0, 1.0), (2.5, 0.5)]
    group = xr.Dataset(
        {"beta_mu": ("sample", [m for m, _ in moments]), "beta_sigma": ("sample", [s for _, s in moments])}
    )
    near, rng = flat(fit["posterior"].to_dataset()), np.random.default_rng(0)
    values, error = integrated(model, group, model.data, near, 1000, rng)
    exact = np.array([[by_quadrature(trials, i, *m) for i in range(3)] for m in moments])
    assert (error < 0.02).all()
    assert_allclose(values, exact, atol=5 * error.max())


def test_each_draw_of_a_fit(trials: xr.Dataset, model: rl.RLModel, fit: xr.DataTree) -> None:
    found = rl.marginal_log_likelihood(model, fit, draws=20, seed=1)
    assert dict(found["choice"].sizes) == {"chain": 2, "draw": 10, "subject": 3}
    assert_array_equal(found["draw"], np.linspace(0, 299, 10).round())
    group = fit["posterior"].to_dataset().sel(draw=found["draw"])
    for chain, draw in ((0, 0), (1, 4), (1, 9)):
        mu, sigma = (float(group[f"beta_{part}"][chain, draw]) for part in ("mu", "sigma"))
        exact = [by_quadrature(trials, i, mu, sigma) for i in range(3)]
        assert_allclose(found["choice"][chain, draw], exact, atol=5 * found["error"].values.max())
    assert (found["error"] < 0.05).all()


def test_the_error_is_that_between_seeds(model: rl.RLModel, fit: xr.DataTree) -> None:
    runs = [rl.marginal_log_likelihood(model, fit, draws=40, n_samples=20, seed=seed) for seed in range(12)]
    between = np.std([r["choice"].values for r in runs], axis=0, ddof=1).mean(axis=(0, 1))
    told = np.mean([r["error"].values for r in runs], axis=0)
    assert (between < 1.5 * told).all()
    assert (between > 0.3 * told).all()
    again = rl.marginal_log_likelihood(model, fit, draws=40, n_samples=20, seed=11)
    assert_array_equal(again["choice"], runs[-1]["choice"])


def test_parameters_that_are_one_for_all_differ_between_draws(trials: xr.Dataset, fit: xr.DataTree) -> None:
    model = rl.build("delta", trials, shared=["alpha"])
    values = {"alpha": [0.1, 0.3, 0.8], "beta_mu": [0.5, 1.0, 1.5], "beta_sigma": [0.3, 0.6, 1.0]}
    group = xr.Dataset({k: ("sample", v) for k, v in values.items()})
    near = flat(fit["posterior"].to_dataset())
    found, error = integrated(model, group, model.data, near, 2000, np.random.default_rng(0))
    moments = zip(values["beta_mu"], values["beta_sigma"], values["alpha"], strict=True)
    exact = [[by_quadrature(trials, i, *m) for i in range(3)] for m in moments]
    assert (error < 0.03).all()
    assert_allclose(found, exact, atol=5 * error.max())


def test_without_pooling_it_is_the_log_evidence(trials: xr.Dataset) -> None:
    model = quadrature.build(trials)
    fit = sample(model, draws=100, tune=200)
    found = rl.marginal_log_likelihood(model, fit)
    exact = [by_quadrature(trials, i, *quadrature.PRIOR) for i in range(3)]
    assert_allclose(found["choice"].mean(("chain", "draw")), exact, atol=0.1)
    assert_allclose(found["choice"], found["choice"].isel(chain=[0], draw=[0]).values.repeat(2, 0).repeat(100, 1))
    elpd = rl.loo(fit, "subject")
    assert_allclose(elpd.elpd_i, exact, atol=5 * found["error"].values.max())
    assert (elpd.pareto_k == -np.inf).all()


def levels() -> rl.Model:
    """Return a delta rule of which each person looks at the values through one of three glasses."""
    level = Parameter("level", integer(1, 3), prior=rl.priors.DiscreteUniform(1, 3), plausible=2)
    delta = rl.get_model("delta")
    alpha = Parameter("alpha", unit, value=quadrature.ALPHA)
    return rl.Model(
        name="levels",
        family="test",
        summary="A delta rule with values in three sizes",
        reference="none",
        equation="none",
        inputs=delta.inputs,
        parameters=(alpha, level),
        start=lambda p, facts: {"q": full(facts.n_actions, 0.0)},
        values=lambda p, s, x: p.level * s.q,
        update=lambda p, s, x: {"q": add_at(s.q, x.action, p.alpha * (x.reward - take(s.q, x.action)))},
        policy="softmax",
    )


def test_whole_numbers_are_summed_over(trials: xr.Dataset) -> None:
    model = rl.build(levels(), trials, fixed={"beta": 2.0})
    shares = np.array([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05]])
    group = xr.Dataset({"level_probs": (("sample", "level_value"), shares)}, coords={"level_value": [1, 2, 3]})
    near = xr.Dataset(coords={"sample": np.arange(2)})
    found, error = integrated(model, group, model.data, near, 2, np.random.default_rng(0))
    log_lik = [quadrature.log_prob(trials, i, np.array([2.0, 4.0, 6.0])).sum(axis=1) for i in range(3)]
    assert_allclose(found, logsumexp(np.array(log_lik) + np.log(shares)[:, None], axis=2), rtol=1e-10)
    assert_allclose(error, 0, atol=1e-12)


# ---------------------------------------------------------------- against leaving people out


def assert_refits_agree(model: rl.RLModel, fit: xr.DataTree, tolerance: float) -> None:
    from rlpymc.comparison.exact import leave_out
    from rlpymc.comparison.terms import terms_of

    rl.marginal_log_likelihood(model, fit, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = rl.loo(fit, "subject")
        terms = terms_of(fit, "subject", "integrated", "fit")
        exact = leave_out(model, fit, terms, np.arange(found.n), None, False)
    good = found.pareto_k.values < 0.5  # above, weights have no variance, and 2000 draws may be off by more
    assert good.sum() >= found.n / 2
    assert not found.bad[good].any()
    assert_allclose(found.elpd_i.values[good], exact[good], atol=tolerance)


def test_leaving_people_out_by_weights_and_by_refits() -> None:
    trials = quadrature.trials(4, 40, beta=np.array([1.0, 2.0, 3.0, 4.0]))
    model = quadrature.build(trials, "partial")
    assert_refits_agree(model, sample(model, draws=500), 0.15)


@pytest.mark.slow
def test_leaving_ten_people_out_by_weights_and_by_refits() -> None:
    rng = np.random.default_rng(0)
    truth = {"alpha": rng.beta(2, 3, 10), "beta": rng.lognormal(1, 0.5, 10)}
    trials = rl.simulate("delta", rl.tasks.Bandit([0.2, 0.8]), truth, 10, 60, 3)
    model = rl.build("delta", trials)
    assert_refits_agree(model, sample(model, draws=2000, tune=1000, chains=4, target_accept=0.95), 0.15)


def test_reweighting_people_s_own_parameters_aims_at_the_same() -> None:
    """With little data of each person even the conditional form gets there."""
    trials = quadrature.trials(6, 8, beta=np.array([1.0, 1.5, 2.0, 2.0, 2.5, 3.0]))
    model = quadrature.build(trials, "partial")
    fit = sample(model, draws=1000)
    rl.marginal_log_likelihood(model, fit)
    one, other = rl.loo(fit, "subject", form="conditional"), rl.loo(fit, "subject")
    assert one.unit == "subject, conditional"
    assert other.unit == "subject, integrated"
    assert_allclose(one.elpd_i, other.elpd_i, atol=0.1)
    assert (other.pareto_k.values < 0.7).all()


# ---------------------------------------------------------------- what is meant where nothing is told


def test_subjects_are_left_out_integrated_unless_told(model: rl.RLModel, fit: xr.DataTree) -> None:
    bare = fit.copy()
    bare.children = {k: v for k, v in bare.children.items() if k != "marginal_log_likelihood"}
    for function, given in ((rl.loo, bare), (rl.compare, {"one": bare, "two": bare})):
        message = refusal(function, given, unit="subject")
        assert_says(message, "rlpymc.marginal_log_likelihood(rl_model, fit)", "form='conditional'", "default before")
    found = rl.marginal_log_likelihood(model, bare, draws=40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        default, told = rl.loo(bare, "subject"), rl.loo(bare, "subject", form="integrated")
        assert default.unit == "subject, integrated"
        assert_array_equal(default.elpd_i, told.elpd_i)
        assert (rl.compare({"one": bare, "two": bare}, unit="subject")["unit"] == "subject, integrated").all()
        assert rl.loo(bare, "subject", form="conditional").unit == "subject, conditional"
        assert rl.loo(bare).unit == "trial"
    assert_array_equal(bare["marginal_log_likelihood"]["choice"], found["choice"])


def test_a_model_that_is_at_hand_integrates_by_itself(
    model: rl.RLModel, fit: xr.DataTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But it does not take the place of integrals that are there, as with other numbers of draws."""
    monkeypatch.setattr("rlpymc.comparison.leave_one_out.leave_out", lambda *given: np.zeros(len(given[3])))
    bare = fit.copy()
    bare.children = {k: v for k, v in bare.children.items() if k != "marginal_log_likelihood"}
    found = rl.loo(bare, "subject", refit=model, progress=False)
    wanted = rl.marginal_log_likelihood(model, fit)
    assert_array_equal(bare["marginal_log_likelihood"]["choice"], wanted["choice"])
    assert found.unit == "subject, integrated"
    kept = rl.marginal_log_likelihood(model, bare, draws=40)
    refits = {"one": model, "two": model}
    rl.compare({"one": bare, "two": bare}, unit="subject", refit=refits, progress=False)
    assert_array_equal(bare["marginal_log_likelihood"]["choice"], kept["choice"])


def test_where_nobody_has_own_parameters_there_is_nothing_to_integrate(trials: xr.Dataset, fit: xr.DataTree) -> None:
    """So such a model can be compared with one of a population."""
    complete = quadrature.build(trials, "complete")
    same = sample(complete)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        default, told = rl.loo(same, "subject"), rl.loo(same, "subject", form="conditional")
        rl.marginal_log_likelihood(quadrature.build(trials, "partial"), fit, draws=100)
        table = rl.compare({"people": fit, "one for all": same}, unit="subject", refit={"one for all": complete})
    assert default.unit == "subject, integrated"
    assert_array_equal(default.elpd_i, told.elpd_i)
    assert table.index.tolist() == ["people", "one for all"]


# ---------------------------------------------------------------- the fit's tree, and what is refused


def test_it_is_kept_in_the_fit_and_in_its_file(model: rl.RLModel, fit: xr.DataTree, tmp_path: Any) -> None:
    found = rl.marginal_log_likelihood(model, fit, draws=40, seed=2)
    rl.save(fit, tmp_path / "fit.nc")
    again = rl.load(tmp_path / "fit.nc")["marginal_log_likelihood"].to_dataset()
    xr.testing.assert_allclose(again, found)


def test_a_rough_integral_is_warned_of(model: rl.RLModel, fit: xr.DataTree) -> None:
    with pytest.warns(UserWarning, match=r"rough for . of 3 subjects \(subject \d: .*n_samples=8"):
        rl.marginal_log_likelihood(model, fit, draws=40, n_samples=2)


def test_what_cannot_be_integrated_is_refused(trials: xr.Dataset, model: rl.RLModel, fit: xr.DataTree) -> None:
    other = quadrature.build(trials)
    with pytest.raises(ValueError, match="the fit is of"):
        rl.marginal_log_likelihood(other, fit)
    fewer = quadrature.build(trials.isel(subject=slice(2)), "partial")
    with pytest.raises(ValueError, match="other data"):
        rl.marginal_log_likelihood(fewer, fit)
    with pytest.raises(ValueError, match="draws: found 3"):
        rl.marginal_log_likelihood(model, fit, draws=3)
    with pytest.raises(TypeError, match=r"rlpymc\.build"):
        rl.marginal_log_likelihood("delta", fit)  # type: ignore[arg-type]
    complete = quadrature.build(trials, "complete")
    posterior = xr.Dataset({"beta": ("sample", [1.0])})
    with pytest.raises(ValueError, match="nothing to integrate over"):
        integrated(complete, posterior, complete.data, posterior, 10, np.random.default_rng(0))
    moved = fit["posterior"].to_dataset()
    odd = fit.copy()
    odd["posterior"] = xr.DataTree(moved.assign(beta=moved["beta"] * 1.1))
    with pytest.raises(ValueError, match="'beta': the subjects' values are not mean"):
        rl.marginal_log_likelihood(model, odd)
    with pytest.raises(ValueError, match=r"marginal_log_likelihood\(rl_model, fit\)"):
        rl.loo(sample(other, draws=20, tune=50), "subject", form="integrated")
