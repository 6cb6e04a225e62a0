"""The order of rows: trial numbers of any name, blocks and sessions, conditions that alternate."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import rlpymc as rl
from tests.helpers.messages import assert_says, refusal

P = {"alpha": 0.4, "beta": 2.5}


def table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"subject": 1} | columns)


def total(trials: Any) -> float:
    return float(rl.log_prob("delta", trials, P).sum())


def doubt(*args: Any, **options: Any) -> tuple[Any, str]:
    """Trials, and the one doubt that was said of their table."""
    with pytest.warns(rl.TrialsWarning) as said:
        trials = rl.read_trials(*args, **options)
    assert len(said) == 1
    return trials, str(said[0].message)


@pytest.mark.parametrize(
    "name", ["Trial", "trialNum", "trial_no", "trial number", "TRIAL_NUMBER", "trial.index", "nTrial", "trials"]
)
def test_a_column_that_looks_like_the_trial_s_number_is_said(name: str) -> None:
    data = table(**{name: [2, 1, 3]}, action=[1, 0, 1], reward=[1, 0, 1])
    trials, text = doubt(data)
    assert_says(text, repr(name), "subject 1, row 1", "found 1 after 2", f"columns={{'trial': {name!r}}}", "sort")
    assert total(trials) == pytest.approx(-2.3197, abs=5e-5)
    unsorted = refusal(rl.read_trials, data, {"trial": name})
    assert_says(unsorted, "'trial'", "row 1", f"table.sort_values(['subject', {name!r}]")
    in_order = data.sort_values(["subject", name], kind="stable")
    assert total(rl.read_trials(in_order, {"trial": name})) == pytest.approx(-1.6996, abs=5e-5)
    assert total(rl.read_trials(in_order)) == pytest.approx(-1.6996, abs=5e-5)
    assert total(rl.read_trials(data, {"order": name})) == pytest.approx(-2.3197, abs=5e-5)


@pytest.mark.parametrize("name", ["trial_type", "trial_time", "trialist", "reward_trial"])
def test_columns_that_are_no_trial_numbers_are_left_alone(name: str) -> None:
    rl.read_trials(table(**{name: [2, 1, 3]}, action=[1, 0, 1]))


@pytest.mark.parametrize("part", ["block", "session"])
def test_trial_numbers_that_start_again_without_a_reset_are_said(part: str) -> None:
    data = table(**{part: [1, 1, 2, 2]}, trial=[1, 2, 1, 2], action=[0, 1, 0, 1], reward=[1, 0, 1, 1])
    trials, text = doubt(data)
    assert_says(text, "column 'trial'", "subject 1, row 2", "1 after 2", part, f"reset={part!r}", "reset=False")
    assert total(trials) == pytest.approx(-4.1036, abs=5e-5)
    assert total(rl.read_trials(data, reset=False)) == total(trials)
    assert total(rl.read_trials(data, reset=part)) == pytest.approx(-4.0128, abs=5e-5)


def test_a_block_is_another_one_in_another_session() -> None:
    data = table(session=[1, 1, 2, 2], block=1, action=[0, 1, 0, 1], reward=[1, 0, 1, 1])
    assert total(rl.read_trials(data)) == pytest.approx(-4.1036, abs=5e-5)
    trials, text = doubt(data, reset="block")
    assert_says(text, "'block'", "subject 1, row 2", "reset=['session', 'block']")
    told = rl.read_trials(data, reset=["session", "block"])
    for one in (trials, told):
        assert one["reset"].values[0].tolist() == [True, False, True, False]
        assert total(one) == pytest.approx(-4.0128, abs=5e-5)


def test_several_columns_of_resets() -> None:
    data = table(session=[1, 1, 1, 2, 2], block=[1, 2, 2, 1, 1], first=[0, 0, 1, 0, 0], action=0)
    data["first"] = data["first"].astype(bool)
    both = rl.read_trials(data, reset=["session", "block"])["reset"].values[0]
    assert both.tolist() == [True, True, False, True, False]
    three = rl.read_trials(data, reset=["session", "block", "first"])["reset"].values[0]
    assert three.tolist() == [True, True, True, True, False]
    assert rl.read_trials(data, reset=False)["reset"].values[0].tolist() == [True, *[False] * 4]
    assert_says(refusal(rl.read_trials, data, reset=["session", "blok"]), "'blok'", "Did you mean 'block'?")
    assert_says(refusal(rl.read_trials, data, reset=True), "reset", "True", "a column")


def test_the_preset_starts_again_with_each_block() -> None:
    data = pd.DataFrame(
        {
            "subjID": 1,
            "block": [1, 1, 1, 2, 2, 2],
            "trial": [1, 2, 3, 1, 2, 3],
            "choice": [1, 2, 2, 1, 1, 2],
            "outcome": [-1, 1, 1, 1, -1, 1],
        }
    )
    assert total(rl.read_trials(data, "hbayesdm")) == pytest.approx(-2.6528, abs=5e-5)
    assert total(rl.read_trials(data, "hbayesdm", reset=False)) == pytest.approx(-5.3585, abs=5e-5)


def test_the_preset_makes_two_steps_of_four_stimuli(tmp_path: Any) -> None:
    path = tmp_path / "ts_exampleData.txt"
    path.write_text(
        "subjID\ttrial\tlevel1_choice\tlevel2_choice\treward\n1\t1\t2\t4\t1\n1\t2\t1\t2\t0\n1\t3\t1\t3\t1\n"
    )
    trials = rl.read_trials(path, "hbayesdm")
    assert trials["action1"].values[0].tolist() == [1, 0, 0]
    assert trials["state2"].values[0].tolist() == [1, 0, 1]
    assert trials["action2"].values[0].tolist() == [1, 1, 0]
    assert rl.facts(trials) == {"n_states": 2, "n_actions": 2}
    rl.build("two_step_hybrid", trials, pooling="none")
    pd.testing.assert_frame_equal(rl.to_table(trials), pd.read_csv(path, sep="\t"))
    wrong = pd.read_csv(path, sep="\t").assign(level2_choice=[4, 2, 5])
    assert_says(refusal(rl.read_trials, wrong, "hbayesdm"), "'level2_choice'", "row 2", "found 5", "1 to 4")


def test_conditions_that_alternate_are_said_and_the_mend_works() -> None:
    data = table(condition=list("abab"), trial=[1, 2, 3, 4], action=[0, 1, 0, 1], reward=[1, 0, 1, 1])
    trials, text = doubt(data, reset="condition")
    mend = "table.sort_values(['subject', 'condition'], kind='stable')"
    assert_says(text, "'condition'", "subject 1, row 2", "each of 3 changes", mend, "True and False")
    assert trials["reset"].values[0].all()
    apart = rl.read_trials(eval(mend, {"table": data}), reset="condition")
    assert apart["reset"].values[0].tolist() == [True, False, True, False]
    by_hand = [rl.read_trials(data[data["condition"] == one].reset_index(drop=True)) for one in "ab"]
    assert total(apart) == pytest.approx(sum(total(one) for one in by_hand), abs=1e-12)
    meant = data.assign(start=data["condition"].ne(data["condition"].shift()))
    np.testing.assert_array_equal(rl.read_trials(meant, reset="start")["reset"], trials["reset"])


def test_blocks_of_conditions_that_do_not_return_are_not_said() -> None:
    rl.read_trials(table(condition=list("aabb"), action=0), reset="condition")


@pytest.mark.parametrize("limits", [(0.2, 2.0)])
def test_response_times_outside_of_limits_are_learned_from_and_not_scored(limits: tuple[float, float]) -> None:
    data = table(action=[0, 1, 0, 1], reward=[1.0, 0.0, 1.0, 1.0], rt=[0.1, 0.2, 2.5, None])
    trials = rl.read_trials(data, rt_limits=limits)
    assert trials["scored"].values[0].tolist() == [False, True, False, True]
    assert trials["learned"].values.all()
    assert_says(refusal(rl.read_trials, data, rt_limits=(150, 3000)), "'rt'", "row 0", "150 to 3000", "Mend rt_limits")
    assert_says(refusal(rl.read_trials, data.drop(columns="rt"), rt_limits=limits), "rt_limits", "'rt'")


# ---------------------------------------------------------------- tables of other shapes


@pytest.mark.parametrize("person", ["id", None])
def test_a_wide_table_is_said_and_the_mend_works(person: str | None) -> None:
    wide = pd.DataFrame(
        {"choice_1": [0, 1], "choice_2": [1, 1], "choice_3": [0, 0], "r1": [1, 0], "r2": [0, 0], "r3": 1}
    )
    wide = wide.assign(id=["ann", "bob"]) if person else wide
    columns = {"subject": "id"} if person else None
    text = doubt(wide, columns)[1] if person else refusal(rl.read_trials, wide)
    start = text.index("pandas.wide_to_long")
    end = text.find(". (", start)
    long = eval(text[start : end if end > 0 else None], {"pandas": pd, "table": wide})
    trials = rl.read_trials(long, {"subject": person or "person", "action": "choice", "reward": "r"})
    assert trials["action"].values.tolist() == [[0, 1, 0], [1, 1, 0]]
    assert trials["reward"].values.tolist() == [[1, 0, 1], [0, 0, 1]]


def test_errors_list_the_columns_of_the_table_itself() -> None:
    data = table(choice=[0, 1], points=[1.0, 0.0])
    trials = rl.read_trials(data, {"action": "choice"})
    text = refusal(rl.log_prob, "delta", trials, P)
    assert_says(text, "'reward'", "There is: choice, points.")
    text = refusal(rl.read_trials, data, {"action": "choice"}, reset="block")
    assert_says(text, "There is: subject, choice, points.")
    bad = rl.read_trials(data.assign(points=[1.0, None]), {"action": "choice", "reward": "points"})
    assert_says(refusal(rl.log_prob, "delta", bad, P), "column 'reward' ('points' in the table)", "row 1")
