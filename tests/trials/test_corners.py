"""Corners of tables: codes of another type than the labels, names that trials use, columns in another order."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import rlpymc as rl
from tests.helpers.messages import assert_says, refusal

P = {"alpha": 0.4, "beta": 2.5}
NAN = float("nan")
TWO_STEPS = pd.DataFrame(
    {"subject": 1, "action1": [0, 1, 0, 1], "state2": [0, 1, 1, 0], "action2": [1, NAN, 0, 1], "reward": 1.0}
)
HYBRID = {"alpha1": 0.3, "alpha2": 0.4, "beta1": 2.0, "beta2": 3.0, "lam": 0.5, "w": 0.5, "stickiness": 0.2}


@pytest.mark.parametrize(
    ("cells", "labels", "code"),
    [
        (["left", -9, "right"], ["left", "right"], -9),
        ([-9, -9, NAN], ["left", "right"], -9),
        ([37, "miss", 39], [37, 39], "miss"),
        (["miss", "miss", None], [37, 39], "miss"),
        (pd.Categorical(["left", -9, "right"]), ["left", "right"], -9),
    ],
)
def test_a_code_of_what_is_missing_may_be_of_another_type_than_the_labels(cells: Any, labels: Any, code: Any) -> None:
    data = pd.DataFrame({"subject": 1, "action": cells, "reward": [1.0, NAN, 0.0]})
    trials = rl.read_trials(data, actions=labels, missing=code)
    assert trials["action"].values[0, 1] == -1
    pd.testing.assert_frame_equal(rl.to_table(trials), data)


def test_a_number_that_stands_for_no_response_among_labels_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "choices.csv"
    path.write_text("subject,action,reward\n1,left,1\n1,-9,\n1,right,0\n")
    trials = rl.read_trials(path, actions=["left", "right"], missing=-9)
    assert trials["action"].values[0].tolist() == [0, -1, 1]
    pd.testing.assert_frame_equal(rl.to_table(trials), pd.read_csv(path))


@pytest.mark.parametrize(
    ("cells", "decimal", "expected"),
    [
        (["0,5", ".", "1,5"], ",", [0.5, 1.5]),
        (["TRUE", ".", "FALSE"], ".", [1.0, 0.0]),
        (["0.5", ".", "1"], ".", [0.5, 1.0]),
    ],
)
def test_a_text_for_what_is_missing_leaves_the_other_cells_what_they_are(
    tmp_path: Path, cells: list[str], decimal: str, expected: list[float]
) -> None:
    path = tmp_path / "choices.txt"
    path.write_text("subject;action;reward\n" + "".join(f"1;{k};{c}\n" for k, c in zip("0.1", cells, strict=True)))
    trials = rl.read_trials(path, missing=".", decimal=decimal)
    blank = pd.DataFrame({"subject": 1, "action": [0, NAN, 1], "reward": [expected[0], NAN, expected[1]]})
    found = rl.log_prob("delta", trials, P).values
    np.testing.assert_array_equal(found, rl.log_prob("delta", rl.read_trials(blank), P).values)
    assert rl.to_table(trials)["reward"][1] == "."


def test_the_first_response_is_the_first_in_any_order_of_columns() -> None:
    data = TWO_STEPS.assign(scored_0=1, scored_1=[1, 0, 1, 0])
    found = rl.log_prob("two_step_hybrid", rl.read_trials(data), HYBRID).values
    turned = rl.read_trials(data[["subject", "action2", "scored_1", "action1", "scored_0", "state2", "reward"]])
    np.testing.assert_array_equal(rl.log_prob("two_step_hybrid", turned, HYBRID).values, found)
    assert turned["response"].values.tolist() == ["action1", "action2"]


def test_a_column_named_response_is_kept_beside_two_responses() -> None:
    data = TWO_STEPS.assign(response=["f", "j", "f", "j"])
    trials = rl.read_trials(data)
    assert trials["response_column"].values[0].tolist() == ["f", "j", "f", "j"]
    pd.testing.assert_frame_equal(rl.to_table(trials), data)
    assert "response" in rl.read_trials(data[["subject", "response"]].assign(action=0))


def test_options_on_offer_are_no_trials_side_by_side() -> None:
    data = pd.DataFrame({"subject": ["a", "b"], "action": [0, 2], "available_0": 1, "available_1": 1, "available_2": 1})
    rl.read_trials(data)
    by_number = pd.DataFrame({"subject": ["a", "b"], "action": [0, 2], "o1": [0, 1], "o2": [1, 2], "o3": [2, 0]})
    rl.read_trials(by_number, {"available": ["o1", "o2", "o3"]})


def test_a_column_of_empty_cells_is_said_to_be_empty() -> None:
    data = pd.DataFrame({"subject": 1, "action": [0, 1], "reward": [None, None]})
    assert_says(refusal(rl.log_prob, "delta", rl.read_trials(data), P), "'reward'", "row 0", "an empty cell")
    missed = data.assign(action=NAN)
    assert not rl.log_prob("delta", rl.read_trials(missed), P).values.any()
    pd.testing.assert_frame_equal(rl.to_table(rl.read_trials(missed)), missed)


def test_categories_of_polars() -> None:
    data = pl.DataFrame({"subject": 1, "action": ["left", None, "right"], "reward": [1.0, None, 0.0]})
    data = data.with_columns(pl.col("action").cast(pl.Categorical))
    for table in (data, data.with_columns(pl.col("action").cast(pl.Enum(["right", "left"])))):
        assert rl.read_trials(table, actions=["left", "right"])["action"].values[0].tolist() == [0, -1, 1]


def test_categories_with_empty_cells() -> None:
    data = pd.DataFrame({"subject": 1, "action": [0, 1, 1], "mood": pd.Categorical([None, "a", None], ["b", "a"])})
    trials = rl.read_trials(data)
    assert trials["mood"].values[0].tolist() == ["", "a", ""]
    pd.testing.assert_frame_equal(rl.to_table(trials), data)
    numbers = data.assign(mood=pd.Categorical([2, None, 1]))
    pd.testing.assert_frame_equal(rl.to_table(rl.read_trials(numbers)), numbers)


def test_labels_that_are_numbers_in_one_column_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "choices.csv"
    path.write_text("subject,action,better_option,reward\n1,1,1,1\n1,both,2,0\n")
    trials = rl.read_trials(path, actions=["1", "2", "both"])
    assert trials["better_option"].values[0].tolist() == [0, 1]
    pd.testing.assert_frame_equal(rl.to_table(trials), pd.read_csv(path))
