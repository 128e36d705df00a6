"""Reads what strace saw: each system call whole, with its file, its times and what it moved."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = ["OPTIONS", "Call", "calls", "plain"]

OPTIONS = ("-f", "-y", "-ttt", "-T", "-xx", "-s", "1048576")  # what `calls` reads needs all of them

_LINE = re.compile(rb"^(\d+) +(\d+\.\d+) (.*)$")
_CALL = re.compile(rb"^(\w+)\(\d+<([^>]*)>(?:, (.*))?\) += (-?\d+).*<(\d+\.\d+)>$", re.DOTALL)


class Call(NamedTuple):
    """A system call on a file."""

    name: str
    path: bytes
    arguments: bytes  # after the file, as strace writes them
    status: int
    begun_s: float
    ended_s: float


def calls(lines: Iterable[bytes]) -> Iterator[Call]:
    """Yield the calls, in the order in which they ended.

    A call that another process' line interrupted is put together again; its times are those of the call itself.
    """
    unfinished: dict[bytes, tuple[float, bytes]] = {}
    for line in lines:
        found = _LINE.match(line.rstrip(b"\n"))
        if found is None:
            continue
        pid, begun_s, said = found[1], float(found[2]), found[3]
        if said.endswith(b" <unfinished ...>"):
            unfinished[pid] = (begun_s, said.removesuffix(b" <unfinished ...>"))
            continue
        if said.startswith(b"<... "):
            if pid not in unfinished:
                continue  # it had begun before we looked
            begun_s, first = unfinished.pop(pid)
            said = first + said.partition(b" resumed>")[2]
        call = _CALL.match(said)
        if call is not None:
            path = plain(call[2]) if call[2].startswith(b"\\x") else call[2]
            took_s = float(call[5])
            yield Call(call[1].decode(), path, call[3] or b"", int(call[4]), begun_s, begun_s + took_s)


def plain(text: bytes) -> bytes:
    """Return the bytes that strace -xx wrote in hexadecimal."""
    return bytes.fromhex(text.replace(b"\\x", b"").decode())
