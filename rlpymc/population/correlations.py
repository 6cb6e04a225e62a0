"""Subjects' deviations that hang together: one correlation matrix over parameters, one more over those of sessions.

A matrix has the distribution LKJ(eta), density in proportion to its determinant to the power eta - 1.  It is made of
partial correlations, each of two effects given those that come before both: these are independent, and
(1 + partial) / 2 is Beta(b, b), b = eta + (k - 2 - m) / 2, for k effects of which m are given.

References
----------
Lewandowski, Kurowicka & Joe (2009). Generating random correlation matrices based on vines and extended onion method.
Journal of Multivariate Analysis 100, 1989-2001.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rlpymc.model.priors import Beta
from rlpymc.population.effects import Effect, Pooled, Variable, cholesky_row
from rlpymc.population.regression import Deviations

ETA = 2.0  # 1 would be uniform over matrices; correlations of two are Beta(2, 2) between -1 and 1


@dataclass(frozen=True)
class Block:
    """Effects whose deviations hang together.

    Parameters
    ----------
    name : str
        Of the correlation matrix in a fit.
    effects : tuple of Pooled
        They, each of them knowing those before it.
    """

    name: str
    effects: tuple[Pooled, ...]

    @property
    def labels(self) -> list[str]:
        """The parameters that the effects are of."""
        return [e.name.partition("_1|")[0] for e in self.effects]

    @property
    def dims(self) -> tuple[str, str]:
        """The dims of the matrix."""
        return "parameter", "other_parameter"

    def matrix(self, named: Mapping[str, Any]) -> list[list[Any]]:
        """Return the correlation matrix, row by row, given the variables by name."""
        rows = []
        for k, effect in enumerate(self.effects):
            shares = [named[f"{effect.name}_{key}"] for key in effect.shares]
            rows.append([*cholesky_row(shares), *[0.0] * (len(self.effects) - k - 1)])
        return [[sum(a * b for a, b in zip(one, other, strict=True)) for other in rows] for one in rows]


def correlated(effects: Sequence[Effect]) -> tuple[list[Effect], list[Block]]:
    """Return effects with the deviations of subjects, and those of sessions, as one block each, and the blocks.

    Raises
    ------
    ValueError
        If a parameter that differs around a group has several values, or sessions are of different columns.
    """
    pooled = [e for e in effects if isinstance(e, Pooled)]
    sessions = [e for e in pooled if isinstance(e, Deviations) and e.level]
    subjects = [e for e in pooled if not isinstance(e, Deviations)]
    for effect in subjects:
        if effect.shape:
            raise ValueError(
                f"correlated=True: {effect.name!r} has several values, {effect.shape}; correlations are known for "
                f"parameters of one value: fix it, share it or pool it otherwise, pooling={{{effect.name!r}: 'none'}}"
            )
    if len(levels := {e.level for e in sessions}) > 1:
        raise ValueError(
            f"correlated=True: formulas have deviations by {' and by '.join(sorted(levels))}; expected one column"
        )
    found, blocks = {e.name: e for e in effects}, list[Block]()
    for name, own in (("effects_corr", subjects), ("session_corr", sessions)):
        if len(own) > 1:
            linked = [_linked(e, [other.name for other in own[:k]], len(own)) for k, e in enumerate(own)]
            found |= {e.name: e for e in linked}
            blocks.append(Block(name, tuple(linked)))
    if not blocks:
        raise ValueError("correlated=True: fewer than two parameters differ around a group, so that nothing correlates")
    return list(found.values()), blocks


def _linked(effect: Pooled, earlier: Sequence[str], k: int) -> Pooled:
    """Return an effect that knows the ones before it, of k in all."""
    shares = tuple(
        Variable(f"_u[{name}]", "group", Beta(ETA + (k - 2 - m) / 2, ETA + (k - 2 - m) / 2))
        for m, name in enumerate(earlier)
    )
    *others, own = effect.variables
    return replace(effect, variables=(*others, *shares, own), earlier=tuple(earlier))
