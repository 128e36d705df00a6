"""What a drawing of a block is: something measured with the block itself, and a picture of it, and knobs to turn.

A block knows neither dice nor terminals, and this command line does not know each block: what is drawn of a block lies
in `cli/drawn/`, in a file of the block's name. The folder is the registry, as it is for approaches and dives; deleting
a file removes the drawing, and the block does not notice.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, dataclass_transform, get_type_hints

from rich.text import Text

from fathom.design import Knob
from fathom.errors import FathomError, nearest

__all__ = ["DRAWN", "Drawing", "find", "table", "turned"]

DRAWN = Path(__file__).parent / "drawn"


def turned(default: Any, says: str, *, least: float | None = None, most: float | None = None) -> Any:
    """Declare a knob of a drawing: what it is, and from where to where it may be turned."""
    return dataclasses.field(default=default, metadata={"knob": says, "least": least, "most": most})


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(turned,))
class Drawing(ABC):
    """Subclass it once in a file of `cli/drawn/`; annotated fields declared with `turned` are its knobs.

    What `measure` returns is what `--json` prints, and all that `draw` gets to see: the picture can say nothing else.
    """

    words: ClassVar[Mapping[str, Sequence[str]]] = {}  # knob → what it may be, for those that are words

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        dataclasses.dataclass(kw_only=True, eq=False, repr=False)(cls)

    @classmethod
    def knobs(cls) -> dict[str, Knob]:
        """Return its knobs by name."""
        hints = get_type_hints(cls)
        return {
            field.name: Knob(field.name, hints[field.name], field.default, field.metadata["knob"])
            for field in dataclasses.fields(cls)  # pyright: ignore[reportArgumentType]
            if "knob" in field.metadata
        }

    @classmethod
    def turn(cls, words: Mapping[str, str]) -> Drawing:
        """Return the drawing with its knobs as typed, each within its bounds."""
        known, found = cls.knobs(), dict[str, Any]()
        fields = {field.name: field for field in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]
        for name, text in words.items():
            if name not in known:
                why = f"its knobs are {', '.join(known)}"
                raise FathomError(
                    f"there is no knob '{name}' here",
                    why=why,
                    fix=nearest(name, known, f"turn one of {', '.join(known)}"),
                )
            value = found[name] = known[name].read(text)
            least, most = fields[name].metadata["least"], fields[name].metadata["most"]
            allowed = cls.words.get(name, ())
            if allowed and value not in allowed:
                raise FathomError(
                    f"{name}={text} is not one of {', '.join(allowed)}",
                    why=f"{name} is {known[name].says}",
                    fix=nearest(text, allowed, f"say for example {name}={known[name].default}"),
                )
            if (least is not None and not value >= least) or (most is not None and not value <= most):
                raise FathomError(
                    f"{name}={text} cannot be drawn",
                    why=f"{name} is {known[name].says}, from {least:,g} to {most:,g}",
                    fix=f"say for example {name}={known[name].default}",
                )
        return cls(**found)

    def settings(self) -> dict[str, Any]:
        """Return its knobs as they are."""
        return {name: getattr(self, name) for name in self.knobs()}

    @abstractmethod
    def measure(self, dice: random.Random) -> dict[str, Any]:
        """Return what was found, as plain values. All that is random comes from the dice."""

    @abstractmethod
    def draw(self, found: Mapping[str, Any], width: int) -> Iterator[Text | str]:
        """Yield the parts of the picture, none of which is wider than `width`; between them a line is left free."""


def find(name: str) -> type[Drawing] | None:
    """Return the drawing of the block of this module's name; None: it has none."""
    if name.startswith("_") or not (DRAWN / f"{name}.py").is_file():
        return None
    module = importlib.import_module(f"fathom.cli.drawn.{name}")
    own = [
        each
        for each in vars(module).values()
        if inspect.isclass(each) and issubclass(each, Drawing) and each.__module__ == module.__name__
    ]
    if len(own) != 1:
        raise FathomError(
            f"{DRAWN / name}.py has {len(own)} drawings",
            why="a file draws one block: the one that it is named for",
            fix="leave one subclass of Drawing in it",
        )
    return own[0]


def table(rows: Sequence[Sequence[str]]) -> Text:
    """Return rows whose first cells begin below each other and whose others end so; the first row is the head."""
    wide = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = [
        "  ".join(cell.rjust(wide[at]) if at else cell.ljust(wide[at]) for at, cell in enumerate(row)).rstrip()
        for row in rows
    ]
    return Text("\n").join([Text(lines[0], style="dim"), *(Text(line) for line in lines[1:])])
