"""Parameters that are equal and so are estimated as one."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rlpymc.checks import unknown
from rlpymc.trials.model_data import ModelData

EXPECTED = "expected groups of two or more: [('bias_wm', 'bias_rl')]"


def as_groups(given: Any) -> tuple[tuple[str, ...], ...]:
    """Return groups of names, or a ValueError that says what was found instead."""
    if not _is_list(given):
        raise ValueError(f"coupled: found {given!r}, {EXPECTED}")
    for group in given:
        if not _is_list(group) or len(group) < 2:
            raise ValueError(f"coupled: found {group!r}, {EXPECTED}")
    return tuple(tuple(group) for group in given)


def _is_list(given: object) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str)


def check_coupled(
    data: ModelData,
    groups: Sequence[Sequence[str]],
    free: Collection[str],
    fixed: Collection[str],
    shared: Collection[str],
    pooling: Mapping[str, str],
    priors: Collection[str],
) -> None:
    """Raise a ValueError unless parameters that are to be equal can be.

    Parameters
    ----------
    data : ModelData
        The data, with the model.
    groups : sequence of sequences of str
        Parameters that are equal; the first of each group stands for all.
    free, fixed, shared : collection of str
        Parameters that are estimated as numbers, held at a value, or one for all subjects.
    pooling : mapping
        How parameters are pooled, those for which it was said one by one.
    priors : collection of str
        Parameters, and variables of the group, that were given priors.
    """
    names, seen = [p.name for p in data.model.parameters], set[str]()
    for group in groups:
        for name in group:
            if name not in names:
                raise unknown(f"parameter of {data.model.name} in coupled", name, names)
            if name in seen:
                raise ValueError(f"coupled: {name!r} is named twice; name each once, all that are equal in one group")
            if name in fixed:
                raise ValueError(
                    f"coupled: {name!r} is fixed, and so not estimated; fix all of {', '.join(group)}, or none"
                )
            seen.add(name)
        first, *rest = (data.model.parameter(name) for name in group)
        for p in (first, *rest):
            if p.name not in free:
                raise ValueError(f"coupled: {p.name!r} is not estimated as a number; leave it out, or free it")
        for p in rest:
            if p.support != first.support or data.parameter_shape(p.name) != data.parameter_shape(first.name):
                raise ValueError(f"coupled: {p.name!r} and {first.name!r} differ in support or shape")
            if (p.name in shared) != (first.name in shared):
                raise ValueError(f"coupled: of {first.name!r} and {p.name!r} one is shared; share both, or none")
            if pooling.get(p.name, (word := pooling.get(first.name, ""))) != word:
                raise ValueError(f"coupled: {first.name!r} stands for {p.name!r}; say of {first.name!r} how to pool it")
            if p.name in priors or p.name in {name.rpartition("_")[0] for name in set(priors) - set(names)}:
                raise ValueError(f"coupled: {first.name!r} stands for {p.name!r}; give {first.name!r} the prior")
