"""Numbers of Markov decision processes and control as inference that this library reproduces."""

import numpy as np
import pytest

from tests.golden.mdp import ROWS


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.id}: {row.what}" for row in ROWS])
def test_golden(row):
    np.testing.assert_allclose(row.got(), row.wanted, rtol=0, atol=row.atol)
