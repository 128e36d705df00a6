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

__all__ = ["aligned", "cold_file"]

SEED = 7


@contextlib.contextmanager
def cold_file(folder: Path, size_bytes: int) -> Iterator[int]:
    """Lend a file of random bytes, opened for reading past the page cache; NotHere where that cannot be."""
    if not hasattr(os, "O_DIRECT"):
        raise NotHere("this system has no O_DIRECT, so that the page cache would answer")
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
