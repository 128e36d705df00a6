"""Who may know whom: the five floors, and the rooms of a system. One sentence a fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.house.source import Import, Source, sources

LOOSE = {"errors": {"errors"}, "design": {"errors", "design"}, "history": {"errors", "history"}}
BELOW = {  # floor → what it may import besides itself and the loose modules
    "blocks": set[str](),
    "engines": {"blocks"},
    "sim": {"blocks"},
    "lab": {"blocks", "engines", "sim"},
    "web": {"blocks", "engines", "sim"},
    "systems": {"blocks", "engines", "sim", "web", "lab"},  # lab: two rooms only, see below
    "cli": {"blocks", "engines", "sim", "web", "lab", "systems"},
    "studio": {"blocks", "engines", "sim", "web", "lab", "systems"},
}
# A system's rooms from the lowest to the highest; a room knows those below it.
ROOMS = (
    *("api", "model", "laws", "core", "client", "stores", "decisions", "service", "doors"),
    *("demo", "simulation", "commands", "dives"),
)
MEASURING = {"dives", "simulation"}  # the only rooms that may import the lab


def floor_faults(root: Path) -> list[str]:
    """Return what is wrong with the imports below `root`, the folder of the package `fathom`."""
    return [fault for source in sources(root) for fault in _of_source(source)]


def system_faults(folder: Path) -> list[str]:
    """Return what is wrong with the imports of one system's folder, wherever it lies."""
    faults: list[str] = []
    for source in sources(folder, package=f"fathom.systems.{folder.name}"):
        inside = Source(source.file, ("systems", folder.name, *source.parts))
        faults += _of_source(inside)
    return faults


def _of_source(source: Source) -> Iterator[str]:
    if not source.parts:  # fathom/__init__.py itself
        source = Source(source.file, ("__init__",))
    for asked in source.imports():
        if asked.module.partition(".")[0] == "fathom":
            if fault := _fault(source, asked):
                yield f"{source.place}:{asked.line} {fault}"
        elif asked.dots and not asked.module.startswith("fathom"):
            yield f"{source.place}:{asked.line} these dots reach out of fathom"


def _fault(source: Source, asked: Import) -> str | None:
    floor, *inside = source.parts
    _, target, *below = asked.module.split(".") if "." in asked.module else (asked.module, "__init__")
    if target.startswith("__"):  # fathom itself: its version, its docstring
        return None
    if floor in LOOSE or floor in {"__init__", "__main__"}:
        allowed = LOOSE.get(floor, {"cli"} if floor == "__main__" else set[str]())
        return None if target in allowed else f"{floor} is loose: it may not import {target}"
    if target in LOOSE:
        return _laws_fault(inside, target)
    if floor not in BELOW:
        return f"{floor} is not a floor of this house"
    if target == floor:
        return _system_fault(inside, below, asked) if floor == "systems" and inside else None
    if target not in BELOW[floor]:
        beside = target in BELOW and floor in BELOW[target]
        return f"{floor} may not import {target}" + (
            " (that is upward)" if beside else " (nothing imports a neighbour)"
        )
    if floor != "systems":
        return None
    if not inside:
        return f"the catalogue reads folders: it may not import {target}"
    if target == "lab" and _room(inside) not in MEASURING:
        return "only dives/ may import the lab (and simulation/)"
    return _laws_fault(inside, target)


def _laws_fault(inside: list[str], target: str) -> str | None:
    if _room(inside) == "laws" and target not in {"history", "blocks"}:
        return f"laws import only fathom.history and blocks, not {target}"
    return None


def _room(inside: list[str]) -> str | None:
    return inside[1] if len(inside) > 1 else None


def _system_fault(inside: list[str], below: list[str], asked: Import) -> str | None:
    """Judge an import between two modules of `systems/`."""
    mine, theirs = inside[0], below[0] if below else ""
    if theirs != mine:
        return f"{mine} may not import {theirs or 'the catalogue'}: systems meet by URL, through their doors"
    if asked.dots == 0:
        return "inside a system imports are relative: a dot tells that it stays home"
    room, target = _room(inside), below[1] if len(below) > 1 else None
    if room == "laws" and target != "laws":
        return f"laws import only fathom.history and blocks, not {target}"
    if room in ROOMS and target in ROOMS and ROOMS.index(target) > ROOMS.index(room):
        return f"{room} may not import {target}: lower rooms do not know higher ones"
    return None
