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

__all__ = ["answering"]


@contextlib.contextmanager
def answering(reads: int, writes: int, cores: Iterable[int]) -> Iterator[None]:
    """Have a process on these cores write to one descriptor what it reads from another, until that one ends."""
    argv = [sys.executable, "-I", "-S", str(Path(__file__)), str(reads), str(writes), ",".join(map(str, cores))]
    with subprocess.Popen(argv, pass_fds=(reads, writes), stdin=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def pinged(line: socket.socket) -> None:
    """Send a byte and wait until it is back."""
    line.sendall(b"p")
    line.recv(1)


def _answer(reads: int, writes: int, cores: str) -> None:
    if hasattr(os, "sched_setaffinity") and cores:
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    while data := os.read(reads, 64):
        os.write(writes, data)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, ConnectionError):
        _answer(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
