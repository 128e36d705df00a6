"""What must be true of a simulated cluster when all is healed: every sentence that is broken, with what shows it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import pairwise

from fathom.blocks import dotted
from fathom.blocks.linearizable import check
from fathom.history import Op, Outcome

from ..core.records import Last, Record, Siblings, digest_of
from .cluster import KNOBS, Cluster
from .people import Story

__all__ = ["APART_S", "differing", "judged"]

APART_S = 4 * KNOBS.ahead_ms / 1_000  # no two nodes that keep time as they must are so far from each other


def differing(cluster: Cluster) -> list[str]:
    """Return in which way the replicas do not agree: nothing, when they have converged."""
    said: list[str] = []
    topology = cluster.topology
    if topology.then:
        said.append("a change of the members is under way")
    records = {name: cluster.records(name) for name in topology.nodes}
    for key in sorted({key for mine in records.values() for key in mine}):
        owners = topology.owners_of(key).all
        digests = {digest_of(key, records[name][key]) if key in records[name] else 0 for name in owners}
        if len(digests) > 1:
            said.append(f"the owners of {key!r} differ")
        for name in records:
            if name not in owners and key in records[name]:
                said.append(f"{name} keeps {key!r} and is no owner of it")
    for name in topology.nodes:
        if cluster.sums(name) != cluster.rebuilt_sums(name):
            said.append(f"the digests that {name} keeps are not those of its records")
        if cluster.hosts[name].disk.keys("hints"):
            said.append(f"{name} still keeps hints")
        if not cluster.whole(name):
            said.append(f"{name} is not whole")
    return said


def judged(cluster: Cluster, story: Story) -> list[str]:
    """Return the sentences that are broken."""
    by_key: defaultdict[bytes, list[Op]] = defaultdict(list)
    for op in story.ops:
        if op.call != "list":
            by_key[story.keys[op.index]].append(op)
    listed = {key for op in story.ops if op.call == "list" for key in (op.answer if op.outcome is Outcome.OK else ())}
    said = [f"{key!r} was listed, and nobody wrote it" for key in sorted(listed - by_key.keys())]
    for key, ops in sorted(by_key.items()):
        semantics = cluster.topology.bucket(key).semantics
        if any(op.call in ("count", "text") for op in ops):
            said += _counted(key, ops) if any(op.call == "count" for op in ops) else _appended(key, ops)
        elif semantics == "cas":
            verdict = check(ops)
            if verdict.faults:
                said.append(f"{key!r} is not linearizable: {verdict.faults[0]}")
            said += [f"whether {key!r} is linearizable cannot be told: {untold}" for untold in verdict.untold]
        else:
            record = _record(cluster, key)
            said += _siblings(key, ops, story, record) if semantics == "siblings" else _last(key, ops, story, record)
            said += _told(key, ops)
            said += _ordered(key, ops, story) if semantics == "lww" else []
            if semantics == "lww" and not cluster.topology.bucket(key).sloppy:
                said += _stale(key, ops, story)
    return said + _dots(cluster)


def _counted(key: bytes, ops: list[Op]) -> list[str]:
    """Return what is wrong with a counter: each number is told once, later ones later, and none counts twice."""
    counts = [op for op in ops if op.call == "count"]
    done = sorted((op for op in counts if op.outcome is Outcome.OK), key=lambda op: op.answer)
    perhaps = sum(op.outcome is Outcome.UNKNOWN for op in counts)
    said = [f"{key!r} was counted to {one.answer} twice" for one, other in pairwise(done) if one.answer == other.answer]
    latest = -math.inf  # the last beginning of those that were told less
    for op in done:
        if (op.end_s or 0) < latest:
            said.append(f"{key!r} was counted to {op.answer} before somebody began who was told less")
        latest = max(latest, op.start_s)
    for op in ops:
        if op.call == "read" and op.caller == "final" and op.outcome is Outcome.OK:
            total = int(op.answer or 0)
            if not len(done) <= total <= len(done) + perhaps:
                said.append(f"{key!r} is {total} after {len(done)} that were done, and {perhaps} that may have been")
    return said


def _appended(key: bytes, ops: list[Op]) -> list[str]:
    """Return what is wrong with a text: each piece is in it once, where it was said to end; none that was refused."""
    final = next((op.answer or "" for op in ops if op.caller == "final" and op.outcome is Outcome.OK), None)
    if final is None:
        return []
    pieces = final.split(";")[:-1]
    said = [f"{piece!r} was appended to {key!r} twice" for piece, many in Counter(pieces).items() if many > 1]
    for op in ops:
        there = op.call == "text" and op.asked[:-1] in pieces
        if op.call == "text" and op.outcome is Outcome.OK and not final[: op.answer].endswith(op.asked):
            said.append(f"{op.asked!r} was appended to {key!r}, and is not where it was said to end")
        if there and op.outcome is Outcome.FAILED:
            said.append(f"{op.asked!r} was refused, and is in {key!r}")
    return said


def _told(key: bytes, ops: list[Op]) -> list[str]:
    """Return the answers that tell of what was never written, not written yet, or refused."""
    began = {op.asked: op.start_s for op in ops if op.call in ("put", "store") and op.outcome is not Outcome.FAILED}
    said: list[str] = []
    for op in ops:
        if op.outcome is Outcome.OK and op.call in ("get", "look"):
            values = op.answer if op.call == "look" else [op.answer] if op.answer is not None else []
            said += [
                f"{op.caller} was told {value!r} of {key!r}, which was never written, or refused"
                for value in values
                if value not in began or began[value] > (op.end_s or 0)
            ]
    return said


def _stale(key: bytes, ops: list[Op], story: Story) -> list[str]:
    """Return the reads that are older than a write that was acknowledged before they began: owners meet."""
    wrote = [op for op in ops if op.call == "store" and op.outcome is Outcome.OK]
    said: list[str] = []
    for op in ops:
        if op.call != "get" or op.outcome is not Outcome.OK:
            continue
        known = max((story.stamps[was.index] for was in wrote if (was.end_s or 0) < op.start_s), default=0)
        if story.stamps.get(op.index, 0) < known and not _collected(op, wrote, known, story):
            said.append(f"{op.caller} was told {op.answer!r} of {key!r}, which is older than what was acknowledged")
    return said


def _ordered(key: bytes, ops: list[Op], story: Story) -> list[str]:
    """Return the writes that lost to one acknowledged long before: clocks are held together, so stamps tell time."""
    wrote = [op for op in ops if op.call == "store" and op.outcome is Outcome.OK]
    return [
        f"{later.asked!r} of {key!r} was written {later.start_s - (was.end_s or 0):.1f} s after {was.asked!r}, and lost"
        for was in wrote
        for later in wrote
        if later.start_s > (was.end_s or 0) + APART_S and story.stamps[later.index] < story.stamps[was.index]
    ]


def _collected(op: Op, wrote: list[Op], known: int, story: Story) -> bool:
    """Whether nothing was read where the last that was written had been deleted: a tombstone goes in the end."""
    return op.answer is None and any(was.asked is None and story.stamps[was.index] == known for was in wrote)


def _record(cluster: Cluster, key: bytes) -> Record | None:
    return cluster.records(cluster.topology.owners_of(key).now[0]).get(key)


def _siblings(key: bytes, ops: list[Op], story: Story, record: Record | None) -> list[str]:
    there = set(dotted.Siblings.decode(record.state).values()) if isinstance(record, Siblings) else set()
    perhaps = {value for op in ops if op.outcome is not Outcome.FAILED for value in story.over.get(op.index, ())}
    surely = {value for op in ops if op.outcome is Outcome.OK for value in story.over.get(op.index, ())}
    written = {str(op.asked).encode(): op for op in ops if op.call == "put"}
    said = [
        f"{value!r} of {key!r} was acknowledged, nobody who had read it wrote over it, and it is gone"
        for value, op in written.items()
        if op.outcome is Outcome.OK and value not in there and value not in perhaps
    ]
    said += [f"{value!r} of {key!r} was written over, and is there again" for value in sorted(there & surely)]
    said += [f"{value!r} of {key!r} was never written" for value in sorted(there - written.keys())]
    said += [
        f"{value!r} of {key!r} was refused, and is there"
        for value, op in written.items()
        if op.outcome is Outcome.FAILED and value in there
    ]
    return said


def _last(key: bytes, ops: list[Op], story: Story, record: Record | None) -> list[str]:
    stores = [op for op in ops if op.call == "store"]
    acknowledged = [op for op in stores if op.outcome is Outcome.OK]
    if not acknowledged:
        return []
    newest = max(acknowledged, key=lambda op: story.stamps[op.index])
    if not isinstance(record, Last):  # a tombstone goes in the end
        deleted = any(
            op.outcome is Outcome.UNKNOWN or story.stamps.get(op.index) == story.stamps[newest.index]  # perhaps a tie
            for op in stores
            if op.asked is None
        )
        return [] if deleted else [f"{key!r} was written, acknowledged, and there is nothing"]
    if record.stamp < story.stamps[newest.index]:
        return [f"{key!r} holds a write that is older than the acknowledged {newest.asked!r}"]
    value = record.value and record.value.decode()
    same = [op.asked for op in acknowledged if story.stamps[op.index] == record.stamp]
    perhaps = [op.asked for op in stores if op.outcome is Outcome.UNKNOWN]  # of these nobody knows the stamp: a tie
    if same and value not in (*same, *perhaps):
        return [f"{value!r} of {key!r} has the stamp of another write"]
    if value is not None and not any(op.asked == value and op.outcome is not Outcome.FAILED for op in stores):
        return [f"{value!r} of {key!r} was never written, or refused"]
    return []


def _dots(cluster: Cluster) -> list[str]:
    known: dict[tuple[bytes, dotted.Dot], bytes] = {}
    said: list[str] = []
    for name in cluster.members:
        for key, record in cluster.records(name).items():
            if isinstance(record, Siblings):
                for dot, value in dotted.Siblings.decode(record.state).dots():
                    if known.setdefault((key, dot), value) != value:
                        said.append(f"the dot {dot} of {key!r} was used twice")
    return said
