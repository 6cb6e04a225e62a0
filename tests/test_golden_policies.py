"""Numbers of value-based policies that this library reproduces."""

import numpy as np
import pytest

from tests.golden.policies import ROWS


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.id}: {row.what}" for row in ROWS])
def test_golden(row):
    np.testing.assert_allclose(row.got(), row.wanted, rtol=0, atol=row.atol)
