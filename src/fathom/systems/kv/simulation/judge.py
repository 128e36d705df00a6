"""What must be true of a simulated cluster when all is healed: every sentence that is broken, with what shows it."""

from __future__ import annotations

from collections import defaultdict

from fathom.blocks import dotted
from fathom.blocks.linearizable import check
from fathom.history import Op, Outcome

from ..core.records import Last, Record, Siblings, digest_of
from .cluster import Cluster
from .people import Story

__all__ = ["differing", "judged"]


def differing(cluster: Cluster) -> list[str]:
    """Return in which way the replicas do not agree: nothing, when they have converged."""
    said: list[str] = []
    records = {name: cluster.records(name) for name in cluster.hosts}
    for key in sorted({key for mine in records.values() for key in mine}):
        owners = cluster.topology.owners_of(key).all
        digests = {digest_of(key, records[name][key]) if key in records[name] else 0 for name in owners}
        if len(digests) > 1:
            said.append(f"the owners of {key!r} differ")
        for name in records:
            if name not in owners and key in records[name]:
                said.append(f"{name} keeps {key!r} and is no owner of it")
    for name in cluster.hosts:
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
        by_key[story.keys[op.index]].append(op)
    said: list[str] = []
    for key, ops in sorted(by_key.items()):
        semantics = cluster.topology.bucket(key).semantics
        if semantics == "cas":
            verdict = check(ops)
            if verdict.faults:
                said.append(f"{key!r} is not linearizable: {verdict.faults[0]}")
        else:
            record = _record(cluster, key)
            said += _siblings(key, ops, story, record) if semantics == "siblings" else _last(key, ops, story, record)
    return said + _dots(cluster)


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
    if not isinstance(record, Last):
        return [f"{key!r} was written, acknowledged, and there is nothing"]
    newest = max(acknowledged, key=lambda op: story.stamps[op.index])
    if record.stamp < story.stamps[newest.index]:
        return [f"{key!r} holds a write that is older than the acknowledged {newest.asked!r}"]
    value = record.value and record.value.decode()
    same = [op.asked for op in acknowledged if story.stamps[op.index] == record.stamp]
    if same and value not in same:
        return [f"{value!r} of {key!r} has the stamp of another write"]
    if value is not None and not any(op.asked == value and op.outcome is not Outcome.FAILED for op in stores):
        return [f"{value!r} of {key!r} was never written, or refused"]
    return []


def _dots(cluster: Cluster) -> list[str]:
    known: dict[tuple[bytes, dotted.Dot], bytes] = {}
    said: list[str] = []
    for name in cluster.hosts:
        for key, record in cluster.records(name).items():
            if isinstance(record, Siblings):
                for dot, value in dotted.Siblings.decode(record.state).dots():
                    if known.setdefault((key, dot), value) != value:
                        said.append(f"the dot {dot} of {key!r} was used twice")
    return said
