"""Timing side by side: what is compared runs in turn, so that whatever else the machine does disturbs all alike."""

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

ROUNDS = 9
README = Path(__file__).parent / "README.md"


def seconds(function: Callable[[], object], at_least: float = 0.03) -> float:
    """Return the time of a call, the mean over as many as take some while."""
    started, calls = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < at_least:
        function()
        calls += 1
    return elapsed / calls


def in_turn(functions: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the median time of a call of each, in seconds."""
    for function in functions.values():
        function()
    times = [[seconds(f) for f in functions.values()] for _ in range(rounds)]
    return dict(zip(functions, np.median(times, axis=0).tolist(), strict=True))


class Cost[Found](NamedTuple):
    """What a call gave, and its seconds: by the clock, of all threads' CPU time, and of that in other threads alone."""

    found: Found
    wall: float
    cpu: float
    others: float


def cost[Found](function: Callable[[], Found]) -> Cost[Found]:
    """Call once.  Where other work runs, the clock says how busy the machine is, and CPU time what a call takes."""
    wall, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
    found = function()
    cpu, own = time.process_time() - cpu, time.thread_time() - own
    return Cost(found, time.perf_counter() - wall, cpu, cpu - own)


def middle_and_range(values: Sequence[float]) -> str:
    """Return the median, the smallest and the largest."""
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


class Report:
    """Tables, printed as they are done and kept as Markdown.

    Parameters
    ----------
    title : str
        Of the first section.
    """

    def __init__(self, title: str) -> None:
        self.lines = [f"## {title}", ""]
        self._console = Console(width=170)

    def say(self, text: str) -> None:
        """Add a paragraph."""
        self.lines += [text, ""]
        self._console.print(text)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add a table; numbers are shown with three digits."""
        shown = [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row] for row in rows]
        table = Table(*columns, title=title)
        for row in shown:
            table.add_row(*row)
        self._console.print(table)
        self.lines += [f"### {title}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
        self.lines += [*(f"| {' | '.join(row)} |" for row in shown), ""]

    def write(self) -> None:
        """Put the section into benchmarks/README.md, in place of that of the same title."""
        sections = README.read_text().split("\n## ")
        own = "\n".join(self.lines).rstrip().removeprefix("## ") + "\n"
        titles = [section.partition("\n")[0] for section in sections]
        title = own.partition("\n")[0]
        place = titles.index(title) if title in titles else len(sections)
        README.write_text("\n## ".join([*sections[:place], own, *sections[place + 1 :]]))


def machine() -> str:
    """Return what the figures were measured on."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
