"""What the command line and the demo print: tables, and warnings without a file name."""

import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

LONG = 40  # characters from which on a label may take several lines
CONTROL = ("Cc", "Cf", "Cs")  # of Unicode: control characters, and marks that turn the direction of writing

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def listing(rows: Iterable[Sequence[str]], columns: Sequence[str], title: str) -> Table:
    """Return rows of text, the first of which is their name, as a table that rich prints."""
    rows = list(rows)
    out = _empty(title, columns[0], [row[0] for row in rows])
    for k, name in enumerate(columns[1:], 1):
        out.add_column(text(name), no_wrap=max((len(row[k]) for row in rows), default=0) <= 16)
    for row in rows:
        out.add_row(*map(text, row))
    return out


def text(label: object) -> Text:
    """Return a label as it is, never as markup, without characters that would steer a terminal."""
    return Text(printable(str(label)))


def printable(label: str) -> str:
    """Return a text with control characters written out, such as U+001B as its escape."""
    return "".join(_escaped(c) if c != "\n" and unicodedata.category(c) in CONTROL else c for c in label)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def markdown(rows: Iterable[Sequence[str]], columns: Sequence[str]) -> str:
    """Rows of text, the first of which is their name, as a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *([f"`{row[0]}`", *row[1:]] for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _empty(title: str, first: str, labels: Iterable[str]) -> Table:
    """Return a table without rows; its first column shows labels whole, long ones (paths) in several lines."""
    out = Table(title=text(title), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    short = max(map(len, labels), default=0) <= LONG
    out.add_column(text(first), no_wrap=short, overflow="ellipsis" if short else "fold")
    return out


def table(frame: "pd.DataFrame", title: str, digits: int = 2) -> Table:
    """Return a data frame as a table that rich prints: numbers to the right, with some digits."""
    import pandas as pd

    cells = [[str(label) for label in frame.index]]
    out = _empty(title, str(frame.index.name or ""), cells[0])
    for name, column in frame.items():
        number = pd.api.types.is_numeric_dtype(column)
        whole = pd.api.types.is_integer_dtype(column)
        cells.append([f"{v:.{digits}f}" if number and not whole else str(v) for v in column])
        short = max(map(len, cells[-1]), default=0) <= 16
        out.add_column(text(name), justify="right" if number else "left", no_wrap=short)
    for row in zip(*cells, strict=True):
        out.add_row(*map(text, row))
    return out


def summary(fit: "xr.DataTree", ending: str = "") -> "pd.DataFrame":
    """Return mean, sd, 89 % interval, effective draws and r_hat of the variables that end so, without raw effects."""
    import arviz as az

    names = [str(v) for v in fit["posterior"].data_vars if str(v).endswith(ending) and not str(v).endswith("_z")]
    found = az.summary(fit, var_names=names, round_to="none").astype(float)
    found["ess"] = found[["ess_bulk", "ess_tail"]].min(axis=1).round().astype(int)
    columns = {"mean": "mean", "sd": "sd", "eti89_lb": "5.5 %", "eti89_ub": "94.5 %", "ess": "ess", "r_hat": "r_hat"}
    return found[list(columns)].rename(columns=columns)


def comparison(found: "pd.DataFrame", unit: str) -> Table:
    """`compare`'s table as one that fits a terminal."""
    shown = found[["elpd", "se", "elpd_diff", "dse", "weight", "k_max", "k_bad"]]
    shown = shown.assign(weight=shown["weight"].map("{:.2f}".format)).rename(columns={"elpd_diff": "diff"})
    return table(shown, f"leave one {unit} out (elpd: higher is better)", digits=1)


def show_warnings(console: Console) -> None:
    """Print warnings from now on as notes, without file and line."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        console.print(Text.assemble(("note: ", "yellow"), text(message)), highlight=False)

    warnings.showwarning = show
