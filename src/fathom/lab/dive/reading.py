"""Finding the dive of a name beside its system, and what it refers to there."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

from fathom.design import Question, System
from fathom.engines.engine import Engine
from fathom.errors import FathomError, nearest

from .fault import SERVICE, Fault
from .question import Dive

__all__ = ["decision_of", "engines_of", "question_of", "read"]


def read(system: System, name: str) -> type[Dive[Any]]:
    """Return the dive of this name that lies beside the system, checked against it."""
    if name not in system.dives:
        raise FathomError(
            f"{system.name} has no dive '{name}'",
            why=f"its dives are {', '.join(system.dives) or 'none yet'}",
            fix=nearest(name, system.dives, f"see them with: fathom list {system.name}"),
        )
    module = system.room(f"dives.{name.replace('-', '_')}")
    file = system.folder / "dives" / f"{name.replace('-', '_')}.py"
    found = [v for v in vars(module).values() if _is_dive(v) and v.__module__ == module.__name__]
    if len(found) != 1:
        raise FathomError(
            f"{file} has {len(found)} dives, not one",
            why=f"the file name is the name; it holds {', '.join(d.__name__ for d in found) or 'none'}",
            fix="one class a file" if found else "write: class …(Dive)",
        )
    if not question_of(found[0]).endswith("?"):
        raise FathomError(
            f"the dive {name} asks nothing",
            why=f"the first line of {file} is '{question_of(found[0])}'",
            fix="begin the file with its question, as a docstring that ends with '?'",
        )
    decision_of(system, found[0])
    for fault in found[0].faults:
        _check_target(system, found[0], fault)
    return found[0]


def question_of(dive: type[Dive[Any]]) -> str:
    """Return the question: the first line of the module's docstring, else of the class's own."""
    module = inspect.getmodule(dive)
    own = (dive.__doc__ or "").strip().partition("\n")[0]
    return (inspect.getdoc(module) or "").partition("\n")[0] if module and inspect.getdoc(module) else own


def decision_of(system: System, dive: type[Dive[Any]]) -> Question:
    """Return the system's question that this dive compares the answers of."""
    base = getattr(dive, "decision", None)
    for question in system.decisions.values():
        if question.base is base:
            return question
    raise FathomError(
        f"the dive {dive.__name__} compares the answers to {getattr(base, '__name__', 'nothing')}",
        why=f"{system.name} decides {', '.join(q.base.__name__ for q in system.decisions.values()) or 'nothing'}",
        fix="set decision = … to one of these classes, from ..decisions.…",
    )


def engines_of(system: System) -> dict[str, type[Engine]]:
    """Return the fields of the system's Stores that are engines."""
    if system.stores is None:
        return {}
    hints = get_type_hints(system.stores)
    return {name: kind for name, kind in hints.items() if inspect.isclass(kind) and issubclass(kind, Engine)}


def _check_target(system: System, dive: type[Dive[Any]], fault: Fault) -> None:
    engines = engines_of(system)
    if fault.target not in (*engines, SERVICE):
        raise FathomError(
            f"the dive {dive.__name__} breaks '{fault.target}'",
            why=f"{system.name}'s Stores has {', '.join(engines) or 'no engine'}; 'service' is the service itself",
            fix=nearest(fault.target, (*engines, SERVICE), "name one of them"),
        )


def _is_dive(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, Dive) and value is not Dive
