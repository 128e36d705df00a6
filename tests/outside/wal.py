"""Reads what PostgreSQL did to its log, as strace saw it: which bytes were written, and when they were on the disk."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from .strace import calls, plain

__all__ = ["SYSCALLS", "Acknowledged", "Record", "Sync", "Write", "commits", "records", "trace", "uncovered"]

SYSCALLS = "pwrite64,fdatasync,fsync"
SEGMENT_BYTES = 16 * 1024 * 1024
PAGE_BYTES, PAGE_HEADER, SEGMENT_HEADER = 8192, 24, 40


class Write(NamedTuple):
    """Bytes that a process handed to the kernel, at a place in the log."""

    at: int  # log sequence number of the first byte
    data: bytes
    begun_s: float
    ended_s: float


class Sync(NamedTuple):
    """A segment of the log forced to the disk."""

    segment: int
    begun_s: float
    ended_s: float


class Record(NamedTuple):
    """A transaction's commit, where it lies in the log."""

    xid: int
    pieces: tuple[tuple[int, bytes], ...]  # (place, bytes): more than one where it crosses a page


class Acknowledged(NamedTuple):
    """Something that a client was told is done."""

    what: str
    xid: int
    told_s: float  # on the wall's clock, as strace's


_WRITTEN = re.compile(rb'^"((?:\\x[0-9a-f]{2})*)", (\d+), (\d+)$')
_SEGMENT = re.compile(rb"pg_wal/([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$")


def trace(lines: Iterable[bytes]) -> tuple[list[Write], list[Sync]]:
    """Return the log's writes and syncs out of what strace wrote (`strace.OPTIONS`)."""
    writes: list[Write] = []
    syncs: list[Sync] = []
    for call in calls(lines):
        segment = _segment(call.path)
        if segment is None or call.status < 0:
            continue
        if call.name in ("fdatasync", "fsync"):
            syncs.append(Sync(segment, call.begun_s, call.ended_s))
        elif call.name == "pwrite64" and (written := _WRITTEN.match(call.arguments)):
            data = plain(written[1])
            if len(data) < call.status:
                raise ValueError(f"strace cut a write of {call.status} bytes to {len(data)}: give it a larger -s")
            place = segment * SEGMENT_BYTES + int(written[3])
            writes.append(Write(place, data[: call.status], call.begun_s, call.ended_s))
    return writes, syncs


_COMMIT = re.compile(
    r"rmgr: Transaction +len \(rec/tot\): +\d+/ +(\d+), tx: +(\d+), lsn: ([0-9A-F]+)/([0-9A-F]+),.*desc: COMMIT "
)


def records(waldump: Iterable[str], pg_wal: Path) -> dict[int, Record]:
    """Return every commit in the log by its transaction, from `pg_waldump`'s lines and the log's own files."""
    found: dict[int, Record] = {}
    for line in waldump:
        commit = _COMMIT.search(line)
        if commit is None:
            continue
        length, xid = int(commit[1]), int(commit[2])
        start = (int(commit[3], 16) << 32) | int(commit[4], 16)
        found[xid] = Record(xid, tuple(_pieces(start, length, pg_wal)))
    return found


def uncovered(
    told: Iterable[Acknowledged], commits: dict[int, Record], writes: list[Write], syncs: list[Sync]
) -> list[str]:
    """Return a sentence for each acknowledgement that was not yet on the disk when the client had it.

    It was, if every byte of its commit was written, by a call that had ended before a sync of that segment began,
    which in turn had ended before the client was told. What a written page holds counts, not where it lies: a page of
    the log is written again and again while it fills.
    """
    broken: list[str] = []
    for one in told:
        commit = commits.get(one.xid)
        if commit is None:
            broken.append(f"{one.what}: no commit of transaction {one.xid} is in the log")
            continue
        times = [_durable_s(place, data, writes, syncs) for place, data in commit.pieces]
        if any(time is None for time in times):
            broken.append(f"{one.what}: its commit was never synced")
        elif (late_s := max(time for time in times if time is not None) - one.told_s) > 0:
            broken.append(f"{one.what}: acknowledged {late_s * 1000:.3f} ms before its commit was on the disk")
    return broken


def _durable_s(place: int, data: bytes, writes: list[Write], syncs: list[Sync]) -> float | None:
    """Return when these bytes were first on the disk, or None."""
    ends = [
        sync.ended_s
        for write in writes
        if write.at <= place
        and place + len(data) <= write.at + len(write.data)
        and write.data[place - write.at : place - write.at + len(data)] == data
        for sync in syncs
        if sync.segment == place // SEGMENT_BYTES and sync.begun_s >= write.ended_s
    ]
    return min(ends, default=None)


def _pieces(start: int, length: int, pg_wal: Path) -> Iterable[tuple[int, bytes]]:
    """Return a record's bytes, cut where a page's header lies between them."""
    place = start
    while length > 0:
        inside = place % PAGE_BYTES
        if inside == 0:
            place += SEGMENT_HEADER if place % SEGMENT_BYTES == 0 else PAGE_HEADER
            inside = place % PAGE_BYTES
        here = min(length, PAGE_BYTES - inside)
        segment = place // SEGMENT_BYTES
        per_log = 0x1_0000_0000 // SEGMENT_BYTES
        (file,) = pg_wal.glob(f"????????{segment // per_log:08X}{segment % per_log:08X}")
        with file.open("rb") as log:
            log.seek(place % SEGMENT_BYTES)
            yield place, log.read(here)
        place, length = place + here, length - here


def _segment(path: bytes) -> int | None:
    found = _SEGMENT.search(path)
    if found is None:
        return None
    return int(found[2], 16) * (0x1_0000_0000 // SEGMENT_BYTES) + int(found[3], 16)


async def commits(truth: Any) -> dict[int, Record]:
    """Return the commits in the log of a PostgreSQL of ours by transaction, as its own pg_waldump tells them."""
    place: Path = truth._place / "data" / "pg_wal"
    first = min(name for name in os.listdir(place) if len(name) == 24)  # noqa: PTH208
    dump = await asyncio.create_subprocess_exec(
        truth._installation.program("pg_waldump"), "--path", place, "--rmgr", "Transaction", first,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    said, _ = await dump.communicate()  # its status is 1: the log of a living server has no proper end
    return records(said.decode().splitlines(), place)
