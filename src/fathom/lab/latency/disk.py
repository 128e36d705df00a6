"""A file on the disk that is read past the page cache, where the kernel allows it."""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .bench import NotHere

__all__ = ["aligned", "cold_file", "on_disk"]

SEED = 7
IN_MEMORY = ("tmpfs", "ramfs")
_MOUNTS = Path("/proc/self/mountinfo")


def on_disk(folder: Path) -> None:
    """Raise NotHere where a folder is kept in memory: Linux 6.6 lets O_DIRECT read that too."""
    device = folder.stat().st_dev
    number, mounts = f"{os.major(device)}:{os.minor(device)}", ""
    with contextlib.suppress(OSError):  # no Linux: whether it is a disk is not known
        mounts = _MOUNTS.read_text()
    for mount in mounts.splitlines():  # 36 35 98:0 / /tmp rw shared:1 - tmpfs source options
        place, _, source = mount.partition(" - ")
        if place.split()[2] == number and source.split()[0] in IN_MEMORY:
            raise NotHere(f"{folder} is kept in memory ({source.split()[0]}), and not on a disk")


@contextlib.contextmanager
def cold_file(folder: Path, size_bytes: int) -> Iterator[int]:
    """Lend a file of random bytes, opened for reading past the page cache; NotHere where that cannot be."""
    if not hasattr(os, "O_DIRECT"):
        raise NotHere("this system has no O_DIRECT, so that the page cache would answer")
    on_disk(folder)
    with tempfile.TemporaryFile(dir=folder) as file:  # without a name: nothing of it stays, whatever ends us
        file.write(np.random.default_rng(SEED).bytes(size_bytes))
        file.flush()
        os.fsync(file.fileno())
        try:
            fd = os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDONLY | os.O_DIRECT)
        except OSError as fault:
            raise NotHere(f"{folder} cannot be read past the page cache: {fault.strerror}") from None
        try:
            yield fd
        finally:
            os.close(fd)


def aligned(size_bytes: int) -> mmap.mmap:
    """Return a buffer that a direct read may fill: it begins at a page."""
    return mmap.mmap(-1, size_bytes)
