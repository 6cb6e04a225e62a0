"""Log predictive densities of what was left out, unit by unit."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.utils import ELPDDataLOO


@dataclass(frozen=True, repr=False)
class Elpd:
    """How well a model predicts what it was not shown, unit by unit: what `loo` and `leave_future_out` return.

    Parameters
    ----------
    elpd_i : xr.DataArray (unit,)
        The log predictive density of each unit, with coordinates that say which it is (subject, trial, ...).
    pareto_k : xr.DataArray (unit,)
        Pareto k of each unit as importance sampling left it; -inf where nothing was approximated.
    refitted : xr.DataArray (unit,) of bool
        Whether the unit's density is exact, from a refit without it.
    p : float
        Effective number of parameters; NaN where there is none.
    good_k : float
        Pareto k above which importance sampling is not reliable.
    unit : str
        What a unit is.
    responses : str
        A fingerprint of the scored responses; "" where it is not known.
    """

    elpd_i: xr.DataArray
    pareto_k: xr.DataArray
    refitted: xr.DataArray
    p: float
    good_k: float
    unit: str
    responses: str = ""

    @property
    def elpd(self) -> float:
        """The sum over units; higher is better."""
        return float(self.elpd_i.sum())

    @property
    def se(self) -> float:
        """Standard error of the sum; NaN for a single unit."""
        return standard_error(self.elpd_i.values)

    @property
    def n(self) -> int:
        """Number of units."""
        return int(self.elpd_i.size)

    @property
    def bad(self) -> np.ndarray:
        """Whether importance sampling failed for a unit, refitted or not, (unit,)."""
        return ~(self.pareto_k.values <= self.good_k)

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row a unit: which it is, elpd, Pareto k, and whether it was refitted."""
        which = {str(k): v.values for k, v in self.elpd_i.coords.items()}
        found = {"elpd": self.elpd_i.values, "pareto_k": self.pareto_k.values, "refitted": self.refitted.values}
        return pd.DataFrame(which | found)

    def to_arviz(self) -> ELPDDataLOO:
        """Return the same as ArviZ holds it."""
        unit = self.elpd_i.dims
        return ELPDDataLOO(
            elpd=self.elpd,
            se=self.se,
            p=self.p,
            n_samples=0,
            n_data_points=self.n,
            scale="log",
            warning=bool((self.bad & ~self.refitted.values).any()),
            good_k=self.good_k,
            elpd_i=xr.DataArray(self.elpd_i.values, dims=unit),
            pareto_k=xr.DataArray(np.where(self.refitted, -np.inf, self.pareto_k), dims=unit),
        )

    def __repr__(self) -> str:
        lines = [f"elpd {self.elpd:.2f}, standard error {self.se:.2f}, of {self.n} left out: {self.unit}"]
        lines.append(f"largest Pareto k {self.pareto_k.max().item():.2f}, {self.bad.sum()} above {self.good_k:.2f}")
        if self.refitted.any():
            lines[-1] += f", {int(self.refitted.sum())} refitted"
        return "\n".join(lines)


def standard_error(terms: np.ndarray) -> float:
    """Return the standard error of a sum of independent terms."""
    return float(np.sqrt(terms.size * np.var(terms, ddof=1))) if terms.size > 1 else float("nan")
