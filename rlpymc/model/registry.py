"""Finding models: the zoo, what other packages register, and their variants by name."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any

from rlpymc.checks import unknown
from rlpymc.model.hidden_markov import with_hidden_states
from rlpymc.model.learner import Model
from rlpymc.model.rules import parse_policy

if TYPE_CHECKING:
    import pandas as pd

_registered: dict[str, Model] = {}


def register(model: Model) -> Model:
    """Make a model known under its name to everything that takes a model's name.

    Parameters
    ----------
    model : Model
        The model; its name must be free.

    Returns
    -------
    Model
        The same model.

    Raises
    ------
    ValueError
        If another model has that name.
    """
    if not isinstance(model, Model):
        raise TypeError(f"register takes a Model, found {type(model).__name__}")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", model.name):
        raise ValueError(f"model {model.name!r}: use lower-case letters, digits and _, so that names compose")
    known = _models() if model.name not in _registered else _registered
    if known.get(model.name, model) is not model:
        raise ValueError(f"there is a model {model.name!r} already; give this one another name")
    _registered[model.name] = model
    _models.cache_clear()
    _variant.cache_clear()
    return model


def is_found_elsewhere(name: str) -> bool:
    """Whether other processes find a model of this name: no part of it was registered in this one alone."""
    return not {*re.findall("[a-z][a-z0-9_]*", name)} & _registered.keys()


@cache
def _models() -> dict[str, Model]:
    """Return every model by name; two of one name are an error."""
    found: dict[str, Model] = {}
    for source, model in _sources():
        if model.name in found and found[model.name] is not model:
            raise ValueError(f"two models are called {model.name!r}; the second one is in {source}")
        found[model.name] = model
    return found


def _sources() -> Iterator[tuple[str, Model]]:
    import rlpymc.models as zoo

    for module in walk_packages(zoo.__path__, "rlpymc.models."):
        if module.ispkg:
            continue
        name = module.name.rpartition(".")[2]
        model = getattr(import_module(module.name), name, None)
        if not isinstance(model, Model) or model.name != name:
            raise ValueError(f"{module.name} must define a Model named {name!r}, in a variable of that name")
        yield module.name, model
    for entry in entry_points(group="rlpymc.models"):
        model = entry.load()
        if not isinstance(model, Model):
            raise TypeError(f"the entry point {entry.value} is a {type(model).__name__}, expected a Model")
        yield entry.value, model
    for model in _registered.values():
        yield "register()", model


def get_model(name: str | Model, policy: str | None = None, **options: Any) -> Model:
    """Return a model of the zoo, or a variant of it.

    Parameters
    ----------
    name : str or Model
        Such as "delta", or with choice rules and options "delta(rates=sign)+stickiness", or inside a hidden Markov
        model "hmm(delta+stickiness)".  A Model is returned as it is (or its variant).
    policy : str, optional
        Choice rules to add, such as "stickiness+lapse"; one that turns values into choices ("epsilon_greedy")
        replaces the model's own.
    **options
        Options of the learner, such as ``rates="sign"``.

    Returns
    -------
    Model
        The model; its name says which variant it is.

    Raises
    ------
    ValueError
        If there is no such model, choice rule or option; the message names the nearest.
    """
    if isinstance(name, Model):
        model, rules = name, None
    elif isinstance(name, str):
        written = re.fullmatch(r"([^(+]+)(?:\((.*)\))?(?:\+([^()]*))?", name.replace(" ", ""))
        if written is None:
            raise ValueError(f"cannot read model name {name!r}; write it like 'delta(rates=sign)+stickiness+lapse'")
        learner, inside, rules = written.groups()
        if rules is not None and "" in rules.split("+"):
            raise ValueError(
                f"model name {name!r}: found a + without a choice rule; write 'delta+stickiness', or 'delta'"
            )
        if learner == "hmm" and not inside:
            raise ValueError("hmm goes around a learner: write 'hmm(delta)', or 'hmm(delta+stickiness, n_states=3)'")
        if learner == "hmm":
            return _hidden(inside, rules or policy, options)
        if learner not in _models():
            raise unknown("model", learner, _models())
        model = _models()[learner]
        for key, _, value in (item.partition("=") for item in (inside or "").split(",") if item):
            if key in options:
                raise ValueError(f"option {key!r} of {learner} is given twice")
            options[key] = value
    else:
        raise TypeError(f"found {type(name).__name__}, expected a model or its name, such as 'delta+stickiness'")
    if policy is not None and not isinstance(policy, str):
        raise TypeError(f"policy: found {type(policy).__name__}, expected choice rules such as 'stickiness+lapse'")
    if options and model.name not in _models():
        raise ValueError(f"{model.name} is a variant already; give options with the learner's name")
    asked = "+".join(part for part in (rules, policy) if part)
    added = tuple(rule.name for rule in (parse_policy(asked) if asked else ()) if rule not in model.rules)
    return _variant(model, _chosen(model, options), added)


def _hidden(inside: str, rules: str | None, options: dict[str, Any]) -> Model:
    """Return the model of a name such as "hmm(delta+stickiness, n_states=3)"."""
    learner, asked, n_states = inside.partition(",n_states=")
    if rules or options:
        raise ValueError(
            "choice rules and options of an hmm belong to its learner: 'hmm(delta(rates=sign)+stickiness)'"
        )
    if wrong := re.search(r",(?![^()]*\))(.*)", learner):
        raise unknown("option of hmm", wrong[1].partition("=")[0], ["n_states"])
    if asked and not (n_states.isascii() and n_states.isdigit()):
        raise ValueError(f"n_states: found {n_states!r}, expected a whole number")
    return with_hidden_states(get_model(learner), int(n_states or 2))


def hmm(model: Model | str, n_states: int = 2) -> Model:
    """Return a model whose choices come from a learner only while it is engaged.

    A hidden state changes from choice to choice.  In state 0 (engaged) choices follow the learner; in each other state
    (lapsed) they follow a fixed bias, which is none unless `bias` is freed.  The learner learns in all of them.  A
    choice's probability is the mixture over what is believed about the hidden state given the choices before (the
    forward algorithm); choices that are not scored tell nothing about it.

    Parameters
    ----------
    model : Model or str
        The learner, with one choice in a trial.
    n_states : int
        Number of hidden states, the engaged one included.

    Returns
    -------
    Model
        Named ``hmm(<model>)``, with the learner's parameters and

        leave : (n_states,)
            Probability of leaving each hidden state after a choice; all others are as likely to be next.
        engaged0 : float
            Probability of being engaged at the start; the others share the rest.
        bias : (n_states - 1, n_actions - 1)
            Log odds of each action against action 0 in each lapsed state.

    Raises
    ------
    ValueError
        If the model has more than one response, or one that is not among actions, or there are less than two states.

    References
    ----------
    Li, Shi, Li & Collins (2024), Journal of Mathematical Psychology 119:102842, for two states;
    Ashwood et al. (2022), Nature Neuroscience 25:201, for several.
    """
    return with_hidden_states(get_model(model), n_states)


def _chosen(model: Model, options: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return the options that are not at their default, in the order in which the learner declares them."""
    for key in options:
        if key not in model.options:
            raise unknown(f"option of {model.name}", key, model.options)
    found = []
    for key, values in model.options.items():
        wanted = str(options.get(key, next(iter(values))))
        value = next((v for v in values if str(v) == wanted), None)
        if value is None:
            raise unknown(f"value of {model.name}'s option {key}", options[key], values)
        if values[value] is not None:
            found.append((key, value))
    return tuple(found)


@lru_cache(maxsize=1024)
def _variant(model: Model, options: tuple[tuple[str, Any], ...], rules: tuple[str, ...]) -> Model:
    """Return one and the same object for one variant, so that what was compiled for it is found again."""
    learner = model
    for k, (key, value) in enumerate(options):
        vary = learner.options[key][value]
        assert vary is not None
        inside = ", ".join(f"{name}={chosen}" for name, chosen in options[: k + 1])
        model = vary(model).changed(name=f"{learner.name}({inside})")
    return model.with_policy("+".join(rules)) if rules else model


def list_models(pattern: str = "*", family: str | None = None) -> "pd.DataFrame":
    """Return a table of the models, made from their cards.

    Parameters
    ----------
    pattern : str
        Names to list, with wildcards: "*kernel*".
    family : str, optional
        Only this family.

    Returns
    -------
    pandas.DataFrame
        One row a model, by name: family, summary, parameters, options, reference.
    """
    import pandas as pd

    columns = ["name", "family", "summary", "parameters", "options", "reference"]
    return pd.DataFrame(overview(pattern, family), columns=columns).set_index("name")


def overview(pattern: str = "*", family: str | None = None) -> list[dict[str, str]]:
    """The rows of `list_models`, by family and name."""
    cards = [m.card for m in _models().values() if fnmatch(m.name, pattern) and family in (None, m.family)]
    return [
        {
            "name": card["name"],
            "family": card["family"],
            "summary": card["summary"],
            "parameters": ", ".join(p["name"] for p in card["parameters"] if p["value"] is None),
            "options": ", ".join(f"{k}={'|'.join(v)}" for k, v in card["options"].items()),
            "reference": card["reference"],
        }
        for card in sorted(cards, key=lambda card: (card["family"], card["name"]))
    ]
