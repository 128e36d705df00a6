"""What stays true of a drive when it is slow and when it fails.

Each law reads a history as its callers saw it. What was answered without a `code` is acknowledged; what is only known
to be *unknown* may have been done, at any later time. A history may begin with `call="given"`, whose answer tells what
was there before it: `{"chunks": {space: [digests]}}`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from fathom.blocks.packs import digest_of_all
from fathom.history import Broken, History, tries

from .journals import told_by_journals
from .reads import looks_of, older_of
from .words import told as told
from .writes import Write, known_of, writes_of

__all__ = [
    "a_journal_has_no_gap",
    "a_version_never_changes",
    "no_committed_version_is_lost",
    "nobody_learns_what_lies_elsewhere",
    "nothing_is_overwritten_unseen",
    "nothing_older_is_read_than_was_acknowledged",
]


@tries(lambda history: sum(write.known is not None for write in writes_of(history)))
def nothing_is_overwritten_unseen(history: History) -> Iterable[Broken]:
    """Whoever changes a file knows all that was acknowledged to others before it."""
    by_node: defaultdict[tuple[int, int], list[Write]] = defaultdict(list)
    for write in writes_of(history):
        by_node[write.space, write.node].append(write)
    for (_, node), writes in by_node.items():
        for write in writes:
            if write.known is None:
                continue
            unseen = [other for other in writes if write.known < other.version < write.version]
            for other in unseen[:1]:
                yield Broken(
                    law="nothing_is_overwritten_unseen",
                    says=f"version {other.version} of file {node} was overwritten by who knew version {write.known}",
                    ops=(other.op, write.op),
                    about={"node": node},
                )


@tries(lambda history: sum(write.content is not None for write in writes_of(history)))
def no_committed_version_is_lost(history: History) -> Iterable[Broken]:
    """When all has settled, a file has each version whose writer was told that it is kept, unless it was purged."""
    known = known_of(history)
    for write in writes_of(history):
        looks = known.last_looks.get((write.space, write.node), [])
        if write.content is None or (write.space, write.node) in known.purged:
            continue
        for op, versions in looks[:1]:
            if versions.get(write.version) != write.content:
                yield Broken(
                    law="no_committed_version_is_lost",
                    says=f"version {write.version} of file {write.node} was acknowledged, and is not there at the end",
                    ops=(write.op, op),
                    about={"node": write.node},
                )


@tries(lambda history: sum(len(told) for told in known_of(history).told.values()))
def a_version_never_changes(history: History) -> Iterable[Broken]:
    """Whoever is told of one version of a file is told the same, and its manifest is of just these bytes."""
    known = known_of(history)
    for (_, node, version), told_of in known.told.items():
        first = told_of[0]
        for other in told_of[1:]:
            if other.content != first.content:
                yield Broken(
                    law="a_version_never_changes",
                    says=f"version {version} of file {node} is {first.content[0][:12]}, and {other.content[0][:12]}",
                    ops=(first.op, other.op),
                    about={"node": node},
                )
                break
    for op in history.acknowledged("manifest"):
        user, space, node, *rest = op.asked
        version = rest[0] if rest else 0
        told_of = known.told.get((space, node, version), [])
        chunks = [(bytes.fromhex(digest), size) for digest, size in op.answer.get("chunks", [])]
        content = [digest_of_all(chunks).hex(), sum(size for _, size in chunks)]
        if told_of and content != told_of[0].content:
            yield Broken(
                law="a_version_never_changes",
                says=f"the manifest of version {version} of file {node} is of other bytes than user {user} was told",
                ops=(told_of[0].op, op.index),
                about={"node": node},
            )


@tries(lambda history: len(history.acknowledged("changes")))
def a_journal_has_no_gap(history: History) -> Iterable[Broken]:
    """Changes are told one after the other from the cursor on, and each is told everybody alike."""
    seen: dict[tuple[int, str, int], tuple[int, Any]] = {}
    for told_of in told_by_journals(history):
        for number, (seq, node) in enumerate(told_of.changes, told_of.after + 1):
            if seq != number:
                yield Broken(
                    law="a_journal_has_no_gap",
                    says=f"space {told_of.space} told change {seq} where {number} comes",
                    ops=(told_of.op,),
                )
                break
            first = seen.setdefault((told_of.space, told_of.epoch, seq), (told_of.op, node))
            if first[1] != node:
                yield Broken(
                    law="a_journal_has_no_gap",
                    says=f"change {seq} of space {told_of.space} was told in two ways",
                    ops=(first[0], told_of.op),
                )
                break


@tries(lambda history: len(history.acknowledged("begin")))
def nobody_learns_what_lies_elsewhere(history: History) -> Iterable[Broken]:
    """What is said to be there was brought to this very space: nobody is told what others have."""
    brought: defaultdict[int, set[str]] = defaultdict(set)
    for op in history.of("given"):
        for space, digests in (op.answer or {}).get("chunks", {}).items():
            brought[int(space)].update(digests)
    for op in history.of("begin"):
        _, space, chunks = op.asked
        if op.acknowledged:
            needed = set(op.answer.get("needed", []))
            strange = [digest for digest, _ in chunks if digest not in needed and digest not in brought[space]]
            if strange:
                yield Broken(
                    law="nobody_learns_what_lies_elsewhere",
                    says=f"space {space} said that it has chunk {strange[0][:12]}, which nobody had brought to it",
                    ops=(op.index,),
                )
        brought[space].update(digest for digest, _ in chunks)


@tries(lambda history: sum(1 for _ in looks_of(history)))
def nothing_older_is_read_than_was_acknowledged(history: History) -> Iterable[Broken]:
    """Whoever asks after a change was acknowledged is told what is there since, or what came later."""
    for older in older_of(history):
        yield Broken(
            law="nothing_older_is_read_than_was_acknowledged",
            says=older.says,
            ops=(older.changed, older.read),
            about={"node": older.node},
        )
