"""What a history tells of reads that came after acknowledged changes of the very thing that was read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from fathom.blocks.packs import digest_of_all
from fathom.history import History, Op

from .writes import nodes_done

__all__ = ["Older", "looks_of", "older_of"]


class Older(NamedTuple):
    """A read that was told what something was before a change that had been acknowledged by then."""

    changed: int
    read: int
    node: int
    says: str


class Look(NamedTuple):
    """A read, and the newest acknowledged state of each node that was there to be told when it began."""

    op: Op
    newest: dict[int, tuple[int, dict[str, Any]]]  # node → which commit said so, and what
    unsure: set[int]  # nodes that a commit may have changed meanwhile, or that nobody knows of


def looks_of(calls: History) -> Iterator[Look]:
    """Give each read that began after some change of its space had been acknowledged."""
    commits: defaultdict[int, list[Op]] = defaultdict(list)
    for op in calls.of("commit"):
        commits[op.asked[1]].append(op)
    for op in calls.acknowledged("node", "listing", "manifest"):
        newest: dict[int, tuple[int, dict[str, Any]]] = {}
        unsure: set[int] = set()
        for commit in commits[op.asked[1]]:
            if commit.acknowledged and commit.before(op):
                for node in nodes_done(commit):
                    if node["id"] not in newest or node["seq"] > newest[node["id"]][1]["seq"]:
                        newest[node["id"]] = commit.index, node
            elif not op.before(commit):
                unsure |= {edit["node"] for edit in commit.asked[2] if "node" in edit}
        if newest:
            yield Look(op, newest, unsure)


def older_of(calls: History) -> Iterator[Older]:
    """Give each read that was told something older than what had been acknowledged."""
    contents: defaultdict[tuple[int, int], dict[str, int]] = defaultdict(dict)  # a file's → its newest version with it
    for commit in calls.acknowledged("commit"):
        for node in nodes_done(commit):
            if node.get("content"):
                known = contents[commit.asked[1], node["id"]]
                digest = node["content"][0]
                known[digest] = max(known.get(digest, 0), node["version"])
    for look in looks_of(calls):
        op = look.op
        match op.call:
            case "node":
                yield from _seen(look, op.answer)
            case "listing":
                for node in op.answer["nodes"]:
                    yield from _seen(look, node)
                if not op.answer.get("after"):
                    yield from _missed(look)
            case "manifest":
                yield from _held(look, contents[op.asked[1], op.asked[2]])


def _seen(look: Look, told: dict[str, Any]) -> Iterator[Older]:
    known = look.newest.get(told["id"])
    if known is not None and told["seq"] < known[1]["seq"]:
        says = f"node {told['id']} was told as of change {told['seq']}, after change {known[1]['seq']} was acknowledged"
        yield Older(known[0], look.op.index, told["id"], says)


def _missed(look: Look) -> Iterator[Older]:
    """What was acknowledged to lie in a folder is told, unless somebody may have changed that."""
    told = {node["id"] for node in look.op.answer["nodes"]}
    if len(look.op.asked) > 3 and look.op.asked[3]:
        return
    for id, (commit, node) in look.newest.items():
        if node["parent"] == look.op.asked[2] and not node.get("gone") and id not in told | look.unsure:
            says = f"folder {node['parent']} was told without node {id}, after change {node['seq']} was acknowledged"
            yield Older(commit, look.op.index, id, says)


def _held(look: Look, contents: dict[str, int]) -> Iterator[Older]:
    """Of a file's newest version, whose content is known by the digest of its chunks."""
    _, _, id, *rest = look.op.asked
    known = look.newest.get(id)
    if known is None or id in look.unsure or (rest and rest[0]) or not known[1].get("content"):
        return
    chunks = [(bytes.fromhex(digest), size) for digest, size in look.op.answer.get("chunks", [])]
    version = contents.get(digest_of_all(chunks).hex())
    if version is not None and version < known[1]["version"]:
        says = f"file {id} was told as of version {version}, after version {known[1]['version']} was acknowledged"
        yield Older(known[0], look.op.index, id, says)
