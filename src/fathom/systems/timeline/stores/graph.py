"""Who follows and who blocks whom, and what they wrote that a reader should see: straight from the truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import Page, Post, PostId, UserId
from .likes import Likes
from .notices import Told
from .outbox import Entry
from .rows import TOP, apart, between, post_of

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["Edge", "Graph", "Snapshot"]

_NOW_MS = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"  # one clock for all that compares `ended_ms`
REMEMBERED_MS = 3_600_000  # how long an edge that ended is told to feeds that are made anew

# What a reader's home is made of: the newest posts by those they follow, and their own. `$1` reader, `$2` below this
# id, `$3` above this one, `$4` how many, `$5` a generation whose stars are left out (0: nobody is).
#
# One index probe per author finds its head; only the authors with the `$4` newest heads can contribute, and only with
# posts no older than the last of these heads. The rest is the merge.
#
# Who mutes somebody they follow goes on following, but for a home it is as if they did not.
_HEARD = "ended_ms IS NULL AND NOT EXISTS (SELECT FROM mutes WHERE muter = follower AND muted = followee)"
_FOLLOWED = f"""
    SELECT followee AS author FROM follows WHERE follower = {{reader}} AND {_HEARD}
        AND ($5 = 0 OR NOT EXISTS (
            SELECT FROM stars WHERE generation = $5 AND author = followee AND mode = 'star'))
    UNION ALL SELECT {{reader}}
"""
_NEWEST_OF = f"""
    WITH heads AS MATERIALIZED (
        SELECT f.author, h.id FROM ({_FOLLOWED}) f CROSS JOIN LATERAL (
            SELECT id FROM posts WHERE author = f.author AND deleted_ms IS NULL AND id < $2 AND id > $3
            ORDER BY id DESC LIMIT 1) h
        ORDER BY h.id DESC LIMIT $4
    ), bar AS MATERIALIZED (SELECT CASE WHEN count(*) < $4 THEN $3 + 1 ELSE min(id) END AS id FROM heads)
    SELECT p.id FROM heads CROSS JOIN LATERAL (
        SELECT id FROM posts WHERE author = heads.author AND deleted_ms IS NULL
            AND id < $2 AND id >= (SELECT id FROM bar) ORDER BY id DESC LIMIT $4) p
    ORDER BY p.id DESC LIMIT $4
"""
_NEWEST = _NEWEST_OF.format(reader="$1")
_OLDEST = f"""
    WITH heads AS MATERIALIZED (
        SELECT f.author, h.id FROM ({_FOLLOWED.format(reader="$1")}) f CROSS JOIN LATERAL (
            SELECT id FROM posts WHERE author = f.author AND deleted_ms IS NULL AND id < $2 AND id > $3
            ORDER BY id LIMIT 1) h
        ORDER BY h.id LIMIT $4
    ), bar AS MATERIALIZED (SELECT CASE WHEN count(*) < $4 THEN $2 - 1 ELSE max(id) END AS id FROM heads)
    SELECT p.id FROM heads CROSS JOIN LATERAL (
        SELECT id FROM posts WHERE author = heads.author AND deleted_ms IS NULL
            AND id > $3 AND id <= (SELECT id FROM bar) ORDER BY id LIMIT $4) p
    ORDER BY p.id LIMIT $4
"""
_WITH_BODIES = """
    SELECT {columns} FROM ({newest}) n
    JOIN posts p USING (id) JOIN users u ON u.id = p.author WHERE p.deleted_ms IS NULL ORDER BY p.id DESC
"""
_SNAPSHOT = f"""
    SELECT (SELECT edges FROM counts WHERE user_id = $1) AS version,
        (SELECT coalesce(array_agg(author), '{{}}') FROM (
            SELECT followee AS author FROM follows WHERE follower = $1 AND ended_ms > {_NOW_MS} - $6::bigint
            UNION SELECT muted FROM mutes WHERE muter = $1 AND at_ms > {_NOW_MS} - $6::bigint) lately) AS ended,
        (SELECT coalesce(array_agg(author ORDER BY author), '{{}}') FROM follows
            JOIN stars ON generation = $5 AND author = followee AND mode <> 'falling'
            WHERE follower = $1 AND {_HEARD}) AS stars,
        (SELECT coalesce(array_agg(id), '{{}}') FROM ({_NEWEST}) newest) AS ids
"""
_SNAPSHOTS = f"""
    SELECT r.id AS reader, c.edges AS version,
        (SELECT coalesce(array_agg(author ORDER BY author), '{{{{}}}}') FROM follows
            JOIN stars ON generation = $5 AND author = followee AND mode <> 'falling'
            WHERE follower = r.id AND {_HEARD}) AS stars,
        (SELECT coalesce(array_agg(id), '{{{{}}}}') FROM ({_NEWEST_OF}) newest) AS ids
    FROM unnest($1::bigint[]) r (id) LEFT JOIN counts c ON c.user_id = r.id
""".format(reader="r.id")
_VERSION = f"""
    SELECT (SELECT edges FROM counts WHERE user_id = $1) AS version,
        (SELECT coalesce(array_agg(author ORDER BY author), '{{}}') FROM follows
            JOIN stars ON generation = $2 AND author = followee AND mode <> 'falling'
            WHERE follower = $1 AND {_HEARD}) AS stars
"""
_EDGE = f"""
    SELECT EXISTS (SELECT FROM follows WHERE follower = $1 AND followee = $2 AND {_HEARD}) AS follows,
        (SELECT followers FROM counts WHERE user_id = $2) AS followers,
        (SELECT mode FROM stars WHERE generation = $5 AND author = $2) AS mode,
        (SELECT coalesce(array_agg(id), '{{}}') FROM (
            SELECT id FROM posts WHERE author = $2 AND deleted_ms IS NULL AND id > $3
            ORDER BY id DESC LIMIT $4) newest) AS ids
"""
_FANS = f"""
    SELECT follower FROM follows WHERE followee = $1 AND {_HEARD} AND follower > $2
    ORDER BY follower LIMIT $3
"""
# The same, of those who follow too many only as many as their share: drawn from both numbers, so always the same ones.
_SAMPLED_FANS = f"""
    SELECT follower FROM follows JOIN counts ON user_id = follower
    WHERE followee = $1 AND {_HEARD} AND follower > $2 AND (
        following <= $5::int OR (hashint8extended(follower, $4::bigint) & 1048575) * following::bigint
            < 1048576 * $5::bigint)
    ORDER BY follower LIMIT $3
"""
# The same for who may be a star: the row without a follower has the mode. A star's followers are not asked for.
_FANS_AND_MODE = f"""
    WITH star AS MATERIALIZED (SELECT mode FROM stars WHERE generation = $4 AND author = $1)
    SELECT NULL::bigint AS follower, (SELECT mode FROM star) AS mode
    UNION ALL
    (SELECT follower, NULL FROM follows WHERE followee = $1 AND {_HEARD} AND follower > $2
        AND NOT EXISTS (SELECT FROM star WHERE mode = 'star') ORDER BY follower LIMIT $3)
"""
_WHO_FOLLOWS = f"""
    SELECT follower FROM follows WHERE followee = $1 AND {_HEARD} AND follower = ANY($2::bigint[])
"""
_FOLLOWEES = f"SELECT followee FROM follows WHERE follower = $1 AND {_HEARD}"
_FEW_FOLLOWEES = f"SELECT CASE WHEN following <= $2 THEN ARRAY({_FOLLOWEES}) END FROM counts WHERE user_id = $1"
_STILL_AT_HOME = f"""
    SELECT p.id FROM posts p WHERE p.id = ANY($2::bigint[]) AND p.deleted_ms IS NULL AND (p.author = $1
        OR EXISTS (SELECT FROM follows WHERE follower = $1 AND followee = p.author AND {_HEARD}))
"""
_BOTH = "SELECT user_id FROM counts WHERE user_id = ANY($1::bigint[]) ORDER BY user_id FOR UPDATE"
_MUTE = f"""
    WITH edge AS (
        INSERT INTO mutes (muter, muted, until_ms, at_ms) VALUES ($1, $2, $4, {_NOW_MS})
        ON CONFLICT (muter, muted) DO UPDATE SET until_ms = $4 RETURNING 1
    ), one AS (
        UPDATE counts SET edges = edges + 1 WHERE user_id = $1 AND EXISTS (SELECT FROM edge)
    )
    INSERT INTO outbox (kind, who, what, at_ms) SELECT 'edge', $1, $2, $3 FROM edge RETURNING seq
"""
_UNMUTE = """
    WITH edge AS (
        DELETE FROM mutes WHERE muter = $1 AND muted = $2 AND ($4::bigint IS NULL OR until_ms <= $4) RETURNING 1
    ), one AS (
        UPDATE counts SET edges = edges + 1 WHERE user_id = $1 AND EXISTS (SELECT FROM edge)
    )
    INSERT INTO outbox (kind, who, what, at_ms) SELECT 'edge', $1, $2, $3 FROM edge RETURNING seq
"""
_FOLLOW = f"""
    WITH edge AS (
        INSERT INTO follows (follower, followee) SELECT $1, $2
        WHERE NOT {apart("$1", "$2")}
        ON CONFLICT (follower, followee) DO UPDATE SET ended_ms = NULL WHERE follows.ended_ms IS NOT NULL
        RETURNING 1
    ), one AS (
        UPDATE counts SET following = following + 1, edges = edges + 1 WHERE user_id = $1 AND EXISTS (SELECT FROM edge)
    ), other AS (
        UPDATE counts SET followers = followers + 1 WHERE user_id = $2 AND EXISTS (SELECT FROM edge)
    ), boxed AS (
        INSERT INTO outbox (kind, who, what, at_ms) SELECT 'edge', $1, $2, $3 FROM edge RETURNING seq
    ), noticed AS (
        INSERT INTO notices (user_id, id, kind, who, at_ms)
        SELECT $2, $4, 'follow', $1, $3 FROM edge
        ON CONFLICT (user_id, kind, who, post) DO NOTHING RETURNING 1
    )
    SELECT (SELECT seq FROM boxed) AS seq, EXISTS (SELECT FROM noticed) AS noticed,
        EXISTS (SELECT FROM blocks WHERE blocker = $1 AND blocked = $2) AS by_us,
        EXISTS (SELECT FROM blocks WHERE blocker = $2 AND blocked = $1) AS by_them
"""
_END = f"""
    WITH edge AS (
        UPDATE follows SET ended_ms = {_NOW_MS} WHERE follower = $1 AND followee = $2 AND ended_ms IS NULL RETURNING 1
    ), one AS (
        UPDATE counts SET following = following - 1, edges = edges + 1 WHERE user_id = $1 AND EXISTS (SELECT FROM edge)
    ), other AS (
        UPDATE counts SET followers = followers - 1 WHERE user_id = $2 AND EXISTS (SELECT FROM edge)
    )
    INSERT INTO outbox (kind, who, what, at_ms) SELECT 'edge', $1, $2, $3
"""
_UNFOLLOW = f"{_END} FROM edge RETURNING seq"
# A block has always something to tell: an edge that had ended before may have done so behind a lost answer, and to ask
# for that once the block is committed could fail.
_PART = f"{_END} RETURNING seq"

_ADD = f"""
    WITH wanted AS (
        SELECT follower, followee FROM unnest($1::bigint[], $2::bigint[]) AS pair (follower, followee)
        WHERE NOT {apart("follower", "followee")}
    ), added AS (
        INSERT INTO follows (follower, followee) SELECT follower, followee FROM wanted
        ON CONFLICT (follower, followee) DO UPDATE SET ended_ms = NULL WHERE follows.ended_ms IS NOT NULL
        RETURNING follower, followee
    ), sums AS (
        SELECT id, sum(follows)::int AS following, sum(1 - follows)::int AS followers FROM (
            SELECT follower AS id, 1 AS follows FROM added UNION ALL SELECT followee, 0 FROM added) ends
        GROUP BY id
    ), counted AS (
        UPDATE counts SET following = counts.following + sums.following, followers = counts.followers + sums.followers,
            edges = edges + 1
        FROM sums WHERE user_id = id
    )
    SELECT count(*) FROM added
"""


class Edge(NamedTuple):
    """Whether one follows the other now, and what that means for a feed."""

    follows: bool
    followers: int  # of the followee
    mode: str | None  # of the followee: None, 'rising', 'star' or 'falling'
    ids: list[PostId]  # the followee's newest, newest first


class Snapshot(NamedTuple):
    """All that a feed is made of, at one moment."""

    version: int  # of the reader's edges
    ended: list[UserId]  # whom the reader lately stopped following
    stars: list[UserId]  # whom the reader follows and whose posts are pulled, or will be
    ids: list[PostId]  # newest first


class Graph:
    """Edges between users."""

    def __init__(self, truth: Postgres, likes: Likes, notices: Told) -> None:
        self._truth, self._likes, self._notices = truth, likes, notices

    @property
    def _db(self) -> Database:
        return self._truth.client

    # What a home is made of

    async def pull(self, reader: UserId, page: Page, *, without_stars: int = 0) -> list[PostId]:
        """Return the posts that a reader should see, newest first: at most `page.limit` from its end of the range."""
        below, above = between(page)
        if page.min_id is None:
            rows = await self._db.fetch(_NEWEST, reader, below, above, page.limit, without_stars)
            return [row[0] for row in rows]
        rows = await self._db.fetch(_OLDEST, reader, below, above, page.limit, without_stars)
        return [row[0] for row in reversed(rows)]

    async def pull_posts(self, reader: UserId, page: Page, within_s: float) -> list[Post]:
        """Return the same as whole posts, in one statement: for when nothing else can be asked."""
        newest = _NEWEST if page.min_id is None else _OLDEST
        query = _WITH_BODIES.format(newest=newest, columns=self._likes.columns)
        rows = await self._db.fetch(query, reader, *between(page), page.limit, 0, within_s=within_s)
        return [post_of(row) for row in rows]

    async def still_at_home(self, reader: UserId, posts: Sequence[PostId]) -> set[PostId]:
        """Return those of these posts that are by somebody whom the reader follows now, or by the reader."""
        return {row[0] for row in await self._db.fetch(_STILL_AT_HOME, reader, posts)}

    async def snapshot(self, reader: UserId, depth: int, generation: int) -> Snapshot:
        """Return what a reader's feed is made of."""
        row = await self._db.fetchrow(_SNAPSHOT, reader, TOP, 0, depth, generation, REMEMBERED_MS)
        assert row is not None
        return Snapshot(row["version"] or 0, row["ended"], row["stars"], row["ids"])

    async def snapshots(self, readers: Sequence[UserId], depth: int, generation: int) -> list[Snapshot]:
        """Return the same for many readers, in their order, without whom they stopped following."""
        rows = await self._db.fetch(_SNAPSHOTS, readers, TOP, 0, depth, generation, within_s=60.0)
        found = {row["reader"]: Snapshot(row["version"] or 0, [], row["stars"], row["ids"]) for row in rows}
        return [found[reader] for reader in readers]

    async def version(self, reader: UserId, generation: int) -> tuple[int, list[UserId]]:
        """Return what tells whether a snapshot is still true: the version of the reader's edges, and whom it marks."""
        row = await self._db.fetchrow(_VERSION, reader, generation)
        assert row is not None
        return row["version"] or 0, row["stars"]

    async def edge(self, reader: UserId, author: UserId, above: int, most: int, generation: int) -> Edge:
        """Return whether the reader follows the author now, and the author's newest posts above an id."""
        row = await self._db.fetchrow(_EDGE, reader, author, above, most, generation)
        assert row is not None
        return Edge(row["follows"], row["followers"] or 0, row["mode"], row["ids"])

    async def fans(self, author: UserId, after: int, most: int) -> list[UserId]:
        """Return an author's followers in the order of their ids, from the one above `after` on."""
        return [row[0] for row in await self._db.fetch(_FANS, author, after, most)]

    async def sampled_fans(self, author: UserId, after: int, most: int, post: PostId, limit: int) -> list[UserId]:
        """Return the same without those who are not told of this post because they follow more than `limit`."""
        return [row[0] for row in await self._db.fetch(_SAMPLED_FANS, author, after, most, post, limit)]

    async def fans_and_mode(
        self, author: UserId, after: int, most: int, generation: int
    ) -> tuple[list[UserId], str | None]:
        """Return the same, but nobody for a star, and how the author's posts are found."""
        rows = await self._db.fetch(_FANS_AND_MODE, author, after, most, generation)
        fans = [row[0] for row in rows if row[0] is not None]
        return fans, next(row[1] for row in rows if row[0] is None)

    async def followees(self, reader: UserId) -> list[UserId]:
        """Return whom a reader follows and does not mute."""
        return [row[0] for row in await self._db.fetch(_FOLLOWEES, reader)]

    async def few_followees(self, reader: UserId, most: int) -> list[UserId] | None:
        """Return the same; None, without looking at one of them: the reader follows more than so many."""
        return await self._db.fetchval(_FEW_FOLLOWEES, reader, most)

    async def blockers(self, user: UserId, most: int) -> list[UserId]:
        """Return who blocks somebody, at most so many."""
        rows = await self._db.fetch("SELECT blocker FROM blocks WHERE blocked = $1 LIMIT $2", user, most)
        return [row[0] for row in rows]

    async def newest(self, author: UserId, most: int) -> list[PostId]:
        """Return an author's newest posts, newest first."""
        rows = await self._db.fetch(
            "SELECT id FROM posts WHERE author = $1 AND deleted_ms IS NULL ORDER BY id DESC LIMIT $2", author, most
        )
        return [row[0] for row in rows]

    async def who_follows(self, author: UserId, readers: Sequence[UserId]) -> list[UserId]:
        """Return those of these readers who follow an author now."""
        return [row[0] for row in await self._db.fetch(_WHO_FOLLOWS, author, readers)]

    # Changes. All lock both users' counts in the order of their ids, so two of them never wait for each other, and
    # look at blocks only afterwards: a block that was committed meanwhile is seen.

    async def follow(self, follower: UserId, followee: UserId, now_ms: int) -> tuple[Entry | None, int | None]:
        """Let one follow the other, and return the number of the notice that was given; no row: they already did."""
        return await self._notices.numbered(now_ms, lambda notice: self._follow(follower, followee, now_ms, notice))

    async def _follow(
        self, follower: UserId, followee: UserId, now_ms: int, notice: int
    ) -> tuple[Entry | None, int | None]:
        async with self._db.transaction() as tx:
            if len(await tx.fetch(_BOTH, [follower, followee])) < 2:
                raise Refusal("not-found", "there is no such account")
            row = await tx.fetchrow(_FOLLOW, follower, followee, now_ms, notice)
            assert row is not None
            if row["by_them"]:
                raise Refusal("not-found", "there is no such account")
            if row["by_us"]:
                raise Refusal("forbidden", "you block this account: unblock it first")
        entry = None if row["seq"] is None else Entry(row["seq"], "edge", follower, followee, now_ms)
        return entry, notice if row["noticed"] else None

    async def unfollow(self, follower: UserId, followee: UserId, now_ms: int) -> Entry | None:
        """Let one no longer follow the other; None: they did not."""
        async with self._db.transaction() as tx:
            if len(await tx.fetch(_BOTH, [follower, followee])) < 2:
                raise Refusal("not-found", "there is no such account")
            seq = await tx.fetchval(_UNFOLLOW, follower, followee, now_ms)
        return None if seq is None else Entry(seq, "edge", follower, followee, now_ms)

    async def block(self, blocker: UserId, blocked: UserId, now_ms: int) -> list[Entry]:
        """End both edges between two users and keep them from coming back; return what is to be told of each."""
        ended: list[Entry] = []
        async with self._db.transaction() as tx:
            if len(await tx.fetch(_BOTH, [blocker, blocked])) < 2:
                raise Refusal("not-found", "there is no such account")
            await tx.execute("INSERT INTO blocks VALUES ($1, $2) ON CONFLICT DO NOTHING", blocker, blocked)
            for one, other in ((blocker, blocked), (blocked, blocker)):
                ended.append(Entry(await tx.fetchval(_PART, one, other, now_ms), "edge", one, other, now_ms))
        return ended

    async def unblock(self, blocker: UserId, blocked: UserId) -> None:
        """Lift a block."""
        await self._db.execute("DELETE FROM blocks WHERE blocker = $1 AND blocked = $2", blocker, blocked)

    async def mute(self, muter: UserId, muted: UserId, now_ms: int, until_ms: int | None) -> Entry:
        """Let one hear nothing of the other any more."""
        return Entry(await self._mute(_MUTE, muter, muted, now_ms, until_ms), "edge", muter, muted, now_ms)

    async def unmute(self, muter: UserId, muted: UserId, now_ms: int, *, if_over: bool = False) -> Entry | None:
        """Let one hear of the other again; None: there was no mute, or it is not over yet."""
        seq = await self._mute(_UNMUTE, muter, muted, now_ms, now_ms if if_over else None)
        return None if seq is None else Entry(seq, "edge", muter, muted, now_ms)

    async def _mute(self, query: str, muter: UserId, muted: UserId, now_ms: int, when_ms: int | None) -> int:
        async with self._db.transaction() as tx:
            if len(await tx.fetch(_BOTH, [muter, muted])) < 2:
                raise Refusal("not-found", "there is no such account")
            return await tx.fetchval(query, muter, muted, now_ms, when_ms)

    async def next_mute_end(self) -> float:
        """Return when the next mute ends by itself; infinity: none does."""
        found = await self._db.fetchval("SELECT min(until_ms) FROM mutes WHERE until_ms IS NOT NULL")
        return float("inf") if found is None else found

    async def mutes_over(self, now_ms: int, most: int = 100) -> list[tuple[UserId, UserId]]:
        """Return who mutes whom for no longer than until now."""
        rows = await self._db.fetch(
            "SELECT muter, muted FROM mutes WHERE until_ms <= $1 ORDER BY until_ms LIMIT $2", now_ms, most
        )
        return [(row[0], row[1]) for row in rows]

    async def forget_ended(self, most: int = 1_000) -> int:
        """Remove edges that ended over a day ago; return how many."""
        long_ago = f"ended_ms < {_NOW_MS} - $1::bigint"
        return await self._db.execute(
            f"DELETE FROM follows WHERE {long_ago} AND (follower, followee) IN"
            f" (SELECT follower, followee FROM follows WHERE {long_ago} LIMIT $2)",
            24 * REMEMBERED_MS,
            most,
        )

    # In bulk, for dives and imports: beside the service, before anybody reads

    async def add(self, pairs: Sequence[tuple[UserId, UserId]]) -> int:
        """Add those of many (follower, followee) that are missing, all or none of them; return how many.

        Feeds are not told: begin a generation of them before (`Generations.end`).
        """
        followers, followees = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        return await self._db.fetchval(_ADD, followers, followees, within_s=60.0)

    async def bulk(self, pairs: Iterable[tuple[UserId, UserId]]) -> int:
        """Add many (follower, followee) that are not there yet; return how many."""
        edges = pairs if isinstance(pairs, Sequence) else list(pairs)
        added = await self._db.copy("follows", ["follower", "followee"], edges)
        for count, side in (("following", 0), ("followers", 1)):
            sums: dict[int, int] = {}
            for edge in edges:
                sums[edge[side]] = sums.get(edge[side], 0) + 1
            edges_too = ", edges = edges + 1" if count == "following" else ""
            await self._db.execute(
                f"UPDATE counts SET {count} = {count} + n{edges_too}"
                " FROM unnest($1::bigint[], $2::int[]) AS added(id, n) WHERE user_id = id",
                sorted(sums),
                [sums[user] for user in sorted(sums)],
                within_s=60.0,
            )
        await self._db.execute("VACUUM (ANALYZE) follows", within_s=60.0)
        return added
