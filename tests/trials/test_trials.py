"""Tables become trials and tables again; what does not fit is said with its place and its cure."""

import doctest
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import rlpymc.trials
from rlpymc.trials.attributes import facts
from rlpymc.trials.doubts import TrialsWarning
from rlpymc.trials.reading import read_trials
from rlpymc.trials.writing import to_table
from tests.helpers.messages import assert_says, refusal

NAN = float("nan")
MASKS = ["exists", "scored", "learned", "reset"]


def small(**columns: Any) -> pd.DataFrame:
    """Two subjects, interleaved, of three and two trials; further columns are added, None takes one away."""
    table: dict[str, Any] = {
        "subject": ["b", "a", "b", "b", "a"],
        "action": [0, 1, 1, 0, 0],
        "reward": [1.0, 0.0, 0.5, 0.0, 1.0],
    }
    return pd.DataFrame({name: cells for name, cells in (table | columns).items() if cells is not None})


def message(table: Any, *args: Any, error: type[Exception] = ValueError, **options: Any) -> str:
    """The complaint about this table."""
    with pytest.raises(error) as info:
        read_trials(table, *args, **options)
    return str(info.value)


def assert_comes_back(table: pd.DataFrame, **options: Any) -> None:
    pd.testing.assert_frame_equal(to_table(read_trials(table, **options)), table.reset_index(drop=True))


# ---------------------------------------------------------------- layout


def test_examples_in_the_docstrings() -> None:
    assert doctest.testmod(rlpymc.trials).failed == 0


def test_subjects_and_trials_stand_in_the_order_of_the_table() -> None:
    trials = read_trials(small())
    assert trials["action"].dims == ("subject", "trial")
    assert trials["subject"].values.tolist() == ["b", "a"]
    assert trials["trial"].values.tolist() == [0, 1, 2]
    assert trials["action"].values.tolist() == [[0, 1, 0], [1, 0, -1]]
    assert trials["row"].values.tolist() == [[0, 2, 3], [1, 4, -1]]


def test_padding_by_type() -> None:
    trials = read_trials(small(level=[1, 2, 3, 4, 5], easy=[True] * 5, word=list("vwxyz"), stimulus=[1, 0, 2, 0, 1]))
    end = trials.isel(subject=1, trial=2)
    assert end["action"] == -1
    assert end["row"] == -1
    assert end["stimulus"] == 0
    assert end["level"] == 0
    assert np.isnan(end["reward"])
    assert not end["easy"]
    assert end["word"] == ""
    assert not any(end[mask] for mask in MASKS)


def test_masks_by_default() -> None:
    trials = read_trials(small(action=[0, 1, NAN, 0, 0]))
    assert trials["exists"].values.tolist() == [[True, True, True], [True, True, False]]
    assert trials["scored"].values.tolist() == [[True, False, True], [True, True, False]]
    assert trials["learned"].values.tolist() == [[True, False, True], [True, True, False]]
    assert trials["reset"].values.tolist() == [[True, False, False], [True, False, False]]
    assert all(trials[mask].dtype == bool for mask in MASKS)


def test_a_two_step_trial_is_learned_from_when_both_responses_were_made_and_each_is_scored_that_was() -> None:
    whole = read_trials(small(action=None, action1=[0, 1, 0, 1, 1], action2=[1, 1, 0, 0, 1]))
    assert whole["scored"].dims == ("subject", "trial")
    trials = read_trials(small(action=None, action1=[0, 1, 0, 1, 1], action2=[1, NAN, 0, 0, 1]))
    assert trials["response"].values.tolist() == ["action1", "action2"]
    assert trials["scored"].values[1].tolist() == [[True, False], [True, True], [False, False]]
    assert trials["learned"].values.tolist() == [[True, True, True], [False, True, False]]


def test_masks_from_the_table() -> None:
    trials = read_trials(small(scored=[1, 1, 0, 1, 1], count=[True, True, True, False, True]), {"learned": "count"})
    assert trials["scored"].values.tolist() == [[True, False, True], [True, True, False]]
    assert trials["learned"].values.tolist() == [[True, True, False], [True, True, False]]


def test_a_forced_choice_is_learned_from_without_being_told() -> None:
    trials = read_trials(small(scored=[False, True, True, True, True]))
    assert trials["learned"].values.tolist() == trials["exists"].values.tolist()


def test_scored_by_response() -> None:
    table = small(action=None, action1=[0, 1, 0, 1, 1], action2=[1, NAN, 0, 0, 1])
    trials = read_trials(table.assign(scored_0=1, scored_1=[1, 0, 1, 1, 1]))
    assert trials["scored"].dims == ("subject", "trial", "response")
    assert trials["scored"].values[1].tolist() == [[True, False], [True, True], [False, False]]


def test_columns_keep_their_names_unless_renamed() -> None:
    table = small().rename(columns={"subject": "id", "action": "choice"}).assign(rt=0.5)
    trials = read_trials(table, {"subject": "id", "action": "choice"})
    assert {"action", "reward", "rt"} <= set(trials.data_vars)
    assert "choice" not in trials


def test_hbayesdm_preset() -> None:
    table = pd.DataFrame({"SubjID": [7, 7], "Trial": [1, 2], "choice": [1, 4], "out_come": [1.0, -1.0], "gain": [0, 1]})
    trials = read_trials(table, "hbayesdm", facts={"n_actions": 4})
    assert trials["action"].values.tolist() == [[0, 3]]
    assert trials["reward"].values.tolist() == [[1.0, -1.0]]
    assert {"trial_number", "gain"} <= set(trials.data_vars)
    from_zero = table.assign(choice=[0, 1])
    assert read_trials(from_zero, "hbayesdm", action_base=0)["action"].values.tolist() == [[0, 1]]


def test_trial_numbers_are_kept_and_gaps_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "rlpymc"):
        trials = read_trials(small(trial=[1, 1, 2, 4, 2]))
    assert trials["trial_number"].values[0].tolist() == [1, 2, 4]
    assert trials["trial"].values.tolist() == [0, 1, 2]
    assert_says(caplog.text, "gaps", "subject 'b', row 3: 4 follows 2")


@pytest.mark.parametrize("name", ["block", "session"])
def test_trial_numbers_may_start_again_with_a_block_or_session(name: str) -> None:
    read_trials(small(trial=[1, 1, 2, 1, 2], **{name: [1, 1, 1, 2, 1]}), reset=False)


# ---------------------------------------------------------------- facts


def test_facts_are_found_over_all_subjects_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "rlpymc"):
        trials = read_trials(
            small(action=[0] * 5, stimulus=[0, 4, 1, 2, 3], cue=[0] * 5, state=[0] * 5, next_state=[0, 1, 2, 2, 2])
        )
    assert facts(trials) == {"n_actions": 2, "n_stimuli": 5, "n_cues": 1, "n_states": 3}
    assert_says(caplog.text, "n_actions=2", "n_stimuli=5")


def test_facts_can_be_given_and_added() -> None:
    trials = read_trials(small(), facts={"n_actions": 4, "p_common": 0.7})
    assert facts(trials) == {"n_actions": 4, "p_common": 0.7}


def test_actions_that_seem_to_start_at_one_are_pointed_out() -> None:
    read_trials(small(action=[1, 1, 1, 1, 1]))
    with pytest.warns(TrialsWarning, match="pass action_base=1"):
        read_trials(small(action=[1, 2, 2, 1, 1]))


def test_a_given_fact_that_the_data_contradict() -> None:
    text = message(small(stimulus=[0, 1, 2, 0, 0]), facts={"n_stimuli": 2})
    assert_says(text, "'stimulus'", "subject 'b', trial 1, row 2", "found 2", "from 0 to 1", "n_stimuli")
    assert_says(message(small(), facts={"n_actions": 2.5}), "n_actions", "2.5", "whole number")


# ---------------------------------------------------------------- options on offer


def test_options_by_number() -> None:
    table = small(left=[0, 1, 1, 0, 0], right=[2, 2, 2, NAN, 1])
    trials = read_trials(table, {"available": ["left", "right"]})
    assert trials["available"].dims == ("subject", "trial", "option")
    assert facts(trials)["n_actions"] == 3
    assert trials["available"].values[0].tolist() == [[True, False, True], [False, True, True], [True, False, False]]
    assert not trials["available"].values[1, 2].any()
    assert "action" in trials.data_vars


def test_options_by_number_follow_action_base() -> None:
    table = small(action=[1, 2, 2, 1, 1], left=[1] * 5, right=[2] * 5)
    trials = read_trials(table, {"available": ["left", "right"]}, action_base=1)
    assert trials["available"].values[trials["exists"].values].all()


@pytest.mark.parametrize("names", [["available_0", "available_1", "available_2"], ["red", "green", "blue"]])
def test_options_by_flag(names: list[str]) -> None:
    table = small(**dict(zip(names, [[True] * 5, [True] * 5, [False] * 5], strict=True)))
    trials = read_trials(table, None if names[0] == "available_0" else {"available": names})
    assert facts(trials)["n_actions"] == 3
    assert trials["available"].values[0, 0].tolist() == [True, True, False]
    assert "red" not in trials


def test_an_action_that_was_not_on_offer() -> None:
    text = message(small(left=[0, 0, 0, 0, 0], right=[1, 2, 1, 1, 1]), {"available": ["left", "right"]})
    assert_says(text, "'action'", "subject 'a', trial 0, row 1", "found 1", "[0, 2]", "Mend")


def test_flags_that_do_not_count_as_actions_do() -> None:
    assert_says(message(small(available_1=1, available_2=1)), "available_0", "count from 0")
    text = message(small(available_0=1, available_1=1), facts={"n_actions": 3})
    assert_says(text, "available", "found 2", "each of 3 actions")


def test_flags_written_as_numbers_in_columns_of_any_name() -> None:
    text = message(small(red=[1] * 5, green=[1] * 5), {"available": ["red", "green"]})
    assert_says(text, "'green'", "row 0", "found 1", "True and False")


def test_one_column_cannot_hold_what_is_available() -> None:
    assert_says(message(small(available=["01"] * 5)), "'available'", "several columns")


# ---------------------------------------------------------------- resets


def test_reset_at_the_change_of_a_column() -> None:
    trials = read_trials(small(block=[1, 5, 2, 2, 5]), reset="block")
    assert trials["reset"].values.tolist() == [[True, True, False], [True, False, False]]


def test_reset_by_flags_always_with_the_first_trial() -> None:
    flags = [False, False, False, True, True]
    expected = [[True, False, True], [True, True, False]]
    assert read_trials(small(new=flags), reset="new")["reset"].values.tolist() == expected
    assert read_trials(small(reset=flags))["reset"].values.tolist() == expected
    assert read_trials(small(new=np.array(flags, int)), {"reset": "new"})["reset"].values.tolist() == expected


def test_reset_knows_our_name_and_the_tables() -> None:
    table = small(deck=[1, 5, 2, 2, 5])
    for name in ("block", "deck"):
        trials = read_trials(table, {"block": "deck"}, reset=name)
        assert trials["reset"].values[0].tolist() == [True, True, False]


def test_reset_errors() -> None:
    assert_says(message(small(block=1), reset="blok"), "reset='blok'", "Did you mean 'block'?")
    assert_says(message(small(block=[1, NAN, 1, 1, 1]), reset="block"), "'block'", "row 1", "an empty cell")
    assert_says(message(small(block=1, reset=1), reset="block"), "has a column 'reset' too")


# ---------------------------------------------------------------- what does not fit


def test_an_action_out_of_range_says_where_and_how_to_mend_it() -> None:
    table = small(action=[0, 1, 1, 2, 0], trial=[1, 1, 2, 14, 2])
    assert message(table, facts={"n_actions": 2}) == (
        "column 'action': subject 'b', trial 14, row 3: found 2, expected an integer from 0 to 1. "
        "If your actions are coded 1..2, pass action_base=1; "
        "if the trial was missed, leave the cell empty or pass missing=<code>."
    )


@pytest.mark.parametrize(("cell", "found"), [(-1, "-1"), (0.5, "0.5"), ("left", "'left'"), (float("inf"), "inf")])
def test_an_action_that_is_no_number_from_zero(cell: object, found: str) -> None:
    text = message(small(action=None, choice=[0, 1, 1, 0, cell]), {"action": "choice"})
    assert_says(text, "'action' ('choice' in the table)", "subject 'a', trial 1, row 4", f"found {found},")
    assert_says(text, "actions=[" if isinstance(cell, str) else "action_base=", "missing=")


def test_an_action_below_the_base() -> None:
    text = message(small(), action_base=1)
    assert_says(text, "row 0", "found 0", "an integer, 1 or more", "pass action_base=0")


def test_a_scored_trial_has_a_response() -> None:
    text = message(small(action=[0, 1, NAN, 0, 0], scored=True))
    assert_says(text, "'scored'", "subject 'b', trial 1, row 2", "found True", "no response")
    two = small(action=None, action1=[0, 1, 0, 1, 1], action2=[1, NAN, 0, 0, 1])
    assert_says(message(two.assign(scored_0=1, scored_1=1)), "'scored_1'", "row 1", "no response")
    assert_says(message(small(scored_0=1, scored_1=1)), "scored", "found 2 columns", "['action']")


def test_masks_are_true_or_false() -> None:
    assert_says(message(small(learned=[1, 1, 2, 1, 1])), "'learned'", "row 2", "found 2", "True or False")
    assert_says(message(small(scored=[1, 1, NAN, 1, 1])), "'scored'", "row 2", "an empty cell")


@pytest.mark.parametrize(("numbers", "found"), [([1, 1, 2, 2, 2], "2"), ([5, 1, 2, 3, 2], "2")])
def test_trial_numbers_increase(numbers: list[int], found: str) -> None:
    text = message(small(trial=numbers))
    assert_says(text, "'trial'", "subject 'b'", f"found {found}", "expected more than", "Sort", "block")


def test_trial_numbers_are_numbers() -> None:
    assert_says(message(small(trial=[1, 1, NAN, 3, 4])), "'trial'", "row 2", "an empty cell", "another name")
    assert_says(message(small(trial=list("abcde"))), "'trial'", "row 0", "found 'a'", "another name")


@pytest.mark.parametrize("blank", [None, "", " "])
def test_subjects_have_labels(blank: str | None) -> None:
    assert_says(message(small(subject=["a", "a", blank, "b", "b"])), "'subject'", "row 2", "an empty cell")
    assert_says(message(small(subject=[1, 1, NAN, 2, 2])), "'subject'", "row 2", "an empty cell")


def test_subjects_are_of_one_type() -> None:
    assert_says(message(small(subject=[1, 1, "1", 2, 2])), "'subject'", "row 2", "found '1'", "as 1 in row 0")


def test_no_column_for_the_subject() -> None:
    text = message(small().rename(columns={"subject": "subj"}))
    assert_says(text, "no column 'subject'", "columns={'subject'", "Did you mean 'subj'?", "reward")


def test_columns_that_the_table_does_not_have() -> None:
    text = message(small(choice=0), {"action": "choise"})
    assert_says(text, "columns['action']", "'choise'", "Did you mean 'choice'?")
    assert_says(message(small(left=0), {"available": ["left", "rigth"]}), "columns['available']", "'rigth'")
    assert_says(message(small(), "hbayesDM"), "preset", "Did you mean 'hbayesdm'?")
    assert_says(message(small(), ["id"], error=TypeError), "expected a dict")


def test_columns_that_clash() -> None:
    text = message(small(choice=0), {"action": "choice"})
    assert_says(text, "columns['action']", "another column of this name", "'my_action': 'action'")
    assert_says(message(small(x=0), {"stimulus": "x", "state": "x"}), "'x' is used twice")
    assert_says(message(pd.DataFrame({"subjID": ["a"], "subj_id": ["a"]}), "hbayesdm"), "would both be 'subject'")
    read_trials(small(choice=0), {"action": "choice", "planned": "action"})


@pytest.mark.parametrize("name", ["exists", "row", "trial_number"])
def test_names_that_trials_keep_for_themselves(name: str) -> None:
    table = small(**{name: [3.0, 1.0, 2.0, 5.0, 4.0]}, trial=[1, 1, 2, 3, 2])
    trials = read_trials(table)
    assert trials[f"{name}_column"].values[0].tolist() == [3.0, 2.0, 5.0]
    assert_comes_back(table)
    assert_says(message(small(x=1), {name: "x"}), f"columns[{name!r}]", "another name")


def test_things_that_are_no_table() -> None:
    for thing in (np.zeros((2, 2)), {"subject": [1]}, None, pd.Series([1])):
        assert_says(message(thing, error=TypeError), type(thing).__name__, "path", "pandas", "read_trials")
    assert_says(message(small().iloc[:0]), "no rows")
    assert_says(message("choices.xlsx"), ".xlsx", ".csv", ".parquet")
    assert_says(message(pd.DataFrame([["a", 1]], columns=["subject", 3])), "3", "text")
    assert_says(message(pd.DataFrame([["a", 1, 2]], columns=["subject", "x", "x"])), "'x'")


def test_trials_are_checked_and_returned() -> None:
    trials = read_trials(small())
    assert read_trials(trials) is trials
    assert_says(message(trials.drop_vars("learned")), "no mask 'learned'", "read_trials")
    assert_says(message(trials.assign(learned=trials["learned"].astype(int))), "'learned'", "int64", "bool")
    assert_says(message(trials, reset="block"), "read before")


# ---------------------------------------------------------------- sources


@pytest.mark.parametrize(
    "convert",
    [pl.from_pandas, lambda table: pl.from_pandas(table).to_arrow(), lambda table: pl.from_pandas(table).lazy()],
)
def test_any_dataframe(convert: Callable[[pd.DataFrame], Any]) -> None:
    trials = read_trials(convert(small(action=[0, 1, NAN, 0, 0])))
    assert trials.drop_attrs().identical(read_trials(small(action=[0, 1, NAN, 0, 0])).drop_attrs())


@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz", "tsv.gz", "parquet"])
def test_any_file(tmp_path: Path, ending: str) -> None:
    table = small(reward=[0.1, 1 / 3, 1e-17, 2.5, -1.0], trial=[1, 1, 2, 3, 2])
    path = tmp_path / f"choices.{ending}"
    if ending == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, sep="\t" if "tsv" in ending else ",", index=False)
    for source in (path, str(path)):
        pd.testing.assert_frame_equal(to_table(read_trials(source)), table)


def test_labels_in_files_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "choices.csv"
    path.write_text("subject,action\n01,0\n1,1\n")
    assert read_trials(path)["subject"].values.tolist() == ["01", "1"]
    path.write_text("id,action\n10,0\n1,1\n")
    assert read_trials(path, {"subject": "id"})["subject"].values.tolist() == [10, 1]


# ---------------------------------------------------------------- and back

BACK: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = {
    "plain": (small(), {}),
    "one based": (small(action=[1, 2, 2, 1, 1]), {"action_base": 1}),
    "missing code": (small(action=[9, 1, 1, 0, 9], reward=[NAN, 0, 1, 0, NAN]), {"missing": 9}),
    "missing code and empty cell": (small(action=[9, 2, NAN, 1, 1]), {"missing": 9, "action_base": 1}),
    "missing word": (small(action=[0, 1, "late", 0, 0]), {"missing": "late"}),
    "empty actions": (small(action=[NAN, 1, 1, 0, NAN]), {}),
    "only empty actions": (small(action=[NAN] * 5), {}),
    "boolean actions": (small(action=[True, False, True, True, False]), {"action_base": 1}),
    "boolean and empty actions": (small(action=[True, None, True, NAN, False]), {}),
    "nullable": (
        small(
            action=pd.array([1, None, 0, 0, 1], "Int64"), easy=pd.array([True, pd.NA, True, pd.NA, False], "boolean")
        ),
        {},
    ),
    "small types": (small(action=np.array([0, 1, 1, 0, 0], "uint8"), reward=np.ones(5, "float32")), {}),
    "numbered subjects": (small(subject=[30, 4, 30, 30, 4]), {}),
    "text and empty text": (small(word=["x", None, "", "y", "z"], thing=pd.Series(["x", 1, None, NAN, 2.5])), {}),
    "category": (small(group=pd.Categorical(list("ppqqp")), subject=pd.Categorical(list("babba"))), {}),
    "times": (small(when=pd.to_datetime(["2024-01-01 10:00"] * 4 + ["NaT"]), delay=pd.to_timedelta([1] * 5, "s")), {}),
    "masks": (small(scored=[1, 0, 1, 1, 0], learned=[True, False] * 2 + [True], reset=[0.0, 1.0, 0.0, 1.0, 0.0]), {}),
    "scored by response": (small(action1=0, scored_1=[1, 0, 1, 0, 1], scored_0=True), {}),
    "blocks": (small(block=[1, 5, 2, 2, 5], trial=[1, 1, 1, 7, 2]), {"reset": "block"}),
    "renamed": (small(choice=1).rename(columns={"action": "old"}), {"columns": {"action": "choice", "action1": "old"}}),
    "options": (small(left=[1, 1, 1, 0, 0], right=[0, 2, 2, NAN, 1]), {"columns": {"available": ["right", "left"]}}),
    "flags": (small(available_0=1, available_1=True), {}),
    "parts": (small(x=[1, 2, 3, 4, 5], y=0.5), {"columns": {"features": ["x", "y"]}}),
    "preset": (pd.DataFrame({"gain": [1.5, 2], "subjID": [2, 1], "choice": [2, 1]}), {"columns": "hbayesdm"}),
    "two steps": (
        pd.DataFrame({"subjID": [1, 1], "level1_choice": [2, 1], "level2_choice": [4, 2]}),
        {"columns": "hbayesdm"},
    ),
    "indices": (small(state=[NAN, 1, 0, 2, 1]), {}),
    "indices that do not count": (
        small(state=["NSW", "VIC", None, "x", "x"], cue=-1, stimulus=[0.5, NAN, 1, 1, 1]),
        {},
    ),
    "labels": (
        small(action=["r", " l", "r", None, "late"], best_option=list("lrlrl")),
        {"actions": ["l", "r"], "missing": "late"},
    ),
    "numbers as labels": (small(action=[37, 39, 37, -9, 39]), {"actions": [39, 37], "missing": -9}),
    "labels of states": (
        small(state=list("abcab"), cue=[3, 1, 3, 3, 1]),
        {"states": {"state": list("cba"), "cue": [1, 3]}},
    ),
    "ordered category": (
        small(action=pd.Categorical(list("ppqqp"), ["q", "p"], ordered=True)),
        {"actions": ["p", "q"]},
    ),
    "spaces": (small(subject=[" s0", "s0 x", " s0", " s0", "s0 x"], word=[" a", "b ", "c", "d", None]), {}),
    "text for want of numbers": (small(reward=["1", ".", "0.50", "1e3", None]), {"missing": "."}),
    "numbers among objects": (small(reward=pd.Series([1, None, 0.5, True, NAN], dtype=object)), {}),
    "response times": (small(rt=[0.1, 0.5, 0.6, 9.0, NAN], scored=[1, 1, 1, 1, 0]), {"rt_limits": (0.2, 5.0)}),
}


@pytest.mark.parametrize("name", BACK)
def test_the_table_comes_back(name: str) -> None:
    table, options = BACK[name]
    assert_comes_back(table, **options)
    assert_comes_back(table.set_index(np.arange(5)[::-1][: len(table)]), **options)


def test_trials_are_kept_in_a_file_and_the_table_comes_back_from_it(tmp_path: Path) -> None:
    for table, options in BACK.values():
        trials = read_trials(table, **options)
        assert all(isinstance(json.loads(value), dict | list) for value in trials.attrs.values())
        trials.to_netcdf(tmp_path / "trials.nc")
        pd.testing.assert_frame_equal(to_table(xr.load_dataset(tmp_path / "trials.nc")), table)


def test_some_subjects_and_trials_come_back() -> None:
    table = small(action=[9, 2, 1, 1, 1], trial=[1, 1, 2, 3, 2])
    trials = read_trials(table, missing=9, action_base=1)
    pd.testing.assert_frame_equal(
        to_table(trials.isel(subject=[1])), table[table["subject"] == "a"].reset_index(drop=True)
    )
    first_two = table[table["trial"] < 3].reset_index(drop=True)
    pd.testing.assert_frame_equal(to_table(trials.isel(trial=slice(2))), first_two)


def test_a_response_taken_away_later_becomes_an_empty_cell() -> None:
    trials = read_trials(small())
    trials["action"][0, 0] = -1
    assert to_table(trials)["action"].isna().tolist() == [True, False, False, False, False]


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Draw tables of a few subjects, of different lengths, interleaved, some answers missed."""
    subjects = draw(st.lists(st.sampled_from(["ann", "bob", "cy"]), min_size=1, max_size=20))
    n, base = len(subjects), draw(st.integers(0, 1))

    def column(cells: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(cells, min_size=n, max_size=n))

    code = draw(st.sampled_from([None, -9, 99]))
    answers = st.integers(base, base + 3)
    missed = st.just(NAN) if code is None else st.sampled_from([code, NAN])
    table = pd.DataFrame(
        {
            "rt": column(st.floats(0, 5) | st.just(NAN)),
            "choice": column(draw(st.sampled_from([answers, answers | missed]))),
            "who": subjects,
            "trial": np.cumsum(column(st.integers(1, 3))),
            "new": column(st.booleans()),
            "reward": column(st.integers(-5, 5)),
            "note": column(st.text("xyz", max_size=3)),
            "easy": column(st.booleans()),
        }
    )
    columns = {"subject": "who", "action": "choice"}
    return table, {
        "columns": columns,
        "action_base": base,
        "missing": code,
        "facts": {"n_actions": 4},
        "reset": draw(st.sampled_from([False, "new"])),
    }


@settings(max_examples=60, deadline=None)
@given(tables())
def test_any_table_comes_back(drawn: tuple[pd.DataFrame, dict[str, Any]]) -> None:
    table, options = drawn
    assert_comes_back(table, **options)


# ---------------------------------------------------------------- trials that were made


def made() -> xr.Dataset:
    """Trials as a simulator makes them: two subjects, the second of one trial, one answer missed."""
    both = ("subject", "trial")
    exists = np.array([[True, True], [True, False]])
    return xr.Dataset(
        {
            "reward": (both, np.array([[0.5, 1.0], [0.0, NAN]])),
            "available": ((*both, "option"), np.repeat(exists[..., None], 3, axis=-1)),
            "action": (both, np.array([[2, -1], [0, -1]])),
            "exists": (both, exists),
            "scored": (both, np.array([[True, False], [True, False]])),
            "learned": (both, np.array([[False, True], [True, False]])),
            "reset": (both, np.array([[True, True], [True, False]])),
            "value": (("subject",), np.array([0.1, 0.2])),
        },
        coords={"subject": ["a", "b"], "trial": [0, 1]},
    )


def test_made_trials_become_a_table() -> None:
    table = to_table(made())
    head = ["subject", "trial", "reward", "action"]
    assert list(table) == [*head, "available_0", "available_1", "available_2", "scored", "learned", "reset"]
    assert table["subject"].tolist() == ["a", "a", "b"]
    assert table["trial"].tolist() == [0, 1, 0]
    assert table["action"].isna().tolist() == [False, True, False]
    assert to_table(made().assign(trial_number=made()["action"] + 5))["trial"].tolist() == [7, 4, 5]


def test_made_trials_can_be_read_from_their_table() -> None:
    trials = made()
    read = read_trials(to_table(trials))
    for name in trials.drop_vars("value").variables:
        np.testing.assert_array_equal(read[name].values, trials[name].values)
        assert read[name].dims == trials[name].dims


def test_to_table_wants_trials() -> None:
    with pytest.raises(ValueError, match="no mask 'exists'"):
        to_table(xr.Dataset())


# ---------------------------------------------------------------- columns that mean an action


@pytest.mark.parametrize("name", ["correct_action", "better_option"])
def test_columns_that_mean_an_action_are_coded_as_actions(name):
    table = pd.DataFrame({"subject": [1, 1, 2], "action": [1, 2, 2], name: pd.Series([2, None, 3], dtype="Int64")})
    trials = read_trials(table, action_base=1)
    np.testing.assert_array_equal(trials[name].values, [[1, -1], [2, -1]])
    assert facts(trials)["n_actions"] == 3
    assert to_table(trials).equals(table)


def test_a_column_named_as_actions_that_is_none_is_refused_with_a_mend():
    table = pd.DataFrame({"subject": [1, 1], "action": [1, 2], "forced_option": [0.5, 1.0]})
    message = refusal(read_trials, table, action_base=1)
    assert_says(message, "'forced_option'", "subject 1", "0.5", "columns={'my_column': 'forced_option'}")
    assert "my_column" in read_trials(table, {"my_column": "forced_option"}, action_base=1)


# ---------------------------------------------------------------- what was added, and samples, go into the table too


def test_variables_that_were_added_stand_behind_the_table() -> None:
    table = pd.DataFrame(
        {
            "subject": ["b", "a", "b"],
            "left": [1, 2, 2],
            "right": [2, 1, 1],
            "action": [1, 2, None],
            "note": ["x", "y", ""],
        }
    )
    trials = read_trials(table, {"available": ["left", "right"]}, action_base=1, facts={"n_actions": 3})
    assert [*to_table(trials)] == [*table]
    error = xr.where(trials["exists"], 10 * trials["row"], np.nan)
    both = xr.concat([error, -error], "side").transpose("subject", "trial", "side")
    found = to_table(trials.assign(prediction_error=error, both=both, best_option=trials["action"]))
    pd.testing.assert_frame_equal(found[[*table]], to_table(trials))
    assert [*found][len(table.columns) :] == ["prediction_error", "both_0", "both_1", "best_option"]
    assert found["prediction_error"].tolist() == [0.0, 10.0, 20.0]
    assert found["both_1"].tolist() == [0.0, -10.0, -20.0]
    assert found["best_option"].isna().tolist() == [False, False, True]


def test_samples_are_rows_of_their_own() -> None:
    trials = made()
    drawn = xr.concat(
        [trials.assign(reward=trials["reward"] + k) for k in range(3)], pd.Index([4, 7, 9], name="sample")
    )
    found, one = to_table(drawn), to_table(trials)
    assert [*found] == ["sample", *one]
    assert found["sample"].tolist() == [k for k in (4, 7, 9) for _ in range(len(one))]
    for k, sample in enumerate((4, 7, 9)):
        part = found[found["sample"] == sample].drop(columns="sample").reset_index(drop=True)
        pd.testing.assert_frame_equal(part, one.assign(reward=one["reward"] + k), check_dtype=False)


# ---------------------------------------------------------------- mends that work when followed


def test_the_mend_for_labels_of_options_works() -> None:
    table = pd.DataFrame({"subject": 1, "choice": ["right", "left", None, "left"]})
    mend = "actions=['left', 'right']"
    assert_says(refusal(read_trials, table, {"action": "choice"}), "'choice'", "'right'", mend)
    trials = read_trials(table, {"action": "choice"}, **eval(f"dict({mend})"))
    np.testing.assert_array_equal(trials["action"].values, [[1, 0, -1, 0]])


def test_the_mend_for_one_persons_table_works() -> None:
    table = pd.DataFrame({"action": [0, 1, 1]})
    message = refusal(read_trials, table)
    assert_says(message, "table.assign(subject='one')")
    assert read_trials(table.assign(subject="one")).sizes["subject"] == 1
