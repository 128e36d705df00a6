"""Posts: write, read, delete, list, like."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post, put
from litestar.params import JSONBody

from fathom.errors import Refusal
from fathom.web import cursors, idempotency
from fathom.web.app import Gate, Visit

from ..api import TRENDING_HOURS_MAX, PostId, Timeline, UserId
from .pages import HEADERS, as_response, page, reply
from .parameters import LOCATION, Hours, Key, Limit, MaxId, MinId, PostPath, SinceId, UserName, Viewer
from .shapes import LIMIT, Author, Draft, Likers, Likes, Listing, Published, Trends, published

__all__ = ["handlers"]


def handlers(timeline: Timeline, gate: Gate[UserId], under: str) -> list[Any]:
    """Return the handlers about posts and likes."""

    @post(f"{under}/posts", operation_id="post", tags=["posts"], response_headers=LOCATION)
    async def write(viewer: Viewer, data: JSONBody[Draft], key: Key = None) -> Response[Published]:
        """Write a post. It is durable when this answers."""
        written = await timeline.post(viewer, data.body, idempotency.read_key(key))
        return Response(published(written), headers={"location": f"{under}/posts/{written.id}"})

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

    return [write, read, remove, posts, like, like_by_post, unlike, likers, trending]


def number(text: str) -> PostId:
    """Return the id that a path says."""
    # The pattern has let a line's end through, and digits of other scripts are numbers to int().
    if not (text.isascii() and text.isdigit() and int(text) <= cursors.ID_MAX):
        raise Refusal("not-found", "there is no such post")
    return PostId(int(text))
