"""Two folders and a drive become one, whoever wrote what where, and nothing that was written goes."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fathom.blocks.names import is_conflicted
from fathom.systems.drive.api import Changes
from fathom.systems.drive.client.place import Knobs
from fathom.systems.drive.client.rest import Rest
from fathom.systems.drive.doors import app
from fathom.web.listen import Listen
from fathom.web.server import listening
from tests.features import feature

from ..doors.conftest import UNHURRIED
from .between import Between
from .device import all_one, device, devices, joined, model, remote_paths


@feature("DRIVE-01", "DRIVE-11", "DRIVE-12")
async def test_what_is_written_on_one_device_comes_to_the_other(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        laptop.write("letters/to ann.txt", "dear ann")
        laptop.write("empty", "")
        (laptop.root / "nothing in it").mkdir()
        assert await all_one(laptop, phone) == {
            "empty": "", "letters": None, "letters/to ann.txt": "dear ann", "nothing in it": None,
        }  # fmt: skip
        assert (phone.root / "empty").stat().st_mtime_ns // 1_000_000 == (
            laptop.root / "empty"
        ).stat().st_mtime_ns // 1_000_000


async def test_an_edit_a_rename_and_a_deletion_travel(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        laptop.write("a/one", "1")
        laptop.write("a/two", "2")
        laptop.write("three", "3")
        await all_one(laptop, phone)
        phone.write("a/one", "1 and more")
        (phone.root / "a").rename(phone.root / "b")
        (phone.root / "three").unlink()
        assert await all_one(phone, laptop) == {"b": None, "b/one": "1 and more", "b/two": "2"}
        assert laptop.did["move"] == 1 and laptop.did["fetched"] == 1


@feature("DRIVE-68", "DRIVE-69", "DRIVE-71")
async def test_two_edits_at_once_are_two_files(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        laptop.write("plan", "old")
        await all_one(laptop, phone)
        laptop.write("plan", "mine")
        phone.write("plan", "theirs")
        found = await all_one(laptop, phone)
        assert found.pop("plan") == "mine"
        ((name, text),) = found.items()
        assert text == "theirs" and is_conflicted(name) and "phone" in name


async def test_the_same_edit_on_both_is_no_conflict(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        for each in (laptop, phone):
            each.write("plan", "the same")
        assert await all_one(laptop, phone) == {"plan": "the same"}


async def test_an_edit_outlives_a_deletion(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        laptop.write("f/a", "old")
        await all_one(laptop, phone)
        (laptop.root / "f/a").unlink()
        (laptop.root / "f").rmdir()
        phone.write("f/a", "new")
        assert await all_one(laptop, phone) == {"f": None, "f/a": "new"}


async def test_a_name_in_other_letters_travels(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        laptop.write("Readme", "text")
        await all_one(laptop, phone)
        (laptop.root / "Readme").rename(laptop.root / "README")
        assert await all_one(laptop, phone) == {"README": "text"}
        assert phone.did["move"] == 1 and not phone.did["drop"]


async def test_names_that_were_swapped_are_swapped(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        laptop.write("a", "1")
        laptop.write("b", "2")
        await all_one(laptop, phone)
        for name, to in (("a", "c"), ("b", "a"), ("c", "b")):
            (laptop.root / name).rename(laptop.root / to)
        assert await all_one(laptop, phone) == {"a": "2", "b": "1"}
        assert phone.did["fetched"] == 2, "no content travels twice"


@feature("DRIVE-02", "DRIVE-62")
@pytest.mark.slow
async def test_of_a_large_file_only_what_changed_travels(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        bytes_ = Random(1).randbytes(100_000)
        laptop.write("large", bytes_)
        await all_one(laptop, phone)
        fetched = phone.did["fetched"]
        laptop.write("large", b"x" + bytes_)
        await all_one(laptop, phone)
        assert phone.did["fetched"] - fetched < 5 and phone.did["copied"] > 150
        laptop.write("copy", bytes_)
        fetched = phone.did["fetched"]
        await all_one(laptop, phone)
        assert (phone.root / "large").read_bytes() == b"x" + bytes_ and (phone.root / "copy").read_bytes() == bytes_
        assert phone.did["fetched"] - fetched < 5 and phone.did["copied"] > 300


@pytest.mark.slow
async def test_many_files_and_deep_folders_travel(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        for n in range(60):
            laptop.write(f"{n % 7}/{n % 3}/{n % 2}/{n}", f"text {n}" * n)
        assert len(await all_one(laptop, phone)) > 60


@feature("DRIVE-58")
async def test_what_was_there_before_on_both_is_recognised(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        for each in (laptop, phone):
            each.write("f/a", "1")
            each.write("f/b", "2")
        phone.write("f/b", "another")
        found = await all_one(laptop, phone)
        assert found["f/a"] == "1" and found["f/b"] == "2" and "another" in found.values()
        assert phone.did["agree"] == 2


@feature("DRIVE-55", "DRIVE-66")
async def test_a_client_that_starts_again_goes_on_where_it_was(tmp_path: Path):
    place = await joined(model())
    async with device("laptop", tmp_path / "laptop", place) as laptop:
        laptop.write("a", "1")
        await laptop.sync()
    async with device("laptop", tmp_path / "laptop", place) as laptop:
        laptop.write("a", "2")
        await laptop.sync()
        assert laptop.did["sent"] == 1
    (node,) = (await place.drive.tree(place.user, place.space)).nodes
    assert node.version == 2 and node.device == "laptop"
    assert await remote_paths(place) == {"a": "2"}


async def test_a_folder_that_came_back_from_a_copy_is_recognised_and_nothing_travels(tmp_path: Path):
    """Other inodes, the same files: as after a backup of the whole folder was restored."""
    import shutil

    place = await joined(model())
    async with device("laptop", tmp_path / "laptop", place) as laptop:
        for n in range(30):
            laptop.write(f"f/{n}", f"{n}")
        await laptop.sync()
    shutil.copytree(tmp_path / "laptop", tmp_path / "again")
    async with device("laptop", tmp_path / "again", place) as laptop:
        await laptop.sync()
        assert not laptop.did["sent"] and not laptop.did["fetched"] and not laptop.did["conflict"]


async def test_two_names_of_one_file_are_two_files_elsewhere(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        laptop.write("a", "1")
        os.link(laptop.root / "a", laptop.root / "b")
        assert await all_one(laptop, phone) == {"a": "1", "b": "1"}


async def test_more_edits_than_a_commit_takes_are_several(tmp_path: Path):
    place = await joined(model())
    knobs = Knobs(edits=7, batch_bytes=200, pack_bytes=100)
    async with device("laptop", tmp_path / "laptop", place, knobs=knobs) as laptop:
        for n in range(40):
            laptop.write(f"{n}", f"{n}" * 20)
        await laptop.sync()
        assert len(await remote_paths(place)) == 40 and laptop.did["given"] > 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_whatever_two_people_do_nothing_is_lost(tmp_path: Path, seed: int):
    dice = Random(seed)
    async with devices(tmp_path, "laptop", "phone") as both:
        wrote: set[str] = set()
        for n in range(60):
            each = dice.choice(both)
            files = [name for name, text in each.tree().items() if text is not None]
            folders = ["", *(name + "/" for name, text in each.tree().items() if text is None)]
            what = dice.random()
            if what < 0.5 or not files:
                text = f"{seed}.{n}"
                each.write(f"{dice.choice(folders)}{dice.choice('abc')}", text) if dice.random() < 0.8 else None
                wrote.add(text)
            elif what < 0.6:
                (each.root / dice.choice(folders) / dice.choice("fgh")).mkdir(exist_ok=True)
            elif what < 0.8:
                to = each.root / (dice.choice(folders) + dice.choice("abcde"))
                if not to.exists():
                    (each.root / dice.choice(files)).rename(to)
            elif what < 0.9:
                (each.root / dice.choice(files)).unlink()
            if dice.random() < 0.2:
                await each.sync()
        before = {text for each in both for text in each.tree().values() if text is not None}
        found = await all_one(*both)
        there = {text for text in found.values() if text is not None}
        place = both[0].place
        drive = place.drive
        kept: set[str] = set()
        for page in (await drive.tree(place.user, place.space), await drive.trash(place.user, place.space)):
            for node in page.nodes:
                for version in await drive.versions(place.user, place.space, node.id):
                    manifest = await drive.manifest(place.user, place.space, node.id, version.version)
                    parts = [await drive.chunk(place.user, place.space, chunk.digest) for chunk in manifest.chunks]
                    kept.add(b"".join(parts).decode())
        assert before <= there | kept


@pytest.mark.slow
@feature("DRIVE-45")
async def test_what_did_not_change_is_neither_read_again_nor_asked_for_again(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        for n in range(5):
            laptop.write(f"f/{n}", f"text {n}")
        await all_one(laptop, phone)
        await asyncio.sleep(0.1)  # until all are older than the grain of stamps, which nothing tells
        await all_one(laptop, phone)
        laptop.did.clear(), phone.did.clear()
        assert (await laptop.sync()).rest and (await phone.sync()).rest
        assert not laptop.did["hashed"] and not phone.did["hashed"] and not phone.did["fetched"]
        assert not laptop.did["tree"] and not laptop.did["changes"], "all that it asked is whether there are changes"
        laptop.write("f/3", "another text")
        await laptop.sync()
        await phone.sync()
        assert 1 <= laptop.did["hashed"] <= 2, "that one; once more, if it was as young as the grain of stamps"
        assert phone.did["fetched"] == 1 and phone.did["changes"] == 1


async def test_what_a_device_did_itself_it_does_not_fetch_and_what_came_between_it_does(tmp_path: Path):
    drive, quicker = model(), False

    async def commit(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        if quicker:
            phone.write("between", "theirs")
            await phone.sync()
        return await call(*args)

    place = await joined(drive)
    ours: Any = place._replace(drive=Between(drive, commit=commit))  # pyright: ignore[reportArgumentType]
    async with (
        device("laptop", tmp_path / "laptop", ours) as laptop,
        device("phone", tmp_path / "phone", place) as phone,
    ):
        laptop.write("a", "1")
        await laptop.sync()
        laptop.write("a", "2")
        (laptop.root / "folder").mkdir()
        await laptop.sync()
        assert laptop.did["sent"] == 3 and not laptop.did["changes"]
        quicker = True
        laptop.write("folder/b", "3")
        await laptop.sync()
        assert laptop.did["sent"] == 4 and laptop.did["changes"] == 1
        await all_one(laptop, phone)
        for each in (laptop, phone):
            nodes = (await drive.tree(place.user, place.space)).nodes
            assert each.known.remote == {node.id: node for node in nodes}


async def test_a_journal_that_does_not_say_yet_what_was_answered_is_asked_again(tmp_path: Path):
    """As from a copy that lags: what it does not have yet was not deleted."""
    drive, late = model(), 0

    async def commit(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        nonlocal late
        phone.write("between", "theirs")
        await phone.sync()
        late = 2
        return await call(*args)

    async def changes(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        nonlocal late
        late -= 1
        return Changes(nodes=[], cursor=args[2], head=args[2].seq) if late >= 0 else await call(*args)

    place = await joined(drive)
    ours: Any = place._replace(drive=Between(drive, commit=commit, changes=changes))  # pyright: ignore[reportArgumentType]
    async with (
        device("laptop", tmp_path / "laptop", ours) as laptop,
        device("phone", tmp_path / "phone", place) as phone,
    ):
        laptop.write("a", "1")
        await laptop.sync()
        assert late < 0 and not laptop.did["drop"]
        assert await all_one(laptop, phone) == {"a": "1", "between": "theirs"}


@pytest.mark.slow
@feature("DRIVE-18")
async def test_ten_packs_are_given_and_ten_files_fetched_at_once_over_as_many_connections(tmp_path: Path):
    """Whoever gives or fetches waits until ten have come: with fewer connections nobody would ever be answered."""
    drive = model()
    own = await joined(drive)
    under_way, ten = Counter[str](), {"give": asyncio.Event(), "chunk": asyncio.Event()}

    class Slow:
        def __getattr__(self, verb: str) -> Any:
            ask = getattr(drive, verb)

            async def answer(*asked: Any) -> Any:
                under_way[verb] += 1
                if under_way[verb] == 10:
                    ten[verb].set()
                await ten[verb].wait()
                return await ask(*asked)

            return answer if verb in ten else ask

    knobs = Knobs(packs=10, pack_bytes=1_000, fetches=10)
    async with (
        asyncio.timeout(20),
        listening(app(Slow(), limits=UNHURRIED), Listen(), drain_s=1) as url,  # pyright: ignore[reportArgumentType]
        Rest(url, await drive.login("ann", "correct horse"), connections=12) as rest,
        device("laptop", tmp_path / "laptop", own._replace(drive=rest), knobs=knobs) as laptop,
        device("phone", tmp_path / "phone", own._replace(drive=rest), knobs=knobs) as phone,
    ):
        for n in range(10):
            laptop.write(f"{n}", bytes([n]) * 900)  # a chunk each
        await laptop.sync()
        await phone.sync()
        assert phone.tree() == laptop.tree() and len(phone.tree()) == 10


async def test_many_files_are_asked_for_at_once(tmp_path: Path):
    """Sixty files come with one question for what they consist of; what is not told is asked for alone."""
    drive = model()
    place = await joined(drive)
    asked: Counter[str] = Counter()

    class Counting:
        def __getattr__(self, verb: str) -> Any:
            asked[verb] += 1
            return getattr(drive, verb)

        async def manifests(self, *given: Any) -> Any:
            asked["manifests"] += 1
            return (await drive.manifests(*given))[:-2]

    place = place._replace(drive=Counting())  # pyright: ignore[reportArgumentType]
    async with device("laptop", tmp_path / "l", place) as laptop, device("phone", tmp_path / "p", place) as phone:
        for n in range(60):
            laptop.write(f"{n % 5}/{n}", f"text {n}")
        await laptop.sync()
        await phone.sync()
        assert phone.tree() == laptop.tree()
        assert (asked["manifests"], asked["manifest"]) == (1, 2)
