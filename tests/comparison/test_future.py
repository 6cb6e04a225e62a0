"""Leaving the future out: by refits at each cut and by weights between them, against quadrature."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from tests.helpers import quadrature

SETTINGS: dict[str, Any] = {"draws": 500, "tune": 300, "chains": 2, "seed": 1, "progress": False}


@pytest.fixture(scope="module")
def trials() -> xr.Dataset:
    """Two people, three blocks of eight trials; the second has no more than twenty."""
    data = quadrature.trials(2, 24, beta=np.array([1.0, 4.0]), block_length=8)
    for name in ("exists", "scored", "learned"):
        data[name].values[1, 20:] = False
    return data


@pytest.fixture(scope="module")
def model(trials: xr.Dataset) -> rl.RLModel:
    return quadrature.build(trials)


def ahead_of(model: rl.RLModel, *arguments: Any, **options: Any) -> rl.Elpd:
    """Return the result; what so few draws are warned of is of no interest here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.SamplingWarning)
        return rl.leave_future_out(model, *arguments, **{**SETTINGS, **options})


def exact(trials: xr.Dataset, first: int, ahead: int) -> dict[tuple[int, int], float]:
    found = {}
    for i, length in enumerate((24, 20)):
        for cut in range(first, length, ahead):
            asked = np.arange(cut, min(cut + ahead, length))
            found[i, cut] = quadrature.predictive(trials, i, asked, np.arange(cut))
    return found


def assert_exact(found: rl.Elpd, expected: dict[tuple[int, int], float], atol: float) -> None:
    labels = list(zip(found.elpd_i["subject"].values.tolist(), found.elpd_i["cut"].values.tolist(), strict=True))
    assert sorted(labels) == sorted(expected)
    assert_allclose(found.elpd_i, [expected[label] for label in labels], atol=atol)


@pytest.fixture(scope="module")
def by_weights(model: rl.RLModel) -> rl.Elpd:
    return ahead_of(model, 8)


def test_each_next_trial(trials: xr.Dataset, by_weights: rl.Elpd) -> None:
    assert_exact(by_weights, exact(trials, 8, 1), 0.1)
    assert by_weights.unit == "1 trial ahead, from 8 on"
    assert (by_weights.pareto_k[by_weights.elpd_i["cut"] == 8] == -np.inf).all()
    assert (by_weights.pareto_k[by_weights.elpd_i["cut"] == 12] > -np.inf).all()


def test_some_trials_at_a_time_by_a_refit_each(trials: xr.Dataset, model: rl.RLModel) -> None:
    found = ahead_of(model, 10, ahead=6, k_threshold=-np.inf)
    assert_exact(found, exact(trials, 10, 6), 0.06)
    assert_array_equal(found.refitted, found.elpd_i["cut"] > 10)


def test_by_block(trials: xr.Dataset, model: rl.RLModel) -> None:
    found = ahead_of(model, 1, by="block")
    by_trial = exact(trials, 8, 8)
    assert_exact(found, {(i, cut // 8): value for (i, cut), value in by_trial.items()}, 0.15)


def test_a_broken_run_goes_on(model: rl.RLModel, tmp_path: Path) -> None:
    import nutpie

    options = {"ahead": 6, "k_threshold": -np.inf}
    whole, calls, real = ahead_of(model, 10, **options), [], nutpie.sample

    def counted(*arguments: Any, **settings: Any) -> Any:
        if stop and len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(1)
        return real(*arguments, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nutpie, "sample", counted)
        stop = True
        with pytest.raises(KeyboardInterrupt):
            ahead_of(model, 10, folder=tmp_path, **options)
        stop = False
        done = len(list(tmp_path.glob("*/chain_*.nc")))
        calls.clear()
        resumed = ahead_of(model, 10, folder=tmp_path, **options)
        assert len(calls) == 6 - done < 6
    assert_array_equal(resumed.elpd_i, whole.elpd_i)


def test_compare_takes_the_results(trials: xr.Dataset, by_weights: rl.Elpd) -> None:
    other = ahead_of(rl.build("choice_kernel", trials, pooling="none"), 8)
    table = rl.compare({"delta": by_weights, "kernel": other})
    assert_allclose(table.loc["delta", "elpd"], by_weights.elpd)
    assert_allclose(table["elpd"].iloc[0] - table["elpd"], abs(table["elpd_diff"]), atol=1e-9)
    assert (table["unit"] == "1 trial ahead, from 8 on").all()
    later = ahead_of(rl.build("choice_kernel", trials, pooling="none"), 9)
    with pytest.raises(ValueError, match="different units: '1 trial ahead, from 8 on' and '1 trial ahead, from 9 on'"):
        rl.compare({"delta": by_weights, "kernel": later})


def test_what_has_no_future_is_refused(trials: xr.Dataset, model: rl.RLModel) -> None:
    with pytest.raises(ValueError, match="first: found 0"):
        rl.leave_future_out(model, 0)
    for wrong in ("5", 1.5, None):
        with pytest.raises(ValueError, match=r"first: found .*expected a whole number"):
            rl.leave_future_out(model, wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k_threshold: found nan"):
        rl.leave_future_out(model, 5, k_threshold=np.nan)
    with pytest.raises(ValueError, match="found 20 draws in all chains, expected at least 25"):
        rl.leave_future_out(model, 5, draws=10, chains=2)
    with pytest.raises(ValueError, match="ahead: found 0"):
        rl.leave_future_out(model, 5, ahead=0)
    with pytest.raises(ValueError, match=r"first=24: nothing comes after, the longest subject has 24 trials"):
        rl.leave_future_out(model, 24)
    with pytest.raises(ValueError, match="unknown time to count in 'blocks'"):
        rl.leave_future_out(model, 1, by="blocks")
    with pytest.raises(ValueError, match="no column 'session'"):
        rl.leave_future_out(model, 1, by="session")
    with pytest.raises(TypeError, match=r"rlpymc\.build"):
        rl.leave_future_out("delta", 1)  # type: ignore[arg-type]
    silent = trials.copy(deep=True)
    silent["scored"].values[1, :6] = False
    with pytest.raises(ValueError, match="subject 1 has no scored response before 5"):
        rl.leave_future_out(quadrature.build(silent), 5, progress=False)
    mixed = trials.copy(deep=True)
    mixed["block"].values[0, 16:] = 0
    with pytest.raises(ValueError, match="subject 0: a block comes back"):
        rl.leave_future_out(quadrature.build(mixed), 1, by="block")


def test_fits_that_are_not_to_be_trusted_are_warned_of_where_they_were_asked_for(model: rl.RLModel) -> None:
    with pytest.warns(rl.SamplingWarning, match="refit") as said:
        rl.leave_future_out(model, 8, ahead=16, **{**SETTINGS, "draws": 20, "tune": 20})
    assert [warning.filename for warning in said] == [__file__]
