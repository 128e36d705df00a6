"""Calls back what happened until it was heard: at least once, and in no promised order."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from .book import Book, Due
from .messages import Listener
from .signature import sign

__all__ = ["SIGNATURE", "Caller"]

log = logging.getLogger("fathom.shop.provider")

SIGNATURE = "fathom-signature"
AT_ONCE = 16
ANSWER_S = 5.0
AGAIN_S, AGAIN_S_MAX = 0.1, 60.0
IDLE_S = 3_600.0  # nothing is due: somebody will say so


class Caller:
    """Sends what is due, for as long as `run` does."""

    def __init__(self, book: Book, key: str) -> None:
        self._book, self._key = book, key
        self._news = asyncio.Event()
        self._sending = asyncio.Lock()

    def look(self) -> None:
        """Something may be due earlier than it was."""
        self._news.set()

    async def run(self) -> None:
        """Send what is due, whenever something is."""
        while True:
            self._news.clear()
            await self.send()
            next_ms = self._book.next_due_ms() if self._book.listeners() else None
            left_s = IDLE_S if next_ms is None else max(0.0, next_ms / 1_000 - time.time())
            try:
                async with asyncio.timeout(min(left_s, IDLE_S)):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def send(self) -> None:
        """Send all that is due now, once each."""
        async with self._sending:  # what is under way is not sent a second time by accident: that has faults of its own
            listeners = self._book.listeners()
            while listeners and (due := self._book.due(AT_ONCE)):
                heard = await asyncio.gather(*(self._tell(one, listeners) for one in due))
                now_ms = time.time_ns() // 1_000_000
                self._book.told(
                    [one.number for one, ok in zip(due, heard, strict=True) if ok],
                    [(one.number, now_ms + _wait_ms(one)) for one, ok in zip(due, heard, strict=True) if not ok],
                )

    async def _tell(self, due: Due, listeners: Sequence[Listener]) -> bool:
        said = [await self._post(listener.url, due.body) for listener in listeners]
        return all(said)

    async def _post(self, url: str, body: bytes) -> bool:
        """Post an event; return whether somebody said that it was heard (2xx)."""
        try:
            parts = urlsplit(url)  # kept by an earlier version, it may be none
            secure = parts.scheme == "https"
            port = parts.port or (443 if secure else 80)
            head = (
                f"POST {parts.path or '/'} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\n{SIGNATURE}: {sign(self._key, body, int(time.time()))}\r\n"
                "connection: close\r\n\r\n"
            )
            async with asyncio.timeout(ANSWER_S):
                context = ssl.create_default_context() if secure else None
                reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
                try:
                    writer.write(head.encode() + body)
                    status = (await reader.readline()).split()
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError) as fault:
            log.info("%s did not hear: %s", url, fault or type(fault).__name__)
            return False
        return len(status) > 1 and status[1].startswith(b"2")


def _wait_ms(due: Due) -> int:
    return int(1_000 * min(AGAIN_S_MAX, AGAIN_S * 2 ** min(due.tries, 16)))
