"""Whether somebody measures on this machine now: then a demo keeps still."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["is_measured", "measuring"]


def _lock() -> Path:
    """One for each user: others' files cannot be locked, and others' demos cannot be asked to keep still."""
    return Path(tempfile.gettempdir()) / f"fathom-measuring-{os.getuid()}"


@contextlib.contextmanager
def _opened(how: int = 0) -> Iterator[int | None]:
    """Open the lock; None where it cannot be, or is somebody else's: anybody can make a file of that name."""
    descriptor = None
    with contextlib.suppress(OSError):
        descriptor = os.open(_lock(), os.O_RDWR | os.O_NOFOLLOW | how, 0o600)
    try:
        yield descriptor if descriptor is not None and os.fstat(descriptor).st_uid == os.getuid() else None
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextlib.contextmanager
def measuring() -> Iterator[None]:
    """Let all who look know, for the length of a block, that something is being measured. Several may at once."""
    with _opened(os.O_CREAT) as lock:
        if lock is not None:  # without one the gates see what disturbs all the same
            fcntl.flock(lock, fcntl.LOCK_SH)  # who looks holds it for a moment only
        yield


def is_measured() -> bool:
    """Whether anybody is measuring now; or just looks, as this does: what lasts is seen at the next look too."""
    with _opened() as lock:
        try:
            if lock is not None:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
