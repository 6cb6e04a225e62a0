"""Which model explains the data: leave-one-out cross-validation by trial or by subject."""

import json
import warnings
from collections.abc import Mapping

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.utils import ELPDDataLOO

from rlpymc.errors import unknown

UNITS = ("trial", "subject")
ROUNDING = 1e-10  # range over draws below which a log likelihood is the same in all of them


def compare(fits: Mapping[str, xr.DataTree], unit: str = "trial") -> pd.DataFrame:
    """Compare fits of the same data by PSIS-LOO.

    Parameters
    ----------
    fits : mapping
        Fits from `sample`, by the names they shall have in the table.
    unit : {"trial", "subject"}
        What is left out.  "trial": one response; its action still drives later values, so this is how well single
        responses are predicted given all others.  "subject": all responses of a person, given the group's
        parameters *and that person's own*, reweighted (conditional); a few Pareto k above the threshold are the rule
        here, and say that the estimate is rough.

    Returns
    -------
    pandas.DataFrame
        By name, best first: ``elpd`` (expected log predictive density, higher is better) and its ``se``, ``p``
        (effective number of parameters), ``elpd_diff`` to the best and its ``dse``, stacking ``weight``, the largest
        Pareto k (``k_max``), the number above the threshold (``k_bad``), the number of units ``n``, and ``unit``.

    Raises
    ------
    ValueError
        If there are fewer than two fits, one has no log likelihood for the unit, or they are of different data.
    """
    if unit not in UNITS:
        raise unknown("unit", unit, UNITS)
    if not isinstance(fits, Mapping):
        raise TypeError(f"compare takes fits by name, {{'name': fit, ...}}, found {type(fits).__name__}")
    if len(fits) < 2:
        raise ValueError(f"compare needs at least two fits, found {len(fits)}")
    terms = {name: _log_likelihood(name, fit, unit) for name, fit in fits.items()}
    _check_same_data(fits, terms)
    loos = {name: _loo(term) for name, term in terms.items()}
    with warnings.catch_warnings():  # the table says the same, by model
        warnings.simplefilter("ignore")
        table = az.compare({name: loo for name, (loo, _) in loos.items()}, round_to="none")
    out = table[["elpd", "se", "p", "elpd_diff", "dse", "weight"]].astype(float)
    out["k_max"] = [float(np.nanmax(loos[name][1])) for name in out.index]
    out["k_bad"] = [int((~(loos[name][1] <= loos[name][0].good_k)).sum()) for name in out.index]
    out["n"] = [loos[name][1].size for name in out.index]
    out["unit"] = unit
    if out["k_bad"].any():
        worst = out["k_bad"].idxmax()
        bad, n = out.loc[worst, ["k_bad", "n"]].astype(int)
        warnings.warn(
            f"Pareto k is above {loos[worst][0].good_k:.2f} for {bad} of {n} {unit}s in '{worst}': its elpd is not "
            "reliable there. See the columns k_max and k_bad; refitting without those units tells more.",
            UserWarning,
            stacklevel=2,
        )
    return out


def _log_likelihood(name: str, fit: xr.DataTree, unit: str) -> xr.DataArray:
    if "log_likelihood" not in fit.children:
        raise ValueError(f"fit {name!r} has no log likelihood; sample with log_likelihood='obs' or 'subject'")
    terms = fit["log_likelihood"].to_dataset()["choice"]
    if unit == "subject" and "obs" in terms.dims:
        labels, number = np.unique(terms["subject"].values, return_inverse=True)
        summed = np.stack([terms.values[:, :, number == k].sum(axis=2) for k in range(len(labels))], axis=2)
        return xr.DataArray(summed, dims=("chain", "draw", "subject"), coords={"subject": labels})
    if unit == "trial" and "obs" not in terms.dims:
        raise ValueError(f"fit {name!r} has its log likelihood by subject; sample with log_likelihood='obs'")
    return terms


def _check_same_data(fits: Mapping[str, xr.DataTree], terms: Mapping[str, xr.DataArray]) -> None:
    (first, reference), *others = terms.items()
    for name, term in others:
        if term.sizes[term.dims[-1]] != reference.sizes[reference.dims[-1]]:
            raise ValueError(
                f"fits {first!r} and {name!r} are of different data: {reference.sizes[reference.dims[-1]]} and "
                f"{term.sizes[term.dims[-1]]} {reference.dims[-1]}"
            )
        for coord in ("subject", "trial", "response"):
            if coord in reference.coords and not np.array_equal(reference[coord].values, term[coord].values):
                raise ValueError(f"fits {first!r} and {name!r} are of different rows: they differ in {coord}")
    seen = {name: json.loads(fit.attrs["rlpymc"])["responses"] for name, fit in fits.items() if "rlpymc" in fit.attrs}
    if len(set(seen.values())) > 1:
        raise ValueError(f"fits are of different responses, so their data differ: {seen}")


def _loo(terms: xr.DataArray) -> tuple[ELPDDataLOO, np.ndarray]:
    """Return PSIS-LOO and Pareto k.

    A term that is the same in all draws (a first choice among equal values) is left out exactly by itself, and has
    no tail to smooth: it is put to the others' result as it stands.
    """
    unit = terms.dims[-1]
    constant = np.ptp(terms.values, axis=(0, 1)) <= ROUNDING
    if constant.all():  # chance, with nothing estimated
        exact = xr.DataArray(terms.values[0, 0], dims=(unit,))
        k = np.full(exact.size, -np.inf)
        n_samples = terms.sizes["chain"] * terms.sizes["draw"]
        total, se = float(exact.sum()), float(np.sqrt(exact.size * np.var(exact.values, ddof=1)))
        loo = ELPDDataLOO(
            elpd=total,
            se=se,
            p=0.0,
            n_samples=n_samples,
            n_data_points=exact.size,
            scale="log",
            warning=False,
            good_k=0.7,
            elpd_i=exact,
            pareto_k=xr.DataArray(k, dims=(unit,)),
        )
        return loo, k
    varying = terms[:, :, ~constant].drop_vars([c for c in terms.coords if c in ("subject", "trial", "response")])
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"_": (("chain", "draw"), np.zeros(terms.shape[:2]))}),
            "log_likelihood": xr.Dataset({"choice": varying}),
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about Pareto k, which the table reports
        loo = az.loo(tree, pointwise=True, var_name="choice", reff=_relative_efficiency(varying))
    elpd, k = np.empty(terms.shape[2]), np.full(terms.shape[2], -np.inf)
    elpd[~constant], k[~constant] = loo.elpd_i.values, loo.pareto_k.values
    elpd[constant] = terms.values[0, 0, constant]
    loo.elpd_i = xr.DataArray(elpd, dims=(unit,))
    loo.pareto_k = xr.DataArray(k, dims=(unit,))
    loo.elpd, loo.n_data_points = float(elpd.sum()), elpd.size
    loo.se = float(np.sqrt(elpd.size * np.var(elpd, ddof=1)))
    return loo, k


def _relative_efficiency(terms: xr.DataArray) -> float:
    """Return the effective share of independent draws, from some hundred of the likelihood terms themselves."""
    unit = terms.dims[-1]
    terms = terms.isel({unit: slice(None, None, max(1, terms.sizes[unit] // 200))})
    n = terms.sizes["chain"] * terms.sizes["draw"]
    if terms.sizes["chain"] == 1:
        return 1.0
    likelihood = xr.Dataset({"choice": np.exp(terms - terms.max(("chain", "draw")))})
    ess = az.ess(likelihood, method="mean")
    return float(min(1.0, np.nanmean(ess["choice"].values) / n))
