"""Fits of PyMC models of one's own: units are left out as from those of `build`, or refused with a mend that works."""

from functools import cache

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from rlpymc.comparison.terms import terms_of
from tests.helpers.messages import assert_says, refusal

BY_OBSERVATION = ("categorical", "bernoulli")
UNITS = ("trial", "session", "subject")
PARAMS = {"alpha": np.array([0.2, 0.5, 0.7]), "beta": 2.0}


@cache
def trials() -> xr.Dataset:
    """Return three people, ten trials; two responses are not scored."""
    made = rl.simulate("delta", rl.tasks.Bandit(probs=(0.2, 0.8)), {"alpha": 0.4, "beta": 3.0}, 3, 10, seed=1)
    made = made.assign_coords(subject=["c", "a", "b"])
    made["scored"].values[[0, 2], [3, 7]] = False
    return made.assign(session=(("subject", "trial"), np.repeat([["one", "two"]], 5, axis=1).repeat(3, axis=0)))


@cache
def posterior() -> xr.Dataset:
    """Return draws that differ enough for importance sampling to have something to do."""
    rng = np.random.default_rng(1)
    values = {
        "alpha": (("chain", "draw", "subject"), rng.beta(8, 12, (2, 100, 3))),
        "beta": (("chain", "draw"), rng.normal(2.0, 0.2, (2, 100))),
    }
    return xr.Dataset(values, coords={"chain": [0, 1], "draw": np.arange(100), "subject": trials()["subject"].values})


def own_model(form: str, name: str = "choice") -> pm.Model:
    with pm.Model(coords={"subject": trials()["subject"].values}) as model:
        alpha, beta = pm.Beta("alpha", 1, 1, dims="subject"), pm.HalfNormal("beta", 5)
        getattr(rl.get_model("delta"), form)(name, trials(), alpha=alpha, beta=beta)
    return model


def with_log_likelihood(model: pm.Model) -> xr.DataTree:
    """Return what pymc.sample with a log likelihood returns, of draws that are known."""
    data = {v.name: (model.named_vars_to_dims[v.name], v.get_value()) for v in model.data_vars}
    coords = {k: list(model.coords[k]) for k in ("subject", "trial")}
    fit = xr.DataTree.from_dict({"posterior": posterior(), "constant_data": xr.Dataset(data, coords=coords)})
    with model:
        pm.compute_log_likelihood(fit, progressbar=False)
    return fit


own = cache(lambda form: with_log_likelihood(own_model(form)))


@cache
def built() -> xr.DataTree:
    """Return the same draws with the log likelihood that `sample` writes."""
    from rlpymc.fitting.posterior import log_likelihood

    model = rl.build("delta", trials(), pooling="none", shared="beta")
    terms = log_likelihood(model, posterior(), "obs")
    return xr.DataTree.from_dict({"posterior": posterior(), "log_likelihood": terms})


@pytest.mark.filterwarnings("ignore:Pareto k")
@pytest.mark.parametrize(
    ("form", "unit"),
    [*((form, unit) for form in BY_OBSERVATION for unit in ("trial", "subject")), ("distribution", "subject")],
)
def test_what_is_left_out_is_as_of_a_model_that_was_built(form: str, unit: str) -> None:
    way = None if unit == "trial" else "conditional"
    found, known = rl.loo(own(form), unit, form=way), rl.loo(built(), unit, form=way)
    assert_allclose(found.elpd_i, known.elpd_i, rtol=1e-8)
    for label in ("subject", "trial") if unit == "trial" else ("subject",):
        assert_array_equal(found.elpd_i[label], known.elpd_i[label])
    table = rl.compare({"own": own(form), "built": built()}, unit, form=way)
    assert_allclose(table["elpd"], known.elpd)


@pytest.mark.filterwarnings("ignore:Pareto k")
@pytest.mark.parametrize("form", BY_OBSERVATION)
def test_sessions_are_written_beside_the_terms(form: str) -> None:
    fit = own(form).copy()
    message = refusal(rl.loo, fit, "session")
    mend = "fit['log_likelihood'].coords['session'] = ('obs', trials['session'].values[trials['scored'].values])"
    assert_says(message, "which session", mend)
    exec(mend, {"fit": fit, "trials": trials()})
    found, known = (rl.loo(one, "session") for one in (fit, built()))
    assert_allclose(found.elpd_i, known.elpd_i)
    assert_array_equal(found.elpd_i["session"], known.elpd_i["session"])


@pytest.mark.parametrize("unit", ["trial", "session"])
def test_sums_by_subject_are_no_terms_of_trials(unit: str) -> None:
    message = refusal(rl.loo, own("distribution"), unit)
    assert_says(message, "by subject", f"unit='{unit}'", "categorical or bernoulli instead of distribution")
    assert_says(message, "numbers, need rlpymc.build")


def test_numbers_are_left_out_by_trial_as_they_were_built() -> None:
    from rlpymc.fitting.posterior import log_likelihood

    params = {"alpha": 0.3, "sigma": 8.0}
    data = rl.simulate("delta_prediction", rl.tasks.Prediction(), params, 2, 6, seed=1)
    rng = np.random.default_rng(1)
    draws = {k: (("chain", "draw", "subject"), v * rng.normal(1, 0.02, (2, 60, 2))) for k, v in params.items()}
    known = xr.Dataset(draws, coords={"chain": [0, 1], "draw": np.arange(60), "subject": data["subject"].values})
    options = {"pooling": "none", "priors": {"sigma": rl.priors.Gamma(2.0, 0.1)}, "fixed": {"v0": 0.0}}
    model = rl.build("delta_prediction", data, **options)
    terms = log_likelihood(model, known, "obs")
    assert rl.loo(xr.DataTree.from_dict({"posterior": known, "log_likelihood": terms})).n == 12
    with pm.Model():
        alpha = pm.Beta("alpha", 1, 1, shape=2)
        with pytest.raises(ValueError, match="use distribution or potential"):
            rl.get_model("delta_prediction").categorical("choice", data, alpha=alpha, sigma=8.0)


@pytest.mark.parametrize("unit", UNITS)
def test_a_potential_is_no_log_likelihood(unit: str) -> None:
    fit = own("distribution").copy()
    fit["log_likelihood"] = xr.DataTree(xr.Dataset())  # what PyMC writes of a model without observed variables
    assert not own_model("potential").observed_RVs
    assert_says(
        refusal(rl.loo, fit, unit, form="conditional"), "a potential", "distribution", "categorical or bernoulli"
    )


def test_a_fit_without_log_likelihood_names_pymc_s_way() -> None:
    fit = xr.DataTree.from_dict({"posterior": posterior()})
    assert_says(refusal(rl.loo, fit), "log_likelihood='obs'", "idata_kwargs={'log_likelihood': True}")


@pytest.mark.filterwarnings("ignore:Pareto k")
def test_responses_may_have_another_name_and_another_variable_beside_them() -> None:
    fit = with_log_likelihood(own_model("categorical", "made"))
    known = rl.loo(built(), "subject", form="conditional")
    assert_allclose(rl.loo(fit, "subject", form="conditional").elpd_i, known.elpd_i)

    terms = fit["log_likelihood"].to_dataset()
    fit["log_likelihood"] = xr.DataTree(terms.assign(rt=-(terms["made"] ** 2)))
    message = refusal(rl.loo, fit, "subject", form="conditional")
    mend = "fit['log_likelihood'] = fit['log_likelihood'].to_dataset()[['made']]"
    assert_says(message, "made, rt", mend)
    exec(mend, {"fit": fit})
    assert_allclose(rl.loo(fit, "subject", form="conditional").elpd_i, known.elpd_i)


@pytest.mark.filterwarnings("ignore:Pareto k")
def test_of_two_likelihoods_each_has_a_mask_of_its_own() -> None:
    other = trials().copy(deep=True)
    other["scored"].values[:] = True
    other["scored"].values[1, 2:] = False
    with pm.Model(coords={"subject": trials()["subject"].values}) as model:
        alpha, beta = pm.Beta("alpha", 1, 1, dims="subject"), pm.HalfNormal("beta", 5)
        for name, data in (("first", trials()), ("second", other)):
            rl.get_model("delta").categorical(name, data, alpha=alpha, beta=beta)
    both = with_log_likelihood(model)
    for name, data in (("first", trials()), ("second", other)):
        fit = both.copy()
        fit["log_likelihood"] = fit["log_likelihood"].to_dataset()[[name]]
        terms = terms_of(fit, "trial", "conditional", "the fit")
        who, when = data["scored"].values.nonzero()
        assert_array_equal(terms["subject"], data["subject"].values[who])
        assert_array_equal(terms["trial"], when)


@pytest.mark.filterwarnings("ignore:Pareto k")
def test_subjects_are_written_beside_the_terms_where_no_mask_tells() -> None:
    fit = own("categorical").copy()
    del fit["constant_data"]
    labels = "trials['subject'].values[trials['scored'].values.nonzero()[0]]"
    mend = f"fit['log_likelihood'].coords['subject'] = ('obs', {labels})"
    assert_says(refusal(rl.loo, fit, "subject", form="conditional"), "which subject", mend)
    exec(mend, {"fit": fit, "trials": trials()})
    found, known = (rl.loo(one, "subject", form="conditional") for one in (fit, built()))
    assert_allclose(found.elpd_i, known.elpd_i)


def test_integrating_needs_a_model_that_was_built() -> None:
    message = refusal(rl.loo, own("categorical"), "subject")
    assert_says(message, "marginal_log_likelihood", "rlpymc.build", "form='conditional'", "of your own")


def test_dims_that_are_no_responses_are_named() -> None:
    fit = own("categorical").copy()
    wide = fit["log_likelihood"].to_dataset()["choice"].expand_dims(question=2)
    fit["log_likelihood"] = xr.DataTree(wide.to_dataset())
    assert_says(refusal(rl.loo, fit), "question", "(chain, draw, obs)", "distribution, categorical or bernoulli")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["distribution", *BY_OBSERVATION, "potential"])
def test_pymc_s_own_sampling_writes_what_is_read(form: str) -> None:
    with own_model(form):
        fit = pm.sample(
            50, tune=50, chains=2, cores=1, random_seed=1, progressbar=False, idata_kwargs={"log_likelihood": True}
        )
    if form == "potential":
        assert_says(refusal(rl.loo, fit), "a potential")
    else:
        terms = terms_of(fit, "subject", "conditional", "the fit")
        assert_array_equal(terms["subject"], ["a", "b", "c"])
