"""Pictures of items, and their jobs."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.params import JSONBody

from ..api import ItemId, Job, JobId, Jobs, Shop
from .parameters import After, Id, Limit, Name, OnlyState, Viewer, number
from .shapes import Png

__all__ = ["handlers"]


def handlers(shop: Shop, under: str) -> list[Any]:
    """Return the handlers about pictures."""
    at = f"{under}/items/{{id:str}}/pictures/{{name:str}}"

    @post(at, operation_id="add-picture", tags=["staff"], status_code=202)
    async def add(viewer: Viewer, id: Id, name: Name, data: JSONBody[Png]) -> Job:
        """Give an item a picture (PNG, staff): its smaller sizes are made a little later."""
        return await shop.add_picture(viewer, ItemId(number(id)), name, data.png)

    @get(at, operation_id="picture", tags=["items"], media_type="image/png")
    async def picture(id: Id, name: Name) -> Response[bytes]:
        """Return a picture of one of the sizes that are ready."""
        data = await shop.picture(ItemId(number(id)), name)
        headers = {"cache-control": "public, max-age=3600", "x-content-type-options": "nosniff"}
        return Response(data, media_type="image/png", headers=headers)

    @get(f"{under}/staff/jobs/{{id:str}}", operation_id="job", tags=["staff"])
    async def job(viewer: Viewer, id: Id) -> Job:
        """Return what became of a picture's job."""
        return await shop.job(viewer, JobId(number(id)))

    @get(f"{under}/staff/jobs", operation_id="jobs", tags=["staff"])
    async def jobs(viewer: Viewer, kind: OnlyState = "dead", after: After = "", limit: Limit = 20) -> Jobs:
        """Return the pictures' jobs in a state; `dead` is the dead-letter queue."""
        return await shop.jobs(viewer, kind, after, limit)

    @post(f"{under}/staff/jobs/{{id:str}}/retry", operation_id="retry", tags=["staff"], status_code=200)
    async def retry(viewer: Viewer, id: Id) -> Job:
        """Try a dead job again."""
        return await shop.retry(viewer, JobId(number(id)))

    return [add, picture, job, jobs, retry]
