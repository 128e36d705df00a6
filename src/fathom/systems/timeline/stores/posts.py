"""Posts, their likes, and the copies of them in Redis that homes are made of."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeGuard

import msgspec

from fathom.blocks.ids import Ids
from fathom.engines.ledger import RESIDUAL, charge, charging
from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import Page, Post, PostId, UserId
from .likes import VISIBLE, Likes
from .memory import Memory, MemoryShut
from .outbox import Entry

if TYPE_CHECKING:
    from fathom.engines.database import Database
    from fathom.engines.redis_client import Command

__all__ = ["GONE", "Known", "Posts"]

TOP = 1 << 62  # above every id
DAY_MS = 86_400_000
COPY_S = 86_400  # a cached post lives a day, give or take a tenth, so that what was cached together does not expire so
MINT_TRIES = 50

# A cached post is the JSON of the post with its version in front, in eight hex digits, so that it can be compared as it
# stands and passed on as it lies. GONE stands for what is deleted, or never was.
GONE = b"-"
HEAD = b'{"v":"'  # the six bytes that every other copy begins with
FORM = 2  # of the copies, in their keys: a Redis that was kept may still have those of an older Fathom

_TURN = """
    turn AS (
        UPDATE counts SET posts = posts + 1, last_post = $1 WHERE user_id = $2 AND last_post < $1 RETURNING user_id
    ), written AS (
        INSERT INTO posts (id, author, body, at_ms) SELECT $1, user_id, $3, $4 FROM turn
    ), boxed AS (
        INSERT INTO outbox (kind, who, what, at_ms) SELECT 'post', user_id, $1, $4 FROM turn RETURNING seq
    )
    SELECT (SELECT seq FROM boxed) AS seq, name, last_post
    FROM users JOIN counts ON user_id = id WHERE id = $2
"""
_WRITE = f"WITH {_TURN}"
_CLAIM = """
    INSERT INTO keys AS k (author, key, fingerprint, post, at_ms) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (author, key) DO UPDATE SET fingerprint = $3, post = $4, at_ms = $5 WHERE k.at_ms <= $5 - $6
    RETURNING post
"""
_CLAIMED = """
    SELECT k.fingerprint, p.id, p.at_ms, {likes} AS likes, u.name
    FROM keys k JOIN posts p ON p.id = k.post JOIN users u ON u.id = k.author
    WHERE k.author = $1 AND k.key = $2
"""
_DELETE = """
    WITH gone AS (
        UPDATE posts SET deleted_ms = $3, body = '', version = version + 1
        WHERE id = $1 AND author = $2 AND deleted_ms IS NULL RETURNING id
    ), counted AS (
        UPDATE counts SET posts = posts - 1 WHERE user_id = $2 AND EXISTS (SELECT FROM gone)
    ), boxed AS (
        INSERT INTO outbox (kind, who, what, at_ms) SELECT 'delete', $2, id, $3 FROM gone RETURNING seq
    )
    SELECT p.author, p.deleted_ms IS NOT NULL AS deleted, (SELECT seq FROM boxed) AS seq,
        EXISTS (SELECT FROM blocks WHERE (blocker, blocked) IN ((p.author, $2), ($2, p.author))) AS hidden
    FROM posts p WHERE p.id = $1
"""
_POST = """
    SELECT p.id, p.author, u.name, p.body, p.at_ms, {likes} AS likes, {version} AS version
    FROM posts p JOIN users u ON u.id = p.author
"""
_KEEP_NEWER = """
    local old = redis.call('GET', KEYS[1])
    if old and (old == '-' or string.sub(old, 1, 14) >= string.sub(ARGV[1], 1, 14)) then return 0 end
    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
    return 1
"""

_encode = msgspec.json.Encoder().encode
_decode_all = msgspec.json.Decoder(list[Post]).decode


_byte = itemgetter(0)


def _all_there(copies: list[bytes | None]) -> TypeGuard[list[bytes]]:
    """Return whether all are copies, at a glance: nothing else that is ever kept there begins with a brace."""
    try:
        return bytes(map(_byte, copies)).count(b"{") == len(copies)  # pyright: ignore[reportArgumentType]
    except (TypeError, IndexError):  # None, or nothing at all
        return False


class Known(msgspec.Struct, frozen=True, gc=False):
    """What became of some ids: the JSON of those that are there, and which are gone."""

    json: list[bytes]  # each a Post's, and its version; in the order of the ids asked for, without the gone
    gone: frozenset[PostId] | None  # None: nobody


class Posts:
    """Posts in the truth, and copies of them in Redis that are only ever replaced by newer ones."""

    def __init__(self, truth: Postgres, memory: Memory, likes: Likes) -> None:
        self._truth, self._memory, self._likes = truth, memory, likes
        self.era = 1  # of the copies; raised to forget all of them at once
        self._filling: dict[PostId, asyncio.Future[dict[PostId, bytes]]] = {}
        self._keep_newer: Any = None

    @property
    def _db(self) -> Database:
        return self._truth.client

    # Writing

    async def write(
        self, author: UserId, body: str, now_ms: int, mint: Callable[[int], Awaitable[int]], key: str | None = None
    ) -> tuple[Post, Entry | None]:
        """Write a post and its outbox row in one transaction; no row: the key had already been used for this post."""
        last = 0
        for _ in range(MINT_TRIES):
            minted = await mint(last)
            written = await (
                self._write(author, body, now_ms, minted)
                if key is None
                else self._write_once(author, body, now_ms, minted, key)
            )
            if not isinstance(written, int):
                return written
            last = written  # the author has a newer post: from another worker, or before a clock stepped back
        raise Refusal("unavailable", "no number for this post could be found, try again", retry_s=1.0)

    async def _write(self, author: UserId, body: str, now_ms: int, minted: int) -> tuple[Post, Entry | None] | int:
        from asyncpg import UniqueViolationError

        try:
            row = await self._db.fetchrow(_WRITE, minted, author, body, now_ms)
        except UniqueViolationError:  # another worker had the same number
            return minted
        return self._written(row, author, body, now_ms, minted)

    async def _write_once(
        self, author: UserId, body: str, now_ms: int, minted: int, key: str
    ) -> tuple[Post, Entry | None] | int:
        from asyncpg import UniqueViolationError

        fingerprint = hashlib.sha256(body.encode()).digest()
        try:
            async with self._db.transaction() as tx:
                # A second use waits here until the first is committed or rolled back.
                if await tx.fetchrow(_CLAIM, author, key, fingerprint, minted, now_ms, DAY_MS) is not None:
                    row = await tx.fetchrow(_WRITE, minted, author, body, now_ms)
                    written = self._written(row, author, body, now_ms, minted)
                    if isinstance(written, int):
                        raise _NotAbove(written)
                    return written
                first = await tx.fetchrow(_CLAIMED.format(likes=self._likes.number), author, key)
        except _NotAbove as above:
            return above.last
        except UniqueViolationError:
            return minted
        if first is None or first["fingerprint"] != fingerprint:
            raise Refusal("invalid", "this key was used for another post")
        # The body is the same, as its fingerprint is; a deleted post's own body is no longer there.
        return Post(
            id=first["id"], author=author, name=first["name"], body=body, at_ms=first["at_ms"], likes=first["likes"]
        ), None

    def _written(
        self, row: Any, author: UserId, body: str, now_ms: int, minted: int
    ) -> tuple[Post, Entry | None] | int:
        if row is None:
            raise Refusal("not-found", "there is no such account")
        if row["seq"] is None:
            return max(row["last_post"], minted)
        post = Post(id=PostId(minted), author=author, name=row["name"], body=body, at_ms=now_ms)
        return post, Entry(row["seq"], "post", author, minted, now_ms)

    async def delete(self, author: UserId, post: PostId, now_ms: int) -> Entry | None:
        """Delete an author's post; no row: it already was."""
        row = await self._db.fetchrow(_DELETE, post, author, now_ms)
        if row is None or row["hidden"] or (row["author"] != author and row["deleted"]):
            raise Refusal("not-found", "there is no such post")
        if row["author"] != author:
            raise Refusal("forbidden", "only its author can delete a post")
        return None if row["seq"] is None else Entry(row["seq"], "delete", author, post, now_ms)

    # Reading the truth

    @property
    def _shown(self) -> str:
        """Posts as they are shown."""
        return _POST.format(likes=self._likes.number, version="p.version")

    @property
    def _copied(self) -> str:
        """Posts as copies of them are made."""
        likes, version = self._likes.copied
        return _POST.format(likes=likes, version=version)

    async def read(self, viewer: UserId, post: PostId) -> Post:
        """Return a post that the viewer may see."""
        row = await self._db.fetchrow(f"{self._shown} WHERE p.id = $2 AND {VISIBLE}", viewer, post)
        if row is None:
            raise Refusal("not-found", "there is no such post")
        return _post(row)

    async def visible(self, viewer: UserId, ids: Sequence[PostId], most: int) -> list[Post]:
        """Return the first of these posts that the viewer may see, in their order."""
        rows = await self._db.fetch(
            f"{self._shown} JOIN unnest($2::bigint[]) WITH ORDINALITY AS asked (id, place) ON asked.id = p.id"
            f" WHERE {VISIBLE} ORDER BY place LIMIT $3",
            viewer,
            ids,
            most,
        )
        return [_post(row) for row in rows]

    async def by(self, viewer: UserId, author: UserId, page: Page) -> list[Post]:
        """Return an author's posts, newest first: at most `page.limit` from its end of the range."""
        below = TOP if page.max_id is None else page.max_id
        above = max(page.since_id or 0, page.min_id or 0)
        order = "DESC" if page.min_id is None else "ASC"
        rows = await self._db.fetch(
            f"SELECT u.id AS writer, mine.* FROM users u LEFT JOIN LATERAL ({self._shown} WHERE p.author = $2"
            f" AND p.deleted_ms IS NULL AND p.id < $3 AND p.id > $4 ORDER BY p.id {order} LIMIT $5) mine ON true"
            " WHERE u.id = $2 AND NOT EXISTS ("
            "SELECT FROM blocks WHERE (blocker, blocked) IN ((u.id, $1), ($1, u.id)))"
            " ORDER BY mine.id DESC",
            viewer,
            author,
            below,
            above,
            page.limit,
        )
        if not rows:
            raise Refusal("not-found", "there is no such account")
        return [_post(row) for row in rows if row["id"] is not None]

    async def likers(self, viewer: UserId, post: PostId, most: int = 1_000) -> list[UserId]:
        """Return who likes a post, newest first."""
        rows = await self._db.fetch(
            f"SELECT p.id AS post, l.user_id FROM posts p LEFT JOIN likes l ON l.post = p.id"
            f" WHERE p.id = $2 AND {VISIBLE} ORDER BY l.seq DESC LIMIT $3",
            viewer,
            post,
            most,
        )
        if not rows:
            raise Refusal("not-found", "there is no such post")
        return [row["user_id"] for row in rows if row["user_id"] is not None]

    async def true(self, ids: Sequence[PostId]) -> dict[PostId, tuple[Post, int]]:
        """Return those of these posts that are there, with their versions."""
        rows = await self._db.fetch(f"{self._copied} WHERE p.id = ANY($1::bigint[]) AND p.deleted_ms IS NULL", ids)
        return {row["id"]: (_post(row), row["version"]) for row in rows}

    async def newest(self, most: int) -> list[tuple[Post, int]]:
        """Return everybody's newest posts, newest first, with their versions."""
        rows = await self._db.fetch(f"{self._copied} WHERE p.deleted_ms IS NULL ORDER BY p.id DESC LIMIT $1", most)
        return [(_post(row), row["version"]) for row in rows]

    async def forget_keys(self, before_ms: int, most: int = 1_000) -> int:
        """Remove idempotency keys that have expired; return how many."""
        return await self._db.execute(
            "DELETE FROM keys WHERE (author, key) IN (SELECT author, key FROM keys WHERE at_ms < $1 LIMIT $2)",
            before_ms,
            most,
        )

    # Copies in Redis

    def _key(self, post: int) -> bytes:
        return b"post:%d:%d:%d" % (FORM, self.era, post)

    async def copy_new(self, post: Post) -> None:
        """Cache a post that was just written, unless there already is a copy: that can only be newer."""
        await self._memory.tell([self._setting(post.id, _copy(post, 0))])

    async def copy_gone(self, post: PostId) -> None:
        """Cache that a post is gone: no copy can replace that."""
        await self._memory.tell([("SET", self._key(post), GONE, "EX", _life_s(post))])

    async def copy_newer(self, post: PostId) -> None:
        """Cache a post as it is now, unless what is cached is newer still."""
        found = await self.true([post])
        if post not in found:
            await self.copy_gone(post)
            return
        if self._keep_newer is None:
            self._keep_newer = self._memory.client.script(_KEEP_NEWER)
            with charging(RESIDUAL):
                await self._memory.tell([("SCRIPT", "LOAD", _KEEP_NEWER)])
        copy = self._keep_newer.command(keys=[self._key(post)], args=[_copy(*found[post]), _life_s(post)])
        (newer,) = await self._memory.tell([copy])
        charge("commands", 1 + newer)  # the script's own: Redis carries them out, and counts them

    def forget_scripts(self) -> None:
        """Redis was restarted and may have forgotten our script."""
        self._keep_newer = None

    async def json(self, ids: Sequence[PostId]) -> Known:
        """Return the JSON of these posts, from their copies or, where there are none, from the truth."""
        beside = self._likes.beside_copies  # now, because they may be right by the time at which we have them
        known = await self._json(ids)
        if (beside or self._likes.beside_copies) and known.json:
            return Known([_copy(post, 0) for post in await self.counted(posts_of(known.json))], known.gone)
        return known

    async def counted(self, posts: list[Post]) -> list[Post]:
        """Return posts that come from copies which do not carry their number of likes with that number."""
        likes = await self._likes.of([post.id for post in posts])
        return [msgspec.structs.replace(post, likes=likes.get(post.id, 0)) for post in posts]

    async def _json(self, ids: Sequence[PostId]) -> Known:
        if not ids:
            return Known([], None)
        # All keys in one go: twenty of them one by one are a tenth of what a home costs us.
        keys = (b"post:%d:%d:%%d " % (FORM, self.era) * len(ids) % tuple(ids)).split()
        copies = await self._memory.ask("MGET", *keys)
        if _all_there(copies):
            return Known(copies, None)
        # What is neither a copy nor GONE is as good as nothing.
        copies = [copy if copy == GONE or (copy and copy[:6] == HEAD) else None for copy in copies]
        missing = [id for id, copy in zip(ids, copies, strict=True) if copy is None]
        filled = await self._fill(missing) if missing else {}
        known: list[bytes] = []
        gone: set[PostId] = set()
        for id, copy in zip(ids, copies, strict=True):
            copy = filled.get(id, GONE) if copy is None else copy
            if copy == GONE:
                gone.add(id)
            else:
                known.append(copy)
        return Known(known, frozenset(gone))

    async def _fill(self, missing: list[PostId]) -> dict[PostId, bytes]:
        """Read posts from the truth and cache them. Whoever misses what is being read waits for that instead."""
        others = {self._filling[id] for id in missing if id in self._filling}
        mine = [id for id in missing if id not in self._filling]
        found: dict[PostId, bytes] = {}
        if mine:
            flight: asyncio.Future[dict[PostId, bytes]] = asyncio.get_running_loop().create_future()
            for id in mine:
                self._filling[id] = flight
            try:
                found = await self._copies_of(mine)
            except BaseException as failure:
                flight.set_exception(failure if isinstance(failure, Exception) else MissedFlight())
                flight.exception()  # seen, also if nobody waits
                raise
            else:
                flight.set_result(found)
            finally:
                for id in mine:
                    del self._filling[id]
        for other in others:
            try:
                found = found | await asyncio.shield(other)
            except MissedFlight:
                found = found | await self._copies_of([id for id in missing if id not in found])
        return found

    async def _copies_of(self, ids: list[PostId]) -> dict[PostId, bytes]:
        opening, era = self._memory.openings, self.era
        there = await self.true(ids)
        copies = {id: _copy(*there[id]) for id in ids if id in there}
        # These ids come from feeds and from the truth, so their posts were once there: what is missing was deleted, and
        # will not come back. (An id that somebody made up never gets here, so none is remembered as gone too early.)
        fills = [self._setting(id, copies.get(id, GONE)) for id in ids]
        # What was read before Redis was last opened may be older than what was applied to it then.
        if self._memory.open and opening == self._memory.openings and era == self.era:
            with suppress(MemoryShut):  # then the next reader fills it
                await self._memory.look(fills)
        return copies

    def _setting(self, post: PostId, copy: bytes) -> Command:
        return ("SET", self._key(post), copy, "EX", _life_s(post), "NX")

    # In bulk, for dives and imports: beside the service, before anybody reads

    async def bulk(self, posts: Iterable[tuple[UserId, str]], *, from_ms: int, until_ms: int) -> list[PostId]:
        """Add many (author, body), their times spread evenly over a range in the past; return their ids in order."""
        written = list(posts)
        ids = Ids(worker=15)
        step_ms = (until_ms - from_ms) / max(1, len(written))
        rows = [
            (ids.mint(int(from_ms + at * step_ms)), author, body, int(from_ms + at * step_ms))
            for at, (author, body) in enumerate(written)
        ]
        await self._db.copy("posts", ["id", "author", "body", "at_ms"], rows)
        last: dict[int, int] = {}
        many: dict[int, int] = {}
        for id, author, _, _ in rows:
            last[author] = id
            many[author] = many.get(author, 0) + 1
        await self._db.execute(
            "UPDATE counts SET posts = posts + n, last_post = greatest(last_post, latest)"
            " FROM unnest($1::bigint[], $2::bigint[], $3::int[]) AS added(id, latest, n) WHERE user_id = id",
            sorted(last),
            [last[author] for author in sorted(last)],
            [many[author] for author in sorted(last)],
            within_s=60.0,
        )
        await self._db.execute("VACUUM (ANALYZE) posts", within_s=60.0)
        return [PostId(row[0]) for row in rows]

    async def warm(self, ids: Sequence[PostId]) -> None:
        """Cache these posts, in bulk."""
        async with self._memory.beside():
            for first in range(0, len(ids), 1_000):
                there = await self.true(ids[first : first + 1_000])
                fills = [self._setting(id, _copy(post, version)) for id, (post, version) in there.items()]
                await self._memory.work(fills)


class MissedFlight(Exception):
    """Whoever was reading for us gave up: read for yourself."""


class _NotAbove(Exception):
    """Rolls a transaction back: its number is not above the author's last."""

    def __init__(self, last: int) -> None:
        super().__init__(last)
        self.last = last


def posts_of(copies: list[bytes]) -> list[Post]:
    """Return posts from their JSON."""
    return _decode_all(b"[" + b",".join(copies) + b"]")


def _post(row: Any) -> Post:
    return Post(
        id=row["id"], author=row["author"], name=row["name"], body=row["body"], at_ms=row["at_ms"], likes=row["likes"]
    )


def _copy(post: Post, version: int) -> bytes:
    return HEAD + b'%08x",' % version + _encode(post)[1:]


def _life_s(post: int) -> int:
    """A day give or take a tenth, by the post's number: equal for all who cache it, different for its neighbours."""
    return COPY_S * 9 // 10 + post * 2_654_435_761 % (COPY_S // 5)
