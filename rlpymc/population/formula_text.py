"""Formulas as users of R write them: what is the same for all, and, with a bar, what differs between subjects."""

from dataclasses import dataclass
from typing import Any

SUBJECT = "subject"


@dataclass(frozen=True)
class FormulaText:
    """A formula, taken apart.

    Parameters
    ----------
    common : str
        What is the same for all.
    slopes : tuple of str
        Terms of which each subject has a coefficient of their own: ``x`` of ``(x | subject)``.
    levels : tuple of str
        Columns within whose values subjects have deviations of their own: ``session`` of ``(1 | subject:session)``.
    names : tuple of str
        The columns that all of it reads.
    """

    common: str
    slopes: tuple[str, ...]
    levels: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def read(cls, parameter: str, text: str) -> "FormulaText":
        """Take a formula apart.

        Parameters
        ----------
        parameter : str
            The parameter that it is of, for messages.
        text : str
            The formula, with or without a leading ~.

        Raises
        ------
        ValueError
            If it cannot be read, or groups by something else than subjects and their sessions.
        """
        text = text.strip().removeprefix("~").strip()
        description = _described(parameter, text)
        if description.response is not None:
            raise ValueError(f"formula of {parameter!r}: found {text!r}, expected what stands right of ~ alone")
        common, bars = _parted(text)
        common = common or "1"
        if _described(parameter, common).group_terms:
            raise ValueError(
                f"formula of {parameter!r}: found a bar in {common!r}, which has no brackets of its own, or stands in "
                "others; expected terms beside each other, such as 'x + (x | subject)'"
            )
        slopes, levels = list[str](), list[str]()
        for bar in bars:
            inside, _, factor = (part.strip() for part in bar.partition("|"))
            columns = [part.strip() for part in factor.split(":")]
            if columns == [SUBJECT] and inside == "1":
                raise ValueError(
                    f"formula of {parameter!r}: found ({inside}|{factor}): subjects differ already, by "
                    f"{parameter}_sigma (in `fit_mle`, not at all); leave it out"
                )
            if columns == [SUBJECT]:
                slopes.append(inside)
            elif len(columns) == 2 and SUBJECT in columns and inside == "1":
                columns.remove(SUBJECT)
                levels += columns
            else:
                raise ValueError(
                    f"formula of {parameter!r}: found ({inside}|{factor}), expected (x | subject), a slope for each "
                    "subject, or (1 | subject:session), a deviation for each of a subject's sessions"
                )
        if len(levels) > 1:
            raise ValueError(
                f"formula of {parameter!r}: found deviations by {' and by '.join(levels)}; expected one level within "
                "subjects"
            )
        read = {name for part in (common, *slopes) for name in _described(parameter, part).var_names if name}
        return cls(common, tuple(slopes), tuple(levels), tuple(sorted({*read, *levels} - {"np"})))


def _described(parameter: str, text: str) -> Any:
    from formulae.model_description import model_description  # slow to import

    try:
        return model_description(text)
    except Exception as problem:
        raise ValueError(f"formula of {parameter!r}, '~ {text}', cannot be read: {problem}") from None


def _parted(text: str) -> tuple[str, list[str]]:
    """Return a formula without its brackets that have a bar, and what these hold."""
    kept, bars, depth, start = "", list[str](), 0, 0
    for place, sign in enumerate(text):
        if sign == "(":
            depth += 1
            start = place if depth == 1 else start
        if depth == 0:
            kept += sign
        if sign == ")":
            depth -= 1
            if depth == 0:
                inside = text[start + 1 : place]
                if _has_bar(inside):
                    bars.append(inside.strip())
                else:
                    kept += text[start : place + 1]
    terms = [term.strip() for term in kept.split("+")] if bars else [kept]
    return " + ".join(term for term in terms if term), bars


def _has_bar(text: str) -> bool:
    """Whether there is a bar outside of further brackets."""
    depth = 0
    for sign in text:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "|" and depth == 0:
            return True
    return False
