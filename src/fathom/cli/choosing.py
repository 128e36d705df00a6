"""What was typed, read and checked: decision=approach, knob=value, kind=URL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from fathom.design import Choice, System
from fathom.errors import FathomError, nearest

__all__ = ["also_wanted", "chosen", "own_engines", "own_nodes", "pairs"]


def pairs(words: Iterable[str], form: str) -> dict[str, str]:
    """Return `name=value` words as a dictionary; `form` is how they are to be written."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name or not value:
            raise FathomError(f"'{word}' cannot be read", why=f"it is not {form}", fix=f"write {form}")
        if name in found:
            raise FathomError(f"{name} is said twice", why=f"{found[name]} and {value}", fix="say it once")
        found[name] = value
    return found


def chosen(
    system: System, words: Iterable[str], knobs: Iterable[str], remembered: Mapping[str, Choice] | None = None
) -> dict[str, Choice]:
    """Return a choice for every decision: as typed, else as remembered, else the default."""
    before = remembered or {}
    typed = pairs(words, "DECISION=APPROACH")
    approaches = {**{name: choice.approach for name, choice in before.items()}, **typed}
    found = system.choices(approaches, pairs(knobs, "KNOB=VALUE"))
    for name, choice in before.items():
        if found[name].approach == choice.approach:
            found[name] = Choice(choice.approach, {**choice.knobs, **found[name].knobs})
    return found


def own_nodes(system: System, given: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Return field → URL of what was given for one of several engines of a kind (`n1=…`), and the other words."""
    from fathom.web.serve import engines_of

    fields = engines_of(system) | engines_of(system, spare=True)
    of_kind = Counter(kind.kind for kind in fields.values())
    found: dict[str, str] = {}
    others: list[str] = []
    for word in given:
        name, equals, url = word.partition("=")
        if equals and url and name in fields and of_kind[fields[name].kind] > 1:
            found[name] = fields[name].at(url).where
        else:
            others.append(word)
    return found, others


def also_wanted(system: System, names: Iterable[str]) -> list[str]:
    """Return which engines are to be there of those that the system can do without, by their fields."""
    from fathom.web.serve import engines_of

    spare, wanted = engines_of(system, spare=True), list(dict.fromkeys(names))
    for name in wanted:
        if name not in spare:
            raise FathomError(
                f"{system.name} has no engine '{name}' that it can do without",
                why=f"it can do without {', '.join(spare)}" if spare else "it needs all that it has",
                fix=nearest(name, spare, f"leave out --with {name}"),
            )
    return wanted


def own_engines(system: System, given: Iterable[str], also: Iterable[str] = ()) -> dict[str, str]:
    """Return kind → URL of the user's own engines, from `--engine` and fathom.toml, checked against the system.

    `also` are the fields of engines that it can do without, and is to have.
    """
    from fathom.engines.settings import engine_urls
    from fathom.web.serve import engines_of

    words = list(given)
    urls = engine_urls(words)
    spare = engines_of(system, spare=True)
    kinds = {kind.kind for kind in engines_of(system).values()} | {spare[field].kind for field in also}
    for word in words:
        kind = word.partition("=")[0]
        if kind not in kinds:
            unused = [field for field, it in spare.items() if it.kind == kind]
            raise FathomError(
                f"{system.name} does not use {kind}",
                why=f"it stands on {', '.join(sorted(kinds)) or 'no engine'}",
                fix=f"fathom up {system.name} --with {unused[0]} does"
                if unused
                else nearest(kind, kinds, f"leave out --engine {kind}=…"),
            )
    return {kind: url for kind, url in urls.items() if kind in kinds}
