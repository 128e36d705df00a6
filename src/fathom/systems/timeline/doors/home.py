"""The home timeline, by a short way past the framework: nine of ten requests are for it."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from fathom.web.app import Gate, Quick, Reply, Visit

from ..api import Slice, Timeline, UserId
from ..service import Copies
from .pages import HEADERS, Renderer, as_response, page, reply
from .parameters import Limit, MaxId, MinId, SinceId, Viewer
from .shapes import LIMIT, Listing

__all__ = ["handlers", "quick"]


def handlers(timeline: Timeline, gate: Gate[UserId], under: str) -> list[Any]:
    """Return the handlers of the home timeline: they document it, and answer what `quick` does not."""

    async def answer(request: Request[Any, Any, Any], viewer: UserId, path: str) -> Response[Any]:
        asked = page(Visit.of(request).query)
        return as_response(reply(await timeline.home(viewer, asked), asked, path))

    @get(f"{under}/home", operation_id="home", tags=["home"], response_headers=HEADERS)
    async def home(
        viewer: Viewer,
        request: Request[Any, Any, Any],
        limit: Limit = LIMIT,
        max_id: MaxId = None,
        since_id: SinceId = None,
        min_id: MinId = None,
    ) -> Response[Listing]:
        """Return the posts of those you follow, and your own, newest first."""
        return await answer(request, viewer, f"{under}/home")

    @get(f"{under}/feed", operation_id="feed", tags=["home"], response_headers=HEADERS)
    async def feed(
        viewer: Viewer,
        request: Request[Any, Any, Any],
        limit: Limit = LIMIT,
        max_id: MaxId = None,
        since_id: SinceId = None,
        min_id: MinId = None,
    ) -> Response[Listing]:
        """Return the home timeline by its other name."""
        return await answer(request, viewer, f"{under}/feed")

    return [home, feed]


def quick(timeline: Timeline, gate: Gate[UserId], under: str) -> dict[tuple[str, str], Quick]:
    """Return the same two routes as they leave the framework (docs/decisions says why, with the measurement)."""

    home_copies = getattr(timeline, "home_copies", timeline.home)  # what only answers the Protocol has no copies
    renderer = Renderer()

    def way(path: str) -> Quick:
        async def answer(visit: Visit) -> Reply:
            viewer = await gate.enter(visit)
            asked = page(visit.query)
            found: Copies | Slice = await home_copies(viewer, asked)
            return renderer.reply(found, asked, path) if isinstance(found, Copies) else reply(found, asked, path)

        return answer

    return {("GET", f"{under}/{name}"): way(f"{under}/{name}") for name in ("home", "feed")}
