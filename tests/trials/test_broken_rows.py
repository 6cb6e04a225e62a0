"""Faults in people, order, blocks and masks: each is said with its place, and the mend that is said works."""

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings

import rlpymc as rl
from tests.helpers.broken import NAMES, NAN, Case, Kind, assert_refused_and_mended, cases, do, drop, follow, sort, write
from tests.helpers.messages import assert_says

pytestmark = pytest.mark.slow


def numbered(case: Case) -> None:
    case.put(trial=case.table.groupby("who").cumcount() + 1)


def empty_person(case: Case) -> list[str]:
    case.set("who", None)
    return ["column 'subject'", f"row {case.row}", "an empty cell"]


def people_of_two_types(case: Case) -> list[str]:
    case.put(who=case.table["who"].map({"ann": 1, "bob": 2, "cy": 3}))
    case.set("who", "1")
    return ["column 'subject'", f"row {case.row}", "found '1'", "row 0"]


def fell(case: Case) -> list[str]:
    numbered(case)
    case.set("trial", 0)
    return ["column 'trial'", *case.place(0), "found 0", "expected more than"]


def repeated(case: Case) -> list[str]:
    numbered(case)
    before = case.table["trial"][case.row] - 1
    case.set("trial", before)
    return ["column 'trial'", *case.place(before), f"found {before}", f"more than {before}"]


def blocks_of_another_name(case: Case) -> list[str]:
    """Numbers start again with a column that is not known to be one of blocks."""
    numbered(case)
    first = case.table["trial"] <= 1
    case.put(run=(~first).astype(int), trial=case.table["trial"].where(first, case.table["trial"] - 1))
    return ["column 'trial'", "expected more than", "name the column that changes there block or session"]


def trial(value: Any, found: str) -> Any:
    def breaks(case: Case) -> list[str]:
        numbered(case)
        case.set("trial", value)
        return ["column 'trial'", *case.place(), f"found {found}"]

    return breaks


def unknown_reset(case: Case) -> list[str]:
    case.put(block=1)
    case.tell(reset="blok")
    return ["reset='blok'", "who, choice, reward, block"]


def empty_block(case: Case) -> list[str]:
    case.put(block=1)
    case.tell(reset="block")
    case.set("block", None)
    return ["column 'block'", *case.place(), "an empty cell"]


def two_resets(case: Case) -> list[str]:
    case.put(block=1, reset=False)
    case.tell(reset="block")
    return ["reset='block'", "a column 'reset' too"]


def reset_true(case: Case) -> list[str]:
    case.put(block=1)
    case.tell(reset=True)
    return ["reset", "found True"]


def mask(name: str, value: Any, found: str) -> Any:
    def breaks(case: Case) -> list[str]:
        case.put(**{name: 1})
        case.set(name, value)
        return [f"column '{name}'", *case.place(), f"found {found}", "True or False"]

    return breaks


def missed(case: Case, **columns: Any) -> None:
    case.put(**columns)
    case.set("choice", NAN)


def scored_and_missed(case: Case) -> list[str]:
    missed(case, scored=True)
    return ["column 'scored'", *case.place(), "found True", "no response"]


def learned_and_missed(case: Case) -> list[str]:
    missed(case, learned=True)
    return ["column 'action' ('choice' in the table)", *case.place(), "found no response"]


def scored_by_two(case: Case) -> list[str]:
    case.put(scored_0=True, scored_1=True)
    return ["scored_0, scored_1", "found 2 columns", "['action']"]


def scored_second(case: Case) -> list[str]:
    case.options["columns"] = {"subject": "who", "action1": "choice"}
    case.put(action2=0, state2=0, scored_0=True, scored_1=True)
    case.set("action2", NAN)
    case.model, case.options["facts"] = "two_step_hybrid", {"n_states": 2}
    return ["column 'scored_1'", *case.place(), "found True", "no response"]


def times(case: Case, *limits: float, **columns: Any) -> None:
    case.put(**columns)
    case.tell(rt_limits=limits)


def all_outside(case: Case) -> list[str]:
    times(case, 0.2, 3.0, rt=500.0)
    return ["column 'rt'", "row 0", "found 500", "from 0.2 to 3"]


def no_times(case: Case) -> list[str]:
    times(case, 0.2, 3.0, time=0.5)
    return ["rt_limits=(0.2, 3.0)", "'rt'", "reward, time"]


def reversed_limits(case: Case) -> list[str]:
    times(case, 3.0, 0.2, rt=0.5)
    return ["rt_limits", "(3.0, 0.2)"]


def text_of_time(case: Case) -> list[str]:
    times(case, 0.2, 3.0, rt=0.5)
    case.set("rt", "fast")
    return ["column 'rt'", *case.place(), "found 'fast'"]


MARKS = "Write one of them in each cell"
FILLED = {"scored": 1, "learned": 1, "reset": 0}
KINDS = {
    "no person": Kind(empty_person, write("who", "ann", "write whose trial it is")),
    "no person, a row too many": Kind(
        empty_person,
        do("leave the row out", lambda case: setattr(case, "table", case.table.drop(index=case.row))),
    ),
    "people of two types": Kind(
        people_of_two_types, do("all of them as text", lambda case: case.put(who=case.table["who"].astype(str)))
    ),
    "a trial's number falls": Kind(fell, sort),
    "a trial's number repeats": Kind(
        repeated, do("name the column", lambda case: (case.put(block=range(len(case.table))), case.tell(reset=False)))
    ),
    "numbers start again with a column": Kind(
        blocks_of_another_name,
        do("(columns=)", lambda case: (case.name(block="run"), case.tell(reset="block"))),
    ),
    "no trial's number": Kind(trial(NAN, "an empty cell"), follow("columns")),
    "a text for the trial's number": Kind(trial("a", "'a'"), follow("columns")),
    "resets by an unknown column": Kind(
        unknown_reset, do("Did you mean 'block'", lambda case: case.tell(reset="block"))
    ),
    "an empty block": Kind(empty_block, write("block", 1, "Fill the cell")),
    "two columns of resets": Kind(two_resets, drop("reset", word="use that")),
    "two columns of resets, one renamed": Kind(
        two_resets, do("give it another name", lambda case: case.name(my_reset="reset"))
    ),
    "resets are true": Kind(reset_true, do("expected a column", lambda case: case.tell(reset="block"))),
    **{f"{name} is 2": Kind(mask(name, 2, "2"), write(name, value, MARKS)) for name, value in FILLED.items()},
    **{
        f"{name} is empty": Kind(mask(name, None, "an empty cell"), write(name, value, MARKS))
        for name, value in FILLED.items()
    },
    "reset means something else": Kind(mask("reset", 2, "2"), follow("columns")),
    "scored without a response": Kind(scored_and_missed, write("scored", False, "do not score it")),
    "learned without a response": Kind(
        learned_and_missed, do("scored and learned", lambda case: case.set("learned", False))
    ),
    "scored by two columns": Kind(
        scored_by_two,
        do(
            "named scored",
            lambda case: setattr(
                case, "table", case.table.rename(columns={"scored_0": "scored"}).drop(columns="scored_1")
            ),
        ),
    ),
    "a second response scored that is none": Kind(scored_second, write("scored_1", False, "do not score it")),
    "all times outside": Kind(all_outside, do("Mend rt_limits", lambda case: case.tell(rt_limits=(200, 3000)))),
    "limits without times": Kind(no_times, do("unknown column 'rt'", lambda case: case.name(rt="time"))),
    "limits the wrong way round": Kind(
        reversed_limits, do("the lower one first", lambda case: case.tell(rt_limits=(0.2, 3.0)))
    ),
    "a text for a time": Kind(text_of_time, write("rt", NAN, "leave the cell empty")),
}


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=6, deadline=None)
@given(case=cases())
def test_a_fault_of_rows_is_said_and_its_mend_works(name: str, case: Case) -> None:
    assert_refused_and_mended(KINDS[name], case)


@pytest.mark.parametrize("who", ["ann", "bob"])
def test_a_person_without_a_scored_trial_is_named_and_can_be_left_out(who: str) -> None:
    table = pd.DataFrame({"who": ["ann", "bob", "cy"] * 3, "choice": [0, 1, 1, 0, 0, 1, 1, 1, 0], "reward": 1.0})
    table["scored"] = table["who"] != who
    with pytest.raises(ValueError, match="leave them out of the table") as info:
        rl.build("delta", rl.read_trials(table, NAMES), pooling="none")
    assert_says(str(info.value), "no scored trial", repr(who))
    rest = table[table["who"] != who].reset_index(drop=True)
    rl.build("delta", rl.read_trials(rest, NAMES), pooling="none")
