"""How a post and an account are read from a row: the same columns wherever they are asked for."""

from __future__ import annotations

from typing import Any

from ..api import Page, Post, User

__all__ = ["TOP", "VISIBLE", "apart", "between", "order", "paged", "post_columns", "post_of", "user_of"]

TOP = 1 << 62  # above every id
USER_COLUMNS = "u.id, u.name, u.display, u.note, u.joined_ms, c.followers, c.following, c.posts"


def apart(one: str, other: str) -> str:
    """Return the SQL of whether a block parts two users."""
    return f"EXISTS (SELECT FROM blocks WHERE (blocker, blocked) IN (({one}, {other}), ({other}, {one})))"


VISIBLE = f"p.deleted_ms IS NULL AND NOT {apart('p.author', '$1')}"  # `$1` looks at the post `p`


def post_columns(likes: str) -> str:
    """Return the columns of the post `p` by the author `u`, with its number of likes as it is to be read."""
    return (
        f"p.id, p.author, p.body, p.at_ms, {likes} AS likes, p.boosts, p.replies, p.reply_to, p.warning, p.listed,"
        " p.boost_of, u.name"
    )


def post_of(row: Any) -> Post:
    """Return the post in a row that begins with its columns."""
    return Post(
        id=row[0],
        author=row[1],
        body=row[2],
        at_ms=row[3],
        likes=row[4],
        boosts=row[5],
        replies=row[6],
        reply_to=row[7],
        warning=row[8],
        listed=row[9],
        boost_of=row[10],
        name=row[11],
    )


def user_of(row: Any) -> User:
    """Return the account in a row."""
    return User(
        id=row["id"],
        name=row["name"],
        followers=row["followers"],
        following=row["following"],
        posts=row["posts"],
        display=row["display"],
        note=row["note"],
        joined_ms=row["joined_ms"],
    )


def between(page: Page) -> tuple[int, int]:
    """Return the ids that a page lies between."""
    return TOP if page.max_id is None else page.max_id, max(page.since_id or 0, page.min_id or 0)


def order(page: Page) -> str:
    """Return from which end of its range a page is filled."""
    return "DESC" if page.min_id is None else "ASC"


def paged(query: str, id: str, page: Page) -> str:
    """Return the query of one page of what another finds, the highest id first: below `$2`, above `$3`, `$4` at most.

    The other ends with a condition, to which more can be added.
    """
    return (
        f"SELECT * FROM ({query} AND {id} < $2 AND {id} > $3 ORDER BY {id} {order(page)} LIMIT $4) page"
        " ORDER BY id DESC"
    )
