"""Print the numbers of the sources beside those of this library.

./run python -m tests.golden [SOURCE ...]
"""

import sys

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.golden import tables


def main() -> None:
    """Print a table for each source, or for those that are named."""
    found = tables()
    chosen = sys.argv[1:] or list(found)
    if unknown := set(chosen) - set(found):
        sys.exit(f"no such source: {', '.join(unknown)}; there are {', '.join(found)}")
    console = Console(width=150)
    for name in chosen:
        table = Table("", "what", "wanted", "got", "apart by", "at most", title=name)
        for row in found[name]:
            got, wanted = np.asarray(row.got(), dtype=float), np.asarray(row.wanted, dtype=float)
            apart = float(np.max(np.abs(got - wanted), initial=0.0))
            mark = "" if apart <= row.atol else " [red]no[/red]"
            table.add_row(row.id, row.what, _short(wanted), _short(got), f"{apart:.2g}", f"{row.atol:.2g}{mark}")
        console.print(table)


def _short(values: np.ndarray) -> str:
    """Return numbers, the first few of many."""
    flat = values.ravel()
    return ", ".join(f"{v:.10g}" for v in flat[:3]) + (", ..." if flat.size > 3 else "")


if __name__ == "__main__":
    main()
