"""Reinforcement-learning models of behaviour for PyMC: build, fit, check and compare them.

The public names are loaded when they are first used, so that importing this package costs next to nothing.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PLACES = {
    "read_trials": "rlpymc.trials",
    "to_table": "rlpymc.trials",
    "example_data": "rlpymc.data",
    "get_model": "rlpymc.registry",
    "list_models": "rlpymc.registry",
    "register": "rlpymc.registry",
    "Model": "rlpymc.model",
    "Input": "rlpymc.parameters",
    "Parameter": "rlpymc.parameters",
    "Rule": "rlpymc.policies",
    "log_prob": "rlpymc.likelihood",
    "latents": "rlpymc.likelihood",
    "build": "rlpymc.build",
    "RLModel": "rlpymc.build",
    "sample": "rlpymc.inference.nuts",
    "save": "rlpymc.inference.nuts",
    "load": "rlpymc.inference.nuts",
    "diagnose": "rlpymc.inference.diagnostics",
    "SamplingWarning": "rlpymc.inference.diagnostics",
    "fit_mle": "rlpymc.inference.mle",
    "MLE": "rlpymc.inference.mle",
    "compare": "rlpymc.compare",
    "simulate": "rlpymc.simulate",
    "predict": "rlpymc.predict",
}
_MODULES = ("math", "plots", "policies", "priors", "responses", "tasks", "validate")

__all__ = [*_PLACES, *_MODULES]  # noqa: PLE0604 (strings, made above)

if TYPE_CHECKING:
    from rlpymc import math, plots, policies, priors, responses, tasks, validate
    from rlpymc.build import RLModel, build
    from rlpymc.compare import compare
    from rlpymc.data import example_data
    from rlpymc.inference.diagnostics import SamplingWarning, diagnose
    from rlpymc.inference.mle import MLE, fit_mle
    from rlpymc.inference.nuts import load, sample, save
    from rlpymc.likelihood import latents, log_prob
    from rlpymc.model import Model
    from rlpymc.parameters import Input, Parameter
    from rlpymc.policies import Rule
    from rlpymc.predict import predict
    from rlpymc.registry import get_model, list_models, register
    from rlpymc.simulate import simulate
    from rlpymc.trials import read_trials, to_table


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    if name in _MODULES:
        return import_module(f"rlpymc.{name}")
    raise AttributeError(f"module 'rlpymc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """This package, in which importing the module `rlpymc.build` does not hide the function `rlpymc.build`."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _PLACES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
