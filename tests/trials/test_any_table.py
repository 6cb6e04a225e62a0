"""Any table that people may have is read as its rows mean it, row by row, and comes back as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings

import rlpymc as rl
from tests.helpers.any_table import Drawn, any_table
from tests.helpers.row_loops import LOOPS, log_prob_of_rows
from tests.helpers.sources import in_library, manners, plain, write

pytestmark = pytest.mark.slow

# A kernel is compiled for each of these
SIZES: list[tuple[str, dict[str, int]]] = [
    ("delta", {"n_actions": 2}),
    ("delta", {"n_actions": 3}),
    ("delta", {"n_actions": 4}),
    ("delta(rates=sign)", {"n_actions": 2}),
    ("delta(rates=sign)", {"n_actions": 3}),
    ("delta+stickiness", {"n_actions": 2}),
    ("delta+stickiness", {"n_actions": 4}),
    ("counterfactual", {"n_actions": 2}),
    ("counterfactual", {"n_actions": 4}),
    ("wsls", {"n_actions": 2}),
    ("wsls", {"n_actions": 3}),
    ("rlwm", {"n_actions": 3, "n_stimuli": 2}),
    ("two_step_hybrid", {"n_actions": 2, "n_states": 2}),
    ("q_mdp", {"n_actions": 2, "n_states": 3}),
    ("delta_prediction", {}),
]
EACH = settings(
    max_examples=90, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example]
)
each_model = pytest.mark.parametrize(("model", "sizes"), SIZES, ids=[f"{m}-{[*s.values()]}" for m, s in SIZES])


def assert_read_as_meant(drawn: Drawn, model: str, trials: Any) -> None:
    """Each row has the log probability that the loop over rows gives it, and there is no other trial."""
    expected = log_prob_of_rows(LOOPS[model], drawn.rows, drawn.params, drawn.sizes)
    params = {p: np.array([own[p] for own in drawn.params.values()]) for p in LOOPS[model].parameters}
    found, row = rl.log_prob(model, trials, params).values, trials["row"].values
    assert sorted(row[row >= 0]) == list(range(len(expected)))
    np.testing.assert_allclose(found[row >= 0], np.array(expected)[row[row >= 0]], rtol=0, atol=1e-10)
    assert not found[row < 0].any()


def assert_same_cells(found: pd.DataFrame, cells: list[list[Any]], names: list[str], decimal: str = ".") -> None:
    """The table has come back, apart from the types of its columns."""
    assert [*found] == names
    back = [[plain(cell, decimal) for cell in row] for row in found.astype(object).values.tolist()]
    assert back == [[plain(cell, decimal) for cell in row] for row in cells]


@each_model
def test_a_table_of_pandas(model: str, sizes: dict[str, int]) -> None:
    @EACH
    @given(any_table(model, sizes))
    def check(drawn: Drawn) -> None:
        trials = rl.read_trials(drawn.table, **drawn.options)
        assert_read_as_meant(drawn, model, trials)
        pd.testing.assert_frame_equal(rl.to_table(trials), drawn.table)

    check()


@each_model
@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_a_table_of_another_library(model: str, sizes: dict[str, int], library: str) -> None:
    @settings(EACH, max_examples=25)
    @given(any_table(model, sizes))
    def check(drawn: Drawn) -> None:
        table = in_library(drawn.table, library)
        assume(table is not None)
        trials = rl.read_trials(table, **drawn.options)
        assert_read_as_meant(drawn, model, trials)
        assert_same_cells(rl.to_table(trials), drawn.table.astype(object).values.tolist(), [*drawn.table])

    check()


@each_model
def test_a_table_in_a_file(model: str, sizes: dict[str, int], tmp_path: Path) -> None:
    @settings(EACH, max_examples=60)
    @given(any_table(model, sizes), manners())
    def check(drawn: Drawn, manner: dict[str, Any]) -> None:
        path, options, cells = write(drawn.table, tmp_path, manner)
        trials = rl.read_trials(path, **drawn.options, **options)
        assert_read_as_meant(drawn, model, trials)
        assert_same_cells(rl.to_table(trials), cells, [*drawn.table], manner["decimal"])

    check()
