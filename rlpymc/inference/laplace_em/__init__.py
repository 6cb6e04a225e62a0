"""Populations by expectation-maximisation, with Laplace's approximation."""

from rlpymc.inference.laplace_em.fit import fit_em
from rlpymc.inference.laplace_em.population_fit import EM

__all__ = ["EM", "fit_em"]
