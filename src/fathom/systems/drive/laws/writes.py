"""What a history tells of the versions of files: who wrote which, and what others were told of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from fathom.history import History, Op

__all__ = ["Known", "Told", "Write", "known_of", "nodes_done", "writes_of"]


class Write(NamedTuple):
    """An acknowledged version; `known`: the version that its writer knew, if they said one."""

    op: int
    space: int
    node: int
    version: int
    known: int | None
    content: list[Any] | None


class Told(NamedTuple):
    """What somebody was told that a version holds."""

    op: int
    content: list[Any]


class Known(NamedTuple):
    """What was told of each version, which files were purged, and what was there at the end."""

    told: dict[tuple[int, int, int], list[Told]]
    purged: set[tuple[int, int]]
    last_looks: dict[tuple[int, int], list[tuple[int, dict[int, Any]]]]


def writes_of(calls: History) -> list[Write]:
    """Return what was acknowledged to have been written; an edit that was asked again was written once."""
    found: dict[tuple[int, int, int], Write] = {}
    for op in calls.acknowledged("commit"):
        space = op.asked[1]
        for edit, node in _done(op):
            if edit["do"] in ("make", "put", "restore") and node.get("content") is not None:
                known = edit.get("version") if edit["do"] == "put" else None
                if known is not None and node["version"] <= known:
                    continue  # it held these bytes already, so nothing was written
                write = Write(op.index, space, node["id"], node["version"], known, node["content"])
                found.setdefault((space, node["id"], node["version"]), write)
    return list(found.values())


def known_of(calls: History) -> Known:
    """Return what the answers of a history tell."""
    told: defaultdict[tuple[int, int, int], list[Told]] = defaultdict(list)
    purged: set[tuple[int, int]] = set()
    last_looks: defaultdict[tuple[int, int], list[tuple[int, dict[int, Any]]]] = defaultdict(list)
    for op in calls:
        if op.call == "commit":  # also one that nobody knows of may have purged
            edits = op.asked[2]
            purged |= {(op.asked[1], edit["node"]) for edit in edits if edit["do"] == "purge" and edit["node"] > 0}
        if not op.acknowledged:
            continue
        for node in _nodes(op):
            if node.get("content") is not None:
                key = op.asked[1], node["id"], node["version"]
                told[key].append(Told(op.index, node["content"]))
        if op.call == "versions" and op.final:
            key = op.asked[1], op.asked[2]
            last_looks[key].append((op.index, {node["version"]: node.get("content") for node in op.answer}))
    return Known(dict(told), purged, dict(last_looks))


def nodes_done(op: Op) -> list[dict[str, Any]]:
    """Return what became of the edits of an acknowledged commit, as far as they were done."""
    return [node for _, node in _done(op)]


def _done(op: Op) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for edit, outcome in zip(op.asked[2], op.answer, strict=True):
        if not outcome.get("code") and outcome.get("node"):
            yield edit, outcome["node"]


def _nodes(op: Op) -> Iterator[dict[str, Any]]:
    match op.call:
        case "commit":
            yield from (node for _, node in _done(op))
        case "changes" | "tree" | "listing" | "trash":
            yield from op.answer["nodes"]
        case "versions" | "at":
            yield from op.answer
        case "node":
            yield op.answer
        case _:
            return
