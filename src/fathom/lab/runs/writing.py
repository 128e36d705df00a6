"""A run folder while its dive runs."""

from __future__ import annotations

import contextlib
import gzip
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from fathom.errors import EXIT_BROKE, FathomError
from fathom.history import Op

from .files import LINE_BYTES_MAX, digest, write_whole, writing
from .made import Manifest, State
from .measured import FaultMark, Forecast, LawResult, Segment, Trial
from .planned import Machine, Plan
from .reading import Run

__all__ = ["Writing", "hashes"]


class Writing:
    """A run folder while its dive runs. Files appear whole (JSON) or a line at a time (JSON lines).

    Use it as a block: a run that is left without `finish` is marked interrupted, with what it has so far.

        with Writing.begin(Path("runs"), plan, machine) as run:
            run.segment(segment)
            …
            run.finish("complete", exit=0)
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self._manifest = manifest

    @classmethod
    def begin(cls, root: Path, plan: Plan, machine: Machine, *, now: datetime | None = None) -> Writing:
        """Make the folder and write plan, machine and manifest: the plan is hashed before the first request."""
        started = (now or datetime.now(UTC)).astimezone(UTC)
        folder = _new_folder(root / plan.system / plan.dive, started.strftime("%Y-%m-%dT%H-%M-%S"))
        text = msgspec.json.format(msgspec.json.encode(plan), indent=1) + b"\n"
        run = cls(folder, Manifest(state="running", plan_sha256=digest(text), started=_iso(started)))
        run._write("plan.json", text)
        run.write("machine.json", machine)
        run.write("manifest.json", run._manifest)
        return run

    def segment(self, segment: Segment) -> None:
        self._append("segments.jsonl", [segment])

    def fault(self, mark: FaultMark) -> None:
        self._append("faults.jsonl", [mark])

    def forecast(self, told: Forecast) -> None:
        self._append("forecasts.jsonl", [told])

    def trial(self, trial: Trial) -> None:
        self._append("trials.jsonl", [trial])

    def law(self, result: LawResult) -> None:
        self._append("laws.jsonl", [result])

    def history(self, name: str, ops: Iterable[Op]) -> str:
        """Write a history and return its name in the folder. Compressed: answers repeat each other tenfold."""
        name = f"histories/{_plain(name)}.jsonl.gz"
        file, encoder = self.folder / name, msgspec.json.Encoder()
        part = file.with_name(f"{file.name}.part")  # a history that is refused is none, not a shorter one
        with writing(file):
            file.parent.mkdir(exist_ok=True)
            with part.open("wb") as out, gzip.GzipFile("", "wb", 3, out, mtime=0) as lines:
                for op in ops:
                    line = encoder.encode(op) + b"\n"
                    if len(line) > LINE_BYTES_MAX:
                        raise FathomError(
                            f"an operation of {file.name} has {len(line):,} bytes",
                            why=f"a line of a history has at most {LINE_BYTES_MAX:,}; a longer one could not be read",
                            fix="lay out fewer users, or answer less",
                        )
                    lines.write(line)
            part.replace(file)
        return name

    def samples(self, id: str) -> Path:
        """Return where the samples of a segment are to be written: `samples/<id>.csv`."""
        file = self.folder / "samples" / f"{_plain(id)}.csv"
        with writing(file):
            file.parent.mkdir(exist_ok=True)
        return file

    def write(self, name: str, value: Any) -> None:
        """Write one value as a whole JSON file, or a text as it is."""
        if isinstance(value, str):
            self._write(name, value.encode())
        else:
            self._write(name, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")

    def finish(self, state: State, *, exit: int, why: str | None = None, now: datetime | None = None) -> None:
        """Hash every file and say in the manifest what became of the run."""
        manifest = self._manifest
        manifest.state, manifest.exit, manifest.why = state, exit, why
        manifest.finished = _iso((now or datetime.now(UTC)).astimezone(UTC))
        manifest.files = hashes(self.folder)
        self.write("manifest.json", manifest)

    @property
    def finished(self) -> bool:
        return self._manifest.finished is not None

    def read(self) -> Run:
        """Return the folder as it is now, for whoever computes findings from it."""
        return Run(self.folder)

    def __enter__(self) -> Writing:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not self.finished:
            why = f"{kind.__name__}: {error}".partition("\n")[0] if kind else "the dive ended early"
            with contextlib.suppress(FathomError):  # the first failure is the one to show
                self.finish("interrupted", exit=EXIT_BROKE, why=why)

    def _write(self, name: str, data: bytes) -> None:
        write_whole(self.folder / name, data)

    def _append(self, name: str, values: Iterable[Any]) -> None:
        file = self.folder / name
        encoder = msgspec.json.Encoder()
        with writing(file):
            file.parent.mkdir(exist_ok=True)
            with file.open("ab") as lines:
                for value in values:
                    lines.write(encoder.encode(value) + b"\n")


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of every file in a run folder but the manifest, which holds them."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix != ".part")
    return {str(file.relative_to(folder)): digest(file) for file in files if file.name != "manifest.json"}


def _new_folder(parent: Path, name: str) -> Path:
    with writing(parent / name):
        parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                return folder
    raise FathomError(
        f"{parent / name} cannot be made", why="a thousand runs began in this second", fix="wait a second"
    )


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
