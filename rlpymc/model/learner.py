"""A learner, described once: a declaration and a few pure functions of one subject at one trial."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from rlpymc.checks import unknown
from rlpymc.model.card import as_html, as_text, card
from rlpymc.model.expectation import Expectation
from rlpymc.model.facts import Fact
from rlpymc.model.parameters import Input, Parameter
from rlpymc.model.record import Record
from rlpymc.model.responses import Response
from rlpymc.model.rules import RULES, Rule, available, parse_policy, policy_from_rules

if TYPE_CHECKING:
    import xarray as xr

# Where the four forms of a likelihood in PyMC are written: a door down to a room that this one knows by name alone.
PYMC_FORMS = "rlpymc.fitting.pymc_forms"

type Shapes = Mapping[str, tuple[int, ...]]  # by state


@dataclass(frozen=True, eq=False)
class Model:
    """A model of behaviour.

    Parameters
    ----------
    name, family, summary, reference, equation : str
        What it is called, where it stands in the zoo, one line of what it is, its source, its mathematics (LaTeX).
    inputs : tuple of Input
        The columns of a trial that it reads, responses among them in the order in which they are made.
    parameters : tuple of Parameter
        The learner's parameters; those of the choice rules join them.
    start : callable
        ``start(p, facts) -> state``, a dict of arrays of fixed shape.
    update : callable
        ``update(p, s, x) -> state`` after the whole trial was seen.
    values : callable, optional
        ``values(p, s, x) -> (n_actions,)``, which the choice rules turn into probabilities.
    policy : str or callable
        Choice rules, such as "softmax+stickiness", or ``policy(p, s, x) -> response``.
    remember : callable, optional
        ``remember(p, s, x) -> state``: what changes whenever a response was made, learned from or not, such as the
        previous choice.  It may read the first response of a trial only.
    policies : mapping, optional
        For several responses in a trial, ``policy(p, s, x)`` by response, in the order in which they are made.
    facts : tuple of Fact
        Arrays that must be known before the data, besides the numbers that inputs and parameters count up to.
    derive : callable, optional
        ``derive(p, facts) -> dict`` of arrays, computed once for each subject before the first trial, in PyTensor, such
        as a planner's values; they join `p`, and gradients flow through them.
    signals : callable, optional
        ``signals(p, s, x) -> dict`` of what one would correlate with a brain or a pupil, before the update.
    options : mapping, optional
        Variants that the learner offers: name -> {value: function of a model that returns the variant}; the first
        value is the default, with None for its function.
    special_cases : mapping, optional
        At which parameters it becomes another model: {"delta": {"alpha_pos": "alpha", "alpha_neg": "alpha"}}.
    conditions : tuple, optional
        What the data must obey besides the kinds of the inputs: pairs of a sentence and a function
        ``holds(x) -> bool`` of the columns (subject, trial, ...).
    expectations : tuple of Expectation
        What the data should show as a whole; said before a fit where they do not.
    departures, confused_with : tuple of str
        Where it departs from its source; which other models its data are easily mistaken for.
    """

    name: str
    family: str
    summary: str
    reference: str
    inputs: tuple[Input, ...]
    parameters: tuple[Parameter, ...] = ()
    start: Callable[[Any, Any], dict[str, Any]] = lambda p, facts: {}
    update: Callable[[Any, Any, Any], dict[str, Any]] = lambda p, s, x: {}
    values: Callable[[Any, Any, Any], Any] | None = None
    policy: str | Callable[[Any, Any, Any], Response] | None = None
    policies: Mapping[str, Callable[[Any, Any, Any], Response]] = field(default_factory=dict)
    remember: Callable[[Any, Any, Any], dict[str, Any]] | None = None
    facts: tuple[Fact, ...] = ()
    derive: Callable[[Any, Any], dict[str, Any]] | None = None
    signals: Callable[[Any, Any, Any], dict[str, Any]] | None = None
    options: Mapping[str, Mapping[Any, Callable[["Model"], "Model"] | None]] = field(default_factory=dict)
    special_cases: Mapping[str, Mapping[str, str | float]] = field(default_factory=dict)
    conditions: tuple[tuple[str, Callable[[Any], Any]], ...] = ()
    expectations: tuple[Expectation, ...] = ()
    equation: str = ""
    departures: tuple[str, ...] = ()
    confused_with: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = field(init=False, repr=False)
    declared: Mapping[str, Any] = field(init=False, repr=False)  # the arguments, before the rules joined

    def __post_init__(self) -> None:
        declared = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        object.__setattr__(self, "declared", declared)
        rules = parse_policy(self.policy) if isinstance(self.policy, str) else ()
        object.__setattr__(self, "rules", rules)
        object.__setattr__(self, "parameters", self.parameters + tuple(p for r in rules for p in r.parameters))
        if rules and "available" not in {i.name for i in self.inputs}:
            object.__setattr__(self, "inputs", (*self.inputs, available))
        self._check()

    def _check(self) -> None:
        names = [p.name for p in self.parameters]
        if clash := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"model {self.name!r}: parameter {clash[0]!r} is there twice")
        if not self.responses:
            raise ValueError(f"model {self.name!r}: no input is a response; mark one with response=True")
        if bool(self.policies) == (self.policy is not None):
            raise ValueError(f"model {self.name!r}: give it a policy, or policies by response")
        if self.policies and list(self.policies) != [i.name for i in self.responses]:
            raise ValueError(
                f"model {self.name!r}: policies are for {list(self.policies)}, in the order of the responses"
            )
        seen: set[str | None] = {None}
        for entry in self.inputs:
            if entry.after not in seen:
                raise ValueError(f"model {self.name!r}: input {entry.name!r} comes after {entry.after!r}, no response")
            if entry.response:
                seen.add(entry.name)

    # ------------------------------------------------------------------------------ what the engine calls
    @property
    def responses(self) -> tuple[Input, ...]:
        """The inputs that are responses, in the order in which they are made."""
        return tuple(i for i in self.inputs if i.response)

    def parameter(self, name: str) -> Parameter:
        """Return the parameter of this name; an unknown one is a ValueError that names the nearest."""
        for p in self.parameters:
            if p.name == name:
                return p
        raise unknown(f"parameter of {self.name}", name, [p.name for p in self.parameters])

    def initial_state(self, p: Any, facts: Any) -> dict[str, Any]:
        """Return the state before the first trial: the learner's and the choice rules'."""
        state = dict(self.start(p, facts))
        for rule in self.rules:
            for name, value in (rule.start(p, facts) if rule.start else {}).items():
                if name in state:
                    raise ValueError(f"model {self.name!r}: its state {name!r} clashes with that of {rule.name}")
                state[name] = value
        return state

    def respond(self, p: Any, s: Any, x: Any) -> dict[str, Response]:
        """Return the distribution of each response, which is shown what is seen before it alone."""
        if self.policies:
            return {name: policy(p, s, self._before(name, x)) for name, policy in self.policies.items()}
        name = self.responses[0].name
        policy = self.policy if callable(self.policy) else policy_from_rules(self.values, self.rules)
        return {name: policy(p, s, self._before(name, x))}

    def _before(self, response: str, x: Any) -> Record:
        """The part of a trial that is seen before a response."""
        order = [r.name for r in self.responses]
        seen = {None, *order[: order.index(response)]}
        shown = {i.name for i in self.inputs if (i.name in seen if i.response else i.after in seen)}
        return Record(**{k: v for k, v in vars(x).items() if k in shown})

    def after_response(self, p: Any, s: Any, x: Any) -> dict[str, Any]:
        """The new state after a response: the model's own memory and that of the choice rules."""
        own = dict(self.remember(p, s, x)) if self.remember else {}
        return own | {name: v for rule in self.rules if rule.update for name, v in rule.update(p, s, x).items()}

    def check_update(self, start: "Shapes", learner: "Shapes", rules: "Shapes") -> None:
        """Raise a ValueError if updates return other states, or shapes, than `start`, or both change one."""
        for name, shape in {**learner, **rules}.items():
            if name not in start:
                raise ValueError(
                    f"model {self.name!r}: update returns {name!r}, which start does not; states are {list(start)}"
                )
            if shape != start[name]:
                raise ValueError(
                    f"model {self.name!r}: update returns {name!r} of shape {shape}, start of shape {start[name]}"
                )
        if both := set(learner) & set(rules):
            raise ValueError(f"model {self.name!r}: the learner and a choice rule both update {both.pop()!r}")

    # --------------------------------------------------------------------------------- variants and cards
    def changed(self, **arguments: Any) -> Self:
        """Return a model that differs in some of the arguments it was made with."""
        return type(self)(**{**self.declared, **arguments})

    def with_policy(self, policy: str) -> Self:
        """Return the model with these choice rules added; one that turns values into choices replaces its own."""
        if not self.rules:
            raise ValueError(f"model {self.name!r} has its own policy and takes no choice rules")
        asked = parse_policy(policy)
        replaces = any(rule.stage == "values" for rule in asked)
        kept = [rule for rule in self.rules if not (replaces and rule.stage == "values")]
        added = [rule for rule in asked if rule.name not in {r.name for r in kept}]
        if replaces and self.values is None:
            raise ValueError(f"model {self.name!r} has no values for {asked[0].name} to turn into choices")
        learner, *before = re.split(r"\+(?![^(]*\))", self.name)
        in_name = [n for n in before if n in {r.name for r in kept}] + [r.name for r in added if r not in self.rules]

        def named(without: str = "") -> str:
            return "+".join([learner, *(name for name in RULES if name in in_name and name != without)])

        cases = {named(rule.name): rule.absent_at for rule in added if rule.absent_at}
        return self.changed(
            name=named(),
            policy="+".join(rule.name for rule in [*kept, *added]),
            special_cases=cases,
        )

    # ------------------------------------------------------------------------- inside a PyMC model
    def distribution(self, name: str, trials: "xr.Dataset", *, backend: str = "fused", **params: Any) -> Any:
        """Add the responses to the PyMC model in context as one distribution over whole sequences.

        Parameters
        ----------
        name : str
            Name of the variable, dims (subject, trial).  Random draws are *yoked*: choices in order, outcomes and
            later inputs as recorded.
        trials : xr.Dataset
            From `read_trials` or `simulate`.
        backend : {"fused", "scan"}
            What computes the likelihood.
        **params
            Parameters by name: random variables or numbers, one for all (*shape), by subject (subject, *shape), or
            by trial (subject, trial, *shape).  Constants may be left out.
        """
        return self._add("distribution", name, trials, backend, params)

    def categorical(self, name: str, trials: "xr.Dataset", *, backend: str = "fused", **params: Any) -> Any:
        """Add each scored choice to the PyMC model in context as a `pymc.Categorical`; else as `distribution`."""
        return self._add("categorical", name, trials, backend, params)

    def bernoulli(self, name: str, trials: "xr.Dataset", *, backend: str = "fused", **params: Any) -> Any:
        """Add each scored choice of two to the PyMC model in context as a `pymc.Bernoulli`; else as `distribution`."""
        return self._add("bernoulli", name, trials, backend, params)

    def potential(self, name: str, trials: "xr.Dataset", *, backend: str = "fused", **params: Any) -> Any:
        """Add the log likelihood to the PyMC model in context as a `pymc.Potential`; else as `distribution`."""
        return self._add("potential", name, trials, backend, params)

    def _add(self, form: str, name: str, trials: "xr.Dataset", backend: str, params: Mapping[str, Any]) -> Any:
        return import_module(PYMC_FORMS).add(form, name, self, trials, params, backend)

    @property
    def full_equation(self) -> str:
        """The equations of the learner and of its choice rules (LaTeX)."""
        return r" \\ ".join(e for e in (self.equation, *(r.equation for r in self.rules)) if e)

    @property
    def card(self) -> dict[str, Any]:
        """What there is to know about the model, as plain data (JSON)."""
        return card(self)

    def __str__(self) -> str:
        return as_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self)
