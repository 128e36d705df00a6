"""The front page, and which words lead where: a command's own file, or a system's commands."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from fathom.errors import FathomError, nearest

if TYPE_CHECKING:
    import click

__all__ = ["command", "commands", "page"]

_FOLDER = Path(__file__).parent / "commands"


def commands() -> dict[str, str]:
    """Return every command with the first line that it says of itself; none of them is imported for that."""
    from fathom.cli import voice

    files = sorted(_FOLDER.glob("[!_]*.py"))
    return {file.stem: voice.first_line(file) for file in files}


def command(name: str) -> click.Command:
    """Return what `fathom NAME …` runs."""
    if (_FOLDER / f"{name}.py").is_file() and not name.startswith("_"):
        return importlib.import_module(f"fathom.cli.commands.{name}").command
    return _system(name)


def _system(name: str) -> click.Command:
    """Return a system's own commands, which lie in its `commands.py` as a click group called `app`."""
    from fathom.systems import catalogue, find

    known = catalogue()
    if name not in known and "/" not in name and not name.startswith("."):
        raise FathomError(
            f"there is no command '{name}'",
            why=f"fathom knows {', '.join(commands())}, and the systems {', '.join(known)}",
            fix=nearest(name, [*commands(), *known], "see what there is: fathom --help"),
        )
    system = known.get(name) or find(name)
    if not system.has("commands"):
        raise FathomError(
            f"{system.name} has no commands of its own",
            why=f"{system.folder} has no commands.py",
            fix=f"see what it decides: fathom list {name}",
        )
    return system.room("commands").app


def page() -> None:
    """Print what Fathom is: its systems first, then the commands."""
    from fathom import __doc__ as promise
    from fathom.cli import voice
    from fathom.systems import catalogue

    systems = {name: voice.first_line(system.folder / "api.py") for name, system in catalogue().items()}
    print(promise)
    print("\nusage: fathom COMMAND …\n\nsystems")
    _lines(systems)
    print("\ncommands")
    _lines(commands())
    print("\nfathom COMMAND --help says more. Every command takes --json.")
    print("exit codes: 0 all held · 1 one failed · 2 can't tell · 3 void · 64 asked wrongly · 70 Fathom broke")


def _lines(said: dict[str, str]) -> None:
    import textwrap

    from fathom.cli import voice

    wide = max(map(len, said), default=0)
    for name, line in said.items():
        first, *more = textwrap.wrap(line, voice.width() - wide - 4) or [""]
        print(f"  {name.ljust(wide)}  {first}")
        for rest in more:
            print(" " * (wide + 4) + rest)
