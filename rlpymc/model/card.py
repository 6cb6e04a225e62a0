"""The card of a model: what there is to know about it, as plain data, as text and for a notebook."""

from typing import Any


def card(model: Any) -> dict[str, Any]:
    """Plain data (JSON): name, family, sources, inputs, parameters, facts, options, departures and namesakes."""
    return {
        "name": model.name,
        "family": model.family,
        "summary": "; ".join([model.summary, *(r.summary for r in model.rules)]),
        "reference": "; ".join(dict.fromkeys([model.reference, *(r.reference for r in model.rules if r.reference)])),
        "equation": model.full_equation,
        "inputs": [
            {"name": i.name, "kind": str(i.kind), "shape": list(i.shape), "response": i.response, "after": i.after}
            for i in model.inputs
        ],
        "parameters": [
            {
                "name": p.name,
                "support": str(p.support),
                "shape": list(p.shape),
                "prior": None if p.prior is None else str(p.prior),
                "value": p.value,
                "meaning": p.meaning,
                "units": p.units,
                "citation": p.citation,
            }
            for p in model.parameters
        ],
        "facts": [{"name": f.name, "shape": list(f.shape), "kind": f.kind} for f in model.facts],
        "options": {name: [str(v) for v in values] for name, values in model.options.items()},
        "special_cases": {name: dict(case) for name, case in model.special_cases.items()},
        "departures": list(model.departures),
        "confused_with": list(model.confused_with),
    }


def as_text(model: Any) -> str:
    """The model's equations and a line for each parameter."""
    lines = [f"{model.name}: {model.card['summary']}", f"  {model.full_equation}", f"  {model.card['reference']}"]
    width = max((len(p.name) for p in model.parameters), default=0)
    for p in model.parameters:
        fate = f"constant {p.value:g}" if p.value is not None else f"~ {p.prior}"
        lines.append(f"  {p.name:<{width}}  {p.support!s:<9} {fate:<18} {p.meaning}")
    return "\n".join(lines)


def as_html(model: Any) -> str:
    """The same for a notebook."""
    rows = "".join(
        f"<tr><td>{p.name}</td><td>{p.support}</td>"
        f"<td>{f'constant {p.value:g}' if p.value is not None else p.prior}</td><td>{p.meaning}</td></tr>"
        for p in model.parameters
    )
    return (
        f"<b>{model.name}</b>: {model.card['summary']}<br>$${model.full_equation}$$<i>{model.card['reference']}</i>"
        f"<table><tr><th>parameter</th><th>support</th><th>prior</th><th>meaning</th></tr>{rows}</table>"
    )
