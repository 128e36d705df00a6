"""Files of a run folder: read with limits and with errors that say what, written whole or not at all."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import inspect
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from fathom.errors import FathomError

__all__ = [
    "LINE_BYTES_MAX",
    "code_of",
    "digest",
    "read_bytes",
    "read_json",
    "read_lines",
    "unreadable",
    "write_whole",
    "writing",
]

_JSON_BYTES_MAX = 64_000_000
LINE_BYTES_MAX = 64_000_000  # the first line of a history has the facts about all who are in it
_LINES_MAX = 2_000_000

T = TypeVar("T")


def digest(data: bytes | Path) -> str:
    """Return the SHA-256 of some bytes, or of a file read a block at a time."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    with data.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_of(dive: type) -> str:
    """Return the SHA-256 of the file that a dive is written in; nothing where there is none."""
    try:
        return digest(Path(inspect.getfile(dive)))
    except (OSError, TypeError):
        return ""


def unreadable(file: Path, why: str) -> FathomError:
    return FathomError(
        f"{file} cannot be read",
        why=why,
        fix="restore the file, or dive again: a run folder is only as good as its raw files",
    )


def read_bytes(file: Path, most: int = _JSON_BYTES_MAX) -> bytes:
    try:
        size = file.stat().st_size
        if size > most:
            raise unreadable(file, f"it has {size:,} bytes; such a file has at most {most:,}")
        return file.read_bytes()
    except FileNotFoundError:
        raise unreadable(file, "there is no such file in the run folder") from None
    except OSError as error:
        raise unreadable(file, f"{error.strerror or error}") from None


def read_json(file: Path, kind: type[T]) -> T:
    """Return the one value in a JSON file."""
    try:
        return msgspec.json.decode(read_bytes(file), type=kind)
    except msgspec.MsgspecError as error:
        raise unreadable(file, str(error)) from None
    except UnicodeDecodeError as error:
        raise unreadable(file, f"not UTF-8: {error.reason} at byte {error.start}") from None


def read_lines(file: Path, kind: type[T], *, torn_end: bool = False) -> Iterator[T]:
    """Yield the values of a file of JSON lines. `torn_end` forgives a last line that was cut off while written."""
    decoder = msgspec.json.Decoder(kind)
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as lines:
            for number in range(1, _LINES_MAX + 2):
                line = lines.readline(LINE_BYTES_MAX + 1)
                if not line:
                    return
                if number > _LINES_MAX or len(line) > LINE_BYTES_MAX:
                    raise unreadable(file, f"line {number:,} is longer, or further down, than a run can write")
                if not line.endswith(b"\n") and torn_end:
                    return
                try:
                    yield decoder.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    raise unreadable(file, f"line {number}: {error}") from None
    except FileNotFoundError:
        raise unreadable(file, "there is no such file in the run folder") from None
    except (EOFError, zlib.error) as error:
        if not torn_end:
            raise unreadable(file, f"its compression breaks off: {error}") from None
    except OSError as error:
        raise unreadable(file, f"{error.strerror or error}") from None


def write_whole(file: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a crash."""
    part = file.with_name(file.name + ".part")
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)


@contextlib.contextmanager
def writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FathomError(
            f"{file} cannot be written",
            why=f"{error.strerror or error}",
            fix="make room there or allow writing, or say another folder: --runs FOLDER",
        ) from None
