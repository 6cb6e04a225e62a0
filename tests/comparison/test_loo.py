"""Units left out by weights and in earnest, against quadrature; refits that resume; and what is refused."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from rlpymc.comparison.exact import held_out, leave_out, predictive
from rlpymc.comparison.terms import terms_of
from tests.helpers import quadrature

SETTINGS: dict[str, Any] = {"draws": 500, "tune": 300, "chains": 2, "seed": 1, "progress": False}
MCSE = 0.03  # of a log predictive density from a thousand draws of one parameter, at most


def sample(model: rl.RLModel, **options: Any) -> xr.DataTree:
    """Sample; what so few draws are warned of is of no interest here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.SamplingWarning)
        return rl.sample(model, **{**SETTINGS, **options})


def quietly(function: Any, *arguments: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return function(*arguments, **options)


@pytest.fixture(scope="module")
def trials() -> xr.Dataset:
    """Two people, three sessions of eight trials; learners start again in each."""
    data = quadrature.trials(2, 24, beta=np.array([1.0, 4.0]), block_length=8)
    return data.assign(
        session=(("subject", "trial"), np.repeat([["one", "two", "three"]], 8, axis=1).repeat(2, axis=0))
    )


@pytest.fixture(scope="module")
def model(trials: xr.Dataset) -> rl.RLModel:
    return quadrature.build(trials)


@pytest.fixture(scope="module")
def fit(model: rl.RLModel) -> xr.DataTree:
    return sample(model)


def exact_by_trial(trials: xr.Dataset) -> np.ndarray:
    every = np.arange(24)
    return np.array([quadrature.predictive(trials, i, [t], np.delete(every, t)) for i in range(2) for t in every])


def exact_by_session(trials: xr.Dataset) -> dict[tuple[int, str], float]:
    every, found = np.arange(24), {}
    for i in range(2):
        for k, name in enumerate(["one", "two", "three"]):
            asked = np.arange(8 * k, 8 * k + 8)
            found[i, name] = quadrature.predictive(trials, i, asked, np.setdiff1d(every, asked))
    return found


# ---------------------------------------------------------------- by weights


def test_by_trial(trials: xr.Dataset, model: rl.RLModel) -> None:
    found = rl.loo(sample(model, draws=4000))  # of a thousand draws, single trials are off by up to .05
    assert found.n == 48
    assert_allclose(found.elpd_i, exact_by_trial(trials), atol=MCSE)
    assert_array_equal(found.elpd_i["subject"], np.repeat([0, 1], 24))
    assert_array_equal(found.elpd_i["trial"], np.tile(np.arange(24), 2))
    assert_allclose(found.elpd, found.elpd_i.sum())
    assert_allclose(found.se, np.sqrt(48 * found.elpd_i.values.var(ddof=1)))


def test_by_session(trials: xr.Dataset, fit: xr.DataTree) -> None:
    found = quietly(rl.loo, fit, "session")
    exact = exact_by_session(trials)
    labels = zip(found.elpd_i["subject"].values.tolist(), found.elpd_i["session"].values.tolist(), strict=True)
    assert_allclose(found.elpd_i, [exact[label] for label in labels], atol=0.15)
    assert len(exact) == found.n


def test_sessions_are_kept_in_a_file_and_blocks_will_do(trials: xr.Dataset, fit: xr.DataTree, tmp_path: Path) -> None:
    rl.save(fit, tmp_path / "fit.nc")
    found, again = (quietly(rl.loo, f, "session") for f in (fit, rl.load(tmp_path / "fit.nc")))
    assert_array_equal(found.elpd_i, again.elpd_i)
    terms = fit["log_likelihood"].to_dataset()
    assert_array_equal(terms["block"], np.tile(np.repeat([0, 1, 2], 8), 2))
    blocks = fit.copy()
    blocks["log_likelihood"] = xr.DataTree(terms.drop_vars("session"))
    by_block = quietly(rl.loo, blocks, "session")
    assert_allclose(np.sort(by_block.elpd_i), np.sort(found.elpd_i))
    assert "block" in by_block.elpd_i.coords


def test_what_is_left_out_prints_and_is_a_table(fit: xr.DataTree) -> None:
    found = rl.loo(fit)
    assert "48 left out: trial" in repr(found)
    table = found.to_dataframe()
    assert {"subject", "trial", "elpd", "pareto_k", "refitted"} <= set(table)
    assert_allclose(table["elpd"], found.elpd_i)


# ---------------------------------------------------------------- in earnest


def test_refits_of_trials(trials: xr.Dataset, model: rl.RLModel, fit: xr.DataTree) -> None:
    units = np.array([3, 30])
    found = leave_out(model, fit, terms_of(fit, "trial", "conditional", "fit"), units, None, False)
    assert_allclose(found, exact_by_trial(trials)[units], atol=MCSE)


def test_refits_of_sessions(trials: xr.Dataset, model: rl.RLModel, fit: xr.DataTree) -> None:
    terms = terms_of(fit, "session", "conditional", "fit")
    found = quietly(leave_out, model, fit, terms, np.array([1, 4]), None, False)
    labels = [(terms["subject"].values[k].item(), terms["session"].values[k].item()) for k in (1, 4)]
    exact = exact_by_session(trials)
    assert_allclose(found, [exact[label] for label in labels], atol=0.1)


def test_refits_of_people_are_integrated_over_the_population(
    trials: xr.Dataset, model: rl.RLModel, fit: xr.DataTree
) -> None:
    terms = terms_of(fit, "subject", "conditional", "fit")
    found = quietly(leave_out, model, fit, terms, np.array([0, 1]), None, False)
    assert_allclose(found, [quadrature.predictive(trials, i, np.arange(24), []) for i in range(2)], atol=0.05)


def test_a_person_left_out_keeps_what_was_fixed_for_them() -> None:
    data, alpha = quadrature.trials(3, 24, beta=3.0), [0.1, 0.1, 0.9]
    priors = {"beta": rl.priors.LogNormal(*quadrature.PRIOR)}
    whole = rl.build("delta", data, fixed={"alpha": alpha}, pooling="none", priors=priors)
    beta = np.exp(quadrature.PRIOR[0] + quadrature.PRIOR[1] * np.random.default_rng(1).standard_normal((1, 200, 3)))
    near = xr.Dataset({"beta": (("sample", "subject"), beta[0])}, coords={"subject": [0, 1, 2]})
    rest = xr.Dataset({"beta": (("chain", "draw", "subject"), beta[..., :2])}, coords={"subject": [0, 1]})
    mask = np.arange(3)[:, None] == np.full((3, 24), 2)
    (found,) = predictive(whole, xr.DataTree.from_dict({"posterior": rest}), mask, near)[:1]
    grid = np.exp(quadrature.PRIOR[0] + quadrature.PRIOR[1] * quadrature.GRID)
    exact, of_the_others = (quadrature.evidence(quadrature.log_prob(data, 2, grid, a)) for a in (0.9, 0.1))
    assert abs(exact - of_the_others) > 0.5
    assert_allclose(found, exact, atol=0.1)


def test_refits_that_are_not_to_be_trusted_are_warned_of_where_they_were_asked_for(model: rl.RLModel) -> None:
    few = sample(model, draws=20, tune=20)
    with pytest.warns(rl.SamplingWarning, match="refit") as said:
        rl.loo(strained(few, 3), refit=model, progress=False)
    assert {warning.filename for warning in said} == {__file__}


def test_one_of_two_responses_is_left_out_alone() -> None:
    task = rl.tasks.TwoStep()
    trials = rl.simulate("two_step_hybrid", task, _plausible("two_step_hybrid"), 2, 12, seed=1)
    model = rl.build("two_step_hybrid", trials, pooling="none")
    mask = held_out(model.data, {"subject": 1, "trial": 5, "response": "action2"})
    assert mask.shape == (2, 12, 2)
    assert np.argwhere(mask).tolist() == [[1, 5, 1]]


def _plausible(name: str) -> dict[str, float]:
    return {p.name: p.plausible for p in rl.get_model(name).parameters if p.value is None}  # type: ignore[misc]


# ---------------------------------------------------------------- repair, and resuming


def strained(fit: xr.DataTree, *bad: int) -> xr.DataTree:
    """Return a fit with some terms on which importance sampling fails."""
    out = fit.copy(deep=True)
    terms = out["log_likelihood"]["choice"].values.copy()
    terms[:, :, list(bad)] = -10 * np.random.default_rng(3).exponential(size=(*terms.shape[:2], len(bad))) ** 2
    group = out["log_likelihood"].to_dataset()
    out["log_likelihood"] = xr.DataTree(group.assign(choice=(group["choice"].dims, terms)))
    return out


class Counted:
    """Nutpie's sample, which counts its calls and stops before one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stop_before: int | None = None) -> None:
        import nutpie

        self.calls, self._sample, self._stop = 0, nutpie.sample, stop_before
        monkeypatch.setattr(nutpie, "sample", self)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if self.calls == self._stop:
            raise KeyboardInterrupt
        self.calls += 1
        return self._sample(*arguments, **options)


def test_bad_units_are_refitted_and_counted(trials: xr.Dataset, model: rl.RLModel, fit: xr.DataTree) -> None:
    bad = strained(fit, 5, 40)
    with pytest.warns(UserWarning, match="for 2 of 48 trials in the fit"):
        before = rl.loo(bad)
    assert_array_equal(np.flatnonzero(before.bad), [5, 40])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", rl.SamplingWarning)
        table = rl.compare({"bad": bad, "good": fit}, refit={"bad": model}, progress=False)
    assert table.loc["bad", ["k_bad", "k_refitted"]].tolist() == [2, 2]
    assert table.loc["good", ["k_bad", "k_refitted"]].tolist() == [0, 0]
    assert table.loc["bad", "k_max"] == before.pareto_k.max()
    assert_allclose(table["elpd"], exact_by_trial(trials).sum(), atol=48 * MCSE / 4)


def test_a_broken_run_goes_on(model: rl.RLModel, fit: xr.DataTree, tmp_path: Path) -> None:
    bad = strained(fit, 5, 40)
    whole = quietly(rl.loo, bad, refit=model, progress=False)
    with pytest.MonkeyPatch.context() as patch:
        Counted(patch, stop_before=3)  # chains: two of the first refit, one of the second
        with pytest.raises(KeyboardInterrupt):
            quietly(rl.loo, bad, refit=model, folder=tmp_path, progress=False)
    assert len(list(tmp_path.glob("*/chain_*.nc"))) >= 2
    done = len(list(tmp_path.glob("*/chain_*.nc")))
    with pytest.MonkeyPatch.context() as patch:
        counted = Counted(patch)
        resumed = quietly(rl.loo, bad, refit=model, folder=tmp_path, progress=False)
        assert counted.calls == 4 - done
        again = quietly(rl.loo, bad, refit=model, folder=tmp_path, progress=False)
        assert counted.calls == 4 - done
    assert_array_equal(resumed.elpd_i, whole.elpd_i)
    assert_array_equal(again.elpd_i, whole.elpd_i)


def test_what_cannot_be_refitted_is_refused(trials: xr.Dataset, model: rl.RLModel, fit: xr.DataTree) -> None:
    import pymc as pm

    with pytest.raises(ValueError, match="pass the model"):
        rl.loo(fit, folder="there")
    with pytest.raises(ValueError, match="the fit is of"):
        rl.loo(fit, refit=quadrature.build(trials, "partial"))
    with pytest.raises(ValueError, match="other data"):
        rl.loo(fit, refit=quadrature.build(trials.isel(subject=[0])))
    with pytest.raises(ValueError, match="unknown fit in refit 'bda'"):
        rl.compare({"bad": fit, "good": fit}, refit={"bda": model})
    with pytest.raises(TypeError, match="by the names of the fits"):
        rl.compare({"bad": fit, "good": fit}, refit=model)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="result, not a fit"):
        rl.compare({"bad": rl.loo(fit), "good": fit}, refit={"bad": model})
    changed = quadrature.build(trials)
    with changed:
        pm.Potential("more", changed["beta"].sum())
    with pytest.raises(ValueError, match="after build"):
        rl.loo(fit, refit=changed)


def test_units_and_forms_that_there_are_not(fit: xr.DataTree) -> None:
    with pytest.raises(ValueError, match="Did you mean 'session'"):
        rl.loo(fit, "sesion")
    with pytest.raises(ValueError, match="Did you mean 'integrated'"):
        rl.loo(fit, "subject", form="integrate")
    with pytest.raises(ValueError, match="a session has no parameters of its own"):
        rl.loo(fit, "session", form="integrated")
