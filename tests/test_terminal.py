"""Labels are printed as they are, never as markup; no file is dropped, and mistakes are said before sampling."""

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

import rlpymc as rl
from rlpymc.cli import app
from rlpymc.terminal import listing, printable, table

run = CliRunner().invoke
pytestmark = pytest.mark.filterwarnings("default::rlpymc.SamplingWarning", "default:Pareto k:UserWarning")
NAMES = ["[bold]bob[/bold]", "/x", "[/x]", "[red]", "a\x1b[31mb", "tab\there", "right\u202eleft", "plain"]


def printed(thing):
    console = Console(width=120, force_terminal=False, color_system=None)
    with console.capture() as found:
        console.print(thing)
    return found.get()


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_printed_as_they_are(name):
    frame = pd.DataFrame({"mean": [0.5], name: ["x"]}, index=[f"alpha[{name}]"])
    shown = printable(name)
    for text in (printed(table(frame, name)), printed(listing([[name, "x"]], ["name", name], name))):
        assert shown in text
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_subjects_whose_names_are_markup_stay_three():
    frame = pd.DataFrame({"mean": [0.1, 0.2, 0.3]}, index=["alpha[bob]", "alpha[ann]", "alpha[/x]"])
    text = printed(table(frame, "people"))
    for name in ("alpha[bob]", "alpha[ann]", "alpha[/x]"):
        assert name in text


@pytest.fixture(scope="module")
def choices(tmp_path_factory):
    """A table of two people with names that are markup."""
    trials = rl.simulate("delta", rl.tasks.Bandit(probs=(0.2, 0.8)), {"alpha": 0.3, "beta": 4}, 2, 30, seed=1)
    path = tmp_path_factory.mktemp("choices") / "choices.csv"
    named = rl.to_table(trials).replace({"subject": {0: "[red]ann", 1: "/x"}})
    named[["subject", "action", "reward"]].to_csv(path, index=False)
    return path


SHORT = ["--model", "delta", "--pooling", "none", "--draws", "20", "--tune", "20", "--chains", "2"]


@pytest.fixture
def fits(choices, tmp_path_factory):
    """Two fits of one name in two folders, and what was printed."""
    paths, output = [], ""
    for place in ("a", "b"):
        paths.append(tmp_path_factory.mktemp(place) / "fit[bob].nc")
        done = run(app, ["fit", str(choices), "--out", str(paths[-1]), *SHORT])
        assert done.exit_code == 0, done.output
        output = done.output
    return paths, output


def test_people_and_files_whose_names_are_markup_are_printed(fits):
    paths, output = fits
    assert "alpha[[red]ann]" in output
    assert "alpha[/x]" in output
    assert "fit[bob].nc" in output.replace("\n", "")
    assert all(path.exists() for path in paths)


def test_files_of_one_name_are_compared_under_their_paths(fits):
    paths, _ = fits
    done = run(app, ["compare", *map(str, paths), "--unit", "trial"])
    assert done.exit_code == 0, done.output
    shown = "".join(line.split()[0] for line in done.output.splitlines() if line.strip())  # labels take several lines
    assert all(str(path) in shown for path in paths), done.output
    done = run(app, ["compare", str(paths[0]), str(paths[0])])
    assert done.exit_code == 1
    assert "named twice" in done.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "missing/fit.nc"], "make it first"),
        (["--columns", "subject"], "such as 'subject=id'"),
        (["--columns", "=x"], "such as 'subject=id'"),
        (["--model", "delta+"], "a + without a choice rule"),
    ],
)
def test_what_is_wrong_is_said_before_sampling(choices, options, said, monkeypatch):
    monkeypatch.setattr("rlpymc.fitting.nuts.sampling.sample", None)
    done = run(app, ["fit", str(choices), *SHORT, *options])
    assert done.exit_code == 1
    assert said in " ".join(done.output.split())
    assert "Traceback" not in done.output


def test_a_code_of_missed_responses_may_be_a_word(tmp_path):
    (tmp_path / "choices.csv").write_text("subject,action,reward\n1,0,1\n1,NA?,NA?\n1,1,0\n1,1,0\n")
    options = ["--missing", "NA?", "--out", str(tmp_path / "fit.nc")]
    done = run(app, ["fit", str(tmp_path / "choices.csv"), *SHORT, *options])
    assert done.exit_code == 0, done.output
    assert rl.load(tmp_path / "fit.nc")["constant_data"]["scored"].values.tolist() == [[True, False, True, True]]
