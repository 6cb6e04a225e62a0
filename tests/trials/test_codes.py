"""Codes of options and states: labels are numbered in the order given, and gaps in numbers are said."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import rlpymc as rl
from tests.helpers.messages import assert_says, refusal

P = {"alpha": 0.4, "beta": 2.5}
NAN = float("nan")


def table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"subject": 1} | columns)


def total(name: str, trials: Any, params: Any) -> float:
    return float(rl.log_prob(name, trials, params).sum())


def doubt(*args: Any, **options: Any) -> tuple[Any, str]:
    """Trials, and the one doubt that was said of their table."""
    with pytest.warns(rl.TrialsWarning) as said:
        trials = rl.read_trials(*args, **options)
    assert len(said) == 1
    assert said[0].filename == __file__
    return trials, str(said[0].message)


# ---------------------------------------------------------------- options and states that never occur


def test_options_that_never_occur_are_said() -> None:
    odd = table(action=[1, 3, 5, 3, 1, 5], reward=[1, 0, 1, 0, 1, 0])
    trials, text = doubt(odd, action_base=1)
    assert_says(text, "column 'action'", "found 1, 3, 5", "n_actions=5", "actions=[1, 3, 5]", "facts={'n_actions': 5}")
    assert total("delta", trials, P) == pytest.approx(-10.0518, abs=5e-5)
    assert total("delta", rl.read_trials(odd, actions=[1, 3, 5]), P) == pytest.approx(-8.0855, abs=5e-5)
    rl.read_trials(odd, action_base=1, facts={"n_actions": 5})


@pytest.mark.parametrize(
    ("codes", "n"), [([0, 2], 3), ([37, 39], 40), ([1, 2], 3), ([2, 3, 4], 5)], ids=["gap", "keys", "from 1", "from 2"]
)
def test_gaps_and_bases_of_options(codes: list[int], n: int) -> None:
    data = table(action=[*codes, codes[0]], reward=1.0)
    _, text = doubt(data)
    assert_says(text, f"n_actions={n}", f"actions={codes}", f"facts={{'n_actions': {n}}}")
    assert ("pass action_base=1" in text) == (codes[0] == 1)
    labelled = rl.read_trials(data, actions=codes)
    assert rl.facts(labelled) == {"n_actions": max(2, len(codes))}
    assert labelled["action"].values[0].tolist() == [*range(len(codes)), 0]


def test_states_that_never_occur_are_said() -> None:
    chain = table(state=[1, 2, 3, 1, 2, 3], next_state=[2, 3, 1, 2, 3, 1])
    trials, text = doubt(chain)
    assert_says(text, "columns 'state', 'next_state'", "found 1, 2, 3, and 0 never", "n_states=4", "states=[1, 2, 3]")
    assert total("markov_chain", trials, {"w": 0.0}) == pytest.approx(-8.3178, abs=5e-5)
    right = rl.read_trials(chain, states=[1, 2, 3])
    assert total("markov_chain", right, {"w": 0.0}) == pytest.approx(6 * np.log(1 / 3), abs=1e-12)
    rl.read_trials(chain, facts={"n_states": 4})


@pytest.mark.parametrize(("name", "fact"), [("stimulus", "n_stimuli"), ("cue", "n_cues"), ("state2", "n_states")])
def test_indices_that_never_occur_are_said(name: str, fact: str) -> None:
    data = table(action=[0, 1, 0], **{name: [1, 2, 4]})
    mend = "states=[1, 2, 4]" if fact == "n_states" else f"states={{'{name}': [1, 2, 4]}}"
    _, text = doubt(data)
    assert_says(text, repr(name), f"{fact}=5", mend, f"facts={{'{fact}': 5}}")
    assert rl.read_trials(data, **eval(f"dict({mend})"))[name].values[0].tolist() == [0, 1, 2]


def test_options_on_offer_count_as_those_that_occur() -> None:
    data = table(action=[0, 2], left=[0, 1], right=[1, 2])
    assert rl.facts(rl.read_trials(data, {"available": ["left", "right"]})) == {"n_actions": 3}


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["left", "right", None, "left"], ["left", "right"]),
        ([37, 39, NAN, 37], [37, 39]),
        ([-1, 1, NAN, -1], [-1, 1]),
        (pd.Categorical(["lo", "hi", None, "lo"]), ["lo", "hi"]),
        ([True, False, None, True], [True, False]),
        ([" left", "right ", "", "left"], ["left", "right"]),
    ],
    ids=["text", "keys", "signs", "category", "boolean", "spaces"],
)
def test_labels_are_numbered_in_the_order_given(cells: Any, labels: list[Any]) -> None:
    data = table(action=cells, reward=[1.0, 0.0, NAN, 1.0])
    options = {"missing": ""} if "" in list(cells) else {}
    trials = rl.read_trials(data, actions=labels, **options)
    assert trials["action"].values[0].tolist() == [0, 1, -1, 0]
    assert rl.facts(trials) == {"n_actions": 2}
    pd.testing.assert_frame_equal(rl.to_table(trials), data)
    turned = rl.read_trials(data, actions={"action": labels[::-1]}, **options)
    assert turned["action"].values[0].tolist() == [1, 0, -1, 1]
    assert total("delta", trials, P) == pytest.approx(total("delta", turned, P), abs=1e-12)


def test_labels_hold_for_all_columns_that_mean_an_action() -> None:
    data = table(action1=["b", "a"], action2=["c", "c"], better_option=["a", "c"], left=["b", "c"], right=["a", "a"])
    trials = rl.read_trials(data, {"available": ["left", "right"]}, actions=["a", "b", "c"])
    assert trials["action1"].values[0].tolist() == [1, 0]
    assert trials["action2"].values[0].tolist() == [2, 2]
    assert trials["better_option"].values[0].tolist() == [0, 2]
    assert trials["available"].values[0].tolist() == [[True, True, False], [True, False, True]]
    pd.testing.assert_frame_equal(rl.to_table(trials), data)


def test_labels_of_one_column_leave_the_others() -> None:
    data = table(action=["x", "y"], correct_action=[1, 0], state=["u", "v"], cue=[9, 8])
    trials = rl.read_trials(data, actions={"action": ["x", "y"]}, states={"state": ["v", "u"], "cue": [8, 9]})
    assert trials["correct_action"].values[0].tolist() == [1, 0]
    assert trials["state"].values[0].tolist() == [1, 0]
    assert trials["cue"].values[0].tolist() == [1, 0]


def test_labels_that_do_not_fit_are_refused_with_a_mend() -> None:
    data = table(id=[7, 7, 7], action=["left", "up", "right"])
    text = refusal(rl.read_trials, data, actions=["left", "right"])
    assert_says(text, "column 'action'", "subject 1", "trial 1", "'up'", "'left', 'right'", "missing='up'")
    assert rl.read_trials(data, actions=["left", "right"], missing="up")["action"].values[0].tolist() == [0, -1, 1]
    assert_says(refusal(rl.read_trials, data, actions=["left", "left"]), "different labels")
    assert_says(refusal(rl.read_trials, data, actions="left", error=TypeError), "a list of labels")
    assert_says(refusal(rl.read_trials, data, actions={"answer": ["left"]}), "'answer'", "action")
    assert_says(refusal(rl.read_trials, data, states=["left"]), "states", "no column")
    assert_says(refusal(rl.read_trials, data, actions=["left", "right"], action_base=1), "one of them")
    listed = ["left", "right", "up"]
    assert_says(refusal(rl.read_trials, data, actions=listed, facts={"n_actions": 2}), "found 3 labels", "2 actions")


def test_a_label_that_never_occurs_is_an_option_all_the_same() -> None:
    trials = rl.read_trials(table(action=["a", "b"]), actions=["a", "b", "c"])
    assert rl.facts(trials) == {"n_actions": 3}


def test_predictions_show_the_labels_also_from_a_file(tmp_path: Any) -> None:
    data = pd.DataFrame({"subject": [1, 1, 2, 2], "action": ["l", "r", "r", None], "reward": [1.0, 0.0, 1.0, NAN]})
    trials = rl.read_trials(data, actions=["l", "r"])
    model = rl.build("delta", trials, pooling="none")
    drawn = {name: (("chain", "draw", "subject"), np.full((1, 2, 2), value)) for name, value in P.items()}
    fit = xr.DataTree.from_dict({"posterior": xr.Dataset(drawn, coords={"subject": [1, 2]})})
    prediction = rl.predict(model, fit, draws=2, seed=1)
    prediction.to_netcdf(tmp_path / "prediction.nc")
    again = xr.load_dataset(tmp_path / "prediction.nc")
    assert rl.facts(again) == rl.facts(prediction) == {"n_actions": 2}
    found = rl.to_table(again)
    pd.testing.assert_frame_equal(found, rl.to_table(prediction))
    assert set(found["action"].dropna()) <= {"l", "r"}
    assert found["observed"].tolist()[:3] == ["l", "r", "r"]
    assert found["observed"].isna().tolist() == [False, False, False, True] * 2


# ---------------------------------------------------------------- judged when a model reads them


@pytest.mark.parametrize(
    "column",
    [
        {"stimulus": ["face.png", "house.png", None]},
        {"reward_type": ["juice", "shock", "juice"]},
        {"state": ["NSW", "VIC", "NSW"]},
        {"cue": [-1, 0, 3]},
        {"reward_time": [0.5, NAN, 0.7]},
        {"trial_number": [3, 1, 9]},
        {"next_state": [0.5, 1.0, 2.0]},
        {"rt": ["slow", "0,5", None]},
        {"reward_other": [NAN, 1.0, 2.0]},
        {"phase": [1 + 2j, 0j, 1j]},
    ],
    ids=lambda column: next(iter(column)),
)
def test_a_column_that_no_model_reads_may_hold_anything(column: dict[str, list[Any]]) -> None:
    data = table(trial=[1, 2, 3], action=[0, 1, 1], reward=[1.0, 0.0, 1.0])
    trials = rl.read_trials(data.assign(**column))
    assert total("delta", trials, P) == total("delta", rl.read_trials(data), P)
    pd.testing.assert_frame_equal(rl.to_table(trials), data.assign(**column))


@pytest.mark.parametrize(
    ("name", "cells", "found", "mend"),
    [
        (
            "stimulus",
            ["face.png", "house.png", "face.png"],
            "'face.png'",
            "states={'stimulus': ['face.png', 'house.png']}",
        ),
        ("stimulus", [0, -2, 1], "-2", "states={'stimulus': [...]}"),
        ("stimulus", [0, 0.5, 1], "0.5", "states={'stimulus': [...]}"),
        ("stimulus", [0, NAN, 1], "an empty cell", "named scored and learned"),
        ("reward", [1, NAN, 0], "an empty cell", "named scored and learned"),
        ("reward", ["1", "win", "0"], "'win'", "write numbers"),
        ("reward", [1 + 2j, 0, 1], "(1+2j)", "write numbers"),
        ("reward", ["1", "0,5", "0"], "'0,5'", "decimal=','"),
        ("reward", ["1", "0", "0"], "'1'", "table['reward'].astype(float)"),
    ],
)
def test_a_column_is_judged_when_a_model_reads_it(name: str, cells: list[Any], found: str, mend: str) -> None:
    data = table(stimulus=[0, 1, 0], set_size=2, action=[0, 1, 2], reward=[1, 0, 1]).assign(**{name: cells})
    trials = rl.read_trials(data)
    text = refusal(rl.log_prob, "rlwm", trials, {})
    assert_says(text, f"column '{name}'", "subject 1", "row", f"{found}", mend)


def test_the_mends_of_a_column_that_a_model_reads_work() -> None:
    data = table(stimulus=["b", "a", "b"], set_size=2, action=[0, 1, 2], reward=["1", "0", "1"])
    trials = rl.read_trials(data.assign(reward=data["reward"].astype(float)), states={"stimulus": ["a", "b"]})
    assert trials["stimulus"].values[0].tolist() == [1, 0, 1]
    rl.build("rlwm", trials, pooling="none")


def test_actions_that_are_complex_numbers_are_refused() -> None:
    data = table(action=[0, 1 + 1j, 1])
    assert_says(refusal(rl.read_trials, data), "column 'action'", "row 0", "a real number")


def test_a_column_with_a_very_long_number_in_its_name_is_no_action() -> None:
    data = table(action=[0, 1], **{f"action{'9' * 5000}": [7, 8]})
    assert rl.facts(rl.read_trials(data)) == {"n_actions": 2}


# ---------------------------------------------------------------- what is missing


@pytest.mark.parametrize("code", ["miss", "."])
def test_a_text_code_of_what_is_missing_holds_in_every_column(tmp_path: Any, code: str) -> None:
    path = tmp_path / "choices.csv"
    path.write_text(f"subject,action,reward,stimulus\n1,0,1,0\n1,{code},{code},{code}\n1,1,0.5,1\n")
    trials = rl.read_trials(path, missing=code)
    assert trials["action"].values[0].tolist() == [0, -1, 1]
    assert trials["stimulus"].values[0].tolist() == [0, -1, 1]
    assert np.array_equal(trials["reward"].values[0], [1.0, NAN, 0.5], equal_nan=True)
    blank = table(action=[0, NAN, 1], reward=[1.0, NAN, 0.5])
    assert total("delta", trials, P) == total("delta", rl.read_trials(blank), P)


BOOLEANS = {
    "objects": pd.Series([True, None, False], dtype=object),
    "nullable": pd.array([True, None, False], "boolean"),
    "numbers among objects": pd.Series([1, None, 0.0], dtype=object),
}


@pytest.mark.parametrize("name", BOOLEANS)
def test_outcomes_that_are_true_or_false_or_empty(name: str) -> None:
    data = table(action=[0, NAN, 1], reward=BOOLEANS[name])
    blank = table(action=[0, NAN, 1], reward=[1.0, NAN, 0.0])
    trials = rl.read_trials(data)
    assert total("delta", trials, P) == total("delta", rl.read_trials(blank), P)
    pd.testing.assert_frame_equal(rl.to_table(trials), data)
    rl.build("delta", trials, pooling="none")


def test_outcomes_that_are_true_or_false_in_a_file_or_in_polars(tmp_path: Any) -> None:
    pl = pytest.importorskip("polars")
    path = tmp_path / "choices.csv"
    path.write_text("subject,action,reward\n1,0,TRUE\n1,,\n1,1,FALSE\n")
    sources = [path, pl.DataFrame({"subject": 1, "action": [0, None, 1], "reward": [True, None, False]})]
    blank = table(action=[0, NAN, 1], reward=[1.0, NAN, 0.0])
    for source in sources:
        assert total("delta", rl.read_trials(source), P) == total("delta", rl.read_trials(blank), P)


PREDICTED = {"alpha": 0.3, "sigma": 1.5}


def test_a_response_that_is_a_number_may_be_missed() -> None:
    data = table(prediction=[0.0, NAN, 0.5, 1.0], outcome=[1.0, 2.0, 0.5, 0.0])
    left_out = data.dropna().reset_index(drop=True)
    expected = total("delta_prediction", rl.read_trials(left_out), PREDICTED)
    for given in (data, data.assign(scored=[True, False, True, True])):
        found = rl.log_prob("delta_prediction", rl.read_trials(given), PREDICTED).values[0]
        assert found[1] == 0
        assert found.sum() == pytest.approx(expected, abs=1e-12)
    text = refusal(rl.log_prob, "delta_prediction", rl.read_trials(data.assign(scored=True)), PREDICTED)
    assert_says(text, "'prediction'", "trial 1", "an empty cell", "give the response", "named scored")


def test_a_next_state_may_be_missed_where_it_is_the_response() -> None:
    data = table(state=[0, 1, 2, 1], next_state=[1, NAN, 0, 2])
    found = rl.log_prob("markov_chain", rl.read_trials(data), {"w": 0.0}).values[0]
    np.testing.assert_allclose(found, np.log(1 / 3) * np.array([1, 0, 1, 1]), atol=1e-12)


def test_a_next_state_is_not_needed_where_an_episode_ends() -> None:
    data = table(state=[0, 1, 0], action=[0, 1, 1], next_state=[1, NAN, 1], reward=[0.0, 1.0, 0.0], done=[0, 1, 0])
    given = data.assign(next_state=[1, 0, 1])
    params = P | {"gamma": 0.9}
    assert total("q_mdp", rl.read_trials(data), params) == total("q_mdp", rl.read_trials(given), params)
    text = refusal(rl.log_prob, "q_mdp", rl.read_trials(data.assign(done=0)), params)
    assert_says(text, "'next_state'", "trial 1", "an empty cell")
