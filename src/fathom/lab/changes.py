"""What a dive was asked to do otherwise than by default, found when it is planned and said wherever it is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fathom.lab import figures
from fathom.lab.runs import Change

if TYPE_CHECKING:
    from fathom.design import Choice, Question
    from fathom.lab.dive import Dive, Load

__all__ = ["called", "changes", "said", "turned"]


def changes(
    dive: type[Dive[Any]], question: Question, points: Sequence[Any], load: Load | None, choices: Mapping[str, Choice]
) -> list[Change]:
    """Return what differs from the dive as it is written: knobs, swept values, rates, approaches that are left out."""
    found = list(_knobs(dive, question, choices))
    if tuple(points) != tuple(dive.points):
        found.append(Change(kind="swept", name=dive.swept or "", value=list(points), default=list(dive.points)))
    if load and dive.load:
        found += [
            Change(kind="rate", name=op, value=rate, default=dive.load.rates[op])
            for op, rate in load.rates.items()
            if rate != dive.load.rates[op]
        ]
        if load.lasts_s != dive.load.lasts_s:
            found.append(Change(kind="length", name="lasts_s", value=load.lasts_s, default=dive.load.lasts_s))
    usual = list(dive.among or question.approaches)
    if set(usual) != set(choices):
        found.append(Change(kind="approaches", name=question.name, value=list(choices), default=usual))
    return found


def _knobs(dive: type[Dive[Any]], question: Question, choices: Mapping[str, Choice]) -> Iterator[Change]:
    """One change for each knob that has another value than the dive gives it, with all approaches that have it."""
    whose: dict[tuple[str, Any, Any], list[str]] = {}
    for name, choice in choices.items():
        known = question.approach(name).knobs()
        for knob, value in choice.knobs.items():
            default = dive.turned.get(knob, known[knob].default)
            if value != default:
                whose.setdefault((knob, value, default), []).append(name)
    for (knob, value, default), names in whose.items():
        yield Change(kind="knob", name=knob, value=value, default=default, of=names)


def said(found: Iterable[Change]) -> str:
    """Write changes as a person says them.

    >>> said([Change(kind="knob", name="fame", value=500, default=10_000, of=["hybrid"])])
    'fame = 500 instead of 10,000 (hybrid)'
    >>> said([Change(kind="approaches", name="fanout", value=["hybrid"], default=["hybrid", "on-read"])])
    'without on-read'
    """
    return "; ".join(map(_said, found))


def _said(change: Change) -> str:
    if change.kind == "approaches":
        left = [name for name in change.default if name not in change.value]
        more = [name for name in change.value if name not in change.default]
        return ", ".join(
            f"{how} {figures.listed(names)}" for how, names in (("without", left), ("with", more)) if names
        )
    per_s = "/s" if change.kind == "rate" else ""
    whose = f" ({', '.join(change.of)})" if change.of else ""
    return f"{change.name} = {_value(change.value)}{per_s} instead of {_value(change.default)}{per_s}{whose}"


def turned(found: Iterable[Change], approach: str) -> str:
    """Write the knobs of one approach that were turned: `fame = 500`; nothing where none was."""
    return ", ".join(f"{each.name} = {_value(each.value)}" for each in found if approach in each.of)


def called(found: Iterable[Change], approach: str) -> str:
    """Name an approach, with those of its knobs that were turned: `hybrid with fame = 500`."""
    knobs = turned(found, approach)
    return f"{approach} with {knobs}" if knobs else approach


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_value, value))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"
