"""The real disk and the simulated one are the same folder tree to whoever asks: one suite, two bodies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fathom.blocks.reconcile import ROOT
from fathom.sim.world import MS, World
from fathom.systems.drive.client import disk
from fathom.systems.drive.client.disk import TEMP, Disk
from fathom.systems.drive.core.files import OURS, Changed, Files, Piece, Seen, Stat
from fathom.systems.drive.simulation.files import Files as Simulated
from fathom.systems.drive.simulation.medium import Medium


class Quick:
    """A life in which everything happens at once."""

    async def point(self, what: str) -> None:
        return

    def meddle(self, path: Any) -> None:
        return

    def took(self, data: bytes, path: Any) -> None:
        return


class Tree:
    """A folder tree and somebody who does things to it behind the client's back."""

    def __init__(self, files: Files, root: Path | None, medium: Medium | None, world: World | None) -> None:
        self.files, self._root, self._medium, self._world = files, root, medium, world

    def write(self, name: str, data: bytes) -> None:
        if self._root is not None:
            (self._root / name).write_bytes(data)
            return
        assert self._medium is not None
        inode = self._medium.find((name,))
        if inode is None:
            inode = self._medium.new(False)
            self._medium.enter(self._medium.root, name, inode)
        inode.data = data
        inode.mtime_ns = inode.ctime_ns = self._medium.stamp()

    async def later(self) -> None:
        """Wait until a change is stamped otherwise."""
        if self._world is not None:
            self._world.now_ns += 100 * MS
        else:
            await asyncio.sleep(0.05)

    async def seen(self) -> dict[str, Seen]:
        return {seen.name: seen for seen in (await self.files.scan(lambda path, id: True)).seen}

    async def placed(self, name: str, data: bytes, instead: Stat | None = None, *, program: bool = False) -> Stat:
        await self.files.write("temp", 0, data)
        await self.files.seal("temp", 5_000_000, program)
        return await self.files.place("temp", (name,), ROOT, instead)  # type: ignore[arg-type]


@pytest.fixture(params=["disk", "simulated"])
async def tree(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Tree]:
    if request.param == "disk":
        (tmp_path / TEMP).mkdir(parents=True)
        yield Tree(Disk(tmp_path), tmp_path, None, None)
    else:
        world = World(1)
        medium = Medium(world, "disk")
        yield Tree(Simulated(medium, Quick()), None, medium, world)


async def test_a_file_comes_whole_and_has_the_time_that_it_was_given(tree: Tree):
    await tree.files.write("temp", 3, b"456")
    await tree.files.write("temp", 0, b"123")
    await tree.files.seal("temp", 5_000_000, False)
    stat = await tree.files.place("temp", ("a",), ROOT, None)  # type: ignore[arg-type]
    assert stat.mtime_ns == 5_000_000 and stat.size == 6
    assert await tree.files.read(("a",), 0, 100) == (stat, b"123456")
    assert await tree.files.read(("a",), 4, 1) == (stat, b"5")
    assert (await tree.seen())["a"] == Seen(ROOT, "a", stat)  # type: ignore[arg-type]


async def test_pieces_are_read_into_their_room_and_one_that_is_not_there_hinders_no_other(tree: Tree):
    one, two = await tree.placed("one", b"123456"), await tree.placed("two", b"abc")
    await tree.files.make_folder(("folder",), ROOT)  # type: ignore[arg-type]
    whole = memoryview(bytearray(14))
    pieces = [
        Piece(("one",), 4, whole[0:2]),
        Piece(("one",), 0, whole[2:3]),
        Piece(("gone",), 0, whole[3:5]),
        Piece(("folder",), 0, whole[5:6]),
        Piece(("two",), 1, whole[6:10]),
        Piece(("two",), 0, whole[10:13]),
        Piece(("two",), 3, whole[13:13]),
    ]
    assert await tree.files.fill(pieces) == [one, one, None, None, None, two, two]
    assert (bytes(whole[0:3]), bytes(whole[10:13])) == (b"561", b"abc")


async def test_nobodys_place_is_taken(tree: Tree):
    stat = await tree.placed("a", b"1")
    with pytest.raises(Changed):
        await tree.placed("a", b"2")
    other = await tree.files.make_folder(("b",), ROOT)  # type: ignore[arg-type]
    with pytest.raises(Changed):
        await tree.files.move(("b",), other.id, ("a",), ROOT)  # type: ignore[arg-type]
    with pytest.raises(Changed):
        await tree.files.make_folder(("a",), ROOT)  # type: ignore[arg-type]
    assert await tree.files.read(("a",), 0, 9) == (stat, b"1")


async def test_a_file_is_replaced_only_as_it_was(tree: Tree):
    stat = await tree.placed("a", b"1")
    await tree.later()
    tree.write("a", b"2")
    with pytest.raises(Changed):
        await tree.placed("a", b"3", stat)
    stat, data = await tree.files.read(("a",), 0, 9)
    assert data == b"2"
    now = await tree.placed("a", b"3", stat)
    assert now.id != stat.id and (await tree.files.read(("a",), 0, 9))[1] == b"3"


async def test_a_program_can_be_started_and_is_none_any_more_when_it_is_replaced_so(tree: Tree):
    stat = await tree.placed("a", b"#!/bin/sh", program=True)
    assert stat.executable and (await tree.seen())["a"].stat.executable
    assert (await tree.files.read(("a",), 0, 9))[0] == stat
    stat = await tree.placed("a", b"words", stat)
    assert not stat.executable
    assert (await tree.placed("a", b"#!/bin/sh", stat, program=True)).executable


async def test_a_file_is_removed_only_as_it_was_and_a_folder_only_empty(tree: Tree):
    folder = await tree.files.make_folder(("f",), ROOT)  # type: ignore[arg-type]
    stat = await tree.placed("a", b"1")
    stat = await tree.files.move(("a",), stat.id, ("f", "a"), folder.id)
    with pytest.raises(OSError, match="empty"):
        await tree.files.remove(("f",), folder)
    with pytest.raises(Changed):
        await tree.files.remove(("f", "a"), stat._replace(ctime_ns=1))
    await tree.files.remove(("f", "a"), stat)
    await tree.files.remove(("f",), folder)
    await tree.files.sync(())
    assert OURS not in await tree.seen() and not await tree.seen()


async def test_a_rename_keeps_the_id_and_an_edit_shows_in_the_stamps(tree: Tree):
    stat = await tree.placed("a", b"1")
    moved = await tree.files.move(("a",), stat.id, ("b",), ROOT)  # type: ignore[arg-type]
    assert moved.id == stat.id and set(await tree.seen()) == {"b"}
    with pytest.raises(Changed):
        await tree.files.move(("b",), "f0", ("c",), ROOT)  # type: ignore[arg-type]
    await tree.later()
    tree.write("b", b"2")
    assert (await tree.seen())["b"].stat.ctime_ns > moved.ctime_ns


async def test_what_gets_an_inode_anew_is_nobody_who_had_it(tmp_path: Path):
    (tmp_path / TEMP).mkdir(parents=True)
    tree = Tree(Disk(tmp_path), tmp_path, None, None)
    ids, inodes = set[str](), set[str]()
    for n in range(50):  # as programs do that save by renaming: two inodes take turns
        tree.write("saved", bytes([n]))
        (tmp_path / "saved").rename(tmp_path / "file")
        id = (await tree.seen())["file"].stat.id
        ids.add(id)
        inodes.add(id.partition("-")[0])
    if "-" not in id:
        pytest.skip("this disk does not remember when files came to be")
    assert len(ids) == 50 > len(inodes)
    assert (await tree.files.read(("file",), 0, 1))[0].id == id, "it is told by its path as by what is open"


async def test_who_could_not_be_asked_when_it_came_to_be_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / TEMP).mkdir(parents=True)
    files = Disk(tmp_path)
    tree = Tree(files, tmp_path, None, None)
    tree.write("file", b"1")
    with monkeypatch.context() as patched:
        patched.setattr(disk, "born_ns", lambda *asked: 0)  # as when a folder above has another name by now
        assert "-" not in (await tree.seen())["file"].stat.id
    monkeypatch.setattr(disk, "born_ns", lambda *asked: 7)
    assert (await tree.seen())["file"].stat.id.endswith("-7")
    monkeypatch.setattr(disk, "born_ns", lambda *asked: 8)
    assert (await tree.seen())["file"].stat.id.endswith("-7"), "whose ctime is the same is not asked again"
    (tmp_path / "file").unlink()
    for _ in range(2):
        await tree.seen()
    assert not {inode for inode, (_, born_ns) in files._born.items() if born_ns == 7}, "who is gone is forgotten"


async def test_a_folder_that_changed_while_it_was_looked_at_is_not_steady(tree: Tree):
    await tree.files.make_folder(("f",), ROOT)  # type: ignore[arg-type]
    assert not (await tree.files.scan(lambda path, id: True)).steady, "it changed a moment ago"
    await tree.later()
    assert (await tree.files.scan(lambda path, id: True)).steady

    def enter(path: Any, id: str) -> bool:
        tree.write("new", b"1")
        return True

    assert not (await tree.files.scan(enter)).steady


async def test_what_was_half_written_is_cleared(tree: Tree):
    await tree.files.write("temp", 0, b"long before")
    await tree.files.clear()
    await tree.files.write("temp", 0, b"1")
    await tree.files.discard("temp")
    stat = await tree.placed("a", b"1")
    assert stat.size == 1 and not await tree.files.marker()
