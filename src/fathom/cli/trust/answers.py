"""The answers so far, a line each as they come: an interruption loses nothing, and other code's do not count."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

import fathom
from fathom.cli.trust.experiment import Try
from fathom.errors import FathomError

__all__ = ["Answers", "code_digest"]

ROOT = Path(fathom.__file__).parent
# What an answer depends on. How a record is written, or a system that no row runs, changes none.
PARTS = (
    *("blocks", "engines", "web", "lab", "systems/timeline"),
    *("cli/trust", "cli/bodies.py", "design.py", "errors.py", "history.py"),
)
NOT = ("lab/record", "lab/scale/size", "lab/scale/curve", "lab/scale/dice", "lab/prices.py", "cli/trust/table.py")


def code_digest(root: Path = ROOT) -> str:
    """Return which state of the code this is: the first digits of the hash over all that answers depend on."""
    digest = hashlib.sha256()
    for part in PARTS:
        place = root / part
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            name = file.relative_to(root).as_posix()
            if not name.startswith(NOT):
                digest.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


class Answers:
    """A file of tries. Only those of this code on this machine are `mine`; nothing that is there is ever removed."""

    def __init__(self, file: Path, code: str, machine: str) -> None:
        self.file, self.code, self.machine = file, code, machine
        self.mine: list[Try] = []
        self.others = 0
        for it in self._read():
            if (it.code, it.machine) == (code, machine):
                self.mine.append(it)
            else:
                self.others += 1

    def of(self, experiment: str) -> list[Try]:
        return [it for it in self.mine if it.experiment == experiment]

    def add(self, it: Try) -> None:
        """Keep an answer; when this returns, no crash can lose it."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("ab") as file:
            file.write(msgspec.json.encode(it) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.mine.append(it)

    def _read(self) -> Iterable[Try]:
        try:
            data = self.file.read_bytes()
        except FileNotFoundError:
            return
        whole, _, torn = data.rpartition(b"\n")
        if torn:  # it was cut off in the middle of a line: that try is done again
            self.file.write_bytes(whole + b"\n" if whole else b"")
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                yield msgspec.json.decode(line, type=Try)
            except msgspec.MsgspecError as unfit:
                raise FathomError(
                    f"{self.file} holds something else than answers",
                    why=f"line {number}: {unfit}",
                    fix="move it away, and run the command again",
                ) from None
