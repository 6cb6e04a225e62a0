"""Maximum likelihood: estimates and standard errors that a plain search and a numerical Hessian confirm."""

from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

import rlpymc as rl
from rlpymc.tasks import Bandit
from tests.helpers.messages import assert_says, refusal


@cache
def trials() -> xr.Dataset:
    """Return four subjects of 120 trials in blocks of 40."""
    params = {"alpha": [0.3, 0.4, 0.25, 0.5], "beta": 2.5}
    return rl.simulate("delta", Bandit([0.25, 0.75], block_length=40), params, 4, 120, 1)


def fit(model: str = "delta", data: xr.Dataset | None = None, **options: Any) -> rl.MLE:
    if data is None and not options and model == "delta":
        return plain_fit()
    data = trials() if data is None else data
    return rl.fit_mle(model, data, **{"mode": "JAX", "progress": False, "starts": 4, **options})


@cache
def plain_fit() -> rl.MLE:
    return fit(data=trials())


refused = partial(refusal, fit)


def log_lik(data: xr.Dataset, alpha: float, beta: float) -> float:
    return float(rl.log_prob("delta", data, {"alpha": alpha, "beta": beta}, mode="FAST_COMPILE").sum())


def same_choice(reward: float) -> xr.Dataset:
    """Return one subject who always chose action 0 for the same reward."""
    one = trials().isel(subject=[0], trial=slice(0, 30))
    return one.assign(action=one["action"] * 0, reward=one["reward"] * 0 + reward)


# ---------------------------------------------------------------- estimates


def test_the_optimum_is_that_of_a_search_without_gradients() -> None:
    found, one = fit(), trials().isel(subject=[1])
    plain = minimize(lambda x: -log_lik(one, *x), [0.5, 2.0], method="Nelder-Mead", bounds=[(0, 1), (0, 20)])
    assert_allclose(found.log_lik[1], -plain.fun, rtol=1e-6)
    assert_allclose([found.params["alpha"][1], found.params["beta"][1]], plain.x, rtol=1e-2)
    assert found.status[1] == "converged"


def test_the_log_likelihood_is_that_of_log_prob_at_the_estimates() -> None:
    found = fit("delta+stickiness")
    again = rl.log_prob("delta+stickiness", trials(), found.params, mode="FAST_COMPILE").sum("trial")
    assert_allclose(found.log_lik, again, rtol=1e-10)


def test_standard_errors_are_those_of_a_numerical_hessian() -> None:
    found = fit()
    for i in range(2):
        one = trials().isel(subject=[i])
        x = np.array([float(found.params[k][i]) for k in ("alpha", "beta")])
        h = 3e-3 * x
        hessian = np.empty((2, 2))
        for j in range(2):
            for k in range(2):
                a, b = np.eye(2)[j] * h, np.eye(2)[k] * h
                f = [log_lik(one, *(x + s * a + t * b)) for s, t in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
                hessian[j, k] = -(f[0] - f[1] - f[2] + f[3]) / (4 * h[j] * h[k])
        cov = np.linalg.inv(hessian)
        assert_allclose(found.cov[i], cov, rtol=1e-2)
        assert_allclose([found.se["alpha"][i], found.se["beta"][i]], np.sqrt(np.diag(cov)), rtol=1e-2)


def test_criteria() -> None:
    found = fit()
    assert_allclose(found.aic, 2 * 2 - 2 * found.log_lik)
    assert_allclose(found.bic, 2 * np.log(120) - 2 * found.log_lik)
    assert_allclose(found.pseudo_r2, 1 - found.log_lik / (120 * np.log(0.5)))


def test_of_two_responses_in_a_trial_those_count_that_are_scored() -> None:
    model = rl.get_model("two_step_hybrid")
    held = {p.name: 0.5 if p.plausible is None else p.plausible for p in model.parameters if p.value is None}
    data = rl.simulate(model, rl.tasks.TwoStep(), held, 2, 12, seed=1)
    scored = np.ones((2, 12, 2), dtype=bool)
    scored[0, 5:, 1], scored[1, 3] = False, False
    data = data.drop_dims("response", errors="ignore").drop_vars("scored", errors="ignore")
    data = data.assign(scored=(("subject", "trial", "response"), scored))
    one = next(iter(held))
    found = fit(model, data, fixed={name: value for name, value in held.items() if name != one}, starts=1)
    n, log_lik = np.array([24 - 7, 24 - 2]), found.log_lik.values
    assert_allclose(found.bic.values, np.log(n) - 2 * log_lik)
    assert_allclose(found.pseudo_r2.values, 1 - log_lik / (-n * np.log(2)))


def test_chance_among_states() -> None:
    trials = rl.simulate("markov_chain", rl.tasks.Chain(3, missed=0.1), {"w": 0.0}, 2, 40, seed=1)
    found = rl.fit_mle("markov_chain", trials, fixed={"w": np.eye(3)}, progress=False)
    assert_allclose(found.pseudo_r2, 1 - found.log_lik / (trials["scored"].sum("trial") * np.log(1 / 3)))


def test_the_same_seed_gives_the_same_estimates() -> None:
    xr.testing.assert_identical(fit(seed=5).params, fit(seed=5).params)
    assert_allclose(fit(seed=5).log_lik, fit(seed=6).log_lik, rtol=1e-8)


# ---------------------------------------------------------------- each subject alone


def test_the_order_of_subjects_does_not_matter() -> None:
    order = [2, 0, 3, 1]
    found, turned = fit(), fit(data=trials().isel(subject=order))
    assert_allclose(turned.log_lik, found.log_lik[order], rtol=1e-9)
    assert_allclose(turned.params["alpha"], found.params["alpha"][order], atol=1e-5)
    assert_allclose(turned.se["beta"], found.se["beta"][order], rtol=1e-3)


def test_a_subject_among_others_is_as_alone_with_any_number_of_segments() -> None:
    data = trials().copy(deep=True)
    ended = (data["subject"] == 0) & (data["trial"] >= 70)
    for mask in ("exists", "scored", "learned", "reset"):
        data[mask] = data[mask] & ~ended
    together = fit(data=data)
    for i in (0, 1):
        alone = data.isel(subject=[i])
        alone = alone.isel(trial=slice(0, int(alone["exists"].sum())))
        single = fit(data=alone)
        assert_allclose(single.log_lik[0], together.log_lik[i], rtol=1e-9)
        assert_allclose(single.params["alpha"][0], together.params["alpha"][i], atol=1e-5)
        assert_allclose(single.bic[0], together.bic[i], rtol=1e-9)


# ---------------------------------------------------------------- status


def test_choices_that_tell_nothing_leave_a_flat_direction() -> None:
    found = fit(data=same_choice(reward=0.0))
    assert found.status[0] == "flat direction"
    assert_says(str(found.note[0].item()), "alpha", "beta")
    assert np.isnan(found.se["alpha"][0])
    assert np.isnan(found.se["beta"][0])
    assert np.isfinite(found.params["beta"][0])


def test_an_estimate_at_its_bound_has_no_standard_error_and_the_others_do() -> None:
    found = fit("delta+lapse")
    at_bound = found.params["lapse"].values < 1e-9
    assert at_bound.any(), "the data of this test should put a lapse of somebody at 0"
    i = int(np.argmax(at_bound))
    assert found.status[i] == "at a bound"
    assert_says(str(found.note[i].item()), "lapse")
    assert np.isnan(found.se["lapse"][i])
    assert np.isfinite(found.se["alpha"][i])


def test_a_note_names_what_is_flat_and_what_is_at_a_bound() -> None:
    found = fit(data=same_choice(reward=1.0))
    assert found.params["alpha"][0] == 1
    assert_says(str(found.note[0].item()), "beta", "alpha")


@pytest.mark.parametrize("free", [True, False], ids=["something free", "nothing free"])
def test_impossible_data_fail_and_have_no_likelihood(free: bool) -> None:
    found = fit("delta+epsilon_greedy", fixed={"alpha": 0.5, "epsilon": 0.0}, free=("q0",) if free else ())
    assert set(found.status.values) == {"failed"}
    assert (found.log_lik == -np.inf).all()


# ---------------------------------------------------------------- fixed and free


def test_fixed_values_are_kept_and_the_rest_is_estimated() -> None:
    found = fit(fixed={"alpha": 0.3})
    assert found.params["alpha"].values.tolist() == [0.3] * 4
    assert list(found.se) == ["beta"]
    assert (found.log_lik <= fit().log_lik + 1e-9).all()


def test_fixed_values_by_subject() -> None:
    values = [0.1, 0.2, 0.3, 0.4]
    found = fit(fixed={"alpha": values})
    assert found.params["alpha"].values.tolist() == values
    assert_allclose(found.log_lik[2], fit(fixed={"alpha": 0.3}).log_lik[2], rtol=1e-9)


def test_fixed_values_are_found_by_the_label_of_the_subject() -> None:
    value = xr.DataArray([0.1, 0.2, 0.3, 0.4], dims="subject", coords={"subject": [3, 2, 1, 0]})
    assert fit(fixed={"alpha": value}).params["alpha"].values.tolist() == [0.4, 0.3, 0.2, 0.1]


def test_free_constants_are_estimated() -> None:
    found = fit(free="q0")
    assert list(found.se) == ["alpha", "q0", "beta"]
    assert (found.log_lik >= fit().log_lik - 1e-6).all()


def test_nothing_to_estimate_is_the_log_likelihood() -> None:
    found = fit(fixed={"alpha": 0.3, "beta": 2.0})
    again = rl.log_prob("delta", trials(), {"alpha": 0.3, "beta": 2.0}, mode="FAST_COMPILE").sum("trial")
    assert_allclose(found.log_lik, again, rtol=1e-10)
    assert_allclose(found.aic, -2 * again)
    assert set(found.status.values) == {"converged"}
    assert list(found.to_dataframe().index) == [0, 1, 2, 3]


# ---------------------------------------------------------------- the table


# ---------------------------------------------------------------- parameters that are equal


def test_coupled_parameters_are_estimated_as_one() -> None:
    model, data = "delta(rates=sign)", trials()
    coupled = fit(model, data, coupled=[("alpha_pos", "alpha_neg")])
    assert_array_equal(coupled.params["alpha_pos"], coupled.params["alpha_neg"])
    plain, free = fit(), fit(model, data)
    assert_allclose(coupled.log_lik, plain.log_lik, rtol=0, atol=1e-6)
    assert_allclose(coupled.params["alpha_pos"], plain.params["alpha"], rtol=0, atol=1e-3)
    assert_allclose(coupled.se["alpha_pos"], plain.se["alpha"], rtol=1e-3)
    assert_allclose(coupled.aic, plain.aic, rtol=0, atol=1e-6)  # as many parameters
    assert "alpha_neg" not in coupled.se
    assert (free.log_lik >= coupled.log_lik - 1e-6).all()
    assert float((free.log_lik - coupled.log_lik).max()) > 1e-3


def test_coupled_parameters_in_a_scan() -> None:
    options = {"coupled": [("alpha_pos", "alpha_neg")], "starts": 2}
    data = trials().isel(subject=[0])
    loop = fit("delta(rates=sign)", data, **options)
    scan = fit("delta(rates=sign)", data, backend="scan", **options)
    assert_allclose(scan.log_lik, loop.log_lik, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("coupled", "options", "parts"),
    [
        ([("alpha_pos",)], {}, ("('alpha_pos',)", "two or more")),
        (["alpha_pos"], {}, ("'alpha_pos'", "two or more")),
        ([("alpha_pos", "alpha")], {}, ("'alpha'", "alpha_neg")),
        ([("alpha_pos", "alpha_neg"), ("alpha_neg", "q0")], {}, ("'alpha_neg'", "twice")),
        ([("alpha_pos", "alpha_neg")], {"fixed": {"alpha_neg": 0.2}}, ("'alpha_neg'", "is fixed", "not estimated")),
        ([("alpha_pos", "q0")], {}, ("'q0'", "not estimated")),
        ([("alpha_pos", "beta")], {}, ("'beta'", "'alpha_pos'", "support")),
    ],
    ids=["one", "a name", "unknown", "twice", "fixed", "a constant", "another support"],
)
def test_what_cannot_be_coupled_is_named(coupled: Any, options: dict[str, Any], parts: tuple[str, ...]) -> None:
    assert_says(refused(model="delta(rates=sign)", coupled=coupled, **options), *parts)


# ---------------------------------------------------------------- what it looks like


def test_the_table_has_a_row_for_each_subject() -> None:
    table = fit().to_dataframe()
    assert table.index.name == "subject"
    assert table.index.tolist() == [0, 1, 2, 3]
    estimates = ["alpha", "alpha_se", "q0", "beta", "beta_se"]
    assert table.columns.tolist() == [*estimates, "log_lik", "aic", "bic", "pseudo_r2", "status", "note"]
    assert_array_equal(table["alpha"], fit().params["alpha"])


def test_a_parameter_with_a_shape_has_a_column_for_each_entry() -> None:
    data = rl.simulate("biased_random", Bandit([0.5] * 3), {"bias": [0.5, -0.5]}, 2, 40, 1)
    found = fit("biased_random", data)
    table = found.to_dataframe()
    assert {"bias[0]", "bias[0]_se", "bias[1]", "bias[1]_se"} <= set(table.columns)
    counts = np.stack([(data["action"].values == k).sum(axis=1) for k in range(3)], axis=1)
    assert_allclose(found.params["bias"], np.log(counts[:, 1:] / counts[:, :1]), atol=1e-4)


def test_printing_shows_the_table() -> None:
    for text in (repr(fit()), fit()._repr_html_()):
        assert_says(text, "alpha_se", "pseudo_r2", "converged")


# ---------------------------------------------------------------- what does not fit


def test_wrong_options_are_named() -> None:
    assert_says(refused(fixed={"alfa": 0.3}), "'alfa'", "Did you mean 'alpha'?")
    assert_says(refused(free=["q"]), "'q'", "Did you mean 'q0'?")
    assert_says(refused(fixed={"q0": 0.1}, free=["q0"]), "'q0'", "choose one")
    assert_says(refused(starts=0), "starts", "0", "at least 1")
    assert_says(refused(starts="ten"), "starts: found 'ten'", "whole number")
    assert_says(refused(starts=2.5), "starts: found 2.5", "whole number")
    assert_says(refused(seed="x"), "seed: found 'x'", "at least 0")
    assert_says(refused(coupled=None), "coupled: found None", "groups of two or more")
    assert_says(refused(error=TypeError, shared=None), "shared: found None", "names of parameters")
    assert_says(refused(error=TypeError, callback=3), "callback: found 3", "function")
    assert_says(refused(error=TypeError, priors=["alpha"]), "priors: found ['alpha']", "by parameter")
    assert_says(refused(backend="scan", mode="NUMBER"), "unknown mode 'NUMBER'", "NUMBA")
    assert_says(refused(model="detla"), "Did you mean 'delta'?")


@pytest.mark.parametrize("value", [2.0, -0.1, np.nan, [0.1, 0.2, 0.3, 1.4]], ids=str)
def test_fixed_values_outside_the_support_are_refused(value: Any) -> None:
    assert_says(refused(fixed={"alpha": value}), "fixed 'alpha'", "unit")


@pytest.mark.parametrize("shape", [(2,), (4, 3)])
def test_fixed_values_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    assert_says(refused(fixed={"alpha": np.full(shape, 0.3)}), "fixed 'alpha'", str(shape), "(4,)")


def test_methods_that_take_no_bounds_or_do_not_exist_are_refused() -> None:
    for method in ("LBFGS", "BFGS"):
        assert_says(refused(method=method), repr(method), "L-BFGS-B")


def test_a_subject_without_scored_trials_is_named() -> None:
    data = trials().copy(deep=True)
    data["scored"][1] = False
    assert_says(refused(data=data), "no scored trial", "1")


def test_a_table_is_not_trials() -> None:
    assert_says(refused(error=TypeError, data=rl.to_table(trials())), "read_trials", "DataFrame")
