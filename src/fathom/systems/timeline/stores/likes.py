"""Who likes which post, and how many: rows are the truth, and the number of them lies in one of three places.

A like is a row of `likes`, unique by post and user. How many there are is *kept* on the post's own row, *summed* from
that and several rows beside it, or *counted* from the likes themselves. What was not added up yet waits in
`like_changes`. An approach says where its changes go; `reading` says from where numbers are read, and that may be
slower than the approach needs for as long as another one's changes lie elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import PostId, UserId
from .notices import Told
from .outbox import Entry
from .rows import VISIBLE, post_columns

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["Added", "Liked", "Likes", "Reading"]

Reading = Literal["kept", "summed", "counted"]
Place = Literal["row", "shard", "later", "nowhere"]

FOLD_POSTS = 200  # whose shards are put together in one transaction
RECOUNT_POSTS = 500  # that are looked at in one transaction
BULK_ROWS = 100_000
UNKNOWN = "there is no such post"
_SHARDS = "coalesce((SELECT sum({what}) FROM like_shards WHERE post = p.id), 0)::integer"
_NUMBER: dict[Reading, str] = {
    "kept": "p.likes",
    "summed": f"p.likes + {_SHARDS.format(what='n')}",
    "counted": "(SELECT count(*) FROM likes WHERE post = p.id)::integer",
}
_VERSION: dict[Reading, str] = {
    "kept": "p.version",
    "summed": f"p.version + {_SHARDS.format(what='version')}",
    "counted": f"p.version + {_SHARDS.format(what='version')}",
}
_CHANGED = {
    False: """INSERT INTO likes (post, user_id) SELECT id, user_id FROM likable, counts WHERE user_id = $1
        ON CONFLICT DO NOTHING RETURNING post""",
    True: "DELETE FROM likes USING likable WHERE post = likable.id AND user_id = $1 RETURNING post",
}
_BOXED = """, boxed AS (
        INSERT INTO outbox (kind, who, what, at_ms) SELECT 'tally', $1, post, $3 FROM changed RETURNING seq
    )"""
# How a change of one is kept, in the statement that makes it; `{by}` is +1 or -1.
_KEPT: dict[Place, str] = {
    "row": """, counted AS (
        UPDATE posts SET likes = likes {by}, version = version + 1 WHERE id = $2 AND EXISTS (SELECT FROM changed)
        RETURNING likes
    )""",
    "shard": """, counted AS (
        INSERT INTO like_shards AS s (post, shard, n, version) SELECT post, {shard}, {by}, 1 FROM changed
        ON CONFLICT (post, shard) DO UPDATE SET n = s.n {by}, version = s.version + 1
    )""",
    "later": """, counted AS (
        INSERT INTO like_changes (post, change) SELECT post, {by} FROM changed
    )""",
    "nowhere": "",
}
# Whose post it is hears of a like once, however it is counted.
_NOTICED = """, noticed AS (
        INSERT INTO notices (user_id, id, kind, who, post, at_ms)
        SELECT author, $4, 'like', $1, $2, $3 FROM likable, changed WHERE author <> $1
        ON CONFLICT (user_id, kind, who, post) DO NOTHING RETURNING user_id
    )"""
# What a statement sees of the likes is from before it.
_NOW: dict[Place, str] = {
    "row": "coalesce((SELECT likes FROM counted), p.likes)",
    "shard": f"{_NUMBER['summed']} {{by}} * (SELECT count(*)::integer FROM changed)",
    "later": _NUMBER["kept"],
    "nowhere": f"{_NUMBER['counted']} {{by}} * (SELECT count(*)::integer FROM changed)",
}
_TOLD = {"row", "shard"}  # places whose changes Redis hears of one by one


def _change(place: Place, take_back: bool) -> str:
    told = place in _TOLD
    boxed = _BOXED if told else ""
    seq = "(SELECT seq FROM boxed)" if told else "NULL::bigint"
    # A like brings the number of its notice before that of the shard.
    noticed, told_to, shard = _NOTICED, "(SELECT user_id FROM noticed)", "$5"
    if take_back:
        noticed, told_to, shard = "", "NULL::bigint", "$4"
    return f"""
        WITH likable AS (SELECT p.id, p.author FROM posts p WHERE p.id = $2 AND p.boost_of IS NULL AND {VISIBLE}),
        changed AS ({_CHANGED[take_back]}){_KEPT[place]}{boxed}{noticed}
        SELECT {seq} AS seq, {_NOW[place]} AS likes, EXISTS (SELECT FROM changed) AS changed,
            {told_to} AS noticed
        FROM likable JOIN posts p USING (id) WHERE EXISTS (SELECT FROM counts WHERE user_id = $1)
    """.format(by="- 1" if take_back else "+ 1", shard=shard)


_PLACES: tuple[Place, ...] = ("row", "shard", "later", "nowhere")
_CHANGES = {(place, back): _change(place, back) for place in _PLACES for back in (False, True)}
_OVERWRITE = """
    WITH counted AS (UPDATE posts SET likes = $3, version = version + 1 WHERE id = $2)
    INSERT INTO outbox (kind, who, what, at_ms) VALUES ('tally', $1, $2, $4) RETURNING seq
"""

# Posts are locked in the order of their ids, as in a deletion: then no two wait for each other.
_ADD_UP = """
    WITH taken AS (
        DELETE FROM like_changes WHERE seq IN (SELECT seq FROM like_changes ORDER BY seq LIMIT $1)
        RETURNING post, change
    ), sums AS (
        SELECT post, sum(change)::integer AS change FROM taken GROUP BY post
    ), held AS MATERIALIZED (
        SELECT id FROM posts WHERE id IN (SELECT post FROM sums) ORDER BY id FOR NO KEY UPDATE
    ), added AS (
        UPDATE posts SET likes = likes + change, version = version + 1 FROM held JOIN sums ON post = held.id
        WHERE posts.id = held.id RETURNING posts.id
    ), boxed AS (
        INSERT INTO outbox (kind, who, what, at_ms) SELECT 'tally', 0, id, $2 FROM added RETURNING seq, what
    )
    SELECT (SELECT count(*) FROM taken) AS taken, (SELECT array_agg(seq) FROM boxed) AS seqs,
        (SELECT array_agg(what) FROM boxed) AS posts
"""
_FOLD = """
    WITH picked AS (
        SELECT DISTINCT post FROM like_shards ORDER BY post LIMIT $1
    ), gone AS (
        DELETE FROM like_shards USING picked WHERE like_shards.post = picked.post RETURNING like_shards.post, n, version
    ), sums AS (
        SELECT post, sum(n)::integer AS n, sum(version)::integer AS version FROM gone GROUP BY post
    ), held AS MATERIALIZED (
        SELECT id FROM posts WHERE id IN (SELECT post FROM sums) ORDER BY id FOR NO KEY UPDATE
    ), folded AS (
        UPDATE posts SET likes = likes + n, version = posts.version + sums.version
        FROM held JOIN sums ON post = held.id WHERE posts.id = held.id
    )
    SELECT count(*) FROM sums
"""
_RIGHT = """
    (SELECT count(*) FROM likes WHERE post = p.id)::integer
    - coalesce((SELECT sum(n) FROM like_shards WHERE post = p.id), 0)::integer
    - coalesce((SELECT sum(change) FROM like_changes WHERE post = p.id), 0)::integer
"""
_WRONG = f"""
    SELECT max(id) AS last, count(*) AS seen, coalesce(array_agg(id) FILTER (WHERE wrong), '{{}}') AS wrong FROM (
        SELECT p.id, p.likes <> {_RIGHT} AS wrong FROM posts p WHERE p.id > $1 ORDER BY p.id LIMIT $2) looked_at
"""
_RECOUNT = f"""
    WITH fresh AS (
        UPDATE posts p SET likes = {_RIGHT}, version = version + 1
        WHERE id = ANY($1::bigint[]) AND likes <> {_RIGHT} RETURNING id
    )
    INSERT INTO outbox (kind, who, what, at_ms) SELECT 'tally', 0, id, $2 FROM fresh RETURNING seq, what
"""


class Liked(msgspec.Struct, frozen=True):
    """What became of a like, or of taking one back."""

    likes: int
    changed: bool  # it was not so before
    entry: Entry | None = None  # what Redis is to be told
    noticed: tuple[UserId, int] | None = None  # whom a notice tells of it, and its number


class Added(msgspec.Struct, frozen=True):
    """What was added up in one go."""

    taken: int
    entries: list[Entry]


class Likes:
    """Likes in the truth, and where their numbers lie."""

    def __init__(self, truth: Postgres, notices: Told) -> None:
        self._truth, self._notices = truth, notices
        self.reading: Reading = "kept"
        self.turn = 0  # of the approach that began last
        self.left = 0  # changes that wait to be added up, as far as this process knows
        self.on_left: Callable[[float], object] = lambda within_s: None  # told by when they are to be added up

    @property
    def _db(self) -> Database:
        return self._truth.client

    # How other statements read a post's number

    @property
    def number(self) -> str:
        """SQL: how many like the post `p`."""
        return _NUMBER[self.reading]

    @property
    def columns(self) -> str:
        """SQL: the columns of the post `p` by the author `u`, as it is shown."""
        return post_columns(self.number)

    @property
    def copied(self) -> tuple[str, str]:
        """SQL: the number that copies of the post `p` carry, and their version, which rises whenever it changes.

        Where numbers are counted, copies carry what was last kept, and are shown with another (`of`).
        """
        copied: Reading = "kept" if self.reading == "kept" else "summed"
        return _NUMBER[copied], _VERSION[copied]

    @property
    def beside_copies(self) -> bool:
        """Whether copies do not carry the number, so that it has to be asked for."""
        return self.reading == "counted"

    async def of(self, posts: Sequence[PostId]) -> dict[PostId, int]:
        """Return how many like each of these posts."""
        rows = await self._db.fetch(
            f"SELECT p.id, {self.number} AS likes FROM posts p WHERE p.id = ANY($1::bigint[])", posts
        )
        return {row[0]: row[1] for row in rows}

    # Changing

    async def change(
        self, user: UserId, post: PostId, now_ms: int, place: Place, *, take_back: bool, shard: int = 0
    ) -> Liked:
        """Let a user like a post, or no longer, and keep the change of its number in one place, in one transaction.

        The notice to the post's author is part of it.
        """
        query, more = _CHANGES[place, take_back], (shard,) if place == "shard" else ()

        async def give(notice: int) -> Liked:
            row = await self._db.fetchrow(query, user, post, now_ms, notice, *more)
            return _liked(row, user, post, now_ms, notice)

        if not take_back:
            return await self._notices.numbered(now_ms, give)
        asked = (now_ms, *more) if place in _TOLD else ()
        return _liked(await self._db.fetchrow(query, user, post, *asked), user, post, now_ms)

    async def overwrite(self, user: UserId, post: PostId, now_ms: int, likes: int) -> Entry:
        """Let a post have so many likes, whatever it has by now."""
        seq = await self._db.fetchval(_OVERWRITE, user, post, likes, now_ms)
        return Entry(seq, "tally", user, post, now_ms)

    # Adding up, and putting right

    async def add_up(self, now_ms: int, most: int = 10_000) -> Added:
        """Add the oldest changes that wait to their posts' numbers, each once."""
        before = self.left
        row = await self._db.fetchrow(_ADD_UP, most, now_ms)
        assert row is not None
        # Where all were taken, so were those of an answer that was lost.
        self.left = max(0, self.left - (row["taken"] if row["taken"] == most else max(row["taken"], before)))
        boxed = zip(row["seqs"] or (), row["posts"] or (), strict=True)
        return Added(row["taken"], [Entry(seq, "tally", 0, post, now_ms) for seq, post in boxed])

    async def begin(
        self, shows: Reading, *, keeps: bool, exact: bool, before: Reading = "kept", before_late: bool = False
    ) -> None:
        """Let an approach begin that shows numbers from one place, and keeps them right or does not.

        From here on they are read from where they are right whoever's changes come, until `settle`: also those that the
        approach which served `before` still makes, and those that wait to be added up, where numbers are to be `exact`.
        A like that waits and is taken back where numbers are exact would else leave less than none.
        """
        row = await self._db.fetchrow(
            "UPDATE counting SET kept = kept AND $1, turn = turn + 1 RETURNING kept, turn,"
            " EXISTS (SELECT FROM like_shards) AS sharded, EXISTS (SELECT FROM like_changes) AS waits",
            keeps,
        )
        assert row is not None
        self.turn = row["turn"]
        sharded = row["sharded"] or before == "summed"
        if keeps and (not row["kept"] or (exact and (row["waits"] or before_late))):
            self.reading = "counted"
        else:
            self.reading = "summed" if sharded and shows == "kept" else shows

    async def fold(self) -> bool:
        """Put some posts' shards together on their own rows; return False if there are no more."""
        return bool(await self._db.fetchval(_FOLD, FOLD_POSTS))

    async def kept(self) -> bool:
        """Return whether every post's number was kept right."""
        return await self._db.fetchval("SELECT kept FROM counting")

    async def recount(self, after: PostId, now_ms: int) -> tuple[PostId | None, list[Entry]]:
        """Count some posts' likes anew; return the id to go on after, None at the end, and what Redis is to be told."""
        row = await self._db.fetchrow(_WRONG, after, RECOUNT_POSTS)
        assert row is not None
        last = row["last"] if row["seen"] == RECOUNT_POSTS else None
        if not row["wrong"]:
            return last, []
        async with self._db.transaction() as tx:
            # Whoever changes the row waits for us, and what is counted next is from after we have it: nothing that is
            # committed is missed, and nothing is counted that then adds itself once more.
            await tx.execute("SELECT id FROM posts WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE", row["wrong"])
            rows = await tx.fetch(_RECOUNT, row["wrong"], now_ms)
        return last, [Entry(seq, "tally", 0, post, now_ms) for seq, post in rows]

    async def settle(self, turn: int, shows: Reading, *, counted_anew: bool) -> None:
        """All is where the approach that began with this turn looks for it, unless another has begun since."""
        if counted_anew:
            await self._db.execute("UPDATE counting SET kept = true WHERE turn = $1", turn)
        if turn == self.turn:
            self.reading = shows

    # In bulk, for dives: beside the service, before anybody reads

    async def bulk(self, pairs: Iterable[tuple[PostId, UserId]]) -> None:
        """Let many (post, user) like posts that nobody of them likes yet."""
        rows = list(pairs)
        for first in range(0, len(rows), BULK_ROWS):
            await self._db.copy("likes", ["post", "user_id"], rows[first : first + BULK_ROWS])
        await self._db.execute(
            "UPDATE posts p SET likes = likes + n, version = version + 1"
            " FROM (SELECT post, count(*)::integer AS n FROM unnest($1::bigint[]) AS liked (post) GROUP BY post) added"
            " WHERE id = post",
            [post for post, _ in rows],
            within_s=60.0,
        )
        await self._db.execute("VACUUM (ANALYZE) likes", within_s=60.0)


def _liked(row: Any, user: UserId, post: PostId, now_ms: int, notice: int = 0) -> Liked:
    if row is None:
        raise Refusal("not-found", UNKNOWN)
    entry = None if row["seq"] is None else Entry(row["seq"], "tally", user, post, now_ms)
    noticed = None if row["noticed"] is None else (UserId(row["noticed"]), notice)
    return Liked(row["likes"], row["changed"], entry, noticed)
