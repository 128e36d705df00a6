"""What a store on RocksDB called durable is on the disk by then: shown with strace, which sees every fsync."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.engines import rocks_writer
from tests.engines.rocks_writer import payload

from .strace import OPTIONS, Call, calls, plain
from .strangers import program

BATCHES = 300
SAID = re.compile(rb'^"((?:\\x[0-9a-f]{2})*)", \d+$')

pytestmark = [pytest.mark.outside, pytest.mark.slow]


class Seen(NamedTuple):
    """What strace saw of a store's log, and of what its writer said."""

    written: dict[bytes, list[tuple[bytes, Call]]]  # log → the bytes that went to it, call by call
    synced: dict[bytes, list[Call]]  # log → syncs
    told: dict[int, float]  # ticket → when the writer began to say that it is durable


def seen(lines: Iterable[bytes]) -> Seen:
    """Read a trace."""
    written: dict[bytes, list[tuple[bytes, Call]]] = defaultdict(list)
    synced: dict[bytes, list[Call]] = defaultdict(list)
    told: dict[int, float] = {}
    for call in calls(lines):
        if call.status < 0:
            continue
        if call.name in ("fdatasync", "fsync"):
            synced[call.path].append(call)
        elif (said := SAID.match(call.arguments)) and call.path.endswith(b".log"):
            written[call.path].append((plain(said[1])[: call.status], call))
        elif said and call.path.startswith(b"pipe:"):
            told |= {int(ticket): call.begun_s for ticket in plain(said[1]).split()}
    return Seen(written, synced, told)


def on_disk_s(number: int, found: Seen) -> float | None:
    """Return when a batch was on the disk: a sync of its log had ended that began when its bytes had been written."""
    for log, writes in found.written.items():
        for data, write in writes:
            if payload(number) in data:
                ends = [sync.ended_s for sync in found.synced[log] if sync.begun_s >= write.ended_s]
                return min(ends, default=None)
    raise AssertionError(f"batch {number} was never written")


def too_early(found: Seen) -> list[str]:
    """Return a sentence for each batch that was called durable before it was on the disk."""
    early: list[str] = []
    tickets = sorted(found.told)
    assert tickets[-1] == BATCHES, "not all was acknowledged"
    for number in range(1, BATCHES + 1):
        told_s = min(found.told[ticket] for ticket in tickets if ticket >= number)
        durable_s = on_disk_s(number, found)
        if durable_s is None:
            early.append(f"batch {number} was never synced")
        elif durable_s > told_s:
            early.append(f"batch {number} was acknowledged {(durable_s - told_s) * 1000:.3f} ms too early")
    return early


def traced(folder: Path, how: str, *more: str) -> Seen:
    """Let a writer write under strace."""
    trace = folder / "trace"
    strace = [program("strace", "strace"), *OPTIONS, *more, "-e", "trace=write,fdatasync,fsync", "-o", str(trace), "--"]
    writer = [sys.executable, rocks_writer.__file__, str(folder / "n1"), str(BATCHES), how]
    subprocess.run([*strace, *writer], stdout=subprocess.PIPE, check=True, timeout=120)
    with trace.open("rb") as lines:
        return seen(lines)


def test_every_acknowledged_batch_was_on_the_disk_before_its_writer_was_told(tmp_path: Path) -> None:
    found = traced(tmp_path, "fsync")
    syncs = sum(len(found.synced[log]) for log in found.written)
    print(f"{BATCHES} batches, {len(found.told)} acknowledgements, {syncs} syncs of the log")
    assert too_early(found) == []
    assert len(found.told) <= syncs < BATCHES, "one sync covers several batches"


@pytest.mark.parametrize("how", ["none", "forgetful"])
def test_the_check_turns_red_when_syncing_is_turned_off(tmp_path: Path, how: str) -> None:
    early = too_early(traced(tmp_path, how))
    print(f"{how}: {len(early)} of {BATCHES} too early; {early[:1]}")
    assert len(early) > BATCHES * 0.9


def test_batches_are_written_while_a_slow_disk_syncs(tmp_path: Path) -> None:
    found = traced(tmp_path, "fsync", "-e", "inject=fdatasync:delay_enter=200000:when=10..12")
    slow = [sync for log in found.written for sync in found.synced[log] if sync.ended_s - sync.begun_s > 0.15]
    assert slow
    writes = [write for log in found.written.values() for _, write in log]
    meanwhile = [sum(sync.begun_s < write.begun_s < sync.ended_s for write in writes) for sync in slow]
    print(f"written during {len(slow)} syncs of 0.2 s: {meanwhile}")
    assert max(meanwhile) >= rocks_writer.AHEAD / 2
    assert too_early(found) == []
