"""Posts: write, read, delete, list, like."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post, put
from litestar.params import JSONBody

from fathom.errors import Refusal
from fathom.web import cursors, idempotency
from fathom.web.app import Gate, Visit

from ..api import PAGE_POSTS_MAX, TRENDING_HOURS_MAX, PostId, Slice, Timeline, UserId
from .pages import HEADERS, NEXT, as_response, page, reply
from .parameters import LOCATION, Cursor, Hours, Key, Limit, MaxId, MinId, PostPath, SinceId, UserName, Viewer
from .shapes import LIMIT, Author, Draft, Latest, Likers, Likes, Listing, Published, Rest, Trends, Way, published

__all__ = ["handlers"]


def handlers(timeline: Timeline, gate: Gate[UserId], under: str) -> list[Any]:
    """Return the handlers about posts and likes."""

    @post(f"{under}/posts", operation_id="post", tags=["posts"], response_headers=LOCATION)
    async def write(viewer: Viewer, data: JSONBody[Draft], key: Key = None) -> Response[Published]:
        """Write a post. It is durable when this answers."""
        written = await timeline.post(viewer, data.body, idempotency.read_key(key))
        return Response(published(written), headers={"location": f"{under}/posts/{written.id}"})

    @get(f"{under}/posts", operation_id="latest", tags=["posts"], response_headers=[NEXT])
    async def latest(
        viewer: Viewer, request: Request[Any, Any, Any], limit: Limit = LIMIT, cursor: Cursor = None
    ) -> Response[Latest]:
        """Return everybody's posts, newest first."""
        most, after = cursors.read_opaque(Visit.of(request).query, limit=LIMIT, limit_max=PAGE_POSTS_MAX)
        piece = await timeline.latest(viewer, after, most)
        page = Latest(posts=[published(post) for post in piece.posts], pagination=Rest(limit=most, next=piece.next))
        below = f'<{under}/posts?limit={most}&cursor={piece.next}>; rel="next"'
        return Response(page, headers={"link": below} if piece.next else {})

    @get(f"{under}/news", operation_id="newer", tags=["posts"], response_headers=HEADERS)
    async def newer(
        viewer: Viewer, request: Request[Any, Any, Any], limit: Limit = LIMIT, min_id: MinId = None
    ) -> Response[Listing]:
        """Return the oldest of everybody's posts above one: who follows `prev` again and again misses none."""
        asked = page(Visit.of(request).query)
        if asked.max_id is not None or asked.since_id is not None:
            raise Refusal("invalid", "this list is only walked up: say limit or min_id")
        found = await timeline.newer(viewer, asked.min_id or PostId(0), asked.limit)
        newer = found[-1].id if found else asked.min_id
        return as_response(reply(Slice(posts=found[::-1], newer=newer), asked, f"{under}/news"))

    @get(f"{under}/posts/{{post_id:str}}", operation_id="read", tags=["posts"])
    async def read(viewer: Viewer, post_id: PostPath) -> Published:
        """Return one post."""
        return published(await timeline.read(viewer, number(post_id)))

    @delete(f"{under}/posts/{{post_id:str}}", operation_id="delete", tags=["posts"])
    async def remove(viewer: Viewer, post_id: PostPath) -> None:
        """Delete your own post: nobody sees it from now on. Deleting it again is fine."""
        await timeline.delete(viewer, number(post_id))

    @get(f"{under}/users/{{name:str}}/posts", operation_id="posts", tags=["posts"], response_headers=HEADERS)
    async def posts(
        viewer: Viewer,
        name: UserName,
        request: Request[Any, Any, Any],
        limit: Limit = LIMIT,
        max_id: MaxId = None,
        since_id: SinceId = None,
        min_id: MinId = None,
    ) -> Response[Listing]:
        """Return somebody's own posts, newest first."""
        visit = Visit.of(request)
        asked = page(visit.query)
        author = await timeline.profile(viewer, name)
        piece = await timeline.posts(viewer, author.id, asked)
        return as_response(reply(piece, asked, f"{under}/users/{name}/posts"))

    @get(f"{under}/posts/{{post_id:str}}/reach", operation_id="reach", tags=["posts"])
    async def reach(viewer: Viewer, post_id: PostPath) -> Way:
        """Return how far your own post has come to your followers."""
        it = await timeline.reach(viewer, number(post_id))
        return Way(told=it.told, pieces=it.pieces, behind=it.behind, beside=it.beside)

    @put(f"{under}/posts/{{post_id:str}}/like", operation_id="like", tags=["likes"])
    async def like(viewer: Viewer, post_id: PostPath) -> Likes:
        """Like a post, once, however often this is sent; return how many do."""
        return Likes(likes=await timeline.like(viewer, number(post_id)))

    @post(f"{under}/posts/{{post_id:str}}/like", operation_id="like-by-post", tags=["likes"], status_code=200)
    async def like_by_post(viewer: Viewer, post_id: PostPath) -> Likes:
        """Do the same as PUT, and no more of it when sent again."""
        return Likes(likes=await timeline.like(viewer, number(post_id)))

    @delete(f"{under}/posts/{{post_id:str}}/like", operation_id="unlike", tags=["likes"], status_code=200)
    async def unlike(viewer: Viewer, post_id: PostPath) -> Likes:
        """Take a like back; return how many are left."""
        return Likes(likes=await timeline.unlike(viewer, number(post_id)))

    @get(f"{under}/posts/{{post_id:str}}/likers", operation_id="likers", tags=["likes"])
    async def likers(viewer: Viewer, post_id: PostPath) -> Likers:
        """Return who likes a post, newest first, at most 1,000."""
        users = await timeline.users(viewer, await timeline.likers(viewer, number(post_id)))
        return Likers(likers=[Author(id=str(user.id), name=user.name) for user in users])

    @get(f"{under}/trending", operation_id="trending", tags=["posts"])
    async def trending(viewer: Viewer, hours: Hours = TRENDING_HOURS_MAX) -> Trends:
        """Return the posts that are liked most, of those written in the last hours."""
        found = await timeline.trending(viewer, hours)
        return Trends(posts=[published(post) for post in found.posts], made_ms=found.made_ms, fresh_s=found.fresh_s)

    return [write, latest, newer, read, remove, reach, posts, like, like_by_post, unlike, likers, trending]


def number(text: str) -> PostId:
    """Return the id that a path says."""
    # The pattern has let a line's end through, and digits of other scripts are numbers to int().
    if not (text.isascii() and text.isdigit() and int(text) <= cursors.ID_MAX):
        raise Refusal("not-found", "there is no such post")
    return PostId(int(text))
