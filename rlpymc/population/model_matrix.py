"""What a parameter depends on: a formula as users of R write it, and its model matrix."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from rlpymc.population.design import INTERCEPT, Column, Design, rank, whose
from rlpymc.population.formula_tables import check_constant, formula_table, on_trials, sessions_of
from rlpymc.population.formula_text import FormulaText
from rlpymc.trials.model_data import ModelData


@dataclass(frozen=True, eq=False)
class Formula:
    """A formula that was learned from a table: how factors are coded, and what numbers are centred and scaled by.

    Parameters
    ----------
    parameter : str
        The parameter whose mean it is of, for messages.
    text : str
        The formula.
    table : pandas.DataFrame
        What it was learned from: a row for each subject, or, where something in it varies within subjects, for each
        trial, with subject and trial as the index.
    """

    parameter: str
    text: str
    table: pd.DataFrame

    @classmethod
    def learn(cls, parameter: str, formula: Any, data: ModelData) -> "Formula":
        """Return a formula as learned from subjects; one that was learned already stays as it is.

        Raises
        ------
        TypeError, ValueError
            If it is no formula, reads columns that there are not or that are missing somewhere, or if something in it
            does not vary where it should.
        """
        if isinstance(formula, cls):
            return formula
        if not isinstance(formula, str):
            raise TypeError(f"formula of {parameter!r}: found {formula!r}, expected a text such as '~ drug * age'")
        parts = FormulaText.read(parameter, formula)
        if INTERCEPT in parts.names:
            raise ValueError(f"formula of {parameter!r}: {INTERCEPT!r} has a meaning already; rename the column")
        by_trial = bool(parts.slopes or parts.levels)
        text = formula.strip().removeprefix("~").strip()
        found = cls(parameter, text, formula_table(data, parameter, parts.names, by_trial))
        found.check()
        return found

    @cached_property
    def parts(self) -> FormulaText:
        """What is the same for all, and what differs between subjects."""
        return FormulaText.read(self.parameter, self.text)

    @property
    def by_trial(self) -> bool:
        """Whether something in it varies within subjects."""
        return self.table.index.nlevels == 2

    @property
    def level(self) -> str:
        """The column within whose values each subject deviates anew; "" if there is none."""
        return self.parts.levels[0] if self.parts.levels else ""

    @property
    def _what(self) -> str:
        return f"formula of {self.parameter!r}, '~ {self.text}'"

    @cached_property
    def _design(self) -> Design:
        return Design(self._what, self.parts.common, self.table)

    @cached_property
    def _slopes(self) -> tuple[Design, ...]:
        return tuple(Design(self._what, text, self.table) for text in self.parts.slopes)

    def check(self) -> None:
        """Raise a ValueError if a column of the matrix says nothing, or the same as others."""
        values = self._design.values(self.table)
        for column, own in zip(self.columns, values.T, strict=True):
            if self.has_intercept and np.ptp(own) == 0:
                raise ValueError(f"{self._what}: {column.name} is {own[0]:g} for all subjects; leave it out")
        n, between = self.n_subjects, int(self.has_intercept) + int((~self.within).sum())
        if between > n:
            raise ValueError(
                f"{self._what} has {between} coefficients for {n} subjects; take fewer terms, or factors of fewer "
                "levels"
            )
        if rank(values - values.mean(axis=0) * self.has_intercept) < values.shape[1]:
            raise ValueError(
                f"{self._what}: a column follows from the others ({', '.join(self.names)}); leave a term out"
            )
        for name, own in self.table.items():
            self._check_levels(str(name), own)
        if twice := [c.name for k, c in enumerate(self.slopes) if c in self.slopes[:k]]:
            raise ValueError(f"{self._what}: ({twice[0]} | subject) is there twice; leave one out")
        for design in self._slopes:
            for column, varies in zip(design.columns, self._varies(design.values(self.table)), strict=True):
                if not varies:
                    raise ValueError(
                        f"{self._what}: {column.name} does not vary within subjects, who so have no slope of their "
                        f"own; leave ({column.name} | subject) out"
                    )
        if self.level:
            self._check_level()

    def _check_levels(self, name: str, values: pd.Series) -> None:
        """Raise a ValueError if a level of a factor is there only once."""
        if pd.api.types.is_numeric_dtype(values) or name == self.level:
            return
        if not self._varies(values.to_numpy()[:, None])[0]:
            values = values.iloc[self._first]
            values = values.droplevel(1) if self.by_trial else values
        counts = values.value_counts()
        if len(counts) > 1 and counts.min() == 1:
            where = whose(values[values == counts.idxmin()].index[0])
            raise ValueError(
                f"{self._what}: {name} is {counts.idxmin()!r} for {where} alone, so that the coefficient is that one's "
                "deviation; join it with another level, or leave it out"
            )

    def _check_level(self) -> None:
        """Raise a ValueError if there are no sessions to deviate between, or somebody lacks one."""
        try:
            labels = sorted(set(self.table[self.level].tolist()))
        except TypeError:
            kinds = sorted({type(label).__name__ for label in self.table[self.level]})
            raise ValueError(
                f"{self._what}: {self.level} has labels of several kinds ({', '.join(kinds)}); make all of them texts"
            ) from None
        if len(labels) < 2:
            raise ValueError(
                f"{self._what}: {self.level} is {labels[0]!r} on all trials; expected two at least to deviate between"
            )
        for subject, own in self.table[self.level].groupby(level=0, sort=False):
            for label in labels:
                if label not in set(own.tolist()):
                    raise ValueError(
                        f"{self._what}: subject {subject!r} has no trials in {self.level} {label!r}; leave that "
                        "subject out, or label the trials so that everybody has all"
                    )

    @cached_property
    def _first(self) -> np.ndarray:
        """The first row of each subject."""
        if not self.by_trial:
            return np.arange(len(self.table))
        return np.flatnonzero(~self.table.index.get_level_values(0).duplicated())

    @property
    def n_subjects(self) -> int:
        """Number of subjects that it was learned from."""
        return len(self._first)

    def _varies(self, values: np.ndarray) -> np.ndarray:
        """Whether columns, (row, column), vary within a subject."""
        if not self.by_trial:
            return np.zeros(values.shape[1], dtype=bool)
        subject = np.cumsum(np.isin(np.arange(len(values)), self._first)) - 1
        return np.asarray((values != values[self._first][subject]).any(axis=0))

    @cached_property
    def within(self) -> np.ndarray:
        """Whether columns vary within subjects, all of a term alike."""
        varies = dict.fromkeys((c.term for c in self.columns), False)
        for column, own in zip(self.columns, self._varies(self._design.values(self.table)), strict=True):
            varies[column.term] |= bool(own)
        return np.array([varies[c.term] for c in self.columns], dtype=bool)

    @property
    def has_intercept(self) -> bool:
        """Whether there is an intercept."""
        return self._design.has_intercept

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the model matrix, without the intercept."""
        return self._design.columns

    @cached_property
    def of_means(self) -> np.ndarray:
        """Whether the coefficients of columns are means of levels: those of a term of which each row has one, and 1."""
        found, values = np.zeros(len(self.columns), dtype=bool), self._design.values(self.table)
        for term in {c.term for c in self.columns if c.indicator and not self.has_intercept}:
            own = np.array([c.term == term for c in self.columns])
            found |= own & bool((values[:, own].sum(axis=1) == 1).all())
        return found

    @property
    def slopes(self) -> tuple[Column, ...]:
        """What each subject has a slope of their own for."""
        return tuple(column for design in self._slopes for column in design.columns)

    @property
    def names(self) -> list[str]:
        """The names of all coefficients."""
        return [*([INTERCEPT] if self.has_intercept else []), *(c.name for c in self.columns)]

    def full_matrix(self, table: pd.DataFrame) -> np.ndarray:
        """Return the model matrix of a table, (row, coefficient), the intercept first if there is one."""
        return self._design.matrix(table)

    def slope_matrix(self, table: pd.DataFrame) -> np.ndarray:
        """Return what subjects' own slopes are multiplied by, (row, slope), as it is in the table."""
        return np.concatenate([np.zeros((len(table), 0)), *(d.values(table) for d in self._slopes)], axis=1)

    def table_of(self, data: ModelData) -> pd.DataFrame:
        """Return the columns that it reads of some trials, a row for each subject or trial as in its own table."""
        found = formula_table(data, self.parameter, self.table.columns, self.by_trial)
        constant = [str(name) for name in found if not self.by_trial or not self._varies_in_own(str(name))]
        if found.index.nlevels == 2:
            check_constant(found, self.parameter, constant)
        return found

    def _varies_in_own(self, name: str) -> bool:
        """Whether a column of the own table varies within subjects."""
        return bool(self._varies(self.table[name].to_numpy()[:, None])[0])

    def of_subjects(self, data: ModelData) -> np.ndarray:
        """Return the model matrix of some subjects, (subject, coefficient), the intercept first if there is one."""
        return self.full_matrix(self.table_of(data))

    def rows(self, data: ModelData) -> np.ndarray:
        """Return all columns without the intercept, (row, column), by subject or by trial as in its own table."""
        return self._design.values(self.table_of(data))

    def between(self, data: ModelData) -> tuple[list[str], np.ndarray]:
        """Return the coefficients that do not vary within subjects, and their columns, (subject, coefficient)."""
        names = [INTERCEPT] if self.has_intercept else []
        names += [c.name for c, within in zip(self.columns, self.within, strict=True) if not within]
        columns = self.covariates(data) + self.centre[~self.within]
        return names, np.concatenate([np.ones((len(columns), int(self.has_intercept))), columns], axis=1)

    def covariates(self, data: ModelData) -> np.ndarray:
        """Return the columns that do not vary within subjects, (subject, column), around what they are centred at."""
        values = self._design.values(table := self.table_of(data))[:, ~self.within]
        if self.by_trial:
            first = ~table.index.get_level_values(0).duplicated()
            values = values[first]
        return values - self.centre[~self.within]

    def weights(self, data: ModelData) -> np.ndarray:
        """Return those that do, (subject, trial, column), and 0 where there is no trial."""
        return on_trials(data, (self.rows(data) - self.centre)[:, self.within])

    def slope_weights(self, data: ModelData) -> np.ndarray:
        """Return what subjects' own slopes are multiplied by, (subject, trial, slope), as it is in the table."""
        return on_trials(data, self.slope_matrix(self.table_of(data)))

    def _spread_over(self) -> list[np.ndarray]:
        """Return each column as centre and spread are taken of it: by subject, or by trial if it varies within."""
        values = self._design.values(self.table)
        return [own if within else own[self._first] for own, within in zip(values.T, self.within.tolist(), strict=True)]

    @cached_property
    def centre(self) -> np.ndarray:
        """The means of columns, over subjects, or over trials where they vary within; zeros without an intercept."""
        return np.array([own.mean() if self.has_intercept else 0.0 for own in self._spread_over()])

    @cached_property
    def spread(self) -> np.ndarray:
        """The standard deviations of columns, over the same; 1 where there is none."""
        found = np.array([own.std(ddof=min(1, len(own) - 1)) for own in self._spread_over()])
        return np.where(found > 0, found, 1.0)

    def labels(self, data: ModelData) -> list[Any]:
        """Return the labels of the sessions of some data, in order."""
        return sessions_of(data, self.parameter, self.level)[0]

    @cached_property
    def slope_spread(self) -> np.ndarray:
        """The standard deviations over trials of what subjects' own slopes are multiplied by."""
        return np.array([own.std(ddof=1) for design in self._slopes for own in design.values(self.table).T])
