"""Tables with a fault of a certain kind, what is to be said of it, and how the mend is followed."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pandas as pd
import pytest
from hypothesis import strategies as st

import rlpymc as rl

NAN = float("nan")
NAMES = {"subject": "who", "action": "choice"}
PARAMS: dict[str, dict[str, float]] = {
    "delta": {"alpha": 0.3, "beta": 2.0},
    "counterfactual": {"alpha": 0.3, "alpha_other": 0.2, "beta": 2.0},
    "rlwm": dict.fromkeys(("alpha", "rho", "forget", "epsilon", "bias_wm", "bias_rl"), 0.3)
    | {"stick": 0.1, "capacity": 3},
    "q_mdp": {"alpha": 0.3, "beta": 2.0, "gamma": 0.9},
    "delta_prediction": {"alpha": 0.3, "sigma": 1.0},
    "biased_coin": {"bias": 0.4},
    "two_step_hybrid": dict.fromkeys(("alpha1", "alpha2", "lam", "w"), 0.4)
    | {"beta1": 2.0, "beta2": 2.0, "stickiness": 0.1},
}


@dataclass
class Case:
    """A table that is whole until its kind breaks it, at one row."""

    table: pd.DataFrame
    row: int
    options: dict[str, Any] = field(default_factory=dict)
    model: str = "delta"

    def set(self, column: str, value: Any) -> None:
        cells = self.table[column].astype(object)
        cells[self.row] = value
        self.table[column] = cells.infer_objects()

    def put(self, **columns: Any) -> None:
        """Columns of one value, or of a value for each row."""
        self.table = self.table.assign(**columns)

    def tell(self, **options: Any) -> None:
        self.options |= options

    def name(self, **columns: Any) -> None:
        self.options["columns"] = {**self.options["columns"], **columns}

    def place(self, number: Any = None) -> list[str]:
        """How the row that is at fault is named."""
        who = self.table["who"][self.row]
        position = int((self.table["who"][: self.row] == who).sum())
        return [f"subject {who!r}, trial {position if number is None else number}, row {self.row}"]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a table of two or three people, whose two options both occur, and a row that is not anybody's first."""
    people = draw(st.lists(st.sampled_from(["ann", "bob", "cy"]), min_size=4, max_size=12))
    order = ["ann", "bob", *people, "ann", "bob"]
    random = Random(draw(st.integers(0, 10**6)))
    choices = [0, 1, *(random.randint(0, 1) for _ in people), 1, 0]
    rewards = [random.choice([0.0, 1.0]) for _ in order]
    later = [k for k, who in enumerate(order) if who in order[:k]]
    table = pd.DataFrame({"who": order, "choice": choices, "reward": rewards})
    return Case(table, draw(st.sampled_from(later)), {"columns": dict(NAMES)})


type Mend = Callable[[Case, str], None]


@dataclass(frozen=True)
class Kind:
    """How a table is broken, what is said of it, and how the mend that is said is followed."""

    breaks: Callable[[Case], list[str]]  # returns what the message must say
    mend: Mend
    error: type[Exception] = ValueError


def attempt(case: Case) -> Any:
    """Read the table and let the model read it."""
    trials = rl.read_trials(case.table, **case.options)
    found = rl.log_prob(case.model, trials, PARAMS[case.model])
    assert found.notnull().all()
    return trials


def said(text: str, start: str) -> Any:
    """The value of an argument that a message writes down, as in actions=['left', 'right']."""
    found = re.search(rf"\b{start}=(\[[^\]]*\]|\{{[^}}]*\}}|-?\d+|'[^']*')", text)
    assert found, text
    return eval(found[1])


def follow(*arguments: str) -> Mend:
    """The mend is to pass these arguments, as the message writes them."""

    def mend(case: Case, text: str) -> None:
        for name in arguments:
            value = said(text, name)
            if name in ("columns", "facts"):
                value = {**case.options.get(name, {}), **value}
            case.options[name] = value

    return mend


def sort(case: Case, text: str) -> None:
    """The mend is a call that sorts the table."""
    found = re.search(r"table\.sort_values\(.*?\)", text)
    assert found, text
    case.table = eval(found[0], {"table": case.table}).reset_index(drop=True)


def write(column: str, value: Any, word: str) -> Mend:
    """The mend is to write another value into the cell, and is said with this word."""

    def mend(case: Case, text: str) -> None:
        assert word in text, text
        case.set(column, value)

    return mend


def drop(*names: str, word: str) -> Mend:
    """The mend is to leave an argument or a column out."""

    def mend(case: Case, text: str) -> None:
        assert word in text, text
        for name in names:
            case.options.pop(name, None)
        case.table = case.table.drop(columns=[name for name in names if name in case.table])

    return mend


def do(word: str, change: Callable[[Case], Any]) -> Mend:
    """The mend is a sentence with this word, followed by hand."""

    def mend(case: Case, text: str) -> None:
        assert word in text, text
        change(case)

    return mend


def unused(case: Case, text: str) -> None:
    """The mend is to mark the trial False in columns named scored and learned."""
    assert "scored and learned" in text, text
    used = [k != case.row for k in range(len(case.table))]
    case.put(scored=used, learned=used)


def assert_refused_and_mended(kind: Kind, case: Case) -> None:
    parts = kind.breaks(case)
    with pytest.raises(kind.error) as info:
        attempt(case)
    text = str(info.value)
    for part in parts:
        assert part in text, text
    kind.mend(case, text)
    attempt(case)
