"""Entries of parameters side by side: vectors, labels and tables say the same, tied parameters follow."""

import numpy as np
from numpy.testing import assert_array_equal

from rlpymc.model.parameter_vector import ParameterVector, columns, dataset, entry_labels

ENTRIES = ParameterVector({"a": (), "w": (2, 3), "b": ()}, {"c": "b", "d": "w", "z": "not there"})


def test_labels_are_in_the_order_of_the_vector() -> None:
    assert entry_labels("w", (2, 3)) == ["w[0,0]", "w[0,1]", "w[0,2]", "w[1,0]", "w[1,1]", "w[1,2]"]
    assert ENTRIES.labels == ["a", *entry_labels("w", (2, 3)), "b"]
    assert ENTRIES.names == ("a", "w", "b", "c", "d")
    assert len(ENTRIES) == 8


def test_vectors_are_taken_apart_and_put_together() -> None:
    vectors = np.arange(32.0).reshape((2, 2, 8))
    parts = ENTRIES.split(vectors)
    assert_array_equal(parts["w"][1, 0], [[17, 18, 19], [20, 21, 22]])
    assert_array_equal(parts["b"], vectors[..., 7])
    assert parts["c"] is parts["b"]
    assert parts["d"] is parts["w"]
    assert_array_equal(ENTRIES.join(parts, (2, 2)), vectors)
    assert ParameterVector({}).join({}, (3,)).shape == (3, 0)


def test_slopes_of_tied_parameters_add_up() -> None:
    rng = np.random.default_rng(1)
    weights = {name: rng.normal(size=shape) for name, shape in {**ENTRIES.shapes, "c": (), "d": (2, 3)}.items()}

    def function(x: np.ndarray) -> float:
        return float(sum((weights[name] * value**2).sum() for name, value in ENTRIES.split(x).items()))

    x, step = rng.normal(size=8), 1e-6
    slopes = [2 * weights[name] * ENTRIES.split(x)[name] for name in ENTRIES.names]
    plain = [(function(x + step * e) - function(x - step * e)) / (2 * step) for e in np.eye(8)]
    np.testing.assert_allclose(ENTRIES.join_slopes(slopes), plain, rtol=1e-6)


def test_tables_have_a_column_for_each_entry() -> None:
    values = {"a": np.array([0.1, 0.2]), "w": np.arange(8.0).reshape((2, 2, 2))}
    table = dataset(values, np.array(["x", "y"]))
    assert table["w"].dims == ("subject", "w_dim_0", "w_dim_1")
    found = columns(table, "_se")
    assert list(found) == ["a_se", "w[0,0]_se", "w[0,1]_se", "w[1,0]_se", "w[1,1]_se"]
    assert_array_equal(found["w[1,0]_se"], [2, 6])
    assert dataset({"w": np.zeros(3)})["w"].dims == ("w_dim_0",)
