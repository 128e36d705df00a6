"""A synced folder: its mark, what is remembered of it, and how to begin."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from fathom.errors import FathomError

from ..core.files import OURS
from ..core.state import About, Known
from .disk import MARKER, TEMP, Disk, flush_folder
from .place import Place
from .sqlite import Sqlite

__all__ = ["Folder", "minted", "opened", "write_private"]

STATE = f"{OURS}/state"


class Folder(NamedTuple):
    """A folder that can be synced."""

    files: Disk
    known: Known


def minted(life: str) -> Callable[[], str]:
    """Return what gives keys: those of another life, or of a folder that was restored, are never among them."""
    numbers = itertools.count(1)
    return lambda: f"{life}-{next(numbers)}"


@asynccontextmanager
async def opened(root: Path, place: Place, device: str) -> AsyncIterator[Folder]:
    """Open a folder, or begin to sync one. Raises FathomError if it is another space's, or its state is damaged."""
    async with _state(root) as state:
        known = await Known.open(state)
        if known is None:
            known = await _begun(root, state, place, device)
        about = known.about
        if (about.user, about.space) != (place.user, place.space):
            raise FathomError(
                f"{root} is synced with another space",
                why=f"it is space {about.space} of user {about.user}, and this is space {place.space} of {place.user}",
                fix=f"log in as who it belongs to, or sync another folder; or move {root / OURS} away to begin anew",
            )
        yield Folder(Disk(root), known)


@asynccontextmanager
async def _state(root: Path) -> AsyncIterator[Sqlite]:
    await asyncio.to_thread((root / TEMP).mkdir, parents=True, exist_ok=True)
    async with Sqlite.open(root / STATE) as state:
        yield state


async def _begun(root: Path, state: Sqlite, place: Place, device: str) -> Known:
    folder = secrets.token_hex(8)
    await asyncio.to_thread(write_private, root / MARKER, folder + "\n")
    space = await place.drive.space(place.user, place.space)
    about = About(folder=folder, device=device, user=place.user, space=place.space, cutting=space.cutting)
    return await Known.begun(state, about)


def write_private(file: Path, text: str) -> None:
    """Write a file that nobody else may read, durable when this returns."""
    temp = file.with_name(file.name + ".new")
    opened = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(opened, "w", encoding="utf-8") as writing:
        writing.write(text)
        writing.flush()
        os.fsync(writing.fileno())
    temp.replace(file)
    flush_folder(file.parent)
