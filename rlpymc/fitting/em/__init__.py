"""Populations by expectation-maximisation, with Laplace's approximation."""

from rlpymc.fitting.em.fit import fit_em
from rlpymc.fitting.em.population_fit import EM

__all__ = ["EM", "fit_em"]
