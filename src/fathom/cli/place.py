"""Where a system that is up keeps its data, and where the one that is up now can be found."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fathom.design import Choice, System
from fathom.errors import FathomError
from fathom.web.control import SERVICE

__all__ = ["Place", "Running", "of_demo", "of_system", "running"]


@dataclasses.dataclass(frozen=True)
class Running:
    """A system that is up: who serves it, where its users and where `fathom switch` find it."""

    system: str
    pid: int
    control: str
    url: str | None


class Place:
    """A data folder: one system at a time is up on it. A demo's is cleared, so nobody else's becomes one."""

    def __init__(self, folder: Path, *, demo: bool = False) -> None:
        self.folder, self._demo = folder.absolute(), demo
        self._lock, self._running = self.folder / "lock", self.folder / "running.json"
        self._choices = self.folder / "choices.json"

    def engine(self, field: str) -> Path:
        """Return where the engine in this field of Stores keeps its data."""
        return self.folder / field

    @property
    def service(self) -> Path:
        return self.folder / SERVICE

    @contextlib.contextmanager
    def taken(self, system: System) -> Iterator[None]:
        """Keep the folder for this process as long as the block lasts; refuse where another has it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                there = self._read(self._running)
                who = f"process {there['pid']} serves {there['system']} on it" if there else "another process has it"
                raise FathomError(
                    f"the data in {self.folder} is in use",
                    why=who,
                    fix=f"end that one, or say another folder: {self._up(system)} --data DIR",
                ) from None
            self._check_owner(system)
            try:
                yield
            finally:
                self._running.unlink(missing_ok=True)

    def _check_owner(self, system: System) -> None:
        """Refuse data that another system has written, and let a demo have nothing that is not a demo's."""
        mark, mine = self.folder / "system", f"{system.name} (demo)" if self._demo else system.name
        if mark.exists():
            owner = mark.read_text(encoding="utf-8")
        elif self._demo and any(path != self._lock for path in self.folder.iterdir()):
            owner = "no demo"
        else:
            _write(mark, mine)
            return
        if owner != mine:
            other = f"say another folder: {self._up(system)} --data DIR"
            old = f"if only an old demo's data are in it, remove it; else {other}"
            raise FathomError(
                f"the data in {self.folder} is not that of {mine}",
                why=f"{owner} has written it",
                fix=old if self._demo else other,
            )

    def _up(self, system: System) -> str:
        return f"fathom up {_typed(system)}{' --demo' if self._demo else ''}"

    def clear(self, engines: Iterable[str]) -> None:
        """Remove what engines and service keep in it, and nothing else: a demo leaves its logs. For whoever has it."""
        for path in (*map(self.engine, engines), self.service, self._choices):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def announce(self, running: Running) -> None:
        _write(self._running, json.dumps(dataclasses.asdict(running)))

    def running(self, system: System) -> Running:
        """Return the system that is up on this folder now."""
        there = self._read(self._running)
        if there is None or not self._is_taken():
            raise FathomError(
                f"{system.name} is not up",
                why=f"nobody serves the data in {self.folder}",
                fix=f"start it: {self._up(system)} (or say its folder: --data DIR)",
            )
        return Running(**there)

    def _is_taken(self) -> bool:
        try:
            with self._lock.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True
        except OSError:
            return False

    def remember(self, chosen: Mapping[str, Choice]) -> None:
        """Keep what was chosen, so that the next `up` goes on with it."""
        raw = {name: {"approach": it.approach, "knobs": dict(it.knobs)} for name, it in chosen.items()}
        _write(self._choices, json.dumps(raw))

    def remembered(self, system: System) -> dict[str, Choice]:
        """Return what was chosen last, as far as the system still knows it."""
        found: dict[str, Choice] = {}
        questions = system.decisions
        for name, raw in (self._read(self._choices) or {}).items():
            with contextlib.suppress(FathomError, KeyError, TypeError, AttributeError):
                knobs = {knob: str(value) for knob, value in raw["knobs"].items()}
                found[name] = questions[name].choice(raw["approach"], knobs)
        return found

    def _read(self, file: Path) -> dict[str, Any] | None:
        try:
            read = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return read if isinstance(read, dict) else None


def of_system(system: System, data: Path | None) -> Place:
    """Return the folder that was said, or the system's own below the user's data home."""
    if data is not None:
        return Place(data)
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "fathom"
    mark = "-" + hashlib.sha256(str(system.folder).encode()).hexdigest()[:8] if _is_elsewhere(system) else ""
    return Place(home / (system.name + mark))


def of_demo(system: System, data: Path | None) -> Place:
    """Return the folder of a system's demo: beside the system's own, never the same."""
    own = of_system(system, data).folder
    return Place(own.with_name(f"{own.name}-demo"), demo=True)


def running(system: System, data: Path | None) -> Running:
    """Return where the system is up now: on its own data, or as a demo."""
    demo = of_demo(system, data)
    try:
        return of_system(system, data).running(system)
    except FathomError:
        if not demo.folder.is_dir():
            raise
        with contextlib.suppress(FathomError):
            return demo.running(system)
        raise


def _typed(system: System) -> str:
    from fathom.lab.plan import typed  # only where something is refused: it brings the lab with it

    return typed(system)


def _is_elsewhere(system: System) -> bool:
    return system.package.startswith("fathom_at_")


def _write(file: Path, text: str) -> None:
    """Write a small file all at once, readable by its owner only."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as unfinished:
        unfinished.write(text)
    Path(name).replace(file)
