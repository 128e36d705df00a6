"""Whoever answers a ping: run by its path in a process of its own, it writes back what it reads.

It knows nothing but the standard library, so that it starts at once.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["GONE", "answering", "pinged"]

GONE = "the process that answers has ended"


@contextlib.contextmanager
def answering(reads: int, writes: int, cores: Iterable[int]) -> Iterator[None]:
    """Have a process on these cores write to one descriptor what it reads from another, until that one ends.

    Both are the process' alone from here on: who held them too would wait for ever for a process that has ended. It has
    a session of its own, so that Ctrl-C ends what asks, and not what is waited for.
    """
    argv = [sys.executable, "-I", "-S", str(Path(__file__)), str(reads), str(writes), ",".join(map(str, cores))]
    ends = {reads, writes}
    try:
        started = subprocess.Popen(argv, pass_fds=ends, stdin=subprocess.DEVNULL, start_new_session=True)
    finally:
        for end in ends:
            os.close(end)
    with started as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def pinged(line: socket.socket) -> None:
    """Send a byte and wait until it is back."""
    line.sendall(b"p")
    if not line.recv(1):
        raise ConnectionResetError(GONE)


def _answer(reads: int, writes: int, cores: str) -> None:
    if hasattr(os, "sched_setaffinity") and cores:
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    while data := os.read(reads, 64):
        os.write(writes, data)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, ConnectionError):
        _answer(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
