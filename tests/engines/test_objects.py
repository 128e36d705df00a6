"""An object is there wholly or not at all, and on disk when its writer is told so."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from fathom.engines import bucket as bucket_module
from fathom.engines.bucket import Bucket
from fathom.engines.engine import EngineBusy, EngineDown
from fathom.engines.keeper import Keeper
from fathom.engines.ledger import charging, work
from fathom.engines.objects import Objects
from fathom.errors import FathomError


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_objects_are_put_and_got_whole_and_in_part_and_counted(keeper: Keeper):
    async with Objects.start(keeper) as engine, engine.connected() as bucket:
        with charging("upload"):
            await bucket.put("a/b/c.txt", b"hello there")
        with charging("download"):
            assert await bucket.get("a/b/c.txt") == b"hello there"
            assert await bucket.get_range("a/b/c.txt", 6, 3) == b"the"
        assert work.snapshot()["upload"] == {"objects": 1, "bytes": 11}
        assert work.snapshot()["download"] == {"objects": 2, "bytes": 14}
        assert await bucket.size("a/b/c.txt") == 11
        await bucket.put("a/b/c.txt", b"anew")
        assert await bucket.get("a/b/c.txt") == b"anew"
        await bucket.delete("a/b/c.txt")
        await bucket.delete("a/b/c.txt")
        assert await bucket.get("a/b/c.txt") is None
        assert await bucket.size("a/b/c.txt") is None
        assert await bucket.get_range("a/b/c.txt", 0, 1) is None


async def test_what_is_there_already_is_not_stored_again(keeper: Keeper):
    async with Objects.start(keeper) as engine, engine.connected() as bucket:
        with charging("first"):
            assert await bucket.ensure("a/digest", b"some bytes")
        with charging("again"):
            assert not await bucket.ensure("a/digest", b"some bytes")
        assert (work.snapshot()["first"], work.snapshot()["again"]) == ({"objects": 1, "bytes": 10}, {"objects": 1})
        await bucket.put("a/digest", b"torn")
        assert await bucket.ensure("a/digest", b"some bytes"), "what has another size is not that"
        done = await asyncio.gather(*(bucket.ensure("b", bytes(1_000)) for _ in range(8)))
        assert any(done)
        assert await bucket.get("b") == bytes(1_000)
        with pytest.raises(ValueError, match="cannot be an object's key"):
            await bucket.ensure("../b", b"")


async def test_a_list_is_what_is_below_a_folder(keeper: Keeper):
    async with Objects.start(keeper) as engine, engine.connected() as bucket:
        await asyncio.gather(*(bucket.put(key, b"") for key in ("x/2", "x/1", "x/y/3", "xx/4")))
        assert await bucket.list("x") == ["x/1", "x/2", "x/y/3"]
        assert await bucket.list("x", at_most=1) == ["x/1"]
        assert len(await bucket.list()) == 4
        assert await engine.counters() == {"held": 4, "held_bytes": 0}


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/.", "ä", "a b", "a#1", "a" * 901, "a\n"])
async def test_what_is_no_key_is_refused_before_anything_is_touched(keeper: Keeper, key: str):
    async with Objects.start(keeper) as engine, engine.connected() as bucket:
        for call in (bucket.put(key, b""), bucket.get(key), bucket.delete(key), bucket.size(key)):
            with pytest.raises(ValueError, match="cannot be an object's key"):
                await call


async def test_an_acknowledged_object_and_every_folder_above_it_were_synced(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
):
    synced: list[str] = []

    def watched(fd: int) -> None:
        real(fd)
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))  # noqa: PTH115

    real = os.fsync
    async with Objects.start(keeper) as engine, engine.connected() as bucket:
        monkeypatch.setattr(os, "fsync", watched)
        await bucket.put("a/b/c", b"hello")
        top = str(bucket_module.folder_of(engine.where))
        assert synced[0].startswith(f"{top}/a/b/c#"), "its bytes, before it has its name"
        assert synced[1] == f"{top}/a/b", "its name"
        assert set(synced[2:]) == {f"{top}/a", top}, "the names of new folders"
        synced.clear()
        await bucket.put("a/b/d", b"hello")
        assert [path.partition("#")[0] for path in synced] == [f"{top}/a/b/d", f"{top}/a/b"]
        synced.clear()
        await bucket.delete("a/b/d")
        assert synced == [f"{top}/a/b"]


async def test_the_system_lets_go_of_a_large_object_once_it_is_on_disk_and_keeps_a_small_one(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
):
    did: list[str] = []
    fsync, advise = os.fsync, os.posix_fadvise
    large = os.urandom(bucket_module.LARGE_BYTES)

    def synced(fd: int) -> None:
        did.append("synced")
        fsync(fd)

    def advised(fd: int, start: int, length: int, advice: int) -> None:
        did.append("left" if advice == os.POSIX_FADV_DONTNEED else "kept")
        advise(fd, start, length, advice)

    async with Objects.start(keeper) as engine, engine.connected() as bucket:
        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(os, "posix_fadvise", advised)
        await bucket.put("large", large)
        assert did[:2] == ["synced", "left"], "what is not on disk cannot be let go of"
        did.clear()
        await bucket.put("small", b"hello")
        assert "left" not in did
        assert await bucket.get("large") == large


async def test_what_a_killed_writer_left_is_no_object_and_goes_with_the_next_start(keeper: Keeper, spaced: Path):
    async with Objects.start(keeper, folder=spaced) as engine, engine.connected() as bucket:
        await bucket.put("a/b", b"")
        (spaced / "objects" / "a" / "c#1230000001").write_bytes(b"half")
        assert await bucket.list() == ["a/b"]
    async with Objects.start(keeper, folder=spaced):
        assert files_in(spaced / "objects") == ["a/b"]


async def test_a_failed_write_leaves_the_old_object_and_nothing_else(keeper: Keeper, spaced: Path):
    async with Objects.start(keeper, folder=spaced) as engine, engine.connected() as bucket:
        await bucket.put("a", b"old")
        with pytest.raises(EngineDown, match="putting a/b failed"):
            await bucket.put("a/b", b"below an object")
        assert await bucket.get("a") == b"old"
        assert files_in(spaced / "objects") == ["a"]


async def test_who_waits_too_long_for_room_is_turned_away_and_nothing_was_done(keeper: Keeper):
    async with Objects.start(keeper) as engine, engine.connected() as bucket:
        async with AsyncExitStack() as full:
            for _ in range(bucket_module.IN_FLIGHT_MAX):
                await full.enter_async_context(bucket._room)
            with pytest.raises(EngineBusy):
                await bucket.put("a", b"", within_s=0.02)
        assert await bucket.get("a") is None


async def test_a_wrong_option_is_named_and_no_secret_is(keeper: Keeper):
    with pytest.raises(FathomError, match="has no 'endpont'") as caught:
        await Bucket("s3://b?endpont=x&secret_access_key=s3cret").open()
    assert "did you mean 'endpoint'" in caught.value.fix
    assert "s3cret" not in str(caught.value)


async def test_a_closed_bucket_gives_nothing(keeper: Keeper):
    async with Objects.start(keeper) as engine:
        async with engine.connected() as bucket:
            pass
        with pytest.raises(EngineDown, match="closed"):
            await bucket.get("a")
