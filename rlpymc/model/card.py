"""The card of a model: what there is to know about it, as plain data, as text and for a notebook."""

from collections.abc import Iterable
from html import escape
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


def heading(name: str, summary: str, equation: str, reference: str) -> list[str]:
    """Return lines of text: a model in words, its equations (LaTeX) and its source."""
    return [f"{name}: {summary}", f"  {equation}", f"  {reference}"]


def heading_html(name: str, summary: str, equation: str, reference: str) -> str:
    """Return the same for a notebook, which shows the equations."""
    return f"<b>{escape(name)}</b>: {escape(summary)}<br>$${escape(equation)}$$<i>{escape(reference)}</i>"


def _head(model: Any) -> tuple[str, str, str, str]:
    found = model.card
    return found["name"], found["summary"], found["equation"], found["reference"]


def as_text(model: Any) -> str:
    """The model's equations and a line for each parameter."""
    lines = heading(*_head(model))
    width = max((len(p.name) for p in model.parameters), default=0)
    for p in model.parameters:
        fate = f"constant {p.value:g}" if p.value is not None else f"~ {p.prior}"
        lines.append(f"  {p.name:<{width}}  {p.support!s:<9} {fate:<18} {p.meaning}")
    return "\n".join(lines)


def as_html(model: Any) -> str:
    """The same for a notebook."""
    rows = [
        (p.name, str(p.support), f"constant {p.value:g}" if p.value is not None else str(p.prior), p.meaning)
        for p in model.parameters
    ]
    return heading_html(*_head(model)) + table_html(("parameter", "support", "prior", "meaning"), rows)


def table_html(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return rows of text as a table for a notebook."""
    cells = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in [head, *cells]) + "</table>"
