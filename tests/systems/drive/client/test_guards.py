"""What protects somebody's files: from half a look, from a folder that is not there, and from the client itself."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fathom.errors import FathomError, Refusal
from fathom.systems.drive.api import ROOT as TOP
from fathom.systems.drive.api import Cursor, Make, Manifest
from fathom.systems.drive.client.look import settled
from fathom.systems.drive.client.place import Away, Knobs, Place
from fathom.systems.drive.client.sqlite import Sqlite
from fathom.systems.drive.core.files import OURS, Changed, Stat
from fathom.systems.drive.core.state import Hashed
from fathom.systems.drive.model import CUTTING

from .between import Between, once
from .device import all_one, device, devices, joined, model, remote_paths

# A folder that is not what it was


async def test_an_empty_folder_in_place_of_ours_is_never_taken_for_deletion(tmp_path: Path):
    async with devices(tmp_path, "laptop") as (laptop,):
        laptop.write("a", "1")
        await laptop.sync()
        laptop.root.rename(tmp_path / "away")
        laptop.root.mkdir()
        with pytest.raises(FathomError, match="not there"):
            await laptop.sync()
        laptop.root.rmdir()
        (tmp_path / "away").rename(laptop.root)
        await laptop.sync()
        assert await remote_paths(laptop.place) == {"a": "1"}


async def test_a_folder_that_goes_away_while_it_is_looked_at_is_not_believed(tmp_path: Path):
    place = await joined(model())
    root = tmp_path / "laptop"

    def goes() -> None:
        root.rename(tmp_path / "away")
        root.mkdir()

    between = Between(None)
    async with device("laptop", root, place, files=lambda disk: setattr(between, "body", disk) or between) as laptop:
        laptop.write("a", "1")
        await laptop.sync()

        async def scan(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
            goes()
            return (await call(*args))._replace(steady=True)

        between.happens["scan"] = scan
        with pytest.raises(FathomError, match="not there"):
            await laptop.sync()
        assert await remote_paths(place) == {"a": "1"}


async def test_a_folder_of_which_most_would_be_deleted_is_asked_about(tmp_path: Path):
    place = await joined(model())
    async with device("laptop", tmp_path / "laptop", place) as laptop:
        for n in range(30):
            laptop.write(f"f/{n}", f"{n}")
        await laptop.sync()
        shutil.rmtree(laptop.root / "f")
        with pytest.raises(FathomError, match="30 of 30 files would be deleted on the drive") as told:
            await laptop.sync()
        assert "--allow-deletions 30" in told.value.fix
        assert len(await remote_paths(place)) == 31
    async with device("laptop", tmp_path / "laptop", place, allow_deletions=30) as laptop:
        await laptop.sync()
    assert await remote_paths(place) == {}


async def test_a_drive_that_lost_most_files_does_not_delete_them_here_unasked(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        for n in range(30):
            laptop.write(f"{n}", f"{n}")
        await all_one(laptop, phone)
        drive, user, space = laptop.place
        for node in (await drive.tree(user, space)).nodes:
            from fathom.systems.drive.api import Drop

            await drive.commit(user, space, [Drop(node=node.id, version=node.version)])
        with pytest.raises(FathomError, match="30 of 30 files would be deleted in this folder"):
            await phone.sync()
        assert len(phone.tree()) == 30


@pytest.mark.slow
async def test_who_saves_by_renaming_in_a_folder_that_never_holds_still_is_in_no_conflict(tmp_path: Path):
    place = await joined(model())
    missed: set[str] = set()

    async def scan(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        found = await call(*args)
        return found._replace(seen=[it for it in found.seen if it.name not in missed], steady=False)

    def never_still(disk: Any) -> Any:
        return Between(disk, scan=scan)

    async with device("laptop", tmp_path / "laptop", place, files=never_still, knobs=Knobs(grain_ns=1_000)) as laptop:
        for name in ("a", "b", "folder/c"):
            laptop.write(name, "1")
        await laptop.sync()
        laptop.write("new", "2")
        (laptop.root / "new").rename(laptop.root / "a")
        (laptop.root / "folder").rename(tmp_path / "folder")
        laptop.write("folder/c", "2")
        missed.add("b")
        await laptop.syncer.sync()
        assert not laptop.did["conflict"]
        assert await remote_paths(place) == {"a": "2", "b": "1", "folder": None, "folder/c": "2"}


async def test_a_folder_that_cannot_be_read_is_not_empty(tmp_path: Path):
    place = await joined(model())
    blind: dict[str, str] = {}

    async def scan(call: Callable[..., Awaitable[Any]], enter: Any) -> Any:
        found = await call(enter)
        seen = [each for each in found.seen if each.parent not in blind]
        return found._replace(seen=seen, blind=dict(blind))

    async with device("laptop", tmp_path / "laptop", place, files=lambda disk: Between(disk, scan=scan)) as laptop:
        laptop.write("f/g/a", "1")
        laptop.write("b", "2")
        await laptop.sync()
        folder = laptop.known.ties.of_remote[1]
        blind[str(folder.local)] = "Permission denied"
        report = await laptop.sync()
        assert report.skipped == {folder.name: "Permission denied"}
        assert await remote_paths(place) == {"f": None, "f/g": None, "f/g/a": "1", "b": "2"}


# Somebody who writes meanwhile


async def test_what_was_written_right_before_a_rename_over_it_is_kept(tmp_path: Path):
    place = await joined(model())
    root = tmp_path / "laptop"
    between = Between(None)
    async with (
        device("phone", tmp_path / "phone", place) as phone,
        device("laptop", root, place, files=lambda disk: setattr(between, "body", disk) or between) as laptop,
    ):
        phone.write("a", "old")
        await all_one(phone, laptop)
        phone.write("a", "theirs")
        await phone.sync()
        between.happens["place"] = once(lambda: laptop.write("a", "mine!!"))
        found = await all_one(laptop, phone)
        assert set(found.values()) == {"theirs", "mine!!"} and found["a"] == "theirs"


@pytest.mark.slow
async def test_what_was_written_right_before_a_deletion_is_kept(tmp_path: Path):
    place = await joined(model())
    between = Between(None)
    async with (
        device("phone", tmp_path / "phone", place) as phone,
        device(
            "laptop", tmp_path / "laptop", place, files=lambda disk: setattr(between, "body", disk) or between
        ) as laptop,
    ):
        phone.write("f/a", "old")
        await all_one(phone, laptop)
        (phone.root / "f/a").unlink()
        (phone.root / "f").rmdir()
        await phone.sync()
        between.happens["remove"] = once(lambda: laptop.write("f/a", "new"))
        assert await all_one(laptop, phone) == {"f": None, "f/a": "new"}


async def test_a_file_made_right_before_another_gets_its_name_is_kept(tmp_path: Path):
    place = await joined(model())
    between = Between(None)
    async with (
        device("phone", tmp_path / "phone", place) as phone,
        device(
            "laptop", tmp_path / "laptop", place, files=lambda disk: setattr(between, "body", disk) or between
        ) as laptop,
    ):
        phone.write("a", "theirs")
        await phone.sync()
        between.happens["place"] = once(lambda: laptop.write("a", "mine"))
        assert set((await all_one(laptop, phone)).values()) == {"theirs", "mine"}


async def test_a_file_that_is_written_while_it_is_read_goes_later_and_whole(tmp_path: Path):
    place = await joined(model())
    between = Between(None)
    async with device(
        "laptop", tmp_path / "laptop", place, files=lambda disk: setattr(between, "body", disk) or between
    ) as laptop:
        laptop.write("a", "half")
        calls = 0

        async def fill(call: Callable[..., Awaitable[Any]], pieces: Any) -> Any:
            nonlocal calls
            calls += 1
            stats = await call(pieces)
            if calls == 1:
                laptop.write("a", "half and whole")
                stats = await call([piece._replace(room=memoryview(bytearray(len(piece.room)))) for piece in pieces])
            return stats

        between.happens["fill"] = fill
        await laptop.sync()
        assert laptop.did["busy"] == 1
        (node,) = (await place.drive.tree(place.user, place.space)).nodes
        assert node.version == 1 and await remote_paths(place) == {"a": "half and whole"}


async def test_what_was_made_in_a_folder_that_went_before_it_was_synced_comes_again(tmp_path: Path):
    async with devices(tmp_path, "phone") as (phone,):
        phone.write("folder/a", "1")
        await phone.sync()

        async def sync(call: Callable[..., Awaitable[Any]], folder: Any) -> Any:
            if folder and not laptop.did["a folder went before it was synced"]:
                shutil.rmtree(laptop.root / "folder")
            return await call(folder)

        async with device(
            "laptop", tmp_path / "laptop", phone.place, files=lambda disk: Between(disk, sync=sync)
        ) as laptop:
            await laptop.sync()
            assert laptop.did["a folder went before it was synced"] == 1
            assert await all_one(laptop, phone) == {"folder": None, "folder/a": "1"}


async def test_an_edit_that_keeps_size_and_time_is_seen(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        laptop.write("a", "one")
        await all_one(laptop, phone)
        before = (laptop.root / "a").stat()
        (laptop.root / "a").write_text("two")
        os.utime(laptop.root / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert await all_one(laptop, phone) == {"a": "two"}


# What is left out


async def test_what_cannot_be_synced_is_said_with_the_reason(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        laptop.write("a", "1")
        laptop.write("aux.c", "2")
        (laptop.root / "link").symlink_to("a")
        os.mkfifo(laptop.root / "pipe")
        os.close(os.open(os.fsencode(laptop.root) + b"/\xff\xfe", os.O_CREAT | os.O_WRONLY))
        laptop.write("new\nline", "3")
        report = await laptop.sync()
        assert report.skipped == {
            "link": "a symbolic link",
            "pipe": "neither a file nor a folder",
            "\\udcff\\udcfe": "a name is text: this one has bytes that are not UTF-8",
            "new\nline": "a name has no control characters",
        }
        assert report.notes == {"aux.c": "Windows keeps the name aux for a device"}
        await phone.sync()
        assert phone.tree() == {"a": "1", "aux.c": "2"}
        assert (laptop.root / "link").is_symlink()


async def test_what_is_ignored_stays_at_home_and_what_was_synced_before_goes_on(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        laptop.write("old.tmp", "1")
        await laptop.sync()
        laptop.write(".fathomignore", "*.tmp\nbuild/\n/docs/*.log\n!keep.tmp\n")
        for name in ("new.tmp", "build/out", "keep.tmp", "docs/a.log", "b.log"):
            laptop.write(name, name)
        report = await laptop.sync()
        assert set(report.skipped) == {"new.tmp", "build", "docs/a.log"}
        await phone.sync()
        assert set(phone.tree()) == {".fathomignore", "old.tmp", "keep.tmp", "docs", "b.log"}


async def test_a_file_renamed_to_a_name_that_cannot_be_synced_is_not_deleted_elsewhere(tmp_path: Path):
    async with devices(tmp_path, "laptop", "phone") as (laptop, phone):
        laptop.write("a", "1")
        await all_one(laptop, phone)
        (laptop.root / "a").rename(laptop.root / "a\nb")
        await laptop.sync()
        await phone.sync()
        assert phone.tree() == {"a": "1"}


# What the client remembers


async def test_a_damaged_state_is_said_and_nothing_is_guessed(tmp_path: Path):
    place = await joined(model())
    async with device("laptop", tmp_path / "laptop", place) as laptop:
        laptop.write("a", "1")
        await laptop.sync()
    state = tmp_path / "laptop" / OURS / "state"
    with sqlite3.connect(state) as connection:
        connection.execute("UPDATE facts SET value = x'ff' WHERE family = 'ties'")
    connection.close()
    with pytest.raises(FathomError, match="cannot be read"):
        async with device("laptop", tmp_path / "laptop", place):
            pass
    state.write_bytes(b"no database" * 1_000)
    with pytest.raises(FathomError, match="cannot be read"):
        async with device("laptop", tmp_path / "laptop", place):
            pass


async def test_one_folder_has_one_client(tmp_path: Path):
    place = await joined(model())
    async with device("laptop", tmp_path / "laptop", place):
        with pytest.raises(FathomError, match="cannot be read") as told:
            async with device("laptop", tmp_path / "laptop", place):
                pass
        assert "another client" in told.value.why


async def test_a_folder_of_another_space_is_refused(tmp_path: Path):
    drive = model()
    place = await joined(drive)
    other = await drive.join("bob", "correct horse")
    (space,) = await drive.spaces(other.id)
    async with device("laptop", tmp_path / "laptop", place):
        pass
    with pytest.raises(FathomError, match="another space"):
        async with device("laptop", tmp_path / "laptop", Place(drive, other.id, space.id)):
            pass


async def test_a_batch_of_facts_is_there_whole_or_not_at_all(tmp_path: Path):
    async with Sqlite.open(tmp_path / "state") as state:
        await state.apply([("a", b"1", b"one"), ("a", b"2", b"two")])
        with pytest.raises(sqlite3.Error):
            await state.apply([("a", b"1", None), ("a", b"3", object())])  # type: ignore[list-item]
        assert await state.load() == {"a": {b"1": b"one", b"2": b"two"}}


# A drive that does not answer, or is another


async def test_an_edit_whose_answer_was_lost_is_done_once(tmp_path: Path):
    drive = model()
    lost = 2

    async def commit(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        nonlocal lost
        answer = await call(*args)
        if lost:
            lost -= 1
            raise TimeoutError
        return answer

    place = await joined(Between(drive, commit=commit))  # type: ignore[arg-type]
    async with device("laptop", tmp_path / "laptop", place) as laptop:
        laptop.write("a", "1")
        with pytest.raises(Away):
            await laptop.sync()
        (laptop.root / "a").rename(laptop.root / "b")
        laptop.write("b", "2")
    async with device("laptop", tmp_path / "laptop", place) as laptop:
        with pytest.raises(Away):
            await laptop.sync()
        await laptop.sync()
        assert laptop.tree() == {"b": "2"} == await remote_paths(place)
    (node,) = (await drive.tree(place.user, place.space)).nodes
    assert node.version == 2 and not (await drive.trash(place.user, place.space)).nodes


async def test_a_drive_set_back_to_a_backup_deletes_nothing_and_gets_what_it_lost(tmp_path: Path):
    import copy

    import msgspec

    drive = model()
    async with devices(tmp_path, "laptop", "phone", drive=drive) as (laptop, phone):
        laptop.write("a", "1")
        laptop.write("gone", "0")
        await all_one(laptop, phone)
        backup = copy.deepcopy(drive._places)
        laptop.write("a", "2")
        laptop.write("new", "3")
        (laptop.root / "gone").unlink()
        await all_one(laptop, phone)
        drive._places = backup
        place = drive._places[laptop.place.space]
        place.space = msgspec.structs.replace(place.space, epoch="another")
        laptop.write("b", "4")
        found = await all_one(laptop, phone)
        assert found == {"a": "2", "b": "4", "new": "3", "gone": "0"}, "what came back with the backup is kept as well"


async def test_a_commit_that_comes_when_the_drive_was_set_back_changes_no_other_file(tmp_path: Path):
    import copy

    import msgspec

    drive = model()
    ready: list[Callable[[], Awaitable[Any]]] = []

    async def commit(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        if ready:
            await ready.pop()()
        return await call(*args)

    place = await joined(Between(drive, commit=commit))  # type: ignore[arg-type]
    async with device("laptop", tmp_path / "laptop", place) as laptop:
        laptop.write("a", "1")
        await laptop.sync()
        backup = copy.deepcopy(drive._places)
        laptop.write("b", "1")
        await laptop.sync()

        async def set_back() -> None:
            drive._places = backup
            kept = backup[place.space]
            kept.space = msgspec.structs.replace(kept.space, epoch="another")
            other = Make(parent=TOP, name="other", manifest=Manifest(cutting=CUTTING))
            outcome = (await drive.commit(place.user, place.space, [other]))[0]
            assert outcome.node is not None and outcome.node.id == known.id, "it has the number that b had"

        (known,) = [node for node in (await drive.tree(place.user, place.space)).nodes if node.name == "b"]
        ready.append(set_back)
        laptop.write("b", "2")
        for _ in range(3):
            await laptop.sync()
        assert laptop.tree() == {"a": "1", "b": "2", "other": ""} == await remote_paths(place)


async def test_changes_with_a_gap_are_not_believed(tmp_path: Path):
    drive = model()

    async def changes(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        found = await call(*args)
        return type(found)(nodes=found.nodes[1:], cursor=found.cursor, head=found.head)

    place = await joined(drive)
    async with (
        device("laptop", tmp_path / "laptop", place) as laptop,
        device("phone", tmp_path / "phone", Place(Between(drive, changes=changes), *place[1:])) as phone,  # type: ignore[arg-type]
    ):
        await phone.sync()
        for name in ("a", "b", "c"):
            laptop.write(name, name)
            await laptop.sync()
        await phone.sync()
        assert phone.tree() == {"a": "a", "b": "b", "c": "c"} and phone.did["a gap in the journal"]


async def test_a_chunk_that_is_not_what_its_digest_says_is_not_written(tmp_path: Path):
    drive = model()

    async def chunk(call: Callable[..., Awaitable[bytes]], *args: Any) -> bytes:
        return (await call(*args))[::-1]

    place = await joined(drive)
    async with device("laptop", tmp_path / "laptop", place) as laptop:
        laptop.write("a", "12")
        await laptop.sync()
    async with device("phone", tmp_path / "phone", Place(Between(drive, chunk=chunk), *place[1:])) as phone:  # type: ignore[arg-type]
        report = await phone.syncer.sync()
        assert not report.rest and "digest" in report.hindered["a"] and phone.tree() == {}
        assert not list((phone.root / OURS / "tmp").iterdir())


@pytest.mark.slow
async def test_no_room_for_one_file_is_no_reason_to_leave_the_others(tmp_path: Path):
    from fathom.systems.drive.model import DriveModel

    place = await joined(DriveModel(cutting="fixed-64", quota=300))
    async with device("laptop", tmp_path / "laptop", place) as laptop:
        laptop.write("large", os.urandom(1_000))
        laptop.write("a", "1")
        laptop.write("b", "2")
        report = await laptop.syncer.sync()
        assert "no room" in report.hindered["large"]
        assert await remote_paths(place) == {"a": "1", "b": "2"}


async def test_nothing_is_written_to_a_folder_that_took_the_place_of_another(tmp_path: Path):
    async with devices(tmp_path, "laptop") as (laptop,):
        await laptop.files.clear()
        await laptop.files.write("t", 0, b"1")
        (laptop.root / "f").mkdir()
        (laptop.root / "g").symlink_to(tmp_path)
        with pytest.raises(Changed):
            await laptop.files.place("t", ("f", "a"), "d1", None)
        with pytest.raises(Changed):
            await laptop.files.place("t", ("g", "a"), "d1", None)
        with pytest.raises(Changed):
            await laptop.files.make_folder(("g", "a"), "d1")


async def test_a_cursor_of_another_journal_is_refused_by_the_drive(tmp_path: Path):
    place = await joined(model())
    with pytest.raises(Refusal):
        await place.drive.changes(place.user, place.space, Cursor("another", 0))


async def test_a_session_is_renewed_while_much_is_given(tmp_path: Path):
    place = await joined(model())
    knobs = Knobs(renew_s=0.0, pack_bytes=100, packs=1)
    async with device("laptop", tmp_path / "laptop", place, knobs=knobs) as laptop:
        laptop.write("a", os.urandom(3_000))
        await laptop.sync()
        assert laptop.did["renewed"] > 3


async def test_a_file_cut_in_another_way_is_not_another_file(tmp_path: Path):
    """Somebody else's client put it there; what it holds is the same."""
    from fathom.systems.drive.model import DriveModel

    drive = DriveModel(cutting="fixed-64")
    place = await joined(drive)
    async with device("laptop", tmp_path / "laptop", place) as laptop:
        laptop.write("a", "text " * 100)
        await laptop.sync()
    import msgspec

    its = drive._places[place.space]
    its.space = msgspec.structs.replace(its.space, cutting="fixed-100")
    async with device("phone", tmp_path / "phone", place) as phone:
        await phone.sync()
        await phone.sync()
        assert phone.did["sent"] == 0
        phone.write("a", "text " * 101)
        await phone.sync()
    (node,) = (await drive.tree(place.user, place.space)).nodes
    assert (await drive.manifest(place.user, place.space, node.id)).cutting == "fixed-100" and node.version == 2


async def test_a_database_of_somebody_else_is_not_written_to(tmp_path: Path):
    (tmp_path / "laptop" / OURS).mkdir(parents=True)
    with sqlite3.connect(tmp_path / "laptop" / OURS / "state") as connection:
        connection.execute("CREATE TABLE facts (family TEXT, key BLOB, value BLOB)")
    connection.close()
    with pytest.raises(FathomError, match="cannot be read") as told:
        async with device("laptop", tmp_path / "laptop", await joined(model())):
            pass
    assert "not one of this client" in told.value.why


async def test_nothing_is_written_to_a_folder_that_took_the_place_of_ours(tmp_path: Path):
    async with devices(tmp_path, "laptop") as (laptop,):
        laptop.root.rename(tmp_path / "away")
        laptop.root.mkdir()
        with pytest.raises(Changed):
            await laptop.files.make_folder(("f",), "root")
        assert laptop.tree() == {}


def test_what_was_read_too_soon_after_it_changed_is_read_again():
    def known(ctime_ns: int, at_ns: int) -> bool:
        return settled(Stat("f1", "file", 1, 5, ctime_ns), Hashed(1, 5, ctime_ns, at_ns, "", "", []), 20_000_000)

    assert known(1_000_000_001, 1_020_000_001) and not known(1_000_000_001, 1_019_000_001)
    assert not known(1_000_000_000, 1_020_000_001), "a disk that stamps whole milliseconds may stamp every two seconds"
    assert known(1_000_000_000, 3_000_000_000)
    assert not known(2_000_000_001, 1_000_000_001), "a clock that went back vouches for nothing"


@pytest.mark.slow
async def test_what_was_made_in_a_folder_that_went_before_it_was_synced_is_not_taken_for_deleted(tmp_path: Path):
    """A disk that is unmounted and loses power is back without what was made last; nobody deleted that."""
    place = await joined(model())
    async with device("laptop", tmp_path / "laptop", place) as laptop:
        laptop.write("f/a", "1")
        await laptop.sync()

    async def sync(call: Callable[..., Awaitable[Any]], folder: Any) -> Any:
        if folder == ("f",):
            (tmp_path / "phone" / "f" / "a").unlink()
            raise FileNotFoundError
        return await call(folder)

    between = Between(None)
    async with device(
        "phone", tmp_path / "phone", place, files=lambda disk: setattr(between, "body", disk) or between
    ) as phone:
        between.happens["sync"] = sync
        with suppress(AssertionError):  # the first look after it finds that more is to be done
            await phone.syncer.sync()
        between.happens.clear()
        await phone.sync()
        assert phone.tree() == {"f": None, "f/a": "1"}
    assert await remote_paths(place) == {"f": None, "f/a": "1"}
