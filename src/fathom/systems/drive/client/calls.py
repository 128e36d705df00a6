"""What the system can do and Python does not ask for: a rename that takes nobody's place, and a flush of one disk."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import sys
from collections.abc import Callable

__all__ = ["flush_all", "rename_new"]

AT_FDCWD, RENAME_NOREPLACE, RENAME_EXCL = -100, 1, 4
UNKNOWN = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM)  # what file systems without it say


def rename_new(source: str, to: str) -> None:
    """Rename, or raise FileExistsError."""
    if os.name == "nt":
        os.rename(source, to)  # noqa: PTH104 - it refuses to replace anything there
        return
    call = _call()
    if call is not None:
        if call(os.fsencode(source), os.fsencode(to)) == 0:
            return
        code = ctypes.get_errno()
        if code not in UNKNOWN:
            raise OSError(code, os.strerror(code), to)
    if os.path.lexists(to):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), to)
    os.rename(source, to)  # noqa: PTH104


@functools.cache
def _call() -> Callable[[bytes, bytes], int] | None:
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            return lambda source, to: library.renamex_np(source, to, RENAME_EXCL)
        found = library.renameat2
    except (OSError, AttributeError):
        return None
    return lambda source, to: found(AT_FDCWD, source, AT_FDCWD, to, RENAME_NOREPLACE)


def flush_all(folder: str) -> None:
    """Make durable all of the disk that a folder is on, or of all disks."""
    if os.name == "nt":
        return  # names are ordered by its journal, and our files were flushed one by one
    opened = os.open(folder, os.O_RDONLY)
    try:
        if sys.platform != "linux" or ctypes.CDLL(None).syncfs(opened) != 0:
            os.sync()
    finally:
        os.close(opened)
