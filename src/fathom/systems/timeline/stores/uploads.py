"""Pictures as the truth knows them: whose they are, which post shows them, and since when none does."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import File, Focus, Media, MediaId, PostId, UserId
from .blobs import DOOMED, HELD
from .numbers import MINT_TRIES
from .rows import VISIBLE

if TYPE_CHECKING:
    from fathom.engines.database import Database

    from ..model.pictures import Picture

__all__ = ["LET_GO_MAX", "Kept", "Shown", "Uploads"]

NAME_BYTES = 16
EMPTY_MS = 3_600_000  # after which the room of an upload that never ended, or was discarded, is given back: see Rules
LET_GO_MAX = 1_000
ONE_OWNER_AT_A_TIME = 7_401_002  # an advisory lock's first half: the number only has to be ours

_COLUMNS = "m.id, m.name, m.form, m.width, m.height, m.small_width, m.small_height, m.description, m.focus_x, m.focus_y"
_FREE = "m.owner = $1 AND m.original IS NOT NULL AND m.freed_ms > $2"  # of `$1`, and no post shows it
_RESERVE = """
    INSERT INTO media (id, owner, name, bytes, freed_ms) SELECT $1, id, $3, $4, $5 FROM users WHERE id = $2
    RETURNING (SELECT coalesce(sum(bytes), 0)::bigint FROM media
        WHERE owner = $2 AND (freed_ms IS NULL OR freed_ms > $6))
"""
_FINISH = f"""
    WITH {HELD.format(hashes="$2::bytea[]")}, kept AS (
        UPDATE blobs SET doomed_ms = NULL FROM held WHERE blobs.hash = held.hash AND doomed_ms IS NOT NULL
    )
    UPDATE media m SET original = ($2::bytea[])[1], small = ($2::bytea[])[2], bytes = $3, form = $4, width = $5,
        height = $6, small_width = $7, small_height = $8, description = $9, focus_x = $10, focus_y = $11
    WHERE id = $1 AND (SELECT count(*) FROM held) = (SELECT count(DISTINCT said) FROM unnest($2::bytea[]) AS said)
    RETURNING {_COLUMNS}
"""
_CAPTION = f"""
    UPDATE media m SET description = coalesce($4, description), focus_x = coalesce($5, focus_x),
        focus_y = coalesce($6, focus_y)
    WHERE {_FREE} AND m.id = $3 RETURNING {_COLUMNS}
"""
_GO = f"""
    WITH gone AS ({{gone}}), said AS (SELECT original AS hash FROM gone UNION SELECT small FROM gone),
    {HELD.format(hashes="ARRAY(SELECT hash FROM said)")}, doomed AS ({DOOMED.format(now="{now}")})
    SELECT count(*) FROM gone
"""
# An empty row stays as long as the bytes do: who sends and discards again and again fills no more than their quota.
_DISCARD = _GO.format(
    gone="UPDATE media SET original = NULL, small = NULL, freed_ms = $4 FROM"
    f" (SELECT m.id, m.original, m.small FROM media m WHERE {_FREE} AND m.id = $3 FOR UPDATE) AS was"
    " WHERE media.id = was.id RETURNING was.original, was.small",
    now="$4::bigint",
)
_UNUSED = _GO.format(
    gone="DELETE FROM media WHERE id IN"
    " (SELECT id FROM media WHERE freed_ms <= $1 OR (original IS NULL AND freed_ms <= $2)"
    " ORDER BY id LIMIT $4 FOR UPDATE SKIP LOCKED) RETURNING original, small",
    now="$3::bigint",
)
# The file of what a deleted post showed is shown to nobody, though its author may still put it into another post.
_FILE = """
    SELECT m.form, b.bytes, b.hash, b.key FROM media m JOIN blobs b ON b.hash = {which}
    WHERE m.name = $1 AND (m.freed_ms IS NULL OR (m.post IS NULL AND m.freed_ms > $2))
"""
_FILES = {False: _FILE.format(which="m.original"), True: _FILE.format(which="m.small")}
_SHOWN = f"""
    SELECT {_COLUMNS}, m.post, m.sensitive FROM media m JOIN posts p ON p.id = m.post
    WHERE m.post = ANY($2::bigint[]) AND m.freed_ms IS NULL AND {VISIBLE} ORDER BY m.post, m.place
"""


class Kept(NamedTuple):
    """A file, and the key under which its bytes lie."""

    file: File
    key: str


class Shown(NamedTuple):
    """What a post shows."""

    media: list[Media]
    sensitive: bool


class Uploads:
    """Pictures in the truth. `now_ms` is when something is asked, `unused_ms` how long what no post shows is kept."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def reserve(
        self, mint: Callable[[], int], owner: UserId, bytes: int, now_ms: int, unused_ms: int, quota_bytes: int
    ) -> MediaId:
        """Reserve room for an upload, if its owner has that much left; return its number."""
        from asyncpg import UniqueViolationError

        name = secrets.token_hex(NAME_BYTES)
        for _ in range(MINT_TRIES):
            minted = mint()
            try:
                async with self._db.transaction() as tx:
                    await tx.execute("SELECT pg_advisory_xact_lock($1, $2)", ONE_OWNER_AT_A_TIME, owner % (1 << 31))
                    held = await tx.fetchval(_RESERVE, minted, owner, name, bytes, now_ms, now_ms - unused_ms)
                    if held is None:
                        raise Refusal("not-found", "there is no such account")
                    if held + bytes > quota_bytes:
                        raise Refusal(
                            "too-large",
                            f"your pictures may have {quota_bytes >> 20} MiB together, and have {held >> 20}",
                        )
            except UniqueViolationError:  # somebody else has this number
                continue
            return MediaId(minted)
        raise Refusal("unavailable", "no number for this picture could be found, try again", retry_s=1.0)

    async def give_back(self, id: MediaId) -> None:
        """Give back the room that was reserved for an upload which came to nothing."""
        await self._db.execute("DELETE FROM media WHERE id = $1 AND original IS NULL", id)

    async def finish(self, id: MediaId, picture: Picture, description: str, focus: Focus | None) -> Media | None:
        """Let an upload be there whose bytes are kept; return None if these have gone again meanwhile."""
        original, small = picture
        x, y = focus or (None, None)
        row = await self._db.fetchrow(
            _FINISH,
            id,
            [original.digest, small.digest],
            len(original.body) + len(small.body),
            original.form,
            original.width,
            original.height,
            small.width,
            small.height,
            description,
            x,
            y,
        )
        return None if row is None else _media_of(row)

    async def of(self, owner: UserId, id: MediaId, now_ms: int, unused_ms: int) -> Media:
        """Return an upload that no post shows."""
        row = await self._db.fetchrow(
            f"SELECT {_COLUMNS} FROM media m WHERE {_FREE} AND m.id = $3", owner, now_ms - unused_ms, id
        )
        return _there(row)

    async def caption(
        self, owner: UserId, id: MediaId, description: str | None, focus: Focus | None, now_ms: int, unused_ms: int
    ) -> Media:
        """Say what is to be seen on an upload that no post shows."""
        x, y = focus or (None, None)
        return _there(await self._db.fetchrow(_CAPTION, owner, now_ms - unused_ms, id, description, x, y))

    async def discard(self, owner: UserId, id: MediaId, now_ms: int, unused_ms: int) -> None:
        """Let an upload go that no post shows, later its bytes if they are nobody else's, and then its room."""
        if not await self._db.fetchval(_DISCARD, owner, now_ms - unused_ms, id, now_ms):
            raise _lost()

    async def file(self, name: str, small: bool, now_ms: int, unused_ms: int) -> Kept:
        """Return what is kept under a name."""
        row = await self._db.fetchrow(_FILES[small], name, now_ms - unused_ms)
        if row is None:
            raise Refusal("not-found", "there is no such file")
        form = "webp" if small else row["form"]
        return Kept(File(form=form, bytes=row["bytes"], digest=row["hash"].hex()), row["key"])

    async def shown(self, viewer: UserId, posts: Sequence[PostId]) -> dict[PostId, Shown]:
        """Return what those of these posts show that the viewer may see."""
        found: dict[PostId, Shown] = {}
        for row in await self._db.fetch(_SHOWN, viewer, posts):
            known = found.setdefault(row["post"], Shown([], row["sensitive"]))
            known.media.append(_media_of(row))
        return found

    async def let_go(self, now_ms: int, unused_ms: int) -> int:
        """Remove uploads that no post has shown for so long; return how many. Their bytes go later, as nobody's."""
        return await self._db.fetchval(_UNUSED, now_ms - unused_ms, now_ms - EMPTY_MS, now_ms, LET_GO_MAX)


def _there(row: Any) -> Media:
    if row is None:
        raise _lost()
    return _media_of(row)


def _lost() -> Refusal:
    return Refusal("not-found", "you have no such picture that no post shows")


def _media_of(row: Any) -> Media:
    return Media(
        id=row["id"],
        name=row["name"],
        form=row["form"],
        width=row["width"],
        height=row["height"],
        small_width=row["small_width"],
        small_height=row["small_height"],
        description=row["description"],
        focus=None if row["focus_x"] is None else (row["focus_x"], row["focus_y"]),
    )
