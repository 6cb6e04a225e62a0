"""The command line: ``rlpymc demo | models | fit | compare``."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from rlpymc.terminal import comparison, listing, markdown, show_warnings, summary, text
from rlpymc.terminal import table as as_table

app = typer.Typer(help="Reinforcement-learning models of behaviour for PyMC.", no_args_is_help=True)
console = Console()


@app.callback()
def main() -> None:
    """Reinforcement-learning models of behaviour for PyMC."""
    show_warnings(console)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where figures and fits go.")] = Path("rlpymc-demo"),
    draws: Annotated[int, typer.Option(help="Draws of each chain.")] = 1000,
    tune: Annotated[int, typer.Option(help="Draws for tuning.")] = 500,
    seed: Annotated[int, typer.Option(help="The same seed gives the same results.")] = 1,
) -> None:
    """Fit, check and compare four models of 27 people's choices."""
    from rlpymc.demo import run

    run(folder, draws, tune, seed, console)


@app.command()
def models(
    name: Annotated[str, typer.Argument(help="One model, or a pattern such as '*kernel*'.")] = "*",
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the list as a Markdown table.")] = False,
) -> None:
    """List the models, or say what there is to know about one."""
    from rlpymc.model.registry import get_model, overview

    if "*" in name or "?" in name:
        columns = ["name", "summary", "parameters", "options"]
        rows = [[row[k] for k in columns] for row in overview(name)]
        if as_markdown:
            typer.echo(markdown(rows, columns))
        else:
            console.print(listing(rows, columns, "models"))
    else:
        console.print(text(str(_or_exit(get_model, name))))


@app.command()
def fit(
    table: Annotated[Path, typer.Argument(help="The table of trials: csv, tsv, txt or parquet.")],
    model: Annotated[str, typer.Option(help="Such as 'delta+stickiness'.")],
    columns: Annotated[str, typer.Option(help="Our names and the table's: 'subject=id,action=choice'.")] = "",
    out: Annotated[Path, typer.Option(help="The file for the fit (netCDF).")] = Path("fit.nc"),
    pooling: Annotated[str, typer.Option(help="partial, none or complete.")] = "partial",
    action_base: Annotated[int, typer.Option(help="The code of the first action.")] = 0,
    missing: Annotated[str, typer.Option(help="The code of a missed response.")] = "",
    reset: Annotated[str, typer.Option(help="Columns whose change restarts learning: block, or session,block.")] = "",
    draws: Annotated[int, typer.Option(help="Draws of each chain.")] = 1000,
    tune: Annotated[int, typer.Option(help="Draws for tuning.")] = 1000,
    chains: Annotated[int, typer.Option(help="Number of chains.")] = 4,
    seed: Annotated[int, typer.Option(help="The same seed gives the same draws.")] = 1,
) -> None:
    """Sample the posterior of a model with NUTS, check it and write it to a file."""
    import rlpymc as rl
    from rlpymc.fitting.files import writable

    def study() -> None:
        writable(out)  # before hours of sampling, and not after them
        parts = [name for name in reset.split(",") if name]
        trials = rl.read_trials(
            table, _mapping(columns), action_base=action_base, missing=_code(missing), reset=parts or None
        )
        built = rl.build(model, trials, pooling=pooling)
        found = rl.sample(built, draws=draws, tune=tune, chains=chains, seed=seed)
        if pooling != "complete":  # for `compare --unit subject`, which has no model to compute it with
            rl.marginal_log_likelihood(built, found, draws=500)
        rl.save(found, out)
        console.print(as_table(summary(found), f"{model}: {trials.sizes['subject']} subjects", 3))
        console.print(text(str(rl.diagnose(found)).splitlines()[0]))
        console.print(text(f"The fit is in {out}."))

    _or_exit(study)


@app.command()
def compare(
    fits: Annotated[list[Path], typer.Argument(help="Files that fit wrote.")],
    unit: Annotated[str, typer.Option(help="What is left out: trial, session or subject.")] = "trial",
    form: Annotated[str, typer.Option(help="How subjects are left out: integrated or conditional.")] = "",
) -> None:
    """Compare fits of the same data by leave-one-out cross-validation."""
    import rlpymc as rl

    def study() -> None:
        found = rl.compare({name: rl.load(path) for name, path in _names(fits).items()}, unit=unit, form=form or None)
        console.print(comparison(found, unit))

    _or_exit(study)


def _mapping(columns: str) -> dict[str, str] | None:
    """Return pairs such as "subject=id,action=choice" as a mapping."""
    if not columns:
        return None
    pairs = [pair.partition("=") for pair in columns.split(",")]
    if wrong := ["".join(pair) for pair in pairs if not all(pair)]:
        raise ValueError(f"--columns: found {wrong[0]!r}, expected our name and the table's, such as 'subject=id'")
    return {ours: theirs for ours, _, theirs in pairs}


def _code(missing: str) -> float | str | None:
    """Return the code of a missed response, a number if it is one."""
    try:
        return float(missing) if missing else None
    except ValueError:
        return missing


def _names(fits: list[Path]) -> dict[str, Path]:
    """Return a name for each file: its own without the ending, or the whole path where two files share that."""
    stems = [path.stem for path in fits]
    found = {path.stem if stems.count(path.stem) == 1 else str(path): path for path in fits}
    if len(found) < len(fits):
        twice = next(path for path in fits if fits.count(path) > 1)
        raise ValueError(f"{twice}: named twice, expected different fits")
    return found


def _or_exit[**P, T](function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call a function; what a user can mend is said without a traceback."""
    try:
        return function(*arguments, **options)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        console.print(Text.assemble(("error: ", "red"), text(str(error))))
        raise typer.Exit(1) from None
