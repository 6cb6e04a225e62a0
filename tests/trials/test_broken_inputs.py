"""Faults in what a model reads beside responses: said when it reads it, with place and a mend that works."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from tests.helpers.broken import NAN, Case, Kind, assert_refused_and_mended, cases, do, follow, unused, write

pytestmark = pytest.mark.slow


def reward(value: Any, found: str) -> Any:
    def breaks(case: Case) -> list[str]:
        case.set("reward", value)
        return ["column 'reward'", *case.place(), found]

    return breaks


def rewards_as_texts(case: Case) -> list[str]:
    case.put(reward=case.table["reward"].astype(str))
    return ["column 'reward'", "row 0", "found '"]


def as_floats(case: Case) -> None:
    case.table["reward"] = case.table["reward"].astype(float)


def no_column(case: Case) -> list[str]:
    case.table = case.table.rename(columns={"reward": "rewards"})
    return ["delta", "column 'reward'", "There is: choice, rewards"]


def working_memory(case: Case, stimulus: Any = 0) -> None:
    case.put(stimulus=stimulus, set_size=2)
    case.model = "rlwm"
    case.tell(facts={"n_stimuli": 2})


def stimulus(value: Any, found: str) -> Any:
    def breaks(case: Case) -> list[str]:
        working_memory(case, [k % 2 for k in range(len(case.table))])
        case.set("stimulus", value)
        return ["column 'stimulus'", *case.place(), f"found {found}"]

    return breaks


def stimuli_as_texts(case: Case) -> list[str]:
    working_memory(case, [("face", "house")[k % 2] for k in range(len(case.table))])
    return ["column 'stimulus'", "row 0", "found 'face'"]


def stimuli_judged_by_the_model(case: Case) -> list[str]:
    stimuli_as_texts(case)
    del case.options["facts"]
    return ["column 'stimulus'", "row 0", "found 'face'"]


def stimulus_judged_by_the_model(value: Any, found: str) -> Any:
    def breaks(case: Case) -> list[str]:
        parts = stimulus(value, found)(case)
        del case.options["facts"]
        return list(parts)

    return breaks


def by_hand(case: Case) -> None:
    labels = list(dict.fromkeys(case.table["stimulus"]))
    case.tell(states={"stimulus": labels})


def labelled(case: Case, text: str) -> None:
    follow("states")(case, text)
    case.tell(facts={"n_stimuli": len(case.options["states"]["stimulus"])})


def unanswered(case: Case, text: str) -> None:
    """The mend is to mark the trial, and to leave its response empty."""
    assert "and leave its response empty" in text, text
    unused(case, text)
    case.set("choice", NAN)


def steps(case: Case) -> None:
    state = [k % 3 for k in range(len(case.table))]
    case.put(state=state, next_state=[(k + 1) % 3 for k in state], done=0)
    case.model = "q_mdp"
    case.tell(facts={"n_states": 3})


def cell(ground: Callable[[Case], None], column: str, value: Any, found: str) -> Any:
    """Return what breaks one cell of a table that is laid for a model."""

    def breaks(case: Case) -> list[str]:
        ground(case)
        case.set(column, value)
        return [f"column '{column}'", *case.place(), f"found {found}"]

    return breaks


def state_label(case: Case) -> list[str]:
    case.put(state="X")
    case.set("state", "W")
    case.tell(states=["X", "Y"])
    return ["column 'state'", *case.place(), "found 'W'", "'X', 'Y'"]


def no_states(case: Case) -> list[str]:
    case.put(room="X")
    case.tell(states=["X", "Y"])
    return ["states", "no column"]


def not_whole(case: Case) -> list[str]:
    case.tell(facts={"n_actions": 2.5})
    return ["facts['n_actions']", "2.5"]


def predicted(case: Case) -> list[str]:
    case.put(prediction=0.5, outcome=case.table["reward"], scored=True)
    case.set("prediction", NAN)
    case.model, case.options["columns"] = "delta_prediction", {"subject": "who"}
    return ["column 'prediction'", *case.place(), "an empty cell"]


def three_on_offer(case: Case) -> list[str]:
    case.put(available_0=True, available_1=True, available_2=False, reward_other=0.0)
    case.set("available_2", True)
    case.model = "counterfactual"
    return [*case.place(), "counterfactual", "exactly two options are on offer"]


def without_the_row(case: Case) -> None:
    case.table = case.table.drop(index=case.row).reset_index(drop=True)


USED = "scored and learned"
KINDS = {
    "no reward": Kind(reward(NAN, "found an empty cell"), unused),
    "no reward, given": Kind(reward(None, "found an empty cell"), write("reward", 1.0, "give the value")),
    "an infinite reward": Kind(reward(float("inf"), "found inf"), unused),
    "a reward that is a text": Kind(reward("win", "'win'"), write("reward", 1.0, "write numbers")),
    "a reward that is a code": Kind(
        reward("none", "'none'"),
        do("missing=<text>", lambda case: (case.tell(missing="none"), unused(case, USED))),
    ),
    "a decimal comma": Kind(reward("0,5", "'0,5'"), write("reward", 0.5, "decimal=','")),
    "rewards that are texts": Kind(rewards_as_texts, do("table['reward'].astype(float)", as_floats)),
    "no column of rewards": Kind(no_column, do("Did you mean 'rewards'", lambda case: case.name(reward="rewards"))),
    "stimuli that are texts": Kind(stimuli_as_texts, labelled),
    "a stimulus below zero": Kind(stimulus(-2, "-2"), labelled),
    "a stimulus that is a half": Kind(stimulus(0.5, "0.5"), labelled),
    "stimuli that are texts, read by the model": Kind(stimuli_judged_by_the_model, follow("states")),
    **{
        f"a stimulus of {value}, read by the model": Kind(
            stimulus_judged_by_the_model(value, str(value)), do("states={'stimulus': [...]}", by_hand)
        )
        for value in (-2, 0.5)
    },
    "no state": Kind(cell(steps, "state", NAN, "an empty cell"), unanswered),
    "no stimulus": Kind(stimulus(NAN, "an empty cell"), unanswered),
    "a stimulus beyond what is given": Kind(
        stimulus(4, "4"), do("facts={'n_stimuli': ...}", lambda case: case.tell(facts={"n_stimuli": 5}))
    ),
    "a set of no stimuli": Kind(cell(working_memory, "set_size", 0, "0"), write("set_size", 1, "give the value")),
    "a reward between failure and success": Kind(
        cell(working_memory, "reward", 0.5, "0.5"), write("reward", 1, "give the value")
    ),
    "no next state": Kind(cell(steps, "next_state", NAN, "an empty cell"), unused),
    "no next state, at an end": Kind(cell(steps, "next_state", NAN, "an empty cell"), write("done", 1, "give it")),
    "an end that is 2": Kind(cell(steps, "done", 2, "2"), write("done", 1, "give the value")),
    "a state beyond what is given": Kind(
        cell(steps, "state", 3, "3"), do("n_states", lambda case: case.tell(facts={"n_states": 4}))
    ),
    "a state without a label": Kind(
        state_label, do("add it to states=", lambda case: case.tell(states=["X", "Y", "W"]))
    ),
    "labels of states that are not there": Kind(
        no_states, do("columns={'state': <name in your table>}", lambda case: case.name(state="room"))
    ),
    "options that are not whole": Kind(not_whole, do("a whole number", lambda case: case.tell(facts={"n_actions": 2}))),
    "no prediction": Kind(predicted, do("named scored", lambda case: case.set("scored", False))),
    "three options on offer": Kind(three_on_offer, do("leave such trials out", without_the_row)),
}


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=6, deadline=None)
@given(case=cases())
def test_a_fault_of_inputs_is_said_and_its_mend_works(name: str, case: Case) -> None:
    assert_refused_and_mended(KINDS[name], case)
