"""The data sets that ship with the library."""

import json

import numpy as np
import pytest

from rlpymc.data import example_data
from rlpymc.trials.attributes import facts
from rlpymc.trials.reading import read_trials
from rlpymc.trials.writing import to_table


def test_fontanesi_choices_are_among_the_pair_on_offer() -> None:
    trials = example_data("fontanesi2019")
    assert trials.sizes["subject"] == 27
    assert int(trials["exists"].sum()) == 6464
    assert facts(trials) == {"n_actions": 4}
    exists = trials["exists"].values
    available, action = trials["available"].values[exists], trials["action"].values[exists]
    assert (available.sum(axis=1) == 2).all()
    assert available[np.arange(len(action)), action].all()


def test_fontanesi_rewards_are_the_points_of_the_chosen_and_the_other_option() -> None:
    trials = example_data("fontanesi2019")
    assert trials.attrs["reward_scale"].startswith("reward = (points - 45) / 10")
    table = to_table(trials)
    np.testing.assert_allclose(table["reward"], (table["points"] - 45) / 10)
    np.testing.assert_allclose(table["reward_other"], (table["points_other"] - 45) / 10)
    by_option = table.groupby("action")["points"].mean()
    np.testing.assert_allclose(by_option, [36, 40, 50, 54], atol=0.5)
    chose_better = table["action"] == table["better_option"]
    assert (chose_better == (table["accuracy"] == 1)).all()


def test_collins_missed_trials_are_neither_scored_nor_learned() -> None:
    trials = example_data("collins2018_rlwm")
    assert trials.sizes["subject"] == 40
    assert int(trials["exists"].sum()) == 30403
    assert facts(trials) == {"n_stimuli": 6, "n_actions": 3}
    missed = trials["exists"].values & (trials["action"].values == -1)
    assert missed.sum() == 458
    assert not trials["scored"].values[missed].any()
    assert not trials["learned"].values[missed].any()
    assert np.isnan(trials["reward"].values[missed]).all()
    table = to_table(trials).dropna(subset="reward")
    assert ((table["action"] == table["correct_action"]) == (table["reward"] == 1)).all()


@pytest.mark.parametrize("name", ["fontanesi2019", "collins2018_rlwm"])
def test_state_starts_again_with_each_block(name: str) -> None:
    trials = example_data(name)
    blocks = to_table(trials).groupby("subject")["block"].nunique()
    np.testing.assert_array_equal(trials["reset"].sum("trial"), blocks)


@pytest.mark.parametrize("name", ["fontanesi2019", "collins2018_rlwm"])
def test_the_table_can_be_read_again(name: str) -> None:
    trials = example_data(name)
    columns = {"available": ["better_option", "worse_option"]} if name == "fontanesi2019" else None
    assert read_trials(to_table(trials), columns, missing=-1, reset="block").drop_attrs().identical(trials.drop_attrs())
    json.dumps(trials.attrs)


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match=r"fontanesi'\. Did you mean 'fontanesi2019'\?.*collins2018_rlwm"):
        example_data("fontanesi")
