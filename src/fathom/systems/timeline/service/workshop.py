"""Where pictures are written anew: in a few threads, and no more of them at once than the machine has room for."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from fathom.errors import Refusal

from ..model.pictures import Picture, reworked

__all__ = ["Workshop"]

THREADS = 2  # a picture takes up to 200 MiB while it is being worked on
WAITING_MAX = 16


class Workshop:
    """Use it as a context: its threads end with the block. One picture too many is refused, not kept waiting."""

    def __init__(self, threads: int = THREADS, waiting_max: int = WAITING_MAX) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="pictures")
        self._room = threads + waiting_max
        self._lock, self._taken = threading.Lock(), 0

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def rework(self, raw: bytes) -> Picture:
        """Return a picture as it is kept, or refuse."""
        with self._lock:
            if self._taken >= self._room:
                raise Refusal("unavailable", "too many pictures are being worked on, try again", retry_s=2.0)
            self._taken += 1
        work = self._pool.submit(reworked, raw)
        work.add_done_callback(self._done)  # not when its caller leaves: the thread goes on, and needs its room
        try:
            return await asyncio.wrap_future(work)
        except MemoryError:
            raise Refusal("unavailable", "there is no room to work on this picture, try again", retry_s=2.0) from None

    def _done(self, work: Future[Any]) -> None:
        with self._lock:
            self._taken -= 1
