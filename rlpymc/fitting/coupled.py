"""Parameters that are equal and so are estimated as one."""

from collections.abc import Sequence

from rlpymc.checks import unknown
from rlpymc.model import Model
from rlpymc.model.parameters import Parameter
from rlpymc.population.population import Population
from rlpymc.trials.model_data import ModelData

EXPECTED = "expected groups of two or more: [('bias_wm', 'bias_rl')]"


def check_coupled(data: ModelData, population: Population, coupled: Sequence[Sequence[str]]) -> None:
    """Raise a ValueError unless parameters that are to be equal can be."""
    names = [p.name for p in data.model.parameters]
    seen: set[str] = set()
    if not _is_list(coupled):
        raise ValueError(f"coupled: found {coupled!r}, {EXPECTED}")
    for group in coupled:
        if not _is_list(group) or len(group) < 2:
            raise ValueError(f"coupled: found {group!r}, {EXPECTED}")
        for name in group:
            if name not in names:
                raise unknown(f"parameter of {data.model.name} in coupled", name, names)
            if name in seen:
                raise ValueError(f"coupled: {name!r} is named twice")
            if name in population.fixed:
                raise ValueError(
                    f"coupled: {name!r} is fixed, and so not estimated; fix all of {', '.join(group)}, or none"
                )
            seen.add(name)
        first, *rest = (data.model.parameter(name) for name in group)
        for p in (first, *rest):
            if not population.is_free(p) or p.support.discrete:
                raise ValueError(f"coupled: {p.name!r} is not estimated as a number; leave it out, or free it")
            if p.support != first.support or data.parameter_shape(p.name) != data.parameter_shape(first.name):
                raise ValueError(f"coupled: {p.name!r} and {first.name!r} differ in support or shape")
            if (p.name in population.shared) != (first.name in population.shared):
                raise ValueError(f"coupled: of {first.name!r} and {p.name!r} one is shared; share both, or none")


def _is_list(given: object) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str)


def estimated(
    model: Model, population: Population, coupled: Sequence[Sequence[str]]
) -> tuple[list[Parameter], dict[str, str]]:
    """Return the parameters that are estimated, and by name the others that are tied to one of these."""
    tied = {name: first for first, *rest in coupled for name in rest}
    return [p for p in model.parameters if population.is_free(p) and p.name not in tied], tied
