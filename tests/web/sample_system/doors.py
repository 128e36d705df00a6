"""The sample system over REST."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, PathParameter

from fathom.web.app import Gate, Reply, Visit, api
from fathom.web.limits import Limits, Rate

from .api import Note


class NewNote(msgspec.Struct):
    """A note to be."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


def app(service: Any, choices: Any, settings: Any) -> Any:
    limits = Limits(
        per_address=None,
        per_identity=Rate(per_s=1, burst=50),
        operations={"write": Rate(per_s=0.5, burst=20)},
        body_bytes_max=4096,
        body_s=1.0,
        in_flight_max=8,
    )
    gate = Gate(service.whoami, limits)

    @post("/api/v1/notes", operation_id="write")
    async def write(data: JSONBody[NewNote], viewer: NamedDependency[int]) -> Note:
        """Write a note."""
        return await service.write(data.text)

    @get("/api/v1/notes/{id:int}", operation_id="read")
    async def read(id: Annotated[int, PathParameter(ge=1, le=2**53 - 1)], viewer: NamedDependency[int]) -> Note:
        """Read a note."""
        from fathom.errors import Refusal

        for note in await service.notes():
            if note.id == id:
                return note
        raise Refusal("not-found", "there is no such note")

    @get("/api/v1/greeting", operation_id="greet")
    async def greet(name: FromQuery[str] = "you") -> str:
        """Be greeted."""
        return await service.greet(name)

    @get("/api/v1/hold", operation_id="hold")
    async def hold(name: FromQuery[str] = "door") -> str:
        """Wait for somebody."""
        return await service.hold(name)

    @get("/api/v1/fall", operation_id="fall")
    async def fall() -> None:
        """Break."""
        await service.fall()

    @get("/api/v1/quick", operation_id="quick")
    async def quick(viewer: NamedDependency[int]) -> int:
        """Say who is asking, slowly."""
        return viewer

    async def quickly(visit: Visit) -> Reply:
        return Reply(200, b"%d" % await gate.enter(visit))

    return api(
        "Sample",
        "1.0",
        [write, read, greet, hold, fall, quick],
        gate=gate,
        limits=limits,
        metrics=settings.metrics,
        quick={("GET", "/api/v1/quick"): quickly},
        says="Keeps notes.",
    )
