"""What is new and much is sent while the rest of it is read, and only where nothing can come of that."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fathom.errors import Refusal
from fathom.systems.drive.client.hashing import Asked
from fathom.systems.drive.client.later import Later, is_promise
from fathom.systems.drive.client.look import look
from fathom.systems.drive.client.place import Away, Knobs
from fathom.systems.drive.core.files import Stat
from fathom.systems.drive.model.checks import DEPTH_MAX

from .between import Between, once
from .device import all_one, device, joined, model, remote_paths

OLD_S = 0.05  # until a folder is older than the grain of stamps, which nothing tells: in a younger one nothing is left
FEW = Knobs(grain_ns=1_000)


@pytest.mark.slow
async def test_the_first_files_are_sent_before_the_last_are_read(tmp_path: Path):
    drive = model()
    read, then = Counter[tuple[str, ...]](), list[int]()

    async def fill(call: Callable[..., Awaitable[Any]], pieces: Any) -> Any:
        read.update({piece.path for piece in pieces})
        return await call(pieces)

    async def begin(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        then.append(read.total())
        return await call(*args)

    place = (await joined(drive))._replace(drive=Between(drive, begin=begin))  # pyright: ignore[reportArgumentType]
    knobs = Knobs(grain_ns=1_000, piece_bytes=900, edits=1)

    def reading(disk: Any) -> Any:
        return Between(disk, fill=fill)

    async with device("laptop", tmp_path / "laptop", place, knobs=knobs, files=reading) as laptop:
        for n in range(40):
            laptop.write(f"{n:02}", f"{n:02}" * 200)
        await asyncio.sleep(OLD_S)
        await laptop.syncer.sync()
        assert len(await remote_paths(place)) == 40
        assert then[0] <= 20, "of 40 files"
        assert set(read.values()) == {2}, "once to know it, once to send it"


async def test_what_may_be_what_became_of_a_file_is_not_left_for_later(tmp_path: Path):
    """Who saves by renaming makes a new file and takes the old one away: seen apart, it would be a deletion."""
    place = await joined(model())
    async with device("laptop", tmp_path / "laptop", place, knobs=FEW) as laptop:
        laptop.write("letter", "dear ann")
        await laptop.sync()
        (node,) = (await place.drive.tree(place.user, place.space)).nodes
        for n in range(9):
            laptop.write(f"{n}", f"{n}" * 900)
        laptop.write("new", "dear ann, dear bob")
        (laptop.root / "new").rename(laptop.root / "letter")
        await asyncio.sleep(OLD_S)
        await laptop.sync()
        nodes = {each.name: each.id for each in (await place.drive.tree(place.user, place.space)).nodes}
        assert len(nodes) == 10 and nodes["letter"] == node.id
        assert not laptop.did["left for later"] and not laptop.did["drop"]


async def test_what_the_drive_has_as_well_is_not_left_for_later(tmp_path: Path):
    place = await joined(model())
    async with (
        device("laptop", tmp_path / "laptop", place, knobs=FEW) as laptop,
        device("phone", tmp_path / "phone", place, knobs=FEW) as phone,
    ):
        for each in (laptop, phone):
            for n in range(9):
                each.write(f"{n}", f"{n}" * 900)
        await asyncio.sleep(OLD_S)
        await laptop.sync()
        assert laptop.did["left for later"] and not phone.did["left for later"]
        found = await all_one(laptop, phone)
        assert len(found) == 9 and not phone.did["left for later"]


async def test_names_that_are_one_elsewhere_are_read_before_anything_is_said_of_them(tmp_path: Path):
    """One of them is set aside under a name that tells what it holds."""
    place = await joined(model())
    async with device("laptop", tmp_path / "laptop", place, knobs=FEW) as laptop:
        for name in ("Letter", "letter", "other"):
            laptop.write(name, name)
        await asyncio.sleep(OLD_S)
        await laptop.sync()
        found = await remote_paths(place)
        assert laptop.did["left for later"] and sorted(map(str, found.values())) == ["Letter", "letter", "other"]


@pytest.mark.slow
async def test_what_another_device_makes_meanwhile_is_compared_with_what_was_left_for_later(tmp_path: Path):
    """A folder is made first; by then the drive has two of the files that are still read, one of them the same."""
    drive, waits = model(), asyncio.Event()
    place = await joined(drive)
    async with device("phone", tmp_path / "phone", place, knobs=FEW) as phone:

        async def commit(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
            outcomes = await call(*args)
            if not phone.tree():
                phone.write("same", "1" * 900)
                phone.write("other", "theirs")
                await phone.sync()
            return outcomes

        async def fill(call: Callable[..., Awaitable[Any]], pieces: Any) -> Any:
            await waits.wait()
            return await call(pieces)

        def heard(what: str) -> None:
            if what == "waited for what was left for later":
                waits.set()

        between: Any = Between(drive, commit=commit)
        ours = place._replace(drive=between)
        async with device(
            "laptop", tmp_path / "laptop", ours, knobs=FEW, files=lambda disk: Between(disk, fill=fill), heard=heard
        ) as laptop:
            laptop.write("folder/x", "x")
            laptop.write("same", "1" * 900)
            laptop.write("other", "ours")
            await asyncio.sleep(OLD_S)
            await laptop.sync()
            assert laptop.did["left for later"] and laptop.did["waited for what was left for later"] == 1
            found = await all_one(laptop, phone)
            assert laptop.did["conflict"] == 1 and not laptop.did["equal contents in conflict"]
            assert sorted(map(str, found.values())) == ["1" * 900, "None", "ours", "theirs", "x"]


@pytest.mark.slow
async def test_what_an_earlier_life_had_just_fetched_is_known_again_though_the_drive_has_it_no_more(tmp_path: Path):
    """Left for later it would be something new, and what was deleted would be there again."""
    place = await joined(model())

    def dies() -> None:
        raise RuntimeError("the client was killed before it knew what it had done")

    async with device("phone", tmp_path / "phone", place, knobs=FEW) as phone:
        phone.write("a", "1")
        phone.write("b", "2")
        await phone.sync()
        killed = once(dies)
        with pytest.raises(RuntimeError):
            async with device(
                "laptop", tmp_path / "laptop", place, knobs=FEW, files=lambda disk: Between(disk, sync=killed)
            ) as laptop:
                await laptop.sync()
        assert laptop.tree() == {"a": "1", "b": "2"}
        for name in ("a", "b"):
            (phone.root / name).unlink()
        await asyncio.sleep(OLD_S)
        await phone.sync()
        assert not await remote_paths(place)
        async with device("laptop", tmp_path / "laptop", place, knobs=FEW) as laptop:
            await asyncio.sleep(OLD_S)
            assert await all_one(laptop, phone) == {}


@pytest.mark.slow
async def test_a_folder_that_the_drive_refuses_keeps_nothing_else_from_coming(tmp_path: Path):
    place = await joined(model())
    async with device("laptop", tmp_path / "laptop", place, knobs=FEW) as laptop:
        (laptop.root / "/".join("d" * (DEPTH_MAX + 2))).mkdir(parents=True)
        await laptop.syncer.sync()
        laptop.write("a", "1")
        await asyncio.sleep(OLD_S)
        report = await laptop.syncer.sync()
        assert (await remote_paths(place))["a"] == "1"
        assert not report.rest and any("within each other" in why for why in report.hindered.values())


async def test_what_got_the_inode_of_a_file_that_was_left_for_later_is_not_taken_for_it(tmp_path: Path):
    place = await joined(model())
    async with device("laptop", tmp_path / "laptop", place, knobs=FEW) as laptop:
        for name in ("a", "b", "c"):
            laptop.write(name, name)
        await asyncio.sleep(OLD_S)
        local = await look(laptop.files, laptop.known, FEW, lambda what, whom: None, promise=True)
        a, b, c = sorted(local.seen, key=lambda id: local.seen[id].name)
        assert len(local.later) == 3 and is_promise(local.tree[a].content)
        (laptop.root / "b").unlink()
        for id in (a, b):  # as after another file was written in its place
            other = local.seen[id]
            local.put(id, other._replace(name="other", stat=other.stat._replace(size=7)), "what it holds")
        await local.later.all()
        assert await local.later.end() is None and local.later.broken == {b}
        assert local.tree[a].content == local.tree[b].content == "what it holds" and list(laptop.known.files) == [c]


async def test_who_waits_is_told_though_telling_fails():
    gone = [Asked(f"f{n}", (f"{n}",), Stat(f"f{n}", "file", 1, 0, 0), None, False) for n in range(3)]

    async def read(asked: Any, took: Any) -> None:
        await asyncio.sleep(0)
        took(asked[0], None, "")

    def took(asked: Asked, hashed: Any) -> None:
        raise BrokenPipeError("nobody listens")

    later = Later(gone, read, took)
    async with asyncio.timeout(5):
        await asyncio.gather(*(later.known(it.id) for it in gone))
        fault = await later.end()
    assert isinstance(fault, BrokenPipeError) and later.broken == {"f0", "f1", "f2"} and not later


async def test_who_cannot_read_ends_the_sync_and_nothing_waits_for_ever(tmp_path: Path):
    place = await joined(model())

    def no_room() -> None:
        raise MemoryError("no room to read to")

    fill = once(no_room)
    async with device(
        "laptop", tmp_path / "laptop", place, knobs=FEW, files=lambda disk: Between(disk, fill=fill)
    ) as laptop:
        for n in range(3):
            laptop.write(f"{n}", f"{n}")
        await asyncio.sleep(OLD_S)
        with pytest.raises(MemoryError):
            await laptop.syncer.sync()
        assert not await remote_paths(place)


async def test_what_failed_first_is_what_is_told(tmp_path: Path):
    """A drive that is away is asked again; that a file could not be read must not hide it."""
    drive, failed, made = model(), asyncio.Event(), False

    async def fill(call: Callable[..., Awaitable[Any]], pieces: Any) -> Any:
        failed.set()
        raise MemoryError("no room to read to")

    async def commit(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        nonlocal made
        await failed.wait()
        made = True
        return await call(*args)

    async def changes(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        if made:
            raise TimeoutError
        return await call(*args)

    ours: Any = (await joined(drive))._replace(drive=Between(drive, commit=commit, changes=changes))  # pyright: ignore[reportArgumentType]
    async with device(
        "laptop", tmp_path / "laptop", ours, knobs=FEW, files=lambda disk: Between(disk, fill=fill)
    ) as laptop:
        laptop.write("folder/a", "1")
        await asyncio.sleep(OLD_S)
        with pytest.raises(Away):
            await laptop.syncer.sync()


async def test_what_the_drive_refuses_keeps_nothing_else_from_coming(tmp_path: Path):
    drive = model()

    async def begin(call: Callable[..., Awaitable[Any]], user: Any, space: Any, chunks: Any) -> Any:
        if any(chunk.size == 1_024 for chunk in chunks):  # the largest there is, and only large files have one
            raise Refusal("too-large", "there is no room")
        return await call(user, space, chunks)

    place = (await joined(drive))._replace(drive=Between(drive, begin=begin))  # pyright: ignore[reportArgumentType]
    async with device("laptop", tmp_path / "laptop", place, knobs=FEW) as laptop:
        for n in range(12):
            laptop.write(f"{n:02}", bytes(1_500) if n < 8 else f"{n}" * 50)
        await asyncio.sleep(OLD_S)
        report = await laptop.syncer.sync()
        assert sorted(report.hindered) == [f"{n:02}" for n in range(8)]
        assert laptop.did["left for later"]
        assert sorted(await remote_paths(place)) == ["08", "09", "10", "11"]


@pytest.mark.parametrize("others", [0, 3])
async def test_a_file_whose_place_a_folder_took_before_it_was_read_is_looked_at_again(tmp_path: Path, others: int):
    place = await joined(model())

    def swap(root: Path) -> None:
        if (root / "a").is_file():
            (root / "a").unlink()
            (root / "a").mkdir()

    async def fill(call: Callable[..., Awaitable[Any]], pieces: Any) -> Any:
        swap(tmp_path / "laptop")
        return await call(pieces)

    def swapping(disk: Any) -> Any:
        return Between(disk, fill=fill)

    async with device("laptop", tmp_path / "laptop", place, knobs=FEW, files=swapping) as laptop:
        for name in ("a", "b", "c", "d")[: others + 1]:
            laptop.write(name, "1" * 30)
        report = await laptop.sync()
        assert report.rest and laptop.did["busy"]
        assert (await remote_paths(place)) == {"a": None, **dict.fromkeys("bcd"[:others], "1" * 30)}
