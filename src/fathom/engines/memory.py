"""Memory that was freed is kept for what comes next: the kernel fills each page that it gives back with zeros again."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["kept"]

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # as mallopt(3) calls them
LARGEST_BYTES = 32 << 20  # that is taken from the heap: glibc takes no larger bound
KEPT_BYTES = 128 << 20


def kept() -> bool:
    """Have buffers of some megabytes come from memory that was used before; tell whether this platform can.

    glibc gives back whatever is larger than 128 KiB, and whoever moves large bodies takes it again each time. At most
    KEPT_BYTES stay unused.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGEST_BYTES)) and bool(mallopt(TRIM_THRESHOLD, KEPT_BYTES))
