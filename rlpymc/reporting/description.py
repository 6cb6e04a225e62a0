"""The description of a model as a record, as text and for a notebook."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING

from rlpymc.model.card import heading, heading_html, table_html
from rlpymc.model.priors import Prior

if TYPE_CHECKING:
    from rlpymc.reporting.sampling_time import SamplingTime


@dataclass(frozen=True)
class DescribedParameter:
    """One parameter of a model.

    Parameters
    ----------
    name, meaning : str
        What it is called, and what it stands for.
    support : str
        The values that it may take, the link to the unbounded scale, and how many numbers there are for a subject.
    shape : tuple of int or str
        Its shape for one subject; in the names of facts where there are no data to count them.
    fate : str
        What becomes of it: how it is pooled, what it is held at, or what it equals.
    priors : mapping
        Of the variables that it is made of, by their names in PyMC's model; of parts of a vector ``alpha_drug[b]``.
    freed : mapping
        Of a constant that can be freed: the priors that it would have.
    """

    name: str
    meaning: str
    support: str
    shape: tuple[int | str, ...]
    fate: str
    priors: Mapping[str, Prior] = field(default_factory=dict)
    freed: Mapping[str, Prior] = field(default_factory=dict)

    @property
    def prior(self) -> str:
        """The priors in a line."""
        words = ", ".join(f"{name} ~ {_rounded(prior)}" for name, prior in (self.priors or self.freed).items())
        return f"if freed, {words}" if self.freed else words


def _rounded(prior: Prior) -> Prior:
    """Return a prior without the rounding errors of its numbers: 0 for 2e-16."""
    return replace(prior, **{k: round(v, 9) + 0.0 for k, v in vars(prior).items() if isinstance(v, float)})


@dataclass(frozen=True)
class Column:
    """A column that a model reads: what it holds, when it is seen, and what is read where there is no such column."""

    name: str
    kind: str
    seen: str
    absent: str = ""


@dataclass(frozen=True)
class Sizes:
    """Data in numbers: `scored` are the trials whose responses count, `segments` what lies between resets."""

    subjects: int
    trials: int
    scored: int
    segments: int
    facts: Mapping[str, int]

    def __str__(self) -> str:
        facts = ", ".join(f"{name} = {number}" for name, number in self.facts.items())
        found = (
            f"{self.subjects} subjects, {self.trials} trials, {self.scored} of them scored, {self.segments} segments"
        )
        return f"{found}; {facts}" if facts else found


@dataclass(frozen=True, repr=False)
class Description:
    """What there is to say of a model.

    Parameters
    ----------
    name, words, equation, reference : str
        What it is called, what it does, in equations (LaTeX), its sources.
    departures, confused_with : tuple of str
        Where it departs from its source; which models its data are easily mistaken for.
    population : str
        How parameters are pooled, and the preset of priors.
    parameters : tuple of DescribedParameter
        All of them, constants too.
    n_group, n_per_subject : int or None
        How many free numbers there are for all subjects together, and for each; None where only data can tell.
    columns : tuple of Column
        What the model reads of a trial.
    data : Sizes or None
        What the data are, if there are any.
    time : SamplingTime or None
        How long sampling may take.
    untimed : str
        Why that is not known.
    """

    name: str
    words: str
    equation: str
    reference: str
    departures: tuple[str, ...]
    confused_with: tuple[str, ...]
    population: str
    parameters: tuple[DescribedParameter, ...]
    n_group: int | None
    n_per_subject: int | None
    columns: tuple[Column, ...]
    data: Sizes | None
    time: "SamplingTime | None"
    untimed: str

    @property
    def n_free(self) -> int | None:
        """How many free numbers there are in all: what NUTS moves in."""
        if self.n_group is None or self.n_per_subject is None or self.data is None:
            return None
        return self.n_group + self.data.subjects * self.n_per_subject

    def __str__(self) -> str:
        parameters = [(p.name, f"{p.meaning}; {p.support}; {p.fate}", p.prior) for p in self.parameters]
        columns = [(c.name, "; ".join(filter(None, (c.kind, c.seen, c.absent)))) for c in self.columns]
        head = heading(self.name, self.words, self.equation, self.reference)
        lines = [*head, *(f"  {line}" for line in self._remarks())]
        lines += ["", f"Parameters, {self.population}", *_aligned(parameters)]
        return "\n".join([*lines, "", "Columns", *_aligned(columns), "", *self._sums()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parameters = [(p.name, p.meaning, p.support, p.fate, p.prior) for p in self.parameters]
        columns = [(c.name, c.kind, c.seen, c.absent) for c in self.columns]
        return "".join(
            [
                heading_html(self.name, self.words, self.equation, self.reference),
                *(f"<p>{escape(line)}</p>" for line in (*self._remarks(), f"Parameters, {self.population}")),
                table_html(("parameter", "meaning", "support", "estimated", "priors"), parameters),
                table_html(("column", "holds", "seen", "if absent"), columns),
                *(f"<p>{escape(line)}</p>" for line in self._sums()),
            ]
        )

    def _remarks(self) -> list[str]:
        """Return where the model departs from its source, and what it is confused with."""
        departs = [f"departs from its source: {sentence}" for sentence in self.departures]
        return [*departs, *(f"easily confused with {name}" for name in self.confused_with)]

    def _sums(self) -> list[str]:
        """Return lines about numbers, data and time."""
        if self.n_group is None:
            unknown = {n for p in self.parameters for n in p.shape if isinstance(n, str)}
            free = f"as many as data say, by {', '.join(sorted(unknown))}"
        else:
            free = f"{self.n_group} of the group, {self.n_per_subject} of each subject"
            free += "" if self.n_free is None else f", {self.n_free} in all"
        data = [] if self.data is None else [f"Data: {self.data}"]
        return [f"Free numbers: {free}", *data, f"Time: {self.time or self.untimed}"]


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a name before its lines, all names as wide."""
    width = max((len(name) for name, *_ in rows), default=0)
    named = [(name if k == 0 else "", line) for name, *lines in rows for k, line in enumerate(filter(None, lines))]
    return [f"  {name:<{width}}  {line}" for name, line in named]
