"""How maximum likelihood searches: methods, what happens when one fails, test trials, and callbacks."""

from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import OptimizeResult, minimize

import rlpymc as rl
from rlpymc.fitting.mle import search
from rlpymc.tasks import Bandit
from tests.helpers.messages import refusal

PARAMS = {"alpha": [0.3, 0.4, 0.25], "beta": 2.5}


@cache
def trials(seed: int = 1) -> xr.Dataset:
    """Return three subjects of 80 trials."""
    made = rl.simulate("delta", Bandit([0.25, 0.75], block_length=40), PARAMS, 3, 80, seed)
    return made.assign_coords(subject=["a", "b", "c"])


def fit(**options: Any) -> rl.MLE:
    return rl.fit_mle("delta", trials(), **{"progress": False, "starts": 2, **options})


@cache
def plain_fit() -> rl.MLE:
    return fit()


refused = partial(refusal, fit)


# ---------------------------------------------------------------- methods


@pytest.mark.parametrize("method", [*search.METHODS, *search.GLOBAL])
def test_every_method_finds_the_optimum(method: str) -> None:
    data = trials().isel(subject=[0])
    found = rl.fit_mle("delta", data, method=method, starts=1, progress=False)
    assert_allclose(found.log_lik, plain_fit().log_lik[:1], rtol=0, atol=1e-4)
    assert found.note[0] == ""


@pytest.mark.parametrize("method", list(search.GLOBAL))
def test_global_methods_draw_by_the_seed_and_search_all_that_is_shared(method: str) -> None:
    options = {"method": method, "shared": ("alpha", "beta"), "starts": 1}
    found = fit(seed=3, **options)
    xr.testing.assert_identical(found.params, fit(seed=3, **options).params)
    assert_allclose(found.totals["log_lik"], fit(shared=("alpha", "beta")).totals["log_lik"], rtol=0, atol=1e-4)


def test_an_unknown_method_is_named() -> None:
    message = refused(method="differential_evolutoin")
    assert "Did you mean 'differential_evolution'?" in message


def failing(monkeypatch: pytest.MonkeyPatch, *methods: str, how: str = "raises") -> list[str]:
    """Let methods fail, and return the list to which every method that is tried is added."""
    tried: list[str] = []

    def some(function: Any, x: np.ndarray, *, method: str, jac: Any, **options: Any) -> OptimizeResult:
        tried.append(method)
        if method in methods and how == "raises":
            raise np.linalg.LinAlgError("singular")
        found = minimize(function, x, method=method, jac=jac, **options)
        if method in methods:
            found.fun = {"worse": found.fun + 1e3, "not finite": np.nan}[how]
        return found

    monkeypatch.setattr(search, "minimize", some)
    return tried


@pytest.mark.parametrize("how", ["raises", "worse", "not finite"])
def test_where_a_method_fails_the_next_takes_over_and_a_note_says_so(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    tried = failing(monkeypatch, "L-BFGS-B", "TNC", how=how)
    found = rl.fit_mle("delta", trials().isel(subject=[0]), starts=1, progress=False)
    assert tried[:3] == ["L-BFGS-B", "TNC", "SLSQP"]
    assert_allclose(found.log_lik, plain_fit().log_lik[:1], rtol=0, atol=1e-4)
    note = str(found.note[0].item())
    for part in ("L-BFGS-B failed", "TNC failed", "SLSQP took over", "singular" if how == "raises" else "worse"):
        assert part in note


def test_the_method_asked_for_comes_first() -> None:
    data = trials().isel(subject=[0])
    with pytest.MonkeyPatch.context() as patch:
        tried = failing(patch, "Powell")
        rl.fit_mle("delta", data, method="Powell", starts=1, progress=False)
    assert tried[:2] == ["Powell", "L-BFGS-B"]


def test_staircases_are_left_to_methods_without_gradients() -> None:
    data = trials().isel(subject=[0], trial=slice(0, 30))
    with pytest.MonkeyPatch.context() as patch:
        tried = failing(patch, "Nelder-Mead")
        rl.fit_mle("delta+epsilon_greedy", data, starts=1, progress=False)
    assert tried[:2] == ["Nelder-Mead", "Powell"]
    assert set(tried) <= set(search.DERIVATIVE_FREE)


def test_what_no_method_can_do_without_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, *search.METHODS)
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        fit()


# ---------------------------------------------------------------- test trials


def test_the_estimates_are_evaluated_on_test_trials() -> None:
    found = fit(test=trials(2).isel(subject=[2, 0, 1]))
    again = rl.log_prob("delta", trials(2), found.params).sum("trial")
    assert_allclose(found.test_log_lik, again, rtol=1e-12)
    xr.testing.assert_identical(found.params, plain_fit().params)
    assert plain_fit().test_log_lik is None
    assert plain_fit().history is None
    assert "test_log_lik" in found.to_dataframe()


def test_the_history_has_a_row_for_each_iteration() -> None:
    found = fit(test=trials(2))
    table = found.history
    assert table.columns.tolist() == [
        *("subject", "search", "iteration", "log_lik", "test_log_lik"),
        *("alpha", "beta"),
    ]
    assert set(table["subject"]) == {"a", "b", "c"}
    for _, one in table.groupby(["subject", "search"]):
        assert one["iteration"].tolist() == list(range(1, len(one) + 1))
        assert (np.diff(one["log_lik"]) >= -1e-9).all()
    row = table.iloc[len(table) // 2]
    for data, column in ((trials(), "log_lik"), (trials(2), "test_log_lik")):
        params = {"alpha": row["alpha"], "beta": row["beta"]}
        own = rl.log_prob("delta", data.sel(subject=[row["subject"]]), params)
        assert_allclose(row[column], own.sum(), rtol=1e-12)
    best = table.groupby("subject")["log_lik"].max()
    assert_allclose(best, found.log_lik, rtol=0, atol=1e-6)


def test_the_history_of_a_fit_of_all_is_of_sums_and_means() -> None:
    found = fit(shared="beta", test=trials(2), starts=1)
    last = found.history.iloc[found.history["log_lik"].argmax()]
    assert last["subject"] is None
    assert_allclose(last["log_lik"], found.totals["log_lik"], rtol=0, atol=1e-6)
    assert_allclose(last["test_log_lik"], found.test_log_lik.sum(), rtol=0, atol=1e-2)
    assert_allclose(last["alpha"], found.params["alpha"].mean(), rtol=0, atol=1e-2)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda t: t.isel(subject=[0, 1]), ("'c'", "trials only", "same subjects")),
        (lambda t: t.assign_coords(subject=["a", "b", "d"]), ("'c'", "trials only")),
        (lambda t: xr.concat([t, t.isel(subject=[0]).assign_coords(subject=["z"])], "subject"), ("'z'", "test only")),
        (lambda t: t.assign_attrs(facts={**rl.facts(t), "n_actions": 3}), ("n_actions", "3", "2", "facts")),
        (lambda t: t.assign(scored=t["scored"] & (t["subject"] != "b")), ("test", "no scored trial", "'b'")),
    ],
    ids=["too few", "another", "one more", "facts", "nothing scored"],
)
def test_test_trials_that_do_not_match_are_refused(change: Any, parts: tuple[str, ...]) -> None:
    message = refused(test=change(trials(2)))
    for part in parts:
        assert part in message


def test_a_column_that_only_one_of_the_two_has_is_named() -> None:
    offered = xr.ones_like(trials(2)["action"].expand_dims(action_dim=2, axis=2), dtype=bool)
    message = refused(test=trials(2).assign(available=offered))
    assert "'available'" in message
    assert "test only" in message


# ---------------------------------------------------------------- callbacks


def test_a_callback_is_told_of_each_iteration() -> None:
    told: list[Any] = []
    found = fit(callback=told.append)
    assert len(told) == len(found.history)
    assert [p.subject for p in told] == found.history["subject"].tolist()
    assert [p.log_lik for p in told] == found.history["log_lik"].tolist()
    assert told[0].test_log_lik is None
    assert set(told[0].params) == {"alpha", "beta"}
    xr.testing.assert_identical(found.params, plain_fit().params)


def test_a_callback_that_returns_true_ends_a_subjects_fit() -> None:
    found = fit(callback=lambda now: now.subject == "b" and now.iteration == 2)
    counts = found.history.groupby("subject").size()
    assert counts["b"] == 2
    assert counts["a"] > 2
    assert found.status.values.tolist() == ["converged", "stopped", "converged"]
    last = found.history[found.history["subject"] == "b"].iloc[-1]
    assert_allclose(found.params["alpha"][1], last["alpha"], rtol=1e-12)
    assert_allclose(found.log_lik[1], last["log_lik"], rtol=1e-12)
    assert np.isnan(found.se["alpha"][1])


@pytest.mark.parametrize("shared", [("beta",), ("alpha", "beta")], ids=["some shared", "all shared"])
def test_a_fit_of_all_is_ended_as_a_whole(shared: tuple[str, ...]) -> None:
    found = fit(shared=shared, callback=lambda now: now.iteration == 3)
    assert len(found.history) == 3
    assert set(found.status.values) == {"stopped"}
    assert_allclose(found.totals["log_lik"], found.history["log_lik"].max(), rtol=1e-12)


@pytest.mark.parametrize("method", ["TNC", "SLSQP", "trust-constr", "Nelder-Mead", "Powell", "COBYQA", *search.GLOBAL])
def test_every_method_can_be_followed_and_ended(method: str) -> None:
    data = trials().isel(subject=[0])
    found = rl.fit_mle("delta", data, method=method, starts=1, progress=False, callback=lambda now: now.iteration == 2)
    assert found.history["iteration"].tolist() == [1, 2]
    assert found.status[0] == "stopped"
    assert_array_equal(found.note, ["by the callback"])


@pytest.mark.parametrize("problem", [KeyError("mine"), ValueError("mine"), StopIteration("mine")])
@pytest.mark.parametrize("shared", [(), ("alpha", "beta")])
def test_what_a_callback_raises_comes_through(problem: Exception, shared: tuple[str, ...]) -> None:
    def callback(now: Any) -> None:
        calls.append(now.iteration)
        raise problem

    calls: list[int] = []
    with pytest.raises(type(problem), match="mine"):
        fit(shared=shared, callback=callback)
    assert calls == [1]  # no other method was tried
