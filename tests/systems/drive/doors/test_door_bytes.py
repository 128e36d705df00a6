"""Bytes go through the door a pack and a chunk at a time, however large the file, and what was given stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

from fathom.errors import Refusal
from fathom.systems.drive.api import ROOT, Chunk, Digest, Make, Manifest, SpaceId, UserId
from fathom.systems.drive.doors import writing
from fathom.systems.drive.doors.body import Body, Gone, Slow
from fathom.systems.drive.doors.reading import AHEAD, ahead, within
from fathom.systems.drive.doors.writing import Room, Upload
from fathom.systems.drive.model import DriveModel

from .visitor import PASSWORD

DATA = Random(3).randbytes(40_000)


class Counted:
    """A drive that counts what it is asked, and of which `without` is missing."""

    def __init__(self, drive: Any, without: str = "") -> None:
        self._drive, self._without = drive, without
        self.asked: list[tuple[str, Any]] = []

    def __getattr__(self, verb: str) -> Any:
        if verb == self._without:
            raise AttributeError(verb)

        async def ask(*asked: Any) -> Any:
            self.asked.append((verb, asked[-1]))
            return await getattr(self._drive, verb)(*asked)

        return ask

    def count(self, verb: str) -> int:
        return sum(name == verb for name, _ in self.asked)


async def person(drive: DriveModel) -> tuple[UserId, SpaceId]:
    user = await drive.join("ann", PASSWORD)
    return user.id, (await drive.spaces(user.id))[0].id


async def pieces(data: bytes, size: int = 777) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def put(drive: Counted, user: UserId, space: SpaceId, data: bytes) -> bytes:
    """Put a file through an upload; return what it holds then."""
    cutting = (await drive.space(user, space)).cutting
    written = await Upload(drive, user, space, cutting).take(pieces(data))  # pyright: ignore[reportArgumentType]
    (outcome,) = await drive.commit(user, space, [Make(parent=ROOT, name="a", manifest=written.manifest)],
                                    written.session)  # fmt: skip
    assert not outcome.code, outcome
    manifest = await drive.manifest(user, space, outcome.node.id)
    return b"".join([await drive.chunk(user, space, it.digest) for it in manifest.chunks])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let packs and buffers be small, so that a small file needs many."""
    monkeypatch.setattr(writing, "PACK_BYTES", 3_000)
    monkeypatch.setattr(writing, "BUFFER_BYTES_MIN", 4_096)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("cutting", ["fixed-1000", "fastcdc2020-64-256-1024"])
@pytest.mark.parametrize("length", [0, 1, 999, 1_000, 1_001, 4_096, len(DATA)])
async def test_what_comes_in_pieces_is_whole(cutting: str, length: int) -> None:
    model = DriveModel(cutting=cutting)
    drive = Counted(model)
    user, space = await person(model)
    assert await put(drive, user, space, DATA[:length]) == DATA[:length]
    assert drive.count("begin") == 1, "one session for it all, which ended with the commit"
    assert all(not model._lasts(lease) for lease in model._leases.values())
    assert max([len(pack) for verb, pack in drive.asked if verb == "give"], default=0) < 5_000


@pytest.mark.usefixtures("small")
async def test_a_drive_whose_sessions_do_not_grow_takes_it_all_the_same() -> None:
    model = DriveModel(cutting="fixed-1000")
    drive = Counted(model, without="extend")
    user, space = await person(model)
    assert await put(drive, user, space, DATA) == DATA
    assert drive.count("begin") == drive.count("give") + 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("without", ["", "extend"])
async def test_what_comes_so_slowly_that_sessions_would_end_stays(
    without: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [1_000.0]
    monkeypatch.setattr(writing.time, "time", lambda: now_s[0])
    model = DriveModel(lambda: int(now_s[0] * 1_000), cutting="fixed-1000")
    drive = Counted(model, without=without)
    user, space = await person(model)

    async def slow() -> AsyncIterator[bytes]:
        async for piece in pieces(DATA, 500):
            now_s[0] += 60
            yield piece

    written = await Upload(drive, user, space, "fixed-1000").take(slow())  # pyright: ignore[reportArgumentType]
    (outcome,) = await model.commit(user, space, [Make(parent=ROOT, name="a", manifest=written.manifest)],
                                    written.session)  # fmt: skip
    assert not outcome.code, outcome


@pytest.mark.usefixtures("small")
async def test_what_is_there_already_is_not_given_again() -> None:
    model = DriveModel(cutting="fixed-1000")
    user, space = await person(model)
    await put(Counted(model), user, space, DATA)
    again = Counted(model)
    await Upload(again, user, space, "fixed-1000").take(pieces(DATA[:20_000] + b"x" * 1_000))  # pyright: ignore[reportArgumentType]
    assert again.count("give") == 1


async def test_where_there_is_no_room_nothing_is_read_for_long() -> None:
    model = DriveModel(cutting="fixed-1000", quota=5_000)
    user, space = await person(model)
    with pytest.raises(Refusal, match="no room") as refused:
        await put(Counted(model), user, space, DATA)
    assert refused.value.code == "too-large"


async def test_chunks_are_fetched_one_ahead_and_never_more() -> None:
    chunks = [Chunk(Digest(str(number)), 4) for number in range(9)]
    fetched: list[Chunk] = []

    async def fetch(chunk: Chunk) -> bytes:
        fetched.append(chunk)
        return chunk.digest.encode() * 4

    found = ahead(fetch, within(Manifest(cutting="", chunks=chunks), 2, 34))
    data, first, last = await anext(found)
    for _ in range(5):
        await asyncio.sleep(0)
    assert (data[first:last], len(fetched)) == (b"00", 1 + AHEAD)
    rest = b"".join([data[first:last] async for data, first, last in found])
    assert rest == b"1111222233334444555566667777" + b"88"
    assert fetched == chunks


async def test_a_chunk_that_is_not_whole_ends_the_answer() -> None:
    async def fetch(chunk: Chunk) -> bytes:
        return b"abc"

    with pytest.raises(Refusal, match="not whole"):
        await anext(ahead(fetch, [(Chunk(Digest("x"), 4), 0, 4)]))


def body(*parts: bytes | None, **headers: bytes) -> Body:
    """Return a body of these parts; after None comes nothing more, and nobody is there."""
    messages: list[Any] = [
        {"type": "http.disconnect"}
        if part is None
        else {"type": "http.request", "body": part, "more_body": number < len(parts) - 1}
        for number, part in enumerate(parts)
    ]

    async def receive() -> Any:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    return Body(receive, {name.replace("_", "-").encode(): value for name, value in headers.items()})


async def test_a_body_that_goes_on_for_too_long_comes_too_slowly_or_ends_too_soon_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await body(b"a", b"", b"b", content_length=b"2").all(2) == b"ab"
    with pytest.raises(Refusal, match="at most 2 bytes"):
        await body(b"a", b"bc", transfer_encoding=b"chunked").all(2)
    with pytest.raises(Refusal, match="at most 2 bytes"):
        await body(content_length=b"3").all(2)
    with pytest.raises(Gone):
        await body(b"a", None, content_length=b"2").all(2)
    monkeypatch.setattr("fathom.systems.drive.doors.body.IDLE_S", 0.01)
    with pytest.raises(Slow):
        await body(content_length=b"2").all(2)
    monkeypatch.setattr("fathom.systems.drive.doors.body.GRACE_S", -1.0)
    with pytest.raises(Slow):
        await body(b"a", b"b", content_length=b"2").all(2)


async def test_who_sends_more_at_once_than_there_is_room_for_waits_and_others_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writing, "WAITS_S", 0.02)
    room = Room(at_once=3, of_one=2)
    ann, bob, cleo = UserId(1), UserId(2), UserId(3)
    async with room.taken(ann), room.taken(ann):
        with pytest.raises(Refusal, match="too much is being sent"):
            async with room.taken(ann):
                pass
        async with room.taken(bob):
            with pytest.raises(Refusal):
                async with room.taken(cleo):
                    pass
        async with room.taken(cleo):
            pass
    assert not room._theirs
