"""Numbers of exponential-family transition models that this library reproduces."""

import numpy as np
import pytest

from tests.golden.transitions import ROWS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.id}: {row.what}")
def test_golden(row):
    np.testing.assert_allclose(row.got(), row.wanted, atol=row.atol, rtol=0)
