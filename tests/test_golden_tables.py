"""Numbers of the sources that this library reproduces; `python -m tests.golden` prints them."""

import pytest
from numpy.testing import assert_allclose

from tests.golden import tables

ROWS = [(name, row) for name, rows in tables().items() for row in rows]


@pytest.mark.parametrize(("source", "row"), ROWS, ids=[f"{name}, {row.id}: {row.what}" for name, row in ROWS])
def test_golden(source, row):
    assert_allclose(row.got(), row.wanted, rtol=0, atol=row.atol)
