"""What the system can do and Python does not ask for: a rename that takes nobody's place, a flush, a time of birth."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import sys
from collections.abc import Callable

__all__ = ["born_ns", "flush_all", "rename_new"]

AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, STATX_BTIME = 0x100, 0x1000, 0x800
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


class _Time(ctypes.Structure):
    _fields_ = (("s", ctypes.c_int64), ("ns", ctypes.c_uint32), ("_", ctypes.c_int32))


class _Statx(ctypes.Structure):
    """As statx(2) fills it, on every architecture alike."""

    _fields_ = (
        ("mask", ctypes.c_uint32), ("_1", ctypes.c_uint8 * 28), ("inode", ctypes.c_uint64), ("_2", ctypes.c_uint8 * 24),
        ("accessed", _Time), ("born", _Time), ("_3", ctypes.c_uint8 * 160),
    )  # fmt: skip


def born_ns(at: str | int, found: os.stat_result) -> int:
    """Return when something came to be, which tells it from what had its inode before; 0 where nobody remembers.

    `at` is its path, or the number under which it is open, and `found` what was known of it a moment ago.
    """
    if sys.platform != "linux":
        return int(getattr(found, "st_birthtime", 0) * 1e9)
    call = _statx()
    if call is None:
        return 0
    told = _Statx()
    if isinstance(at, int):
        failed = call(at, b"", AT_EMPTY_PATH, STATX_BTIME, ctypes.byref(told))
    else:
        failed = call(AT_FDCWD, os.fsencode(at), AT_SYMLINK_NOFOLLOW, STATX_BTIME, ctypes.byref(told))
    if failed or not told.mask & STATX_BTIME or told.inode != found.st_ino:
        return 0
    return told.born.s * 1_000_000_000 + told.born.ns


@functools.cache
def _statx() -> Callable[..., int] | None:
    try:
        return ctypes.CDLL(None).statx
    except (OSError, AttributeError):
        return None
