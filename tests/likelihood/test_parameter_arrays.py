"""Parameters in every way of writing them are the plainly written array."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_array_equal

import rlpymc as rl
from rlpymc.likelihood.parameter_arrays import parameter_arrays
from rlpymc.trials.model_data import ModelData, data_for
from tests.helpers.messages import assert_says, refusal

LABELS = ["a", "b", "c"]


def trials() -> xr.Dataset:
    """Return three subjects with two blocks, "x" and "y", of two trials; the last one lacks a trial; three actions."""
    n = 11
    table = {
        "subject": np.repeat(LABELS, 4)[:n],
        "block": np.tile(["x", "x", "y", "y"], 3)[:n],
        "session": np.tile([1, 1, 1, 2], 3)[:n],
        "action": np.arange(n) % 3,
        "reward": np.arange(n) % 2,
    }
    return rl.read_trials(pd.DataFrame(table), reset=["session", "block"])


def data(model: str = "delta") -> ModelData:
    return data_for(rl.get_model(model), trials())


def alpha(value: Any) -> np.ndarray:
    """Return the array that a way of writing alpha becomes."""
    return parameter_arrays(data(), {"alpha": value, "beta": 1.0})["alpha"]


def bias(value: Any) -> np.ndarray:
    return parameter_arrays(data("biased_random"), {"bias": value})["bias"]


def refused(model: str = "delta", **params: Any) -> str:
    return refusal(parameter_arrays, data(model), params)


# ---------------------------------------------------------------- numbers and arrays


@pytest.mark.parametrize("value", [0.3, np.float64(0.3), np.array(0.3), xr.DataArray(0.3)], ids=type)
def test_one_number_is_for_all(value: Any) -> None:
    assert alpha(value).tolist() == [0.3, 0.3, 0.3]


@pytest.mark.parametrize("value", [[0.1, 0.2, 0.3], (0.1, 0.2, 0.3), np.array([0.1, 0.2, 0.3])], ids=type)
def test_an_array_is_by_subject(value: Any) -> None:
    assert alpha(value).tolist() == [0.1, 0.2, 0.3]


def test_a_parameter_with_a_shape_of_its_own() -> None:
    by_subject = np.arange(6.0).reshape(3, 2)
    assert bias(0.5).tolist() == [[0.5, 0.5]] * 3
    assert bias([0.1, 0.2]).tolist() == [[0.1, 0.2]] * 3
    assert_array_equal(bias(by_subject), by_subject)


def test_constants_may_be_left_out() -> None:
    found = parameter_arrays(data(), {"alpha": 0.3, "beta": 1})
    assert found["q0"].tolist() == [0, 0, 0]
    assert list(found) == ["alpha", "q0", "beta"]
    assert all(value.dtype == np.float64 for value in found.values())


def test_a_dataset_of_parameters() -> None:
    params = xr.Dataset({"alpha": ("subject", [0.1, 0.2, 0.3]), "beta": 2.0}, coords={"subject": ["c", "b", "a"]})
    found = parameter_arrays(data(), params)
    assert found["alpha"].tolist() == [0.3, 0.2, 0.1]
    assert found["beta"].tolist() == [2, 2, 2]


# ---------------------------------------------------------------- DataArrays


def test_subjects_are_found_by_label() -> None:
    value = xr.DataArray([0.1, 0.2, 0.3, 0.4], dims="subject", coords={"subject": ["c", "other", "a", "b"]})
    assert alpha(value).tolist() == [0.3, 0.4, 0.1]


def test_without_labels_subjects_are_in_order() -> None:
    assert alpha(xr.DataArray([0.1, 0.2, 0.3], dims="subject")).tolist() == [0.1, 0.2, 0.3]


def test_a_series_by_subject_is_found_by_label() -> None:
    assert alpha(pd.Series([0.1, 0.2, 0.3], index=["c", "b", "a"])).tolist() == [0.3, 0.2, 0.1]


def test_by_block() -> None:
    value = xr.DataArray([0.1, 0.2], dims="block", coords={"block": ["x", "y"]})
    exists = trials()["exists"].values
    assert_array_equal(alpha(value)[exists], np.tile([0.1, 0.1, 0.2, 0.2], (3, 1))[exists])


def test_by_session() -> None:
    value = xr.DataArray([0.1, 0.2], dims="session", coords={"session": [1, 2]})
    exists = trials()["exists"].values
    assert_array_equal(alpha(value)[exists], np.tile([0.1, 0.1, 0.1, 0.2], (3, 1))[exists])


def test_by_subject_and_block_in_any_order() -> None:
    table = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    value = xr.DataArray(table, dims=("subject", "block"), coords={"subject": LABELS, "block": ["x", "y"]})
    expected = table[:, [0, 0, 1, 1]]
    exists = trials()["exists"].values
    for given in (value, value.transpose(), value.isel(subject=[2, 0, 1], block=[1, 0])):
        assert_array_equal(alpha(given)[exists], expected[exists])


def test_by_trial() -> None:
    value = xr.DataArray([0.1, 0.2, 0.3, 0.4], dims="trial", coords={"trial": [0, 1, 2, 3]})
    assert_array_equal(alpha(value), np.tile([0.1, 0.2, 0.3, 0.4], (3, 1)))
    assert_array_equal(alpha(value.isel(trial=[3, 1, 2, 0])), np.tile([0.1, 0.2, 0.3, 0.4], (3, 1)))
    assert_array_equal(alpha(value.drop_vars("trial")), np.tile([0.1, 0.2, 0.3, 0.4], (3, 1)))


def test_by_subject_and_trial_in_any_order() -> None:
    table = np.linspace(0.0, 1.0, 12).reshape(3, 4)
    value = xr.DataArray(table, dims=("subject", "trial"), coords={"subject": LABELS})
    assert_array_equal(alpha(value), table)
    assert_array_equal(alpha(value.transpose()), table)
    assert_array_equal(alpha(value.isel(subject=[1, 2, 0])), table)


def test_named_dims_of_a_parameter_with_a_shape_of_its_own() -> None:
    by_subject = np.arange(6.0).reshape(3, 2)
    value = xr.DataArray(by_subject, dims=("subject", "which"), coords={"subject": LABELS})
    assert_array_equal(bias(value), by_subject)
    assert_array_equal(bias(value.transpose()), by_subject)
    by_block = xr.DataArray([[0.1, 0.2], [0.3, 0.4]], dims=("which", "block"), coords={"block": ["x", "y"]})
    assert_array_equal(bias(by_block)[0], [[0.1, 0.3], [0.1, 0.3], [0.2, 0.4], [0.2, 0.4]])


def test_a_parameter_by_block_is_what_each_block_alone_would_have() -> None:
    value = xr.DataArray([0.1, 0.9], dims="block", coords={"block": ["x", "y"]})
    table = trials()

    def log_prob(alpha: Any) -> np.ndarray:
        return rl.log_prob("delta", table, {"alpha": alpha, "beta": 2.0}, mode="FAST_COMPILE").values

    whole = log_prob(value)
    assert_array_equal(whole[:, :2], log_prob(0.1)[:, :2])
    assert_array_equal(whole[:, 2:], log_prob(0.9)[:, 2:])


# ---------------------------------------------------------------- what does not fit


def test_unknown_and_missing_parameters() -> None:
    assert_says(refused(alpha=0.3, betta=1.0), "'betta'", "Did you mean 'beta'?")
    assert_says(refused(alpha=0.3), "delta needs a value for beta")


@pytest.mark.parametrize("value", [[0.1, 0.2], np.full((3, 4), 0.3), np.full((1, 3), 0.3), []], ids=np.shape)
def test_a_wrong_shape_is_named_with_the_right_ones(value: Any) -> None:
    assert_says(refused(alpha=value, beta=1.0), "'alpha'", str(np.shape(value)), "(3,) by subject", "DataArray")


def test_what_is_no_number_is_named() -> None:
    with pytest.raises(TypeError, match="'alpha': found 'high'"):
        parameter_arrays(data("delta"), {"alpha": "high", "beta": 1.0})


@pytest.mark.parametrize("value", [1.2, -0.1, np.nan, np.inf])
def test_a_value_outside_the_support_is_named_with_its_subject(value: float) -> None:
    assert_says(refused(alpha=[0.1, value, 0.2], beta=1.0), "'alpha'", "subject 'b'", f"{value:g}", "unit")


def test_a_dim_that_means_nothing_here_is_refused() -> None:
    draws = xr.DataArray(np.full((2, 3), 0.3), dims=("draw", "subject"))
    assert_says(refused(alpha=draws, beta=1.0), "'alpha'", "(2, 3)")


@pytest.mark.parametrize(("dim", "labels"), [("subject", ["a", "b", "z"]), ("trial", [1, 2, 3, 4]), ("block", ["x"])])
def test_a_label_without_a_value_is_named(dim: str, labels: list[Any]) -> None:
    value = xr.DataArray(np.full(len(labels), 0.3), dims=dim, coords={dim: labels})
    missing = {"subject": "'c'", "trial": "0", "block": "'y'"}[dim]
    assert_says(refused(alpha=value, beta=1.0), "'alpha'", dim, missing)


def test_a_label_with_two_values_is_named() -> None:
    value = xr.DataArray([0.1, 0.2, 0.3, 0.4], dims="subject", coords={"subject": ["a", "b", "b", "c"]})
    assert_says(refused(alpha=value, beta=1.0), "'alpha'", "subject")


def test_values_by_block_without_labels_are_refused_with_the_cure() -> None:
    assert_says(refused(alpha=xr.DataArray([0.1, 0.2], dims="block"), beta=1.0), "'alpha'", "block", "coords")


def test_a_column_that_the_trials_lack_is_named() -> None:
    value = xr.DataArray([0.1], dims="block", coords={"block": ["x"]})
    without = data_for(rl.get_model("delta"), trials().drop_vars("block"))
    with pytest.raises(ValueError, match=r"'alpha' varies by block.*no column 'block'"):
        parameter_arrays(without, {"alpha": value, "beta": 1.0})
