"""Faults in columns that mean an action: each is said with its place, and the mend that is said works."""

from typing import Any

import pytest
from hypothesis import given, settings

from tests.helpers.broken import NAN, Case, Kind, assert_refused_and_mended, cases, do, drop, follow, write

pytestmark = pytest.mark.slow
CHOICE = "column 'action' ('choice' in the table)"


def in_choice(value: Any, found: str, model: str = "delta", **options: Any) -> Any:
    """Break one cell of the choices."""

    def breaks(case: Case) -> list[str]:
        case.tell(**options)
        case.model = model
        case.set("choice", value)
        return [CHOICE, *case.place(), f"found {found}"]

    return breaks


def texts(case: Case, **options: Any) -> None:
    case.put(choice=case.table["choice"].map({0: "left", 1: "right"}))
    case.tell(**options)


def text_labels(case: Case) -> list[str]:
    texts(case)
    return [CHOICE, "row 0", "found 'left'"]


def unlisted_label(case: Case) -> list[str]:
    texts(case, actions=["left", "right"])
    case.set("choice", "up")
    return [CHOICE, *case.place(), "found 'up'", "'left', 'right'"]


def labels(given: Any, *parts: str) -> Any:
    """Give labels that are none."""

    def breaks(case: Case) -> list[str]:
        texts(case, actions=given)
        return ["actions", *parts]

    return breaks


def more_labels(case: Case) -> list[str]:
    texts(case, actions=["left", "right", "up"], facts={"n_actions": 2})
    return ["actions", "found 3 labels", "2 actions"]


def labels_and_base(case: Case) -> list[str]:
    texts(case, actions=["left", "right"], action_base=1)
    return ["actions=", "action_base=", "one of them"]


def other(value: float, found: str, **options: Any) -> Any:
    """Break one cell of a column that is named as actions are."""

    def breaks(case: Case) -> list[str]:
        case.put(correct_action=0)
        case.set("correct_action", value)
        case.tell(**options)
        return ["column 'correct_action'", *case.place(), f"found {found}"]

    return breaks


def second_without_first(case: Case) -> list[str]:
    case.options["columns"] = {"subject": "who", "action1": "choice"}
    case.put(action2=0, state2=0)
    case.set("choice", NAN)
    case.model, case.options["facts"] = "two_step_hybrid", {"n_states": 2}
    return ["column 'action2'", *case.place(), "found 0", "action1 is missing"]


def by_number(case: Case) -> None:
    case.put(left=0, right=1)
    case.name(available=["left", "right"])
    case.tell(facts={"n_actions": 3})


def not_on_offer(case: Case) -> list[str]:
    by_number(case)
    case.set("choice", 2)
    return [CHOICE, *case.place(), "found 2", "[0, 1]"]


def flag_not_on_offer(case: Case) -> list[str]:
    case.put(available_0=True, available_1=True)
    case.set(f"available_{case.table['choice'][case.row]}", False)
    return [CHOICE, *case.place(), f"found {case.table['choice'][case.row]}"]


def offer_of_no_option(case: Case) -> list[str]:
    by_number(case)
    case.set("right", 1.5)
    return ["column 'right'", *case.place(), "found 1.5"]


def option_twice(case: Case) -> list[str]:
    by_number(case)
    chosen = case.table["choice"][case.row]
    case.set("left", chosen)
    case.set("right", chosen)
    return ["column 'right'", *case.place(), f"found {chosen}"]


def flags_as_numbers(case: Case) -> list[str]:
    case.put(red=1, green=1)
    case.name(available=["red", "green"])
    return ["column 'green'", "row 0", "found 1"]


def fewer_flags(case: Case) -> list[str]:
    case.put(available_0=True, available_1=True)
    case.tell(facts={"n_actions": 3})
    return ["available_0, available_1", "found 2", "3 actions"]


def flags_from_one(case: Case) -> list[str]:
    case.put(available_1=True, available_2=True)
    return ["available_1, available_2", "'available_0'"]


def count_from_zero(case: Case) -> None:
    case.table = case.table.rename(columns={"available_1": "available_0", "available_2": "available_1"})


def flags_with_two(case: Case) -> list[str]:
    case.put(available_0=1, available_1=1)
    case.set("available_0", 2)
    return ["column 'available_0'", *case.place(), "found 2"]


def one_column_of_offers(case: Case) -> list[str]:
    case.put(available="01")
    return ["column 'available'", "several columns"]


def three_actions(case: Case) -> list[str]:
    case.set("choice", 2)
    case.model = "biased_coin"
    return ["column 'action'", "biased_coin", "n_actions=3"]


def from_one(case: Case) -> list[str]:
    case.put(choice=case.table["choice"] + 1)
    case.tell(facts={"n_actions": 2})
    row = int((case.table["choice"] == 2).to_numpy().argmax())
    case.row = row
    return [CHOICE, *case.place(), "found 2", "from 0 to 1"]


def one_column_each(case: Case) -> None:
    case.put(red=True, green=True)


KINDS = {
    "texts": Kind(text_labels, follow("actions")),
    "minus one, a label": Kind(in_choice(-1, "-1"), follow("actions")),
    "minus one, a code": Kind(in_choice(-1, "-1"), do("pass missing=<code>", lambda case: case.tell(missing=-1))),
    "a half": Kind(in_choice(0.5, "0.5"), follow("actions")),
    "a half, missed": Kind(in_choice(0.5, "0.5"), write("choice", NAN, "leave the cell empty")),
    "infinite": Kind(in_choice(float("inf"), "inf"), write("choice", NAN, "leave the cell empty")),
    "a text among numbers": Kind(in_choice("late", "'late'"), write("choice", NAN, "leave the cell empty")),
    "a text among numbers, a code": Kind(
        in_choice("?", "'?'"), do("missing=<code>", lambda case: case.tell(missing="?"))
    ),
    "below the base": Kind(
        lambda case: [*in_choice(0, "0", action_base=1)(case)[:1], "found 0"], follow("action_base")
    ),
    "beyond what is given": Kind(
        in_choice(2, "2", facts={"n_actions": 2}), write("choice", NAN, "leave the cell empty")
    ),
    "counted from one": Kind(from_one, follow("action_base")),
    "no label": Kind(unlisted_label, do("add it to actions=", lambda case: case.tell(actions=["left", "right", "up"]))),
    "no label, a code": Kind(unlisted_label, follow("missing")),
    "one label twice": Kind(
        labels(["left", "left"], "different labels"), do("different", lambda case: case.tell(actions=["left", "right"]))
    ),
    "no labels": Kind(labels([], "at least one"), do("one", lambda case: case.tell(actions=["left", "right"]))),
    "labels as a text": Kind(
        labels("leftright", "a list of labels"),
        do("such as ['left', 'right']", lambda case: case.tell(actions=["left", "right"])),
        TypeError,
    ),
    "labels of a column that is not there": Kind(
        labels({"answer": ["left", "right"]}, "'answer'"),
        do("one of the columns action", lambda case: case.tell(actions={"action": ["left", "right"]})),
    ),
    "more labels than options": Kind(more_labels, follow("facts")),
    "labels and a base": Kind(labels_and_base, drop("action_base", word="need no base")),
    "another column of actions, a half": Kind(other(0.5, "0.5"), follow("columns")),
    "another column of actions, beyond": Kind(other(5, "5", facts={"n_actions": 2}), follow("columns")),
    "a second response alone": Kind(
        second_without_first,
        do("leave both empty", lambda case: case.set("action2", NAN)),
    ),
    "not on offer": Kind(not_on_offer, do("columns that say which", lambda case: case.set("left", 2))),
    "not on offer, by flags": Kind(
        flag_not_on_offer,
        do("columns that say which", lambda case: case.put(available_0=True, available_1=True)),
    ),
    "on offer is no option": Kind(offer_of_no_option, write("right", 1, "an integer from 0 to 2")),
    "an option twice": Kind(
        option_twice, do("another option", lambda case: case.set("left", 1 - case.table["choice"][case.row]))
    ),
    "flags as numbers": Kind(flags_as_numbers, do("write True and False", one_column_each)),
    "fewer flags than options": Kind(fewer_flags, follow("facts")),
    "flags that count from one": Kind(flags_from_one, do("count from 0", count_from_zero)),
    "a flag of two": Kind(flags_with_two, write("available_0", 1, "Write one of them in each cell")),
    "one column of what is on offer": Kind(one_column_of_offers, follow("columns")),
    "three actions for a model of two": Kind(
        three_actions,
        do("facts={'n_actions': 2}", lambda case: (case.set("choice", 1), case.tell(facts={"n_actions": 2}))),
    ),
}


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=6, deadline=None)
@given(case=cases())
def test_a_fault_of_actions_is_said_and_its_mend_works(name: str, case: Case) -> None:
    assert_refused_and_mended(KINDS[name], case)
