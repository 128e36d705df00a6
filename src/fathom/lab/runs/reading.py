"""A run folder, read back, and how one is found."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from fathom.errors import FathomError, nearest
from fathom.history import Op

from .files import read_json, read_lines, unreadable
from .made import Finding, Manifest, State
from .measured import FaultMark, Forecast, LawResult, Segment, Trial
from .planned import Machine, Plan
from .samples import Samples, read_samples

__all__ = ["Run", "every", "find", "newest"]

T = TypeVar("T")

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(-\d+)?$")


class Run:
    """A run folder, read; each file when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def manifest(self) -> Manifest:
        return read_json(self.folder / "manifest.json", Manifest)

    @cached_property
    def plan(self) -> Plan:
        return read_json(self.folder / "plan.json", Plan)

    @cached_property
    def machine(self) -> Machine:
        return read_json(self.folder / "machine.json", Machine)

    @cached_property
    def segments(self) -> list[Segment]:
        return self._lines("segments.jsonl", Segment)

    @cached_property
    def faults(self) -> list[FaultMark]:
        return self._lines("faults.jsonl", FaultMark)

    @cached_property
    def forecasts(self) -> list[Forecast]:
        return self._lines("forecasts.jsonl", Forecast)

    @cached_property
    def trials(self) -> list[Trial]:
        return self._lines("trials.jsonl", Trial)

    @cached_property
    def laws(self) -> list[LawResult]:
        return self._lines("laws.jsonl", LawResult)

    @cached_property
    def findings(self) -> list[Finding]:
        """The findings as they were written, not as they would be computed now."""
        return read_json(self.folder / "findings.json", list[Finding])

    def history(self, name: str) -> Iterator[Op]:
        return read_lines(self.inside(name), Op, torn_end=self._unfinished)

    def inside(self, name: str) -> Path:
        """Return a file of this folder by the name that one of its lines gives; nothing outside it."""
        file = self.folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise unreadable(file, "a run names only files inside its own folder")
        return file

    def samples(self, segment: Segment) -> Samples | None:
        """Return the requests of a segment, or None for one in which nothing was asked."""
        return read_samples(self.inside(segment.samples)) if segment.samples else None

    def segment(self, id: str) -> Segment:
        for segment in self.segments:
            if segment.id == id:
                return segment
        raise unreadable(self.folder / "segments.jsonl", f"it has no segment '{id}', which another file names")

    @property
    def _unfinished(self) -> bool:
        return self.manifest.state in ("running", "interrupted")

    def _lines(self, name: str, kind: type[T]) -> list[T]:
        file = self.folder / name
        if not file.exists() and name not in self.manifest.files:
            return []  # a dive without faults has no faults.jsonl
        return list(read_lines(file, kind, torn_end=self._unfinished))


def find(text: str | Path, root: Path = Path("runs")) -> Run:
    """Return the run that `text` means: a folder, `system/dive/time`, or the newest of `system/dive` or `system`."""
    for folder in (Path(text), root / text):
        if (folder / "manifest.json").is_file() or (folder / "plan.json").is_file():
            return Run(folder)
    under = root / text if (root / text).is_dir() else Path(text)
    if under.is_dir():
        found = newest(under)
        if found is not None:
            return found
    known = sorted({"/".join(folder.relative_to(root).parts[:2]) for folder in _folders(root)})
    raise FathomError(
        f"there is no run '{text}'",
        why=f"{root} has {', '.join(known)}" if known else f"{root} has no run yet",
        fix=nearest(str(text), known, "name the folder of a run, or dive first: fathom dive SYSTEM DIVE"),
    )


def newest(under: Path, *, state: State | None = None) -> Run | None:
    """Return the youngest run in or below a folder, or None; `state` narrows it."""
    for folder in sorted(_folders(under), key=lambda folder: when(folder.name), reverse=True):
        run = Run(folder)
        with contextlib.suppress(FathomError):
            if state is None or run.manifest.state == state:
                return run
    return None


def every(under: Path) -> list[Run]:
    """Return the runs in or below a folder that can be read, the youngest first."""
    found: list[Run] = []
    for folder in sorted(_folders(under), key=lambda folder: when(folder.name), reverse=True):
        run = Run(folder)
        with contextlib.suppress(FathomError):
            if run.manifest:
                found.append(run)
    return found


def _folders(under: Path) -> list[Path]:
    if _TIME.match(under.name):
        return [under]
    found: list[Path] = []
    for pattern in ("*", "*/*", "*/*/*"):
        found += [folder for folder in under.glob(pattern) if folder.is_dir() and _TIME.match(folder.name)]
    return found


def when(name: str) -> tuple[str, int]:
    """Return the second that a name says, and the number behind it: two of one second are told apart so.

    What is not named by a moment comes before all that is.

    >>> when("2026-11-21T08-00-00-10") > when("2026-11-21T08-00-00-9") > when("2026-11-21T08-00-00") > when("notes")
    True
    """
    return (name[:19], int(name[20:] or 1)) if _TIME.match(name) else ("", 0)
