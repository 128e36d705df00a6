"""The whole catalogue: it walks its own folder, and opens a system elsewhere by its path."""

from __future__ import annotations

import contextlib
from pathlib import Path

from fathom.design import System
from fathom.errors import FathomError, nearest

__all__ = ["catalogue", "find"]

_HERE = Path(__file__).parent


def catalogue() -> dict[str, System]:
    """Return every system that lies in this folder, by name. A half-written one hides none of the others."""
    found: dict[str, System] = {}
    for folder in sorted(_HERE.iterdir()):
        if folder.is_dir() and not folder.name.startswith(("_", ".")):
            with contextlib.suppress(FathomError):
                found[folder.name.replace("_", "-")] = System.at(folder, f"{__name__}.{folder.name}")
    return found


def find(name: str) -> System:
    """Return the system of this name, or the one that lies at this path."""
    if "/" in name or name.startswith("."):
        folder = Path(name)
        if not folder.is_dir():
            raise FathomError(
                f"there is no folder {name}",
                why="a system elsewhere is given by the path of its folder",
                fix="check the path, or say the name of a system: fathom list",
            )
        return System.at(folder)
    known = catalogue()
    if name in known:
        return known[name]
    raise FathomError(
        f"there is no system '{name}'",
        why=f"fathom/systems has {', '.join(known)}",
        fix=nearest(name, known, "see them with: fathom list"),
    )
