"""The pages of docs/: what they show runs, on a small table and with short chains."""

import re
import warnings
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import rlpymc as rl

DOCS = Path(__file__).parents[1] / "docs"
SHORT: dict[str, Any] = {"draws": 20, "tune": 60, "chains": 2, "progress": False, "log_likelihood": False}


def table() -> pd.DataFrame:
    """Return choices of eight people in three sessions of two blocks, and what a study knows of them."""
    rng, parts = np.random.default_rng(1), []
    for block in range(6):
        part = rl.simulate("delta", rl.tasks.Bandit([0.2, 0.8]), {"alpha": 0.3, "beta": 3.0}, 8, 10, seed=block)
        parts.append(rl.to_table(part).assign(block=block, session=block // 2))
    found = pd.concat(parts).sort_values(["subject", "block", "trial"], kind="stable")
    subject = found["subject"].to_numpy()
    return found.assign(
        group=np.array(["control", "patient"])[subject % 2],
        age=rng.uniform(20, 60, 8)[subject],
        drug=np.where((found["session"] + found["subject"]) % 2 == 0, "placebo", "drug"),
        load=rng.normal(size=len(found)),
    ).drop(columns="log_prob")


def blocks(page: str) -> list[str]:
    """Return the Python of a page."""
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("page", [path.name for path in DOCS.glob("*.md")])
def test_what_a_page_shows_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table().to_csv(tmp_path / "choices.csv", index=False)
    monkeypatch.chdir(tmp_path)
    sample = rl.sample
    monkeypatch.setattr(rl, "sample", lambda model, **options: sample(model, **options, **SHORT, constants=False))
    known: dict[str, Any] = {}
    for code in blocks(page):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rl.SamplingWarning)  # chains are short
            exec(code, known)
    plt.close("all")
