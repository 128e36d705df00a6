"""A terminal that somebody types in and looks at: what was written in it, when, and what is on its screen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import signal
import time
from collections.abc import Callable
from typing import Any

import pyte

__all__ = ["COLUMNS", "IN_A_TERMINAL", "ROWS", "SOON_S", "Screen", "Terminal"]

ROWS, COLUMNS, HISTORY = 40, 110, 10_000
SOON_S = 60.0  # for what has no time of its own: then it was not seen


class Screen(pyte.HistoryScreen):
    """What a person sees, and beside it all that was ever written, line by line, without how it was painted."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self._wrapping = False
        super().__init__(COLUMNS, ROWS, history=HISTORY)

    def draw(self, data: str) -> None:
        self._wrapping = True  # the lines that the terminal breaks by itself were never written
        super().draw(data)
        self._wrapping = False
        self.written.append(data)

    def linefeed(self) -> None:
        super().linefeed()
        if not self._wrapping:
            self.written.append("\n")

    def select_graphic_rendition(self, *attributes: int, **private: bool) -> None:
        if not private:  # then it is no colour but a question about keys, which editors ask
            super().select_graphic_rendition(*attributes)

    def text(self) -> str:
        """Return what has scrolled away, and below it what is on the screen."""
        gone = ["".join(line[at].data for at in range(COLUMNS)).rstrip() for line in self.history.top]
        return "\n".join([*gone, *(line.rstrip() for line in self.display)]).rstrip() + "\n"


# Makes the terminal the session's own, so that Ctrl-C typed there reaches who runs there, and becomes the command.
IN_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A command that was typed in a terminal: what it has written so far, and when."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self.began = time.monotonic()
        self.screen = Screen()
        self._process, self._master, self._over = process, master, False
        self._stream = pyte.ByteStream(self.screen)
        self._text, self._times, self._news = "", list[tuple[int, float]](), asyncio.Event()
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # the last program that had it open has ended
            data = b""
        if not data:
            self._over = True
            asyncio.get_running_loop().remove_reader(self._master)
        self._stream.feed(data)
        self._text += "".join(self.screen.written)
        self.screen.written.clear()
        self._times.append((len(self._text), time.monotonic()))
        self._news.set()

    @property
    def text(self) -> str:
        return self._text

    def seen(self, pattern: str) -> float | None:
        """Return when a pattern was first written, by the monotonic clock; None while it was not."""
        found = re.search(pattern, self._text, re.M)
        return next(at for length, at in self._times if length >= found.end()) if found else None

    async def until(self, pattern: str, within_s: float = SOON_S) -> re.Match[str]:
        """Wait until a pattern was written."""
        return await self.becomes(lambda: re.search(pattern, self._text, re.M), pattern, within_s)

    async def becomes(self, true: Callable[[], Any], what: str, within_s: float = SOON_S) -> Any:
        """Wait until something is true of what was written; return it."""
        ended = asyncio.ensure_future(self._process.wait())
        try:
            async with asyncio.timeout(within_s):
                while not (found := true()):
                    if ended.done():
                        self._rest()
                        if found := true():
                            break
                        raise TimeoutError(f"it ended without '{what}'")
                    self._news.clear()
                    news = asyncio.ensure_future(self._news.wait())
                    await asyncio.wait([news, ended], return_when=asyncio.FIRST_COMPLETED)
                    news.cancel()
                return found
        finally:
            ended.cancel()

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    async def ends(self, within_s: float) -> int:
        """Wait for the end; return the exit code."""
        async with asyncio.timeout(within_s):
            code = await self._process.wait()
        self._rest()
        return code

    def _rest(self) -> None:
        """Read what was written last and still lies in the terminal."""
        while not self._over and select.select([self._master], [], [], 0)[0]:
            self._read()

    async def close(self) -> None:
        for ask, within_s in ((signal.SIGINT, 60.0), (signal.SIGKILL, 10.0)):
            with contextlib.suppress(ProcessLookupError, TimeoutError):
                if self._process.returncode is None:
                    os.killpg(self._process.pid, ask)
                    await self.ends(within_s)
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
