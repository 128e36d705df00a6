"""What must be so when all is quiet: one tree everywhere, and nothing gone that nobody took away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fathom.blocks.names import key

from ..core.files import Path
from .device import Device
from .door import Server
from .ledger import Ledger

__all__ = ["judged", "remote_programs", "remote_tree"]


def remote_tree(server: Server) -> dict[Path, bytes | None]:
    """Return the drive's tree with what its files hold."""
    place = server.place()

    def path(id: int) -> Path:
        node = place.nodes[id]
        return (*path(node.parent), node.name) if node.parent else (node.name,)

    found: dict[Path, bytes | None] = {}
    for node in place.nodes.values():
        if not node.gone:
            held = [it.manifest for it in place.versions.get(node.id, ()) if it.node.version == node.version]
            found[path(node.id)] = None if node.content is None else server.read(held[0])
    return found


def remote_programs(server: Server) -> set[Path]:
    """Return which files of the drive may be started."""
    place = server.place()
    found: set[Path] = set()
    for node in place.nodes.values():
        if not node.gone and node.content is not None and node.content.executable:
            path: Path = (node.name,)
            above = node.parent
            while above:
                path, above = (place.nodes[above].name, *path), place.nodes[above].parent
            found.add(path)
    return found


def judged(server: Server, devices: Sequence[Device], ledger: Ledger, kind: str) -> Iterator[str]:
    """Give a sentence for everything that is not as it must be."""
    yield from ledger.broken
    remote = remote_tree(server)
    for device in devices:
        if (tree := device.medium.tree()) != remote:
            yield f"the tree of {device.name} is not the drive's: {_differing(tree, remote)}"
        if device.medium.executables and (programs := device.medium.programs()) != (wanted := remote_programs(server)):
            yield f"other files may be started on {device.name} than on the drive: {sorted(programs ^ wanted)[:3]}"
    folded = [(path[:-1], key(path[-1])) for path in remote]
    if len(folded) > len(set(folded)):
        yield "two names in one folder are one elsewhere"
    destroyed = {ledger.digest(data) for data in ledger.destroyed}
    live = {data for data in remote.values() if data is not None}
    for data in sorted(ledger.existed - ledger.destroyed - live):
        yield f"nobody deleted it, and it is gone: {data[:20]!r}"
    for node in server.place().nodes.values():
        if node.gone and node.content is not None and node.content.digest not in destroyed:
            yield f"the drive was told to drop what nobody deleted: {node.name}"
    held = live | {
        server.read(it.manifest) for them in server.place().versions.values() for it in them if it.manifest is not None
    }
    for data in sorted(held - ledger.existed - {b""}):
        yield f"the drive has what nobody ever wrote: {data[:20]!r} of {len(data)} bytes"
    marks = [path[-1] for path in remote if path[-1].count("(conflict ") > 1]
    if marks:
        yield f"a copy of a copy: {marks[0]}"
    if kind in ("solo", "turns") and ledger.conflicts:
        yield f"a conflict where nobody wrote at the same time: {ledger.conflicts[0]}"
    if kind == "solo" and ledger.last is not None and ledger.last[1] != remote:
        yield f"what one person did alone was changed: {_differing(remote, ledger.last[1])}"


def _differing(tree: dict[Path, bytes | None], other: dict[Path, bytes | None]) -> str:
    more = sorted("/".join(path) for path in tree.keys() - other.keys())
    less = sorted("/".join(path) for path in other.keys() - tree.keys())
    else_ = sorted("/".join(path) for path in tree.keys() & other.keys() if tree[path] != other[path])
    return f"more {more[:3]}, less {less[:3]}, other {else_[:3]}"
