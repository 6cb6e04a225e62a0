"""The command line: ``rlpymc demo | models | fit | compare``."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from rlpymc.terminal import comparison, listing, markdown, show_warnings, summary
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
        console.print(str(_or_exit(get_model, name)), markup=False)


@app.command()
def fit(
    table: Annotated[Path, typer.Argument(help="The table of trials: csv, tsv or parquet.")],
    model: Annotated[str, typer.Option(help="Such as 'delta+stickiness'.")],
    columns: Annotated[str, typer.Option(help="Our names and the table's: 'subject=id,action=choice'.")] = "",
    out: Annotated[Path, typer.Option(help="The file for the fit (netCDF).")] = Path("fit.nc"),
    pooling: Annotated[str, typer.Option(help="partial, none or complete.")] = "partial",
    action_base: Annotated[int, typer.Option(help="The code of the first action.")] = 0,
    missing: Annotated[str, typer.Option(help="The code of a missed response.")] = "",
    reset: Annotated[str, typer.Option(help="The column whose change restarts learning, such as block.")] = "",
    draws: Annotated[int, typer.Option(help="Draws of each chain.")] = 1000,
    tune: Annotated[int, typer.Option(help="Draws for tuning.")] = 1000,
    chains: Annotated[int, typer.Option(help="Number of chains.")] = 4,
    seed: Annotated[int, typer.Option(help="The same seed gives the same draws.")] = 1,
) -> None:
    """Sample the posterior of a model with NUTS, check it and write it to a file."""
    import rlpymc as rl

    def study() -> None:
        mapping = dict(pair.split("=", 1) for pair in columns.split(",")) if columns else None
        code = float(missing) if missing else None
        trials = rl.read_trials(table, mapping, action_base=action_base, missing=code, reset=reset or None)
        built = rl.build(model, trials, pooling=pooling)
        found = rl.sample(built, draws=draws, tune=tune, chains=chains, seed=seed)
        rl.save(found, out)
        console.print(as_table(summary(found), f"{model}: {trials.sizes['subject']} subjects", 3))
        console.print(str(rl.diagnose(found)).splitlines()[0], highlight=False)
        console.print(f"The fit is in {out}.")

    _or_exit(study)


@app.command()
def compare(
    fits: Annotated[list[Path], typer.Argument(help="Files that fit wrote.")],
    unit: Annotated[str, typer.Option(help="What is left out: trial, session or subject.")] = "trial",
) -> None:
    """Compare fits of the same data by leave-one-out cross-validation."""
    import rlpymc as rl

    def study() -> None:
        found = rl.compare({path.stem: rl.load(path) for path in fits}, unit=unit)
        console.print(comparison(found, unit))

    _or_exit(study)


def _or_exit[**P, T](function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call a function; what a user can mend is said without a traceback."""
    try:
        return function(*arguments, **options)
    except (ValueError, TypeError, OSError) as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", highlight=False)
        raise typer.Exit(1) from None
