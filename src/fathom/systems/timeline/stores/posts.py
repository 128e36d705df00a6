"""Posts, their likes, and the copies of them in Redis that homes are made of."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

import msgspec

from fathom.blocks.ids import Ids
from fathom.engines.ledger import RESIDUAL, charging
from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import PLAIN, Manner, Page, Post, PostId, UserId
from .likes import Likes
from .memory import Memory, MemoryShut
from .numbers import MINT_TRIES
from .outbox import Entry
from .rows import VISIBLE, apart, between, order, post_columns, post_of

if TYPE_CHECKING:
    from fathom.engines.database import Database
    from fathom.engines.redis_connection import Command

__all__ = ["GONE", "Deleted", "Draft", "Known", "Posts", "Wrote"]

DAY_MS = 86_400_000
COPY_S = 86_400  # a cached post lives a day, give or take a tenth, so that what was cached together does not expire so

# A cached post is the JSON of the post with its version in front, in eight hex digits, so that it can be compared as it
# stands and passed on as it lies. GONE stands for what is deleted, or never was. A boost's copy has BOOST before that:
# who reads it has to look at what it shows, which has a copy of its own.
GONE = b"-"
BOOST = b"~"
HEAD = b'{"v":"'  # the six bytes that every other copy begins with
FORM = 3  # of the copies, in their keys: a Redis that was kept may still have those of an older Fathom

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
# The same for a post that answers another, names somebody, or is not written plainly. Rows of posts are locked before
# counts, here and in a deletion, so that the two never wait for each other.
_WRITE_ANY = f"""
    WITH parent AS MATERIALIZED (
        SELECT p.id FROM posts p WHERE p.id = $5 AND p.deleted_ms IS NULL AND p.boost_of IS NULL
            AND NOT {apart("p.author", "$2")}
        FOR NO KEY UPDATE OF p
    ), {{pictures}}turn AS (
        UPDATE counts SET posts = posts + 1, last_post = $1 WHERE user_id = $2 AND last_post < $1
            AND ($5::bigint IS NULL OR EXISTS (SELECT FROM parent)) {{if_there}}
        RETURNING user_id
    ), written AS (
        INSERT INTO posts (id, author, body, at_ms, reply_to, warning, listed)
        SELECT $1, user_id, $3, $4, $5, $7, $8 FROM turn
    ), {{shown}}answered AS (
        UPDATE posts SET replies = replies + 1, version = version + 1
        FROM turn WHERE id = $5 RETURNING id
    ), named AS (
        INSERT INTO mentions (post, user_id) SELECT $1, id FROM users, turn WHERE name = ANY($6::text[])
        RETURNING user_id AS id
    ), tagged AS (
        INSERT INTO tags (tag, post) SELECT tag, $1 FROM turn, unnest($9::text[]) AS said (tag)
    ), noticed AS (
        INSERT INTO notices (user_id, id, kind, who, post, at_ms)
        SELECT id, $1, 'mention', $2, $1, $4 FROM named WHERE id <> $2 RETURNING user_id
    ), boxed AS (
        INSERT INTO outbox (kind, who, what, at_ms) SELECT 'post', user_id, $1, $4 FROM turn RETURNING seq
    ), tallied AS (
        INSERT INTO outbox (kind, who, what, at_ms) SELECT 'tally', $2, id, $4 FROM answered RETURNING seq
    )
    SELECT (SELECT seq FROM boxed) AS seq, (SELECT seq FROM tallied) AS tally, name, last_post,
        ARRAY(SELECT user_id FROM noticed) AS noticed,
        $5::bigint IS NOT NULL AND NOT EXISTS (SELECT FROM parent) AS lost{{unshown}}
    FROM users JOIN counts ON user_id = id WHERE id = $2
"""
_WRITE_MORE = _WRITE_ANY.format(pictures="", if_there="", shown="", unshown="")
# And for one that shows pictures: all of them, or there is no post.
_WRITE_SHOWING = _WRITE_ANY.format(
    pictures="""pictures AS MATERIALIZED (
        SELECT id FROM media WHERE id = ANY($10::bigint[]) AND owner = $2 AND original IS NOT NULL AND freed_ms > $12
        ORDER BY id FOR NO KEY UPDATE
    ), """,
    if_there="AND (SELECT count(*) FROM pictures) = cardinality($10::bigint[])",
    shown="""shown AS (
        UPDATE media SET post = $1, place = array_position($10::bigint[], media.id), sensitive = $11, freed_ms = NULL
        FROM pictures, turn WHERE media.id = pictures.id
    ), """,
    unshown=", (SELECT count(*) FROM pictures) < cardinality($10::bigint[]) AS unshown",
)
_CLAIM = """
    INSERT INTO keys AS k (author, key, fingerprint, post, at_ms) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (author, key) DO UPDATE SET fingerprint = $3, post = $4, at_ms = $5 WHERE k.at_ms <= $5 - $6
    RETURNING post
"""
_CLAIMED = """
    SELECT {columns}, k.fingerprint
    FROM keys k JOIN posts p ON p.id = k.post JOIN users u ON u.id = k.author
    WHERE k.author = $1 AND k.key = $2
"""
# Who changes several posts locks them first, in the order of their ids, here and where likes are added up: then no two
# of them wait for each other.
_DELETE = f"""
    WITH held AS MATERIALIZED (
        SELECT id FROM posts WHERE id IN (SELECT unnest(ARRAY[id, reply_to]) FROM posts WHERE id = $1 AND author = $2)
        ORDER BY id FOR NO KEY UPDATE
    ), gone AS (
        UPDATE posts SET deleted_ms = $3, body = '', version = version + 1
        WHERE id = $1 AND author = $2 AND deleted_ms IS NULL AND boost_of IS NULL AND (SELECT count(*) FROM held) > 0
        RETURNING id, reply_to
    ), unanswered AS (
        UPDATE posts p SET replies = replies - 1, version = version + 1 FROM gone WHERE p.id = gone.reply_to
        RETURNING p.id
    ), counted AS (
        UPDATE counts SET posts = posts - 1
        WHERE user_id = $2 AND EXISTS (SELECT FROM gone) AND (SELECT count(*) FROM unanswered) >= 0
    ), freed AS (
        UPDATE media SET freed_ms = $3 FROM gone WHERE media.post = gone.id AND freed_ms IS NULL
    ), boxed AS (
        INSERT INTO outbox (kind, who, what, at_ms) SELECT 'delete', $2, id, $3 FROM gone RETURNING seq
    ), tallied AS (
        INSERT INTO outbox (kind, who, what, at_ms) SELECT 'tally', $2, id, $3 FROM unanswered RETURNING seq
    )
    SELECT p.author, p.deleted_ms IS NOT NULL AS deleted, p.boost_of, p.reply_to,
        (SELECT seq FROM boxed) AS seq, (SELECT seq FROM tallied) AS tally,
        {apart("p.author", "$2")} AS hidden
    FROM posts p WHERE p.id = $1
"""
_POST = "SELECT {columns}, {version} AS version FROM posts p JOIN users u ON u.id = p.author"
# A boost is there for as long as what it shows.
_SHOWS = f"""
    (p.boost_of IS NULL OR EXISTS (SELECT FROM posts o WHERE o.id = p.boost_of AND o.deleted_ms IS NULL
        AND NOT {apart("o.author", "$1")}))
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
    boosts: bool = False  # whether there are any among them: what they show is still to be looked at


class Draft(msgspec.Struct, frozen=True):
    """A post that is to be written, who is named in it, and its tags.

    `unused_ms`: how long uploads are there that no post shows.
    """

    body: str
    manner: Manner = PLAIN
    names: Sequence[str] = ()
    tags: Sequence[str] = ()
    unused_ms: int = 0

    @property
    def plain(self) -> bool:
        return not self.names and not self.tags and self.manner == PLAIN

    @property
    def fingerprint(self) -> bytes:
        """What tells whether a key is used again for the same."""
        digest = hashlib.sha256(self.body.encode())
        if self.manner != PLAIN:
            digest.update(b"\0" + _encode(self.manner))
        return digest.digest()


class Wrote(NamedTuple):
    """A post that is written, and what has to be told: its row, that of the post it answers, and who has a notice."""

    post: Post
    entry: Entry | None = None
    tally: Entry | None = None
    noticed: Sequence[UserId] = ()


class Deleted(NamedTuple):
    """What has to be told of a deletion; no rows: it was deleted before, or is a boost."""

    entries: list[Entry]
    boost_of: PostId | None = None  # what a boost shows that is still to be taken back
    counted_by: PostId | None = None  # what the post answered, or showed


class Posts:
    """Posts in the truth, and copies of them in Redis that are only ever replaced by newer ones."""

    def __init__(self, truth: Postgres, memory: Memory, likes: Likes) -> None:
        self._truth, self._memory, self._likes = truth, memory, likes
        self.era = 1  # of the copies; raised to forget all of them at once
        self._filling: dict[PostId, asyncio.Future[dict[PostId, bytes]]] = {}
        self._loaded = False  # Redis knows the script

    @property
    def _db(self) -> Database:
        return self._truth.client

    # Writing

    async def write(
        self,
        author: UserId,
        draft: Draft,
        now_ms: int,
        mint: Callable[[int], Awaitable[int]],
        key: str | None = None,
    ) -> Wrote:
        """Write a post and its outbox row in one transaction; no row: the key had already been used for this post."""
        last = 0
        for _ in range(MINT_TRIES):
            minted = await mint(last)
            written = await (
                self._write(self._db, author, draft, now_ms, minted)
                if key is None
                else self._write_once(author, draft, now_ms, minted, key)
            )
            if not isinstance(written, int):
                return written
            last = written  # the author has a newer post: from another worker, or before a clock stepped back
        raise Refusal("unavailable", "no number for this post could be found, try again", retry_s=1.0)

    async def _write(self, at: Any, author: UserId, draft: Draft, now_ms: int, minted: int) -> Wrote | int:
        from asyncpg import UniqueViolationError

        how = draft.manner
        try:
            if draft.plain:
                row = await at.fetchrow(_WRITE, minted, author, draft.body, now_ms)
            else:
                more: list[Any] = [how.reply_to, draft.names, how.warning, how.listed, draft.tags]
                if how.media:
                    more += [how.media, how.sensitive, now_ms - draft.unused_ms]
                query = _WRITE_SHOWING if how.media else _WRITE_MORE
                row = await at.fetchrow(query, minted, author, draft.body, now_ms, *more)
        except UniqueViolationError:  # another worker had the same number
            if at is not self._db:
                raise  # the transaction is over
            return minted
        if row is None:
            raise Refusal("not-found", "there is no such account")
        if not draft.plain and row["lost"]:
            raise Refusal("not-found", "there is no such post to answer")
        if how.media and row["unshown"]:
            raise Refusal("invalid", "a post shows pictures of its author's that no other post shows")
        if row["seq"] is None:
            return max(row["last_post"], minted)
        post = Post(
            id=PostId(minted),
            author=author,
            name=row["name"],
            body=draft.body,
            at_ms=now_ms,
            reply_to=how.reply_to,
            warning=how.warning,
            listed=how.listed,
        )
        entry = Entry(row["seq"], "post", author, minted, now_ms)
        if draft.plain:
            return Wrote(post, entry)
        tally = Entry(row["tally"], "tally", author, how.reply_to or 0, now_ms) if row["tally"] is not None else None
        return Wrote(post, entry, tally, row["noticed"])

    async def _write_once(self, author: UserId, draft: Draft, now_ms: int, minted: int, key: str) -> Wrote | int:
        from asyncpg import UniqueViolationError

        try:
            async with self._db.transaction() as tx:
                # A second use waits here until the first is committed or rolled back.
                claim = (author, key, draft.fingerprint, minted, now_ms, DAY_MS)
                if await tx.fetchrow(_CLAIM, *claim) is not None:
                    written = await self._write(tx, author, draft, now_ms, minted)
                    if isinstance(written, int):
                        raise _NotAbove(written)
                    return written
                first = await tx.fetchrow(_CLAIMED.format(columns=self._likes.columns), author, key)
        except _NotAbove as above:
            return above.last
        except UniqueViolationError:
            return minted
        if first is None or first["fingerprint"] != draft.fingerprint:
            raise Refusal("invalid", "this key was used for another post")
        # The body is the same, as its fingerprint is; a deleted post's own body is no longer there.
        return Wrote(msgspec.structs.replace(post_of(first), body=draft.body))

    async def delete(self, author: UserId, post: PostId, now_ms: int) -> Deleted:
        """Delete an author's post, once. A boost is not deleted here."""
        row = await self._db.fetchrow(_DELETE, post, author, now_ms)
        if row is None or row["hidden"] or (row["author"] != author and row["deleted"]):
            raise Refusal("not-found", "there is no such post")
        if row["author"] != author:
            raise Refusal("forbidden", "only its author can delete a post")
        if row["boost_of"] is not None:
            return Deleted([], counted_by=row["boost_of"]) if row["deleted"] else Deleted([], row["boost_of"])
        entries = (
            Entry(row["seq"], "delete", author, post, now_ms),
            Entry(row["tally"], "tally", author, row["reply_to"] or 0, now_ms),
        )
        return Deleted([entry for entry in entries if entry.seq is not None], counted_by=row["reply_to"])

    # Reading the truth

    @property
    def _shown(self) -> str:
        """Posts as they are shown."""
        return _POST.format(columns=self._likes.columns, version="p.version")

    @property
    def _copied(self) -> str:
        """Posts as copies of them are made."""
        likes, version = self._likes.copied
        return _POST.format(columns=post_columns(likes), version=version)

    async def read(self, viewer: UserId, post: PostId) -> Post:
        """Return a post that the viewer may see."""
        row = await self._db.fetchrow(f"{self._shown} WHERE p.id = $2 AND {VISIBLE}", viewer, post)
        if row is None:
            raise Refusal("not-found", "there is no such post")
        return post_of(row)

    async def visible(self, viewer: UserId, ids: Sequence[PostId], most: int) -> list[Post]:
        """Return the first of these posts that the viewer may see, in their order."""
        rows = await self._db.fetch(
            f"{self._shown} JOIN unnest($2::bigint[]) WITH ORDINALITY AS asked (id, place) ON asked.id = p.id"
            f" WHERE {VISIBLE} ORDER BY place LIMIT $3",
            viewer,
            ids,
            most,
        )
        return [post_of(row) for row in rows]

    async def by(self, viewer: UserId, author: UserId, page: Page) -> list[Post]:
        """Return an author's posts, newest first: at most `page.limit` from its end of the range."""
        rows = await self._db.fetch(
            f"SELECT mine.* FROM users w LEFT JOIN LATERAL ({self._shown} WHERE p.author = $2"
            f" AND p.deleted_ms IS NULL AND {_SHOWS} AND p.id < $3 AND p.id > $4"
            f" ORDER BY p.id {order(page)} LIMIT $5) mine"
            f" ON true WHERE w.id = $2 AND NOT {apart('w.id', '$1')} ORDER BY mine.id DESC",
            viewer,
            author,
            *between(page),
            page.limit,
        )
        if not rows:
            raise Refusal("not-found", "there is no such account")
        return [post_of(row) for row in rows if row[0] is not None]

    async def likers(self, viewer: UserId, post: PostId, most: int = 1_000) -> list[UserId]:
        """Return who likes a post, newest first."""
        rows = await self._db.fetch(
            f"SELECT p.id AS post, l.user_id FROM posts p LEFT JOIN likes l ON l.post = p.id"
            f" WHERE p.id = $2 AND p.boost_of IS NULL AND {VISIBLE} ORDER BY l.seq DESC LIMIT $3",
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
        return {row["id"]: (post_of(row), row["version"]) for row in rows}

    async def newest(self, most: int) -> list[tuple[Post, int]]:
        """Return everybody's newest posts, newest first, with their versions."""
        rows = await self._db.fetch(f"{self._copied} WHERE p.deleted_ms IS NULL ORDER BY p.id DESC LIMIT $1", most)
        return [(post_of(row), row["version"]) for row in rows]

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
        keep_newer = self._memory.client.script(_KEEP_NEWER)
        if not self._loaded:
            self._loaded = True
            with charging(RESIDUAL):
                await self._memory.tell([("SCRIPT", "LOAD", keep_newer.source)])
        copy = keep_newer.command(keys=[self._key(post)], args=[_copy(*found[post]), _life_s(post)])
        (answer,) = await self._memory.tell([copy])
        keep_newer.said(answer)

    def forget_scripts(self) -> None:
        """Redis was restarted and may have forgotten our script."""
        self._loaded = False

    async def json(self, ids: Sequence[PostId]) -> Known:
        """Return the JSON of these posts, from their copies or, where there are none, from the truth."""
        beside = self._likes.beside_copies  # now, because they may be right by the time at which we have them
        known = await self._json(ids)
        if (beside or self._likes.beside_copies) and known.json:
            counted = await self.counted(posts_of(known.json))
            return Known([_copy(post, 0).removeprefix(BOOST) for post in counted], known.gone, known.boosts)
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
        copies = [copy if copy == GONE or (copy and copy.removeprefix(BOOST)[:6] == HEAD) else None for copy in copies]
        missing = [id for id, copy in zip(ids, copies, strict=True) if copy is None]
        filled = await self._fill(missing) if missing else {}
        known: list[bytes] = []
        gone: set[PostId] = set()
        boosts = False
        for id, copy in zip(ids, copies, strict=True):
            copy = filled.get(id, GONE) if copy is None else copy
            if copy == GONE:
                gone.add(id)
            else:
                boosts = boosts or copy[:1] == BOOST
                known.append(copy.removeprefix(BOOST))
        return Known(known, frozenset(gone) if gone else None, boosts)

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


def _copy(post: Post, version: int) -> bytes:
    copy = HEAD + b'%08x",' % version + _encode(post)[1:]
    return copy if post.boost_of is None else BOOST + copy


def _life_s(post: int) -> int:
    """A day give or take a tenth, by the post's number: equal for all who cache it, different for its neighbours."""
    return COPY_S * 9 // 10 + post * 2_654_435_761 % (COPY_S // 5)
