"""The blocks as they lie in their folder: listed, told by their own words, or drawn."""

from __future__ import annotations

import dataclasses
import random
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fathom import blocks
from fathom.cli import voice
from fathom.cli.drawing import DRAWN, Drawing
from fathom.cli.drawing import find as find_drawing
from fathom.errors import FathomError, nearest

__all__ = ["Block", "drawn", "every", "find", "listed", "told"]

_FOLDER = Path(blocks.__path__[0])


@dataclasses.dataclass(frozen=True)
class Block:
    """A file of `fathom.blocks`; its name is the file's, with dashes."""

    name: str
    path: Path

    @property
    def module(self) -> str:
        return f"fathom.blocks.{self.path.stem}"

    @property
    def says(self) -> str:
        """The first line of its docstring."""
        return voice.first_line(self.path)

    @property
    def is_drawn(self) -> bool:
        return (DRAWN / self.path.name).is_file()

    def asks(self) -> str:
        """Return the question that its drawing answers."""
        return voice.first_line(DRAWN / self.path.name)

    def drawing(self) -> type[Drawing] | None:
        return find_drawing(self.path.stem)


def every() -> dict[str, Block]:
    """Return all blocks by their names; none of them is imported for that."""
    files = sorted(_FOLDER.glob("[!_]*.py"))
    return {name: Block(name, file) for file in files for name in [file.stem.replace("_", "-")]}


def find(name: str) -> Block:
    """Return the block of this name, written with dashes or as its file is."""
    known = every()
    block = known.get(name.replace("_", "-"))
    if block is None:
        raise FathomError(
            f"there is no block '{name}'",
            why=f"fathom/blocks has {', '.join(known)}",
            fix=nearest(name, known, "see what each is: fathom block"),
        )
    return block


def listed(*, as_json: bool) -> None:
    """Print what blocks there are, those first that can be drawn."""
    found = sorted(every().values(), key=lambda block: not block.is_drawn)
    if as_json:
        voice.say_json(
            [{"name": each.name, "says": each.says, "drawn": each.is_drawn, "path": str(each.path)} for each in found]
        )
        return
    wide = max(len(block.name) for block in found)
    for head, can in (
        ("blocks that are drawn  (fathom block NAME)", True),
        ("blocks that are told by their words", False),
    ):
        print("\n" * (not can) + voice.paint(head, "bold"))
        for block in found:
            if block.is_drawn is can:
                name = f"  {block.name.ljust(wide)}  "
                print("\n".join(voice.hanging(name, block.says, shown=voice.paint(name, "bold"))))


def told(block: Block, knobs: Sequence[str], *, as_json: bool) -> None:
    """Print a block by its own words."""
    from fathom.cli import pages

    if knobs:
        raise FathomError(
            f"{block.name} has no knobs here",
            why="it has no drawing: it is told by its own words",
            fix=f"leave out --set {knobs[0]}, or draw another: fathom block",
        )
    page = pages.of(block.path)
    if as_json:
        voice.say_json({"block": block.name, "path": str(block.path), **page.as_json()})
    else:
        print("\n".join(page.lines(voice.width())))


def drawn(block: Block, drawing: Drawing, seed: int, *, as_json: bool, width: int) -> None:
    """Measure a block and print the picture, or what was measured."""
    try:
        found = drawing.measure(random.Random(seed))
    except ValueError as wrong:  # what each knob allows by itself, a block may refuse of two together
        raise FathomError(
            f"{block.name} cannot be drawn so",
            why=str(wrong),
            fix=f"turn its knobs otherwise, or leave them: fathom block {block.name}",
        ) from wrong
    if as_json:
        said: dict[str, Any] = {"block": block.name, "seed": seed, "knobs": drawing.settings(), **found}
        voice.say_json(said)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(width=width, highlight=False, soft_wrap=True)
    right = f"seed {seed}"
    console.print(Text(block.name, style="bold").append(right.rjust(width - len(block.name)), style="dim"))
    for line in textwrap.wrap(block.says, width):
        print(line)
    console.print(Text("\n".join(textwrap.wrap(block.asks(), width)), style="bold"))
    for part in drawing.draw(found, width):
        print()
        if isinstance(part, str):
            print("\n".join(textwrap.wrap(part, width, break_on_hyphens=False)))
        else:
            console.print(part)
    knobs = " ".join(f"{name}={_short(value)}" for name, value in drawing.settings().items())
    print()
    for line in voice.hanging("knobs  ", knobs):
        print(voice.paint(line, "grey"))


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
