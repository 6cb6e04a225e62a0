"""The command line and the demo do what they say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import rlpymc as rl
from rlpymc.cli import app

run = CliRunner().invoke


def test_models_are_listed():
    done = run(app, ["models"])
    assert done.exit_code == 0
    for name in rl.list_models().index:
        assert name in done.output


def test_the_readme_lists_the_models():
    """Mended by the output of ``./run rlpymc models --markdown`` in the README's place."""
    assert run(app, ["models", "--markdown"]).output in (Path(__file__).parents[1] / "README.md").read_text()


def test_models_are_listed_without_libraries_of_tables():
    heavy = ("pandas", "xarray", "scipy", "pymc", "pytensor", "numba", "gymnasium", "matplotlib")
    code = (
        "import sys; from rlpymc.cli import app; app(['models'], standalone_mode=False); "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.rstrip().endswith("[]")


def test_one_model_is_described():
    done = run(app, ["models", "delta+stickiness"])
    assert done.exit_code == 0
    assert re.search(r"stickiness\s+real\s+~ Normal\(0, 1\)", done.output)


def test_an_unknown_model_is_an_error_with_the_nearest():
    done = run(app, ["models", "dleta"])
    assert done.exit_code == 1
    assert "Did you mean 'delta'?" in done.output
    assert "Traceback" not in done.output


@pytest.mark.filterwarnings("default::rlpymc.SamplingWarning", "default:Pareto k")
def test_fit_and_compare(tmp_path):
    trials = rl.simulate("delta", rl.tasks.Bandit(probs=(0.2, 0.8)), {"alpha": 0.3, "beta": 4}, 3, 60, seed=1)
    table = rl.to_table(trials)[["subject", "action", "reward"]]
    table.columns = ["id", "choice", "points"]
    table.assign(choice=table.choice + 1).to_csv(tmp_path / "choices.csv", index=False)
    common = ["--columns", "subject=id,action=choice,reward=points", "--action-base", "1", "--pooling", "none"]
    common += ["--draws", "200", "--tune", "200", "--chains", "2"]
    for model in ("delta", "biased_random"):
        out = str(tmp_path / f"{model}.nc")
        done = run(app, ["fit", str(tmp_path / "choices.csv"), "--model", model, "--out", out, *common])
        assert done.exit_code == 0, done.output
        assert "divergences" in done.output
    fits = [str(tmp_path / f"{model}.nc") for model in ("delta", "biased_random")]
    for unit in ("trial", "subject"):
        done = run(app, ["compare", *fits, "--unit", unit])
        assert done.exit_code == 0, done.output
        assert done.output.index("delta") < done.output.index("biased_random")
    assert "Pareto k" not in done.output  # whose own parameters are integrated out
    done = run(app, ["compare", *fits, "--unit", "subject", "--form", "conditional"])
    assert "Pareto k" in done.output


def test_fit_says_what_is_wrong_with_a_table(tmp_path):
    (tmp_path / "choices.csv").write_text("id,action,reward\n1,0,1\n1,2,x\n")
    done = run(app, ["fit", str(tmp_path / "choices.csv"), "--model", "delta", "--columns", "subject=idd"])
    assert done.exit_code == 1
    assert "'id'" in done.output


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_demo_in_short(tmp_path):
    done = run(app, ["demo", "--folder", str(tmp_path), "--draws", "60", "--tune", "60"])
    assert done.exit_code == 0, done.output
    for name in ("posteriors", "people", "learning_curves", "one_person", "comparison"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    fits = {path.stem: rl.load(path) for path in tmp_path.glob("*.nc")}
    assert len(fits) == 4
    assert all(fit["log_likelihood"].sizes["obs"] == 6464 for fit in fits.values())
    for text in ("maximum likelihood", "leave one subject out", "weight"):
        assert text in done.output
