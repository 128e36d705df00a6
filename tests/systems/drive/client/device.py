"""Devices of somebody, each with a folder of its own on the real disk, and a drive between them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fathom.systems.drive.api import ROOT, Drive, SpaceId, UserId
from fathom.systems.drive.client.folder import minted, opened
from fathom.systems.drive.client.place import Knobs, Place
from fathom.systems.drive.client.sync import Report, Syncer
from fathom.systems.drive.core.files import OURS
from fathom.systems.drive.core.state import Known
from fathom.systems.drive.model import DriveModel

CUTTING = "fastcdc2020-64-256-1024"  # so that small files have chunks to share


class Device:
    """A folder and the client that syncs it."""

    def __init__(self, name: str, root: Path, place: Place, syncer: Syncer, known: Known, files: Any) -> None:
        self.name, self.root, self.place, self.syncer, self.known, self.files = name, root, place, syncer, known, files
        self.did: Counter[str] = Counter()

    async def sync(self) -> Report:
        """Sync until there is nothing to do, however often it has to wait until a file is old enough."""
        for _ in range(20):
            report = await self.syncer.sync()
            if report.rest:
                return report
        raise AssertionError(report.hindered)

    def write(self, path: str, text: str | bytes) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)

    def tree(self) -> dict[str, str | None]:
        return tree_of(self.root)


def tree_of(root: Path) -> dict[str, str | None]:
    found = sorted(file for file in root.rglob("*") if OURS not in file.parts and not file.is_symlink())
    return {
        file.relative_to(root).as_posix(): file.read_bytes().decode(errors="replace") if file.is_file() else None
        for file in found
    }


async def joined(drive: Drive) -> Place:
    user = await drive.join("ann", "correct horse")
    (space,) = await drive.spaces(user.id)
    return Place(drive, user.id, space.id)


def model() -> DriveModel:
    return DriveModel(cutting=CUTTING)


LIVES: Counter[str] = Counter()


@asynccontextmanager
async def device(name: str, root: Path, place: Place, **how: Any) -> AsyncIterator[Device]:
    await asyncio.to_thread(root.mkdir, exist_ok=True)
    LIVES[name] += 1
    did: Counter[str] = Counter()
    heard = how.pop("heard", lambda what: None)

    def tell(what: str, whom: str) -> None:
        did.update([what])
        heard(what)

    async with opened(root, place, name) as folder:
        files = how.pop("files", lambda disk: disk)(folder.files)
        syncer = Syncer(
            place,
            files,
            folder.known,
            minted(f"{name}-{LIVES[name]}"),
            knobs=how.pop("knobs", None) or Knobs(),
            tell=tell,
            **how,
        )
        made = Device(name, root, place, syncer, folder.known, files)
        made.did = did
        yield made


@asynccontextmanager
async def devices(tmp_path: Path, *names: str, drive: Drive | None = None) -> AsyncIterator[list[Device]]:
    place = await joined(drive or model())
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(device(name, tmp_path / name, place)) for name in names]


async def remote_paths(place: Place) -> dict[str, str | None]:
    """Return what the drive has, with the text of each file."""
    drive, user, space = place.drive, UserId(place.user), SpaceId(place.space)
    nodes = {node.id: node for node in (await drive.tree(user, space)).nodes}

    def path(id: int) -> str:
        node = nodes[id]
        return node.name if node.parent == ROOT else f"{path(node.parent)}/{node.name}"

    found: dict[str, str | None] = {}
    for node in nodes.values():
        if node.content is None:
            found[path(node.id)] = None
        else:
            manifest = await drive.manifest(user, space, node.id)
            parts = [await drive.chunk(user, space, chunk.digest) for chunk in manifest.chunks]
            found[path(node.id)] = b"".join(parts).decode(errors="replace")
    return found


async def all_one(*devices: Device) -> dict[str, str | None]:
    """Sync until nobody has anything to do, and see that all have the same."""
    for _ in range(10):
        done = [(await each.sync()).done for each in devices]
        if not any(done):
            break
    else:
        raise AssertionError("it goes on for ever")
    found = devices[0].tree()
    for each in devices[1:]:
        assert each.tree() == found
    assert await remote_paths(devices[0].place) == found
    return found
