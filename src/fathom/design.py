"""The words a system is written in (decision, approach, knob), and how a folder of them is read."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.machinery
import importlib.util
import inspect
import re
import sys
from abc import ABC
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Protocol, Self, dataclass_transform, get_type_hints

from fathom.errors import FathomError, nearest

__all__ = ["Choice", "Decision", "Knob", "Question", "System", "knob", "ms", "s"]


def ms(value: float) -> float:
    """Milliseconds, as seconds."""
    return value / 1000


def s(value: float) -> float:
    """Seconds, as seconds: `seen.p90 < s(5)` reads as it is said."""
    return float(value)


@dataclasses.dataclass(frozen=True)
class Knob:
    """A value of an approach that may be turned without touching its code."""

    name: str
    kind: type
    default: Any
    says: str

    def read(self, text: str) -> Any:
        """Return the value that `text` says, of this knob's type."""
        try:
            if self.kind is bool:
                return {"true": True, "false": False, "on": True, "off": False}[text.lower()]
            return self.kind(text)
        except (ValueError, KeyError):
            raise FathomError(
                f"{self.name}={text} is not {_article(self.kind)}",
                why=f"{self.name} is {self.says}",
                fix=f"say for example {self.name}={self.default}",
            ) from None


def _article(kind: type) -> str:
    return {int: "a whole number", float: "a number", bool: "on or off", str: "a word"}.get(kind, kind.__name__)


def knob(default: Any, says: str) -> Any:
    """Declare a knob in the body of an approach: `fame: int = knob(10_000, "followers from which …")`."""
    return dataclasses.field(default=default, metadata={"knob": says})


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(knob,))
class Decision(ABC):
    """A hard question of a system. Subclass it once per question, and that class once per answer.

    Annotated fields without a knob are nouns of the system's `Stores`, filled in by name.
    """

    default: ClassVar[str]
    again: ClassVar[bool] = False  # an approach may take over from itself, to end what a switch left half done

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        dataclasses.dataclass(kw_only=True, eq=False, repr=False)(cls)

    async def adopt(self, previous: Self) -> None:
        """Take over from another approach under load. Without it a live switch is refused, with the reason."""
        raise FathomError(
            f"{type(self).__name__} cannot take over while the system runs",
            why=f"{type(self).__module__} does not define adopt()",
            fix="stop the system and start it with the other approach",
        )

    @classmethod
    def knobs(cls) -> dict[str, Knob]:
        """Return this approach's knobs by name."""
        hints = get_type_hints(cls)
        return {
            field.name: Knob(field.name, hints[field.name], field.default, field.metadata["knob"])
            for field in dataclasses.fields(cls)  # pyright: ignore[reportArgumentType]
            if "knob" in field.metadata
        }

    @classmethod
    def nouns(cls) -> list[str]:
        """Return the names of the stores this decision stands on."""
        fields = dataclasses.fields(cls)  # pyright: ignore[reportArgumentType]
        return [field.name for field in fields if "knob" not in field.metadata]


@dataclasses.dataclass(frozen=True)
class Choice:
    """An approach by name, with the knobs that differ from their defaults."""

    approach: str
    knobs: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        turned = ", ".join(f"{name}={value}" for name, value in self.knobs.items())
        return f"{self.approach} ({turned})" if turned else self.approach


@dataclasses.dataclass(frozen=True)
class Question:
    """A decision as its folder tells it: the folder is the registry, the file name is the name."""

    name: str
    asks: str
    base: type[Decision]
    approaches: Mapping[str, type[Decision]]

    def approach(self, name: str) -> type[Decision]:
        if name in self.approaches:
            return self.approaches[name]
        raise FathomError(
            f"{self.name} has no approach '{name}'",
            why=f"its folder has {', '.join(self.approaches)}",
            fix=nearest(name, self.approaches, f"say one of {', '.join(self.approaches)}"),
        )

    def choice(self, approach: str | None = None, knobs: Mapping[str, str] | None = None) -> Choice:
        """Return a checked choice from what somebody typed; knob values are texts."""
        name = approach or self.base.default
        known = self.approach(name).knobs()
        values: dict[str, Any] = {}
        for key, text in (knobs or {}).items():
            if key not in known:
                raise FathomError(
                    f"{name} has no knob '{key}'",
                    why=f"its knobs are {', '.join(known) or 'none'}",
                    fix=nearest(key, known, f"leave {key} out"),
                )
            values[key] = known[key].read(text)
        return Choice(name, values)

    def build(self, choice: Choice, stores: object) -> Decision:
        """Return the approach, standing on these stores."""
        approach = self.approach(choice.approach)
        nouns = {noun: getattr(stores, noun) for noun in approach.nouns()}
        return approach(**nouns, **choice.knobs)


class _Opens(Protocol):
    def open(self, stores: Any, choices: Any) -> Any: ...


@dataclasses.dataclass(frozen=True)
class System:
    """A folder of rooms, read. Rooms are imported when they are first asked for."""

    name: str
    folder: Path
    package: str

    @classmethod
    def at(cls, folder: Path, package: str | None = None) -> System:
        """Read the system that lies in `folder`. `package` is its importable name, if it has one already."""
        folder = folder.resolve()
        if not (_has(folder, "api") and _has(folder, "service")):
            raise FathomError(
                f"{folder} is not a system",
                why="a system's folder has at least the rooms api and service",
                fix="make one with: fathom new system NAME",
            )
        if package is None:
            package = "fathom_at_" + re.sub(r"\W", "_", str(folder).lstrip("/"))
            _as_package(package, folder)
        return cls(folder.name.replace("_", "-"), folder, package)

    def has(self, room: str) -> bool:
        return _has(self.folder, room)

    def room(self, room: str) -> ModuleType:
        """Import one of the rooms: `api`, `service`, `laws`, `dives.celebrity` …"""
        try:
            return importlib.import_module(f"{self.package}.{room}")
        except FathomError:
            raise
        except Exception as broken:
            raise FathomError(
                f"{self.name}'s {room.replace('.', '/')} cannot be read",
                why=f"{type(broken).__name__}: {broken}",
                fix=f"mend {self.folder / room.replace('.', '/')}.py, or leave the room out",
            ) from broken

    @property
    def says(self) -> str:
        """The first line of the system's own docstring."""
        return first_line(self.room("api"))

    @property
    def protocol(self) -> type:
        """The Protocol that `api.py` names after the system (`timeline` → `Timeline`)."""
        api = self.room("api")
        wanted = self.folder.name.replace("_", "").lower()
        for name, value in vars(api).items():
            if inspect.isclass(value) and name.lower() == wanted and getattr(value, "_is_protocol", False):
                return value
        raise FathomError(
            f"{self.name} does not say what a client can ask",
            why=f"{self.folder / 'api.py'} has no Protocol called {self.folder.name.title().replace('_', '')}",
            fix="write one there: class …(Protocol) with an async method per verb",
        )

    @property
    def stores(self) -> type | None:
        """The `Stores` dataclass, or None for a system that stands on no engine."""
        return getattr(self.room("stores"), "Stores", None) if self.has("stores") else None

    @property
    def service(self) -> _Opens:
        return self.room("service")  # pyright: ignore[reportReturnType]

    @property
    def decisions(self) -> dict[str, Question]:
        """Every question of the system by the name of its folder."""
        return {folder.name.replace("_", "-"): self._question(folder) for folder in self._folders("decisions")}

    def decision(self, name: str) -> Question:
        known = self.decisions
        if name in known:
            return known[name]
        raise FathomError(
            f"{self.name} has no decision '{name}'",
            why=f"it decides {', '.join(known) or 'nothing'}",
            fix=nearest(name, known, f"see them with: fathom list {self.name}"),
        )

    @property
    def dives(self) -> list[str]:
        """The names of the dives that lie beside the system."""
        return [_name_of(file) for file in self._files("dives")]

    def choices(self, approaches: Mapping[str, str], knobs: Mapping[str, str]) -> dict[str, Choice]:
        """Return one checked choice per decision from `decision=approach` and `knob=value` as they were typed."""
        for name in approaches:
            self.decision(name)
        chosen: dict[str, Choice] = {}
        unused = dict(knobs)
        for name, question in self.decisions.items():
            approach = approaches.get(name, question.base.default)
            known = question.approach(approach).knobs()
            mine = {key: unused.pop(key) for key in list(unused) if key in known}
            chosen[name] = question.choice(approach, mine)
        if unused:
            key = next(iter(unused))
            known = {k for n, q in self.decisions.items() for k in q.approach(chosen[n].approach).knobs()}
            raise FathomError(
                f"no chosen approach of {self.name} has a knob '{key}'",
                why=f"the knobs are {', '.join(sorted(known)) or 'none'}",
                fix=nearest(key, known, f"see them with: fathom list {self.name}"),
            )
        return chosen

    def _question(self, folder: Path) -> Question:
        module = self.room(f"decisions.{folder.name}")
        base = _one_class(module, Decision, folder / "__init__.py")
        approaches: dict[str, type[Decision]] = {}
        for file in sorted(folder.glob("[!_]*.py")):
            room = self.room(f"decisions.{folder.name}.{file.stem}")
            approaches[_name_of(file)] = _one_class(room, base, file)
        default = getattr(base, "default", None)
        if default not in approaches:
            raise FathomError(
                f"{folder.name} defaults to '{default}', which is none of its approaches",
                why=f"its folder has {', '.join(approaches) or 'no approach'}",
                fix=f"set default in {folder / '__init__.py'}",
            )
        stores = self.stores
        for noun in base.nouns():
            if stores is None or not (hasattr(stores, noun) or noun in get_type_hints(stores)):
                raise FathomError(
                    f"{base.__name__} asks for a store called '{noun}'",
                    why=f"{self.name}'s Stores has no '{noun}'",
                    fix=f"add it to {self.folder / 'stores.py'}, or give {noun} a knob",
                )
        return Question(folder.name.replace("_", "-"), first_line(module), base, approaches)

    def _folders(self, room: str) -> list[Path]:
        inside = self.folder / room
        return sorted(at.parent for at in inside.glob("*/__init__.py")) if inside.is_dir() else []

    def _files(self, room: str) -> list[Path]:
        inside = self.folder / room
        return sorted(inside.glob("[!_]*.py")) if inside.is_dir() else []


def first_line(module: ModuleType) -> str:
    """Return the first line of a module's docstring: the one that is read on a screen."""
    return (inspect.getdoc(module) or "").partition("\n")[0]


def _has(folder: Path, room: str) -> bool:
    return (folder / f"{room}.py").is_file() or (folder / room / "__init__.py").is_file()


def _name_of(file: Path) -> str:
    return file.stem.replace("_", "-")


def _one_class(module: ModuleType, base: type, file: Path) -> type[Any]:
    found = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value is not base
        and value.__module__ == module.__name__
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(sorted(value.__name__ for value in found)) or "none"
    raise FathomError(
        f"{file} has {len(found)} kinds of {base.__name__}, not one",
        why=f"the file name is the name, so a file holds exactly one; this one holds {names}",
        fix="one class a file" if found else f"write: class …({base.__name__})",
    )


def _as_package(package: str, folder: Path) -> None:
    if package in sys.modules:
        return
    init = folder / "__init__.py"
    spec = importlib.util.spec_from_file_location(
        package, init if init.is_file() else None, submodule_search_locations=[str(folder)]
    )
    if spec is None:
        spec = importlib.machinery.ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = module
    if spec.loader is not None and init.is_file():
        spec.loader.exec_module(module)
