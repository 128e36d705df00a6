"""Taking and giving back a lock that nobody else wants."""

from __future__ import annotations

import ctypes

from ..bench import Bench, Samples
from ..native import LOCK_UNLOCK, address, compiled
from ..table import Told

METHOD = "the C library's pthread_mutex_lock and pthread_mutex_unlock, called in a loop of machine code by one thread"
TOLD = Told.dean(25e-9)
MUTEX_BYTES = 64  # no platform's pthread_mutex_t is larger; all zeros is one that is free


async def run(bench: Bench) -> Samples:
    loop = compiled(LOCK_UNLOCK, 4)
    mutex = ctypes.create_string_buffer(MUTEX_BYTES)
    lock, unlock = address("pthread_mutex_lock"), address("pthread_mutex_unlock")
    return bench.batches(lambda n: loop(ctypes.addressof(mutex), n, lock, unlock))
