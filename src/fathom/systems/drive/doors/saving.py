"""A whole file put at a path: what it hangs on is looked at before its bytes come, and again when they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fathom.errors import Refusal

from ..api import Drive, Edit, Make, Node, NodeId, Outcome, Put, Space, SpaceId, UserId
from .body import Body
from .conditions import met, tag_of
from .paths import Spot, spot
from .promised import promised
from .writing import Room, Upload, Written

__all__ = ["Saved", "Saving", "refused"]

BYTES_MAX = 1 << 40
TRIES = 5  # at a file that others write as well


class Saved(NamedTuple):
    """The file as it is now; `made`: it was not there before."""

    node: Node
    made: bool


class Saving:
    """Puts whole files."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self.room = Room(8, 4)  # each holds some 50 MB: a pack, what is being cut, and copies of both

    async def put(self, user: UserId, space: Space, where: Spot, body: Body, headers: Mapping[bytes, bytes]) -> Saved:
        """Let the file at a place hold a request's bytes; raise `Unmet` if a condition in its headers does not hold."""
        self.check(where, headers)
        async with self.room.taken(user):
            said = promised(headers)
            upload = Upload(self._drive, user, space.id, space.cutting, said and said.whole)
            written = await upload.take(body.pieces(BYTES_MAX))
            if said is not None:
                said.check()
            return await self._commit(user, space.id, where, written, headers)

    async def _commit(
        self, user: UserId, space: SpaceId, where: Spot, written: Written, headers: Mapping[bytes, bytes]
    ) -> Saved:
        """Commit what was written, on the very version that the conditions were looked at for."""
        modified_ms = _modified_ms(headers)
        for _ in range(TRIES):
            folder = self.check(where, headers)
            edit: Edit
            if where.node is None:
                edit = Make(parent=folder, name=where.name, manifest=written.manifest, modified_ms=modified_ms)
            else:
                node = where.node
                edit = Put(node=node.id, version=node.version, manifest=written.manifest, modified_ms=modified_ms)
            (outcome,) = await self._drive.commit(user, space, [edit], written.session)
            if not outcome.code and outcome.node is not None:
                return Saved(outcome.node, where.node is None)
            # It is another one by now, or is in the trash, or the folder is: look again.
            again = await spot(self._drive, user, space, where.names)
            if outcome.code not in ("conflict", "not-found") or again == where:
                raise refused(outcome)
            where = again
        raise Refusal("conflict", "others write this file all the time: try again", retry_s=1)

    @staticmethod
    def check(where: Spot, headers: Mapping[bytes, bytes]) -> NodeId:
        """Return the folder in which it would be; refuse where no file can be."""
        if where.is_folder:
            raise Refusal("conflict", "a folder has this name")
        met(headers, tag_of(where.node.content) if where.node and where.node.content else None)
        if where.folder is None:
            raise Refusal("conflict", "the folder that it is to be in is not there")
        return where.folder


def refused(outcome: Outcome) -> Refusal:
    """Return the refusal that an edit's outcome stands for."""
    return Refusal(outcome.code or "conflict", outcome.says)


def _modified_ms(headers: Mapping[bytes, bytes]) -> int:
    """Return what a client says of when the file was changed: ownCloud's header, in seconds."""
    text = headers.get(b"x-oc-mtime", b"").partition(b".")[0]
    return int(text) * 1_000 if text.isdigit() and len(text) <= 12 else 0
