"""Value rules that many learners share, as functions that take a model and return its variant."""

from collections.abc import Callable
from typing import Any

from rlpymc.math import put, take, where
from rlpymc.model.learner import Model
from rlpymc.model.parameters import Parameter, unit
from rlpymc.model.priors import Beta
from rlpymc.model.usual_parameters import learning_rate


def rates_by_sign(model: Model) -> Model:
    """Two learning rates by the sign of the prediction error (Niv et al. 2012); an error of 0 counts as positive."""

    def better(p: Any, s: Any, x: Any) -> Any:
        return model.signals(p, s, x)["prediction_error"] >= 0  # type: ignore[misc]

    return _two_rates(model, better, "the outcome was as good as expected or better", "it was worse", r"\delta \ge 0")


def rates_by_outcome(model: Model) -> Model:
    """Two learning rates by the sign of the outcome (den Ouden et al. 2013); an outcome of 0 counts as punishment."""

    def rewarded(p: Any, s: Any, x: Any) -> Any:
        return x.reward > 0

    return _two_rates(model, rewarded, "the reward was positive", "the reward was 0 or negative", "r > 0")


def _two_rates(model: Model, first: Callable[[Any, Any, Any], Any], when: str, otherwise: str, condition: str) -> Model:
    def update(p: Any, s: Any, x: Any) -> dict[str, Any]:
        return model.update(p.replace(alpha=where(first(p, s, x), p.alpha_pos, p.alpha_neg)), s, x)

    def rate(name: str, meaning: str) -> Parameter:
        return learning_rate(name, f"learning rate where {meaning}", citation=own)

    own = model.parameter("alpha").citation
    rest = tuple(p for p in model.declared["parameters"] if p.name != "alpha")
    return model.changed(
        parameters=(rate("alpha_pos", when), rate("alpha_neg", otherwise), *rest),
        update=update,
        equation=rf"{model.equation},\quad \alpha = \alpha_+ \text{{ if }} {condition} \text{{ else }} \alpha_-",
        special_cases={model.name: {"alpha_pos": "alpha", "alpha_neg": "alpha"}},
    )


def forget_unchosen(model: Model) -> Model:
    """Values of actions not chosen go back towards the start value (after Ito & Doya 2009, whose target is 0)."""

    def update(p: Any, s: Any, x: Any) -> dict[str, Any]:
        learned = model.update(p, s, x)
        faded = s.q + p.forgetting * (p.q0 - s.q)
        return {**learned, "q": put(faded, x.action, take(learned["q"], x.action))}

    rate = Parameter(
        "forgetting",
        unit,
        prior=Beta(1.1, 3.0),
        plausible=0.2,
        meaning="share of the way back to q0 that values not chosen go",
        citation="prior: rlpymc, weak",
    )
    return model.changed(
        parameters=(*model.declared["parameters"], rate),
        update=update,
        equation=rf"{model.equation},\quad Q_b \leftarrow Q_b + \text{{forgetting}}\,(q_0 - Q_b)\ (b \ne a)",
        special_cases={model.name: {"forgetting": 0.0}},
    )
