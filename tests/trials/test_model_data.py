"""The data of a model: segments by hand, masks that contradict themselves, stand-ins that never reach a result."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_array_equal

import rlpymc as rl
from rlpymc.trials.model_data import data_for, require_scored
from rlpymc.trials.segments import Segments
from tests.helpers.messages import assert_says, refusal

NAN, INF = float("nan"), float("inf")
PARAMS = {"alpha": 0.3, "beta": 2.0}
BOTH = {"alpha": 0.3, "alpha_other": 0.1, "beta": 2.0}


def bools(rows: list[list[int]]) -> np.ndarray:
    return np.array(rows, dtype=bool)


def small(**columns: Any) -> xr.Dataset:
    """Return trials of two subjects, four and three trials; the first subject misses trial 2."""
    table = {
        "subject": ["a"] * 4 + ["b"] * 3,
        "action": [0, 1, NAN, 1, 1, 1, 0],
        "reward": [1.0, 0.0, NAN, 1.0, 0.0, 1.0, 1.0],
    }
    return rl.read_trials(pd.DataFrame(table | columns))


def log_prob(trials: xr.Dataset, model: str = "delta", **params: Any) -> np.ndarray:
    return rl.log_prob(model, trials, params or PARAMS, mode="FAST_COMPILE").values


def refused(trials: Any, model: str = "delta", **options: Any) -> str:
    return refusal(data_for, rl.get_model(model), trials, **options)


# ---------------------------------------------------------------- segments


def test_without_resets_a_subject_is_a_segment() -> None:
    segments = Segments.from_masks(bools([[1, 1, 1], [1, 1, 1]]), bools([[1, 0, 0], [1, 0, 0]]))
    assert segments.row.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert segments.subject.tolist() == [0, 1]
    assert segments.place.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert segments.trivial


def test_resets_cut_segments() -> None:
    segments = Segments.from_masks(bools([[1, 1, 1, 1], [1, 1, 1, 1]]), bools([[1, 0, 1, 0], [1, 0, 0, 1]]))
    assert segments.subject.tolist() == [0, 0, 1, 1]
    assert segments.row.tolist() == [[0, 1, 1], [2, 3, 3], [4, 5, 6], [7, 7, 7]]
    assert segments.exists.tolist() == bools([[1, 1, 0], [1, 1, 0], [1, 1, 1], [1, 0, 0]]).tolist()
    assert segments.place.tolist() == [[0, 1, 3, 4], [6, 7, 8, 9]]
    assert not segments.trivial


def test_a_shorter_subject_ends_where_its_trials_end() -> None:
    segments = Segments.from_masks(bools([[1, 1, 1], [1, 0, 0]]), bools([[1, 0, 0], [1, 0, 0]]))
    assert segments.row.tolist() == [[0, 1, 2], [3, 3, 3]]
    assert segments.exists.tolist() == bools([[1, 1, 1], [1, 0, 0]]).tolist()
    assert segments.place[:, 0].tolist() == [0, 3]
    assert not segments.trivial


def test_segments_of_one_trial() -> None:
    segments = Segments.from_masks(bools([[1, 1, 1]]), bools([[1, 1, 1]]))
    assert segments.row.tolist() == [[0], [1], [2]]
    assert segments.place.tolist() == [[0, 1, 2]]


def test_one_trial_of_one_subject() -> None:
    segments = Segments.from_masks(bools([[1]]), bools([[1]]))
    assert segments.row.tolist() == segments.place.tolist() == [[0]]
    assert segments.trivial


def test_a_reset_in_padding_is_no_segment() -> None:
    exists = bools([[1, 1, 0], [1, 1, 1]])
    with_padding = Segments.from_masks(exists, bools([[1, 0, 1], [1, 0, 1]]))
    without = Segments.from_masks(exists, bools([[1, 0, 0], [1, 0, 1]]))
    assert_array_equal(with_padding.row, without.row)
    assert_array_equal(with_padding.subject, without.subject)


def test_every_trial_stands_at_its_place() -> None:
    rng = np.random.default_rng(1)
    exists = np.arange(12) < rng.integers(1, 13, size=20)[:, None]
    reset = (rng.random(exists.shape) < 0.3) | (np.arange(12) == 0)
    segments = Segments.from_masks(exists, reset)
    assert_array_equal(segments.row.ravel()[segments.place][exists], np.flatnonzero(exists.ravel()))
    assert segments.exists.sum() == exists.sum()
    assert_array_equal(reset.ravel()[segments.row[:, 0]], True)


# ---------------------------------------------------------------- masks


def test_padding_stands_at_the_end() -> None:
    exists = bools([[1, 0, 1, 1], [1, 1, 1, 0]])
    assert_says(refused(small().assign(exists=(("subject", "trial"), exists))), "exists", "end")


def test_a_subject_without_trials_is_named() -> None:
    nothing = bools([[1, 1, 1, 1], [0, 0, 0, 0]])
    trials = small().assign(dict.fromkeys(("exists", "scored", "learned"), (("subject", "trial"), nothing)))
    assert_says(refused(trials), "'b'", "no trials")


def test_the_state_starts_on_trial_0() -> None:
    assert_says(refused(small().isel(trial=slice(1, None))), "reset", "trial 0")


@pytest.mark.parametrize("mask", ["scored", "learned"])
def test_padding_is_neither_scored_nor_learned(mask: str) -> None:
    trials = small()
    trials[mask][1, 3] = True
    assert_says(refused(trials), mask, "subject 'b'", "trial 3", "no trial")


def test_trials_without_a_single_scored_one_are_named() -> None:
    trials = small()
    trials["scored"][1] = False
    with pytest.raises(ValueError, match="no scored trial for subject 'b'"):
        require_scored(data_for(rl.get_model("delta"), trials))


def test_scores_by_response_of_a_model_with_one_response() -> None:
    trials = small()
    by_response = trials.assign(scored=trials["scored"].expand_dims(response=1, axis=2))
    assert_array_equal(log_prob(by_response), log_prob(trials))


@pytest.mark.parametrize("what", [pd.DataFrame({"a": [1]}), xr.Dataset({"a": ("x", [1])}), None, "choices.csv"])
def test_what_is_not_trials_is_refused(what: Any) -> None:
    assert_says(refused(what, error=TypeError), "read_trials", type(what).__name__)


def test_one_subject_selected_without_its_dim_is_refused_with_the_cure() -> None:
    assert_says(refused(small().isel(subject=0)), "subject", "trial")


# ---------------------------------------------------------------- order of dims


def test_the_order_of_dims_does_not_matter() -> None:
    trials = small()
    assert_array_equal(log_prob(trials.transpose("trial", "subject")), log_prob(trials))


def test_a_transposed_column_of_a_square_table_does_not_change_the_numbers() -> None:
    trials = small(subject=list("aaabbbb")).isel(trial=slice(0, 2))
    turned = trials.assign(reward=trials["reward"].transpose("trial", "subject"))
    assert_array_equal(log_prob(turned), log_prob(trials))


# ---------------------------------------------------------------- stand-ins


@pytest.mark.parametrize("junk", [NAN, INF, -1e300, 0.5])
def test_rewards_that_nothing_uses_never_reach_a_result(junk: float) -> None:
    trials = small()
    spoilt = trials.copy(deep=True)
    spoilt["reward"].values[~trials["learned"].values] = junk
    assert_array_equal(log_prob(spoilt), log_prob(trials))
    value, slope = rl.log_prob("delta", spoilt, PARAMS, gradient=True, mode="FAST_COMPILE")
    _, same = rl.log_prob("delta", trials, PARAMS, gradient=True, mode="FAST_COMPILE")
    assert np.isfinite(value).all()
    xr.testing.assert_identical(slope, same)


@pytest.mark.parametrize("junk", [-1, -999, 10**12])
def test_actions_in_padding_never_reach_a_result(junk: int) -> None:
    trials = small()
    spoilt = trials.copy(deep=True)
    spoilt["action"].values[~trials["exists"].values] = junk
    assert_array_equal(log_prob(spoilt), log_prob(trials))


def test_options_of_trials_that_nothing_uses_never_reach_a_result() -> None:
    trials = small(available_0=1, available_1=[1, 1, 0, 1, 1, 1, 1])
    spoilt = trials.copy(deep=True)
    spoilt["available"].values[~trials["scored"].values] = False
    assert_array_equal(log_prob(spoilt), log_prob(trials))


def test_a_trial_that_is_scored_and_not_learned_needs_no_reward() -> None:
    trials = small(learned=[1, 1, 0, 0, 1, 1, 1], reward=[1.0, 0.0, NAN, NAN, 0.0, 1.0, 1.0])
    assert np.isfinite(log_prob(trials)).all()


def test_a_signal_of_what_was_not_learned_is_not_made_up() -> None:
    trials = small(learned=[1, 0, 0, 1, 1, 1, 1], reward=[1.0, NAN, NAN, 1.0, 0.0, 1.0, 1.0])
    error = rl.latents("delta", trials, PARAMS, mode="FAST_COMPILE")["prediction_error"]
    assert np.isnan(error.values[0]).tolist() == [False, True, True, False]


def test_columns_that_a_model_does_not_read_may_hold_anything() -> None:
    trials = small(rt=["x"] * 7, comment=None)
    assert_array_equal(log_prob(trials), log_prob(small()))


# ---------------------------------------------------------------- values


def test_a_missing_column_is_named_with_the_nearest() -> None:
    trials = small().drop_vars("reward").assign(rewards=small()["reward"])
    assert_says(refused(trials), "delta reads", "'reward'", "columns={'reward'", "Did you mean 'rewards'?")


def test_an_action_out_of_range_is_named_by_column_subject_and_trial() -> None:
    trials = small()
    trials["action"][1, 2] = 5
    assert_says(refused(trials), "column 'action'", "subject 'b'", "trial 2", "found 5", "0 to 1", "n_actions")


@pytest.mark.parametrize("value", [NAN, INF])
def test_a_reward_that_is_no_number_is_named_by_column_subject_and_trial(value: float) -> None:
    trials = small()
    trials["reward"][0, 3] = value
    assert_says(
        refused(trials),
        "column 'reward'",
        "subject 'a'",
        "trial 3",
        "an empty cell" if np.isnan(value) else "inf",
        "columns named scored and learned",
    )


def test_a_trial_is_named_by_the_user_s_number_and_row() -> None:
    trials = small(trial=[10, 20, 30, 40, 1, 2, 3])
    trials["reward"][0, 3] = NAN
    assert_says(refused(trials), "subject 'a'", "trial 40", "row 3")


def test_a_column_of_words_is_refused() -> None:
    trials = small().assign(reward=small()["reward"].astype(str))
    assert_says(refused(trials), "column 'reward'", "subject 'a'", "found '1.0'", "astype(float)")


def test_a_choice_that_was_not_on_offer_is_refused() -> None:
    trials = small(available_0=1, available_1=1)
    trials["available"][0, 0, 0] = False
    assert_says(refused(trials), "available", "subject 'a'", "trial 0")


@pytest.mark.parametrize("missed", [-1.0, NAN])
def test_actions_may_be_decimals(missed: float) -> None:
    trials = small()
    decimal = trials["action"].astype(float).where(trials["action"] >= 0, missed)
    assert_array_equal(log_prob(trials.assign(action=decimal)), log_prob(trials))


def test_facts_that_are_arrays_do_no_harm() -> None:
    trials = small()
    known = rl.facts(trials) | {"transition": np.eye(2), "names": ["left", "right"]}
    assert_array_equal(log_prob(trials.assign_attrs(facts=known)), log_prob(trials))


def test_facts_are_found_where_none_are_kept() -> None:
    trials = small()
    assert_array_equal(log_prob(trials.assign_attrs(facts={})), log_prob(trials))


def test_a_model_of_two_actions_refuses_more_and_says_how_to_mend_it() -> None:
    text = refused(small(action=[0, 1, NAN, 1, 2, 1, 0]), "biased_coin")
    assert_says(text, "column 'action'", "biased_coin is for n_actions=2", "found n_actions=3", "{'n_actions': 2}")


def test_a_model_of_two_actions_takes_trials_in_which_one_was_never_chosen() -> None:
    zeros = small(action=0.0, reward=1.0).assign_attrs(facts={})
    assert_array_equal(log_prob(zeros, "biased_coin", bias=0.25)[0], np.full(4, np.log(0.75)))


# ---------------------------------------------------------------- conditions


def test_counterfactual_learning_needs_two_options_on_offer() -> None:
    trials = small(reward_other=0.0, available_0=1, available_1=1, available_2=[0, 0, 0, 0, 0, 1, 0])
    assert_says(refused(trials, "counterfactual"), "subject 'b'", "trial 1", "two options", "leave such trials out")


def test_a_condition_is_not_asked_of_trials_that_nothing_learns_from() -> None:
    three = small(reward_other=0.0, available_0=1, available_1=1, available_2=[0, 0, 1, 0, 0, 0, 0])
    two = small(reward_other=0.0, available_0=1, available_1=1, available_2=0)
    assert_array_equal(log_prob(three, "counterfactual", **BOTH), log_prob(two, "counterfactual", **BOTH))
