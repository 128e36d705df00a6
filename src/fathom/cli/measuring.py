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
def measuring() -> Iterator[None]:
    """Let all who look know, for the length of a block, that something is being measured. Several may at once."""
    try:
        descriptor = os.open(_lock(), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:  # it belongs to somebody else, or cannot be made: the gates see what disturbs all the same
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # who looks holds it for a moment only
        yield
    finally:
        os.close(descriptor)


def is_measured() -> bool:
    """Whether anybody is measuring now."""
    try:
        descriptor = os.open(_lock(), os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
