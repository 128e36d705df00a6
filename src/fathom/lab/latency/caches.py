"""How large the caches of a core are, and a chain of addresses through memory that no prefetcher foresees."""

from __future__ import annotations

import contextlib
import mmap
from pathlib import Path

import numpy as np

from .bench import Bench, NotHere, Samples
from .native import CHASE, compiled

__all__ = ["Chain", "cache_bytes", "chased"]

LINE = 64
HUGE = 2 << 20
SEED = 7
_CPU = Path("/sys/devices/system/cpu/cpu0/cache")


def cache_bytes(level: int) -> int:
    """Return how much data a core's cache of that level holds; NotHere where the kernel does not say."""
    for index in sorted(_CPU.glob("index*")):
        with contextlib.suppress(OSError, ValueError):
            kind, text = (index / "type").read_text().strip(), (index / "size").read_text().strip()
            if int((index / "level").read_text()) == level and kind in ("Data", "Unified"):
                return int(text.rstrip("KMG")) * {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1], 1)
    raise NotHere(f"the kernel does not say how large the L{level} cache is")


class Chain:
    """Lines of memory, each holding the address of the next, in one circle of random order through all of them."""

    def __init__(self, size_bytes: int) -> None:
        # Private: the kernel gives huge pages to such memory alone, and only where they begin at a multiple of theirs.
        self._memory = mmap.mmap(-1, size_bytes + HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):  # so that it is the cache that misses, and not the table of pages
                self._memory.madvise(mmap.MADV_HUGEPAGE)
        words = np.frombuffer(self._memory, dtype=np.uint64)
        words = words[-words.ctypes.data % HUGE // 8 :][: size_bytes // 8]
        self._lines = len(words) // (LINE // 8)
        order = np.random.default_rng(SEED).permutation(self._lines).astype(np.uint64)
        start = words.ctypes.data
        words[order * np.uint64(LINE // 8)] = np.uint64(start) + np.roll(order, -1) * np.uint64(LINE)
        self.at = start  # where whoever walks has come to: who begins anew each time stays in the cache

    def __len__(self) -> int:
        return self._lines


def chased(bench: Bench, size_bytes: int) -> Samples:
    """Time loads from so much memory, each of which needs the address that the last one brought."""
    chase, chain = compiled(CHASE, 2), Chain(size_bytes)

    def walk(n: int) -> None:
        chain.at = chase(chain.at, n)

    walk(len(chain))  # once around, so that what has room in the cache is there
    found = bench.batches(walk)
    return Samples(found.seconds, found.batch, f"through {size_bytes >> 10:,} KiB")
