"""Formulas of named numbers, their derivatives, and how they are written as machine code."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from rlpymc.compiler.expressions import TRIAL, Node, pullback, raw
from rlpymc.compiler.symbols import Symbol, lift
from rlpymc.compiler.writer import Writer


def leaf(name: str) -> Symbol:
    """Return the number of a name."""
    return Symbol(np.array(raw("adjoint", value=(name,)), dtype=object))


def derivatives(seeds: Sequence[tuple[Any, Any]]) -> dict[str, Node]:
    """Return the derivatives of a weighted sum of formulas by the names of the numbers in them."""
    nodes = [(lift(value).node(), lift(weight).node()) for value, weight in seeds]
    return {number.value[0]: g for number, g in pullback(nodes, lambda n: n.stage == TRIAL, 0)}


class FormulaWriter(Writer):
    """Writes formulas, given what their numbers stand for."""

    def __init__(self) -> None:
        self._values: dict[int, Any] = {}
        self._leaves: Mapping[str, Any] = {}

    def known(self, n: Node) -> dict[int, Any]:
        """Memory of values: they are kept until the numbers change."""
        return self._values

    def leaf(self, n: Node) -> Any:
        """Return what a number stands for."""
        return self._leaves[n.value[0]] if n.op == "adjoint" else None

    def each(self, n: int) -> AbstractContextManager[Any]:
        """Repeat what is written inside for the whole numbers below n."""
        return self.code.loop(self.code.single(0), self.code.single(n))

    def place(self) -> Any:
        """Return the place of a sum, 0 at first."""
        place = self.code.variable()
        self.code.set(place, self.code.constant(0.0))
        return place

    def given(self, leaves: Mapping[str, Any]) -> None:
        """Say what the numbers stand for from here on."""
        self._leaves, self._values = leaves, {}

    def of(self, value: Any) -> Any:
        """Return the value of a formula."""
        return self.value(value if isinstance(value, Node) else lift(value).node(), "f")
