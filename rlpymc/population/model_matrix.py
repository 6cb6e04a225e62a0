"""What a parameter's mean depends on: a formula as users of R write it, and its model matrix."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rlpymc.checks import unknown
from rlpymc.trials.model_data import ModelData

INTERCEPT = "Intercept"


@dataclass(frozen=True)
class Column:
    """A column of a model matrix.

    Parameters
    ----------
    term : str
        The term of the formula that it belongs to: "age", "drug:age".
    label : str
        Which of the term's columns, by its level; "" where the term is one number.
    indicator : bool
        Whether it says by 0 and 1 which level of a factor a subject has.
    """

    term: str
    label: str
    indicator: bool

    @property
    def name(self) -> str:
        """The term, with the label in brackets."""
        return f"{self.term}[{self.label}]" if self.label else self.term


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
        What it was learned from, a row for each subject.
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
            If it is no formula, reads columns that there are not, that are missing somewhere or vary within a subject.
        """
        if isinstance(formula, cls):
            return formula
        if not isinstance(formula, str):
            raise TypeError(f"formula of {parameter!r}: found {formula!r}, expected a text such as '~ drug * age'")
        text = formula.strip().removeprefix("~").strip()
        found = cls(parameter, text, subjects_table(data, parameter, _names(parameter, text)))
        found.check()
        return found

    def check(self) -> None:
        """Raise a ValueError if a column of the matrix says nothing, or the same as others."""
        matrix, name = self.full_matrix(self.table), f"formula of {self.parameter!r}, '~ {self.text}'"
        for column, values in zip(self.columns, self._without_intercept(matrix).T, strict=True):
            if self.has_intercept and np.ptp(values) == 0:
                raise ValueError(f"{name}: {column.name} is {values[0]:g} for all subjects; leave it out")
        if matrix.shape[1] > len(matrix):
            raise ValueError(
                f"{name} has {matrix.shape[1]} coefficients for {len(matrix)} subjects; take fewer terms, or factors "
                "of fewer levels"
            )
        if matrix.size and np.linalg.matrix_rank(matrix) < matrix.shape[1]:
            raise ValueError(f"{name}: a column follows from the others ({', '.join(self.names)}); leave a term out")

    @cached_property
    def _design(self) -> Any:
        if (found := _design_matrices(self.parameter, self.text, self.table).common) is None:
            raise ValueError(
                f"formula of {self.parameter!r}, '~ {self.text}': there is nothing in it; expected '1' at least"
            )
        return found

    @cached_property
    def has_intercept(self) -> bool:
        """Whether there is an intercept."""
        return INTERCEPT in self._design.terms

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the model matrix, without the intercept."""
        found = []
        for term in self._design.terms.values():
            if term.kind == "intercept":
                continue
            labels = [label.rpartition("[")[2].removesuffix("]") for label in term.labels]
            if (levels := getattr(term, "levels", None)) is not None:
                labels = [str(level) for level in levels]
            elif len(labels) == 1:
                labels = [""]
            found += [Column(term.name, label, term.kind == "categoric") for label in labels]
        return tuple(found)

    @property
    def names(self) -> list[str]:
        """The names of all coefficients."""
        return [*([INTERCEPT] if self.has_intercept else []), *(c.name for c in self.columns)]

    def full_matrix(self, table: pd.DataFrame) -> np.ndarray:
        """Return the model matrix of a table, (row, coefficient), the intercept first if there is one."""
        try:
            found = self._design.evaluate_new_data(table).design_matrix
        except ValueError as problem:
            raise ValueError(f"formula of {self.parameter!r}, '~ {self.text}': {problem}") from None
        return np.asarray(found, dtype=float).reshape((len(table), -1))

    def _without_intercept(self, matrix: np.ndarray) -> np.ndarray:
        return matrix[:, int(self.has_intercept) :]

    def of_subjects(self, data: ModelData) -> np.ndarray:
        """Return the model matrix of some subjects, (subject, coefficient), the intercept first if there is one."""
        return self.full_matrix(subjects_table(data, self.parameter, self.table.columns))

    def covariates(self, data: ModelData) -> np.ndarray:
        """Return its columns without the intercept, (subject, column), around what they are centred at."""
        return self._without_intercept(self.of_subjects(data)) - self.centre

    @cached_property
    def centre(self) -> np.ndarray:
        """The means of columns over the subjects that it was learned from; zeros without an intercept."""
        matrix = self._without_intercept(self.full_matrix(self.table))
        return matrix.mean(axis=0) if self.has_intercept else np.zeros(matrix.shape[1])

    @cached_property
    def spread(self) -> np.ndarray:
        """The standard deviations of columns over these subjects; 1 where there is none."""
        matrix = self._without_intercept(self.full_matrix(self.table))
        found = matrix.std(axis=0, ddof=min(1, len(matrix) - 1))
        return np.where(found > 0, found, 1.0)


def to_dataset(formulas: Mapping[str, Formula]) -> xr.Dataset:
    """Return what formulas were learned from, by subject, and their model matrices, ``<parameter>_design``."""
    found = xr.Dataset()
    for name, formula in formulas.items():
        for column, values in formula.table.items():
            found[str(column)] = ("subject", np.asarray(values))
        found[f"{name}_design"] = (("subject", f"{name}_coefficient"), formula.full_matrix(formula.table))
        found = found.assign_coords({"subject": formula.table.index, f"{name}_coefficient": formula.names})
    return found


def from_dataset(parameter: str, text: str, kept: xr.Dataset) -> Formula:
    """Return the formula that `to_dataset` kept."""
    names = _names(parameter, text)
    return Formula(parameter, text, pd.DataFrame({k: kept[k].values for k in names}, index=kept["subject"].values))


def fingerprint(formulas: Mapping[str, Formula]) -> str:
    """Return what tells formulas and their covariates from others; "" without any."""
    if not formulas:
        return ""
    said = [
        [name, f.text, f.names, f.table.index.tolist(), f.full_matrix(f.table).tolist()] for name, f in formulas.items()
    ]
    return sha256(json.dumps(said, default=str).encode()).hexdigest()[:16]


def _design_matrices(parameter: str, text: str, table: pd.DataFrame) -> Any:
    """Return what formulae makes of a formula and a table."""
    from formulae import design_matrices  # slow to import

    rows = table if len(table.columns) else table.assign(one=1.0)  # which takes no table without columns
    try:
        return design_matrices(text, rows, na_action="error", extra_namespace={"np": np})
    except Exception as problem:
        raise ValueError(f"formula of {parameter!r}, '~ {text}', cannot be read: {problem}") from None


def _names(parameter: str, text: str) -> list[str]:
    """Return the names of what a formula reads."""
    from formulae.model_description import model_description  # slow to import

    try:
        found = model_description(text)
    except Exception as problem:
        raise ValueError(f"formula of {parameter!r}, '~ {text}', cannot be read: {problem}") from None
    if found.response is not None:
        raise ValueError(f"formula of {parameter!r}: found {text!r}, expected what stands right of ~ alone")
    for term in found.group_terms:
        if str(term.expr) == "Intercept()" and term.factor.name == "subject":
            why = "subjects differ already, by {0}_sigma (in `fit_mle`, not at all); leave it out"
        else:
            why = "expected terms without a bar; subjects differ by {0}_sigma (in `fit_mle`, not at all)"
        raise ValueError(f"formula of {parameter!r}: found {term.name!r}: {why.format(parameter)}")
    return sorted({name for name in found.var_names if name} - {"np"})


def subjects_table(data: ModelData, parameter: str, names: Iterable[Any]) -> pd.DataFrame:
    """Return columns of trials, a row for each subject.

    Raises
    ------
    ValueError
        If a column is not there, is missing for a subject, or varies within one.
    """
    trials, exists, found = data.trials, data.masks["exists"], {}
    known = [str(k) for k, v in trials.variables.items() if v.dims in (("subject",), ("subject", "trial"))]
    for name in map(str, names):
        if name not in known:
            raise unknown(f"column of the trials in the formula of {parameter!r}", name, known)
        values = trials[name].values
        if values.ndim == 2:
            first = values[np.arange(len(values)), exists.argmax(axis=1)]
            differs = exists & (values != first[:, None]) & ~(pd.isna(values) & pd.isna(first)[:, None])
            if differs.any():
                i, t = np.argwhere(differs)[0]
                raise ValueError(
                    f"formula of {parameter!r}: column {name!r} varies within subject {data.subjects[i].item()!r}: "
                    f"{first[i]} and, at trial {t}, {values[i, t]}; expected one value for a subject"
                )
            values = first
        if (missing := pd.isna(values)).any():
            raise ValueError(
                f"formula of {parameter!r}: column {name!r} is missing for subject "
                f"{data.subjects[missing.argmax()].item()!r}; give it a value, or leave the subject out"
            )
        found[name] = values
    return pd.DataFrame(found, index=data.subjects)
