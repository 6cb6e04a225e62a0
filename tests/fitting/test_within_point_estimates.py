"""Coefficients of what varies within subjects, by maximum likelihood and by expectation-maximisation."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import norm

import rlpymc as rl
from tests.helpers.messages import assert_says, refusal

N, TRIALS = 6, 40


@cache
def trials() -> xr.Dataset:
    """Return people with unlike numbers of trials, a load on each trial that changes alpha, a drug and a group."""
    rng = np.random.default_rng(4)
    load = rng.normal(size=(N, TRIALS))
    alpha = xr.DataArray(expit(-0.5 + 1.0 * load), dims=("subject", "trial"))
    made = rl.simulate("delta", rl.tasks.Bandit([0.2, 0.8]), {"alpha": alpha, "beta": 4.0}, N, TRIALS, seed=2)
    table = rl.to_table(made).drop(columns="log_prob")
    subject, trial = table["subject"].to_numpy(), table["trial"].to_numpy()
    table = table.assign(
        load=load[subject, trial],
        drug=np.where(trial < 20, "placebo", "drug"),
        group=np.array(["a", "b"])[subject % 2],
    )
    return rl.read_trials(
        table[~((table["subject"] == 3) & (table["trial"] > 25))].iloc[::-1].sort_values("trial", kind="stable")
    )


def by_trial(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("subject", "trial"))


def column(name: str, level: str | None = None) -> np.ndarray:
    values = trials()[name].values
    return np.where(trials()["exists"], values if level is None else values == level, 0.0).astype(float)


def test_maximum_likelihood_is_that_of_a_search_by_hand() -> None:
    found = rl.fit_mle("delta", trials(), formulas={"alpha": "~ load + group", "beta": "~ drug"}, progress=False)

    def minus_log_lik(b: np.ndarray) -> float:
        alpha = by_trial(expit(b[0] + b[1] * column("load") + b[2] * column("group", "b")))
        beta = by_trial(np.exp(b[3] + b[4] * column("drug", "placebo")))
        return -float(rl.log_prob("delta", trials(), {"alpha": alpha, "beta": beta}).sum())

    table = found.coefficient_table
    names = ["alpha_Intercept", "alpha_load", "alpha_group[b]", "beta_Intercept", "beta_drug[placebo]"]
    assert table.index.tolist() == names
    by_hand = minimize(minus_log_lik, np.zeros(5), method="BFGS", options={"gtol": 1e-6})
    assert_allclose(table["estimate"], by_hand.x, atol=1e-3)
    assert_allclose(found.totals["log_lik"], -by_hand.fun, atol=1e-6)
    steps = 1e-3 * np.eye(5)
    hessian = np.array(
        [
            [
                sum(s * t * minus_log_lik(table["estimate"].values + s * u + t * v) for s in (1, -1) for t in (1, -1))
                / 4e-6
                for v in steps
            ]
            for u in steps
        ]
    )
    assert_allclose(table["se"], np.sqrt(np.diag(np.linalg.inv(hessian))), rtol=1e-3)
    alpha = expit(
        table["estimate"].iloc[0]
        + table["estimate"].iloc[1] * column("load")
        + table["estimate"].iloc[2] * column("group", "b")
    )
    assert_allclose(found.params["alpha"], np.where(trials()["exists"], alpha, np.nan), rtol=1e-6)
    assert "alpha" not in found.to_dataframe().columns


def test_people_with_numbers_of_their_own_beside_common_coefficients() -> None:
    found = rl.fit_mle("delta", trials(), formulas={"alpha": "~ load"}, bounds={"beta": (0.0, 20.0)}, progress=False)
    params = {"alpha": found.params["alpha"].fillna(0.5), "beta": found.params["beta"]}
    assert_allclose(rl.log_prob("delta", trials(), params).sum("trial"), found.log_lik, rtol=1e-10)
    assert found.params["beta"].dims == ("subject",)
    assert abs(found.coefficient_table.loc["alpha_load", "z"]) > 1


@pytest.mark.parametrize("formula", ["~ load + group", "~ load + group + (load | subject)"])
def test_expectation_maximisation_reports_coefficients_with_errors(formula: str) -> None:
    found = rl.fit_em("delta", trials(), formulas={"alpha": formula}, iterations=3, tol=None, progress=False)
    table, row = found.coefficient_table, found.params_unbounded
    assert table.index.tolist() == ["alpha_Intercept", "alpha_group[b]", "alpha_load"]
    assert_allclose(table["p"], 2 * norm.sf(np.abs(table["estimate"] / table["se"])))
    slope = table.loc["alpha_load", "estimate"] + (row["alpha_load|subject"] if "|" in formula else 0.0)
    alpha = expit(row["alpha"] + slope * by_trial(column("load")))
    assert_allclose(found.params["alpha"], alpha.where(trials()["exists"].values), rtol=1e-10)
    terms = rl.log_prob("delta", trials(), {"alpha": found.params["alpha"].fillna(0.5), "beta": found.params["beta"]})
    assert_allclose(terms.sum("trial"), found.log_lik, rtol=1e-10)
    # intercept and group are where the load is 0: the mean of people's own numbers
    mean = (
        table.loc["alpha_Intercept", "estimate"] + table.loc["alpha_group[b]", "estimate"] * column("group", "b")[:, 0]
    )
    assert_allclose(found.mu["alpha"], mean.mean(), rtol=1e-8)
    assert_allclose(logit(found.group["alpha"]), found.mu["alpha"])


def test_what_is_common_is_at_the_maximum_of_the_joint_density() -> None:
    options = {"iterations": 2, "tol": None, "progress": False}
    found = rl.fit_em("delta", trials(), formulas={"alpha": "~ load"}, **options)
    own = found.coefficient_table.loc["alpha_load", "estimate"]
    # with people where they are, moving the common slope alone makes the data less probable
    row = found.params_unbounded

    def log_lik(slope: float) -> float:
        alpha = by_trial(expit(row["alpha"].values[:, None] + slope * column("load")))
        return float(rl.log_prob("delta", trials(), {"alpha": alpha, "beta": found.params["beta"]}).sum())

    assert_allclose((log_lik(own + 1e-4) - log_lik(own - 1e-4)) / 2e-4, 0.0, atol=1e-3)


@pytest.mark.parametrize("fit", [rl.fit_mle, rl.fit_em])
def test_deviations_by_session_are_for_sampling(fit: object) -> None:
    halves = trials().assign(session=trials()["drug"])
    message = refusal(fit, "delta", halves, formulas={"alpha": "(1 | subject:session)"}, progress=False)
    assert_says(message, "'alpha'", "rlpymc.build")


def test_slopes_are_not_for_maximum_likelihood_and_test_trials_not_for_what_varies() -> None:
    message = refusal(rl.fit_mle, "delta", trials(), formulas={"alpha": "load + (load | subject)"}, progress=False)
    assert_says(message, "subjects do not deviate", "a bar")
    message = refusal(rl.fit_mle, "delta", trials(), formulas={"alpha": "load"}, test=trials(), progress=False)
    assert_says(message, "test", "'alpha'", "leave test out")


def test_a_table_of_the_trials_is_as_good() -> None:
    """Interleaved people, and in another order: the same coefficients."""
    table = rl.to_table(trials())
    shuffled = table.assign(subject=pd.Categorical(table["subject"].astype(str))).sort_values(["trial", "subject"])
    found = rl.fit_mle("delta", rl.read_trials(shuffled), formulas={"alpha": "~ load", "beta": "1"}, progress=False)
    wanted = rl.fit_mle("delta", trials(), formulas={"alpha": "~ load", "beta": "1"}, progress=False)
    assert_allclose(found.coefficient_table["estimate"], wanted.coefficient_table["estimate"], rtol=1e-5)
