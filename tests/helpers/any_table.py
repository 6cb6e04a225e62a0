"""Tables as people have them, drawn at random, with what each of their rows means."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from tests.helpers.row_loops import LOOPS, Row
from tests.helpers.sheet import EMPTY, Sheet, coded, coding, missing_code, typed


@dataclass
class Drawn:
    """A table, how it is read, and what it means."""

    table: pd.DataFrame
    options: dict[str, Any]
    rows: list[Row]
    params: dict[Any, dict[str, float]]  # of each person
    sizes: dict[str, int]


# ---------------------------------------------------------------- columns that every table may have


def people(sheet: Sheet, order: list[int]) -> None:
    labels = sheet.pick(
        ["ann", "bob", "cy", "zoë"],
        ["01", "1", "s 3", "x"],
        [3, 1, 2, 40],
        [" a", "b ", "c d", "e"],
        [0.5, 1.5, 2.0, 7.0],
    )
    sheet.put("subject", [labels[k] for k in order], "id", "Participant ID", "subjID")


def resets(sheet: Sheet, rows: list[Row]) -> bool:
    """Columns of blocks, sessions or starts; whether numbers of trials may start again with them."""
    kind = sheet.pick("none", "none", "False", "block", "two", "flags", "named", "unused block")
    firsts: dict[Any, list[int]] = {}
    for i, row in enumerate(rows):
        firsts.setdefault(row["subject"], []).append(i)
    if kind == "none":
        return False
    if kind in ("flags", "named"):
        flags = sheet.column(st.booleans())
        if kind == "named":
            flags = sheet.pick(flags, [int(flag) for flag in flags], [float(flag) for flag in flags])
            sheet.put("reset", flags, "fresh", "new start")
        else:
            sheet.options["reset"] = sheet.pick("new", "Start")
            sheet.cells[sheet.options["reset"]] = flags
        for row, flag in zip(rows, flags, strict=True):
            row["starts"] = bool(flag)
        return False
    if kind == "two":
        session, block = [0] * len(rows), [0] * len(rows)
        for places in firsts.values():
            s = b = 0
            for i in places:
                step = sheet.pick("stay", "stay", "block", "session")
                s, b = (s + 1, 0) if step == "session" else (s, b + (step == "block"))
                session[i], block[i] = s, b
        both = [sheet.put("session", session, "day"), sheet.put("block", block, "run")]
        sheet.options["reset"] = both
        parts = list(zip(session, block, strict=True))
    else:
        parts = [0] * len(rows)
        for places in firsts.values():
            value = 0
            for i in places:
                value += sheet.pick(0, 0, 1)
                parts[i] = value
        texts = [f"block {value}" for value in parts]
        name = sheet.put("block", sheet.pick(parts, texts), "run")
        if kind == "unused block":
            return False
        sheet.options["reset"] = False if kind == "False" else sheet.pick(name, "block")
    if kind != "False":
        for places in firsts.values():
            for before, i in pairwise(places):
                rows[i]["starts"] = parts[i] != parts[before]
    return True


def trial_numbers(sheet: Sheet, rows: list[Row], again: bool) -> None:
    kind = sheet.pick("none", "rising", "gaps", *(["again"] if again else []))
    if kind == "none":
        return
    last: dict[Any, int] = {}
    numbers = []
    for row in rows:
        who = row["subject"]
        step = 1 if kind != "gaps" else sheet.pick(1, 1, 2, 7)
        last[who] = step if kind == "again" and row["starts"] else last.get(who, 0) + step
        numbers.append(last[who])
    sheet.put("trial", numbers, "TrialNum")


def masks(sheet: Sheet, rows: list[Row], made: list[list[bool]]) -> None:
    """Columns scored and learned, True only where the responses were made."""

    def flags(possible: list[bool]) -> list[Any]:
        drawn = [bool(one and two) for one, two in zip(sheet.column([True, True, False]), possible, strict=True)]
        return list(sheet.pick(drawn, [int(one) for one in drawn], [float(one) for one in drawn]))

    kind = sheet.pick("none", "none", "scored", *(["by response"] if len(made[0]) == 2 else []))
    if kind == "by response":
        both = [flags([one[k] for one in made]) for k in range(2)]
        for k in range(2):
            sheet.cells[f"scored_{k}"] = both[k]
        for i, row in enumerate(rows):
            row["scored"] = [bool(both[0][i]), bool(both[1][i])]
    elif kind == "scored":
        cells = flags([all(one) for one in made])
        sheet.put("scored", cells, "counts")
        for row, cell in zip(rows, cells, strict=True):
            row["scored"] = bool(cell)
    if sheet.pick(False, False, True):
        cells = flags([all(one) for one in made])
        sheet.put("learned", cells, "feedback shown")
        for row, cell in zip(rows, cells, strict=True):
            row["learned"] = bool(cell)


def response_times(sheet: Sheet, rows: list[Row]) -> None:
    """Response times, and limits outside of which responses are not scored."""
    times = sheet.column(st.sampled_from([0.05, 0.3, 0.31, 1.0, 2.5, EMPTY]))
    low, high = 0.3, 2.0
    sheet.put("rt", times, "RT")
    inside = [time is EMPTY or low <= time <= high for time in times]  # a time that is not known is not outside
    if any(ok and time is not EMPTY for ok, time in zip(inside, times, strict=True)) and sheet.yes():
        sheet.options["rt_limits"] = (low, high)
        for row, ok in zip(rows, inside, strict=True):
            row["outside"] = not ok


EXTRA_NAMES = [
    "note",
    "response",
    "option",
    "row",
    "exists",
    "trial_number",
    "Unnamed: 0",
    "age (years)",
    "sample",
    "é",
]


def extras(sheet: Sheet) -> None:
    """Columns that no model reads, of any content and of names that trials have a use for."""
    numbered = "trial" in sheet.cells or "TrialNum" in sheet.cells  # else trial_number looks as if it were the number
    names = [name for name in EXTRA_NAMES if numbered or name != "trial_number"]
    for name in sheet.draw(st.lists(st.sampled_from(names), unique=True, max_size=3)):
        content = sheet.pick(
            st.text("xy ,;'\"#é", max_size=4),
            st.sampled_from([1, "a", None, 2.5, True]),
            st.sampled_from([datetime(2024, 1, 31, 10, 0), pd.NaT]),
            st.floats(),
            st.sampled_from([3, -1, 10**12]),
            st.booleans(),
            st.just(None),
            st.sampled_from(["x", "y", None]),
        )
        sheet.cells[name] = sheet.column(content)
        texts = [cell for cell in sheet.cells[name] if isinstance(cell, str)]
        if len(texts) + sheet.cells[name].count(None) == sheet.n and sheet.yes():
            sheet.categories[name] = list(dict.fromkeys(texts))


# ---------------------------------------------------------------- what the models read


def outcomes(sheet: Sheet, name: str, needed: list[bool], rows: list[Row], binary: bool = False) -> None:
    """A column of outcomes, which may be empty where none is needed."""
    kind = sheet.pick("boolean", "integer", *([] if binary else ["float"]))
    values = {
        "boolean": st.booleans(),
        "integer": st.integers(0, 1) if binary else st.integers(-2, 3),
        "float": st.sampled_from([0.0, 0.5, -1.25, 1e-3]) | st.floats(-3, 3, allow_nan=False),
    }[kind]
    text = sheet.options.get("missing")
    blanks = [EMPTY, EMPTY, *([text] if isinstance(text, str) else [])]
    cells = [
        cell if need or sheet.pick(True, False) else sheet.pick(*blanks)
        for cell, need in zip(sheet.column(values), needed, strict=True)
    ]
    sheet.put(name, cells, f"my {name}")
    for row, cell in zip(rows, cells, strict=True):
        row[name] = None if cell is EMPTY or isinstance(cell, str) else float(cell)


def offers(sheet: Sheet, rows: list[Row], n: int, codes: list[Any], kind: str, missing: Any, two: bool) -> set[int]:
    """Options on offer in each row, by number or by flag; returns those that are named."""
    width = 2 if two else sheet.pick(*range(2, n + 1))
    offered: list[list[int]] = []
    for row in rows:
        first = sheet.draw(st.permutations(range(n)))[:width]
        chosen = row["action"]
        if chosen is not None and chosen not in first:
            first[sheet.pick(*range(width))] = chosen
        offered.append(list(first))
        row["offered"] = [k in first for k in range(n)]
    names = [f"option {k}" for k in range(width)]
    if kind == "flags":
        names = sheet.pick([f"available_{k}" for k in range(n)], [f"is {k}" for k in range(n)])
        for k, name in enumerate(names):
            sheet.cells[name] = [bool(row["offered"][k]) for row in rows]
        if names[0] == "is 0":
            sheet.options.setdefault("columns", {})["available"] = names
        elif sheet.yes():
            for name in names:
                sheet.cells[name] = [int(cell) for cell in sheet.cells[name]]
        return set(range(n))
    named: set[int] = set()
    for k, name in enumerate(names):
        # A missed row need not say what was on offer
        places = [None if row["action"] is None and sheet.yes() else o[k] for row, o in zip(rows, offered, strict=True)]
        sheet.cells[name] = coded(sheet, places, codes, kind, missing)
        named |= set(places) - {None}
    sheet.options.setdefault("columns", {})["available"] = sheet.pick(names, tuple(names))
    return named


def actions(sheet: Sheet, rows: list[Row], names: tuple[str, ...], n: int, available: str) -> None:
    """The responses, the options on offer, and other columns that mean an action."""
    before = set(sheet.cells)
    codes, kind = coding(sheet, n)
    missing = missing_code(sheet, codes)
    seen = {row[name] for row in rows for name in names} - {None}
    own = {"action": ["choice", "key pressed"], "action1": ["first"], "action2": ["second"]}
    for name in names:
        sheet.put(name, coded(sheet, [row[name] for row in rows], codes, kind, missing), *own[name])
    if sheet.pick(False, False, True):
        values = sheet.column([*range(n), None])
        seen |= set(values) - {None}
        sheet.put(sheet.pick("correct_action", "better_option"), coded(sheet, values, codes, kind, missing))
    how = sheet.pick("none", "flags", "number") if available == "any" else available
    if how == "two":
        how = sheet.pick("flags", "number")
    if how != "none":
        how = "flags" if kind in ("boolean", "boolean labels") else how
        seen |= offers(sheet, rows, n, codes, "flags" if how == "flags" else kind, missing, available == "two")
    labelled = "actions" in sheet.options
    # Numbers without a gap, and any numbers of two options, leave nothing open
    if not labelled and (sheet.yes() or not (n == 2 or seen == set(range(n)))):
        sheet.fact("n_actions", n)
    if kind == "category":
        written = [*codes[::-1], *([] if missing is None else [missing])]
        named = set(sheet.cells) - before
        sheet.categories |= {name: written for name in named if not name.startswith(("available_", "is "))}


def states(sheet: Sheet, name: str, fact: str, values: dict[str, list[int | None]], n: int) -> None:
    """Columns of states, numbered from 0 or labelled."""
    seen = {value for cells in values.values() for value in cells} - {None}
    labels = sheet.pick(None, ["X", "Y", "Z"][:n], [2, 3, 4][:n], [-1, 5, 0][:n])
    for column, cells in values.items():
        code = range(n) if labels is None else labels
        sheet.put(column, [EMPTY if value is None else code[value] for value in cells], f"{column} shown")
    if labels is not None:
        sheet.options["states"] = labels if name == "state" else {name: labels}
    elif seen != set(range(n)) or sheet.yes():
        sheet.fact(fact, n)


def responses(sheet: Sheet, rows: list[Row], names: tuple[str, ...], n: int) -> list[list[bool]]:
    """Draw what people did: which responses were made is returned."""
    likely = sheet.pick([True], [True, True, True, False], [False])
    made = []
    for row in rows:
        for name in names:
            row[name] = sheet.pick(*range(n)) if sheet.pick(*likely) else None
        if row[names[0]] is None:  # there is no second step without a first
            row.update(dict.fromkeys(names))
        made.append([row[name] is not None for name in names])
        row["made"] = all(made[-1])
    return made


@st.composite
def any_table(draw: st.DrawFn, model: str, sizes: dict[str, int]) -> Drawn:
    """Draw a table that this model can read."""
    loop = LOOPS[model]
    lengths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))
    order = [k for k, length in enumerate(lengths) for _ in range(length)]
    if draw(st.booleans()):
        order = draw(st.permutations(order))
    sheet = Sheet(draw, len(order))
    rows: list[Row] = [{"subject": k, "starts": False, "scored": None, "learned": None, "offered": None} for k in order]
    n = sizes.get("n_actions", 2)
    people(sheet, order)
    if model == "delta_prediction":
        made = responses(sheet, rows, ("prediction",), 1)
        said = sheet.column(st.floats(-5, 5))
        for row, value in zip(rows, said, strict=True):
            row["prediction"] = None if row["prediction"] is None else value
        sheet.put("prediction", [EMPTY if row["prediction"] is None else row["prediction"] for row in rows], "guess")
    else:
        made = responses(sheet, rows, loop.responses, n)
        kinds = {
            "counterfactual": "two" if n > 2 else "none",
            "wsls": "none",
            "rlwm": "none",
            "two_step_hybrid": "none",
        }
        actions(sheet, rows, loop.responses, n, kinds.get(model, "any"))
    masks(sheet, rows, made)
    if "prediction" not in loop.responses:
        response_times(sheet, rows)
    learned = [row["made"] if row["learned"] is None else row["learned"] for row in rows]
    trial_numbers(sheet, rows, resets(sheet, rows))
    inputs(sheet, model, rows, learned, sizes)
    extras(sheet)
    names = draw(st.permutations(list(sheet.cells)))
    columns = {}
    for name in names:
        column = typed(sheet, sheet.cells[name]) if EMPTY in sheet.cells[name] or name not in EXTRA_NAMES else None
        columns[name] = sheet.cells[name] if column is None else column
        if name in sheet.categories:
            blank = [None if cell is EMPTY else cell for cell in sheet.cells[name]]
            columns[name] = pd.Categorical(blank, sheet.categories[name])
    people_there = list(dict.fromkeys(order))
    params = {k: {p: draw(st.sampled_from(values)) for p, values in loop.parameters.items()} for k in people_there}
    return Drawn(pd.DataFrame(columns), sheet.options, rows, params, sizes)


def inputs(sheet: Sheet, model: str, rows: list[Row], learned: list[bool], sizes: dict[str, int]) -> None:
    """The columns that a model reads beside the responses."""
    used = [bool(one or row["made"]) for one, row in zip(learned, rows, strict=True)]
    if model == "delta_prediction":
        outcomes(sheet, "outcome", learned, rows)
        return
    outcomes(sheet, "reward", learned, rows, binary=model == "rlwm")
    if model == "counterfactual":
        outcomes(sheet, "reward_other", learned, rows)
    if model == "rlwm":
        n = sizes["n_stimuli"]
        shown = [s if use or sheet.yes() else None for s, use in zip(sheet.column(range(n)), used, strict=True)]
        sheet.put("set_size", sheet.column([1, 2, 3, 6]), "n shown")
        states(sheet, "stimulus", "n_stimuli", {"stimulus": shown}, n)
        for row, s, size in zip(rows, shown, sheet.cells[_name(sheet, "set_size")], strict=True):
            row.update(stimulus=s, set_size=size)
    if model == "two_step_hybrid":
        n = sizes["n_states"]
        reached = [s if use or sheet.yes() else None for s, use in zip(sheet.column(range(n)), used, strict=True)]
        states(sheet, "state", "n_states", {"state2": reached}, n)
        for row, s in zip(rows, reached, strict=True):
            row["state2"] = s
    if model == "q_mdp":
        n = sizes["n_states"]
        done = sheet.column(st.booleans())
        if sheet.yes():
            sheet.put("done", sheet.pick(done, [int(one) for one in done]), "end")
        else:
            done = [False] * len(rows)
        here, there = sheet.column(range(n)), sheet.column(range(n))
        here = [s if use or sheet.yes() else None for s, use in zip(here, used, strict=True)]
        there = [
            s if (one and not end) or sheet.yes() else None for s, one, end in zip(there, learned, done, strict=True)
        ]
        states(sheet, "state", "n_states", {"state": here, "next_state": there}, n)
        for row, s, after, end in zip(rows, here, there, done, strict=True):
            row.update(state=s, next_state=after, done=end)


def _name(sheet: Sheet, ours: str) -> str:
    return str(sheet.options.get("columns", {}).get(ours, ours))
