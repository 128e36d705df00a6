"""A file that is read piece by piece is cut as if it were read at once."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from fathom.blocks.chunking import Cutting
from fathom.systems.drive.client.disk import Disk
from fathom.systems.drive.client.hashing import Asked, Hashing, cut
from fathom.systems.drive.client.place import Knobs
from fathom.systems.drive.core.contents import bytes_of
from fathom.systems.drive.core.files import Stat
from fathom.systems.drive.core.state import Hashed

CUTTING = "fastcdc2020-1024-4096-16384"
SIZES = [0, 1, 49_999, 50_000, 50_001, 99_999, 100_000, 100_001, 731_113]


async def stat_of(disk: Disk, name: str) -> Stat:
    scan = await disk.scan(lambda path, id: True)
    return next(seen.stat for seen in scan.seen if seen.name == name)


@pytest.mark.parametrize("piece_bytes", [20_000, 50_000, 1 << 20])
async def test_where_a_piece_ends_no_chunk_has_to(tmp_path: Path, piece_bytes: int):
    disk, found = Disk(tmp_path), dict[str, Hashed | None]()
    asked: list[Asked] = []
    for size in SIZES:
        (tmp_path / f"{size}").write_bytes(random.Random(size).randbytes(size))
        asked.append(Asked(f"{size}", (f"{size}",), await stat_of(disk, f"{size}"), None, program=False))
    hashing = Hashing(disk, CUTTING, Knobs(piece_bytes=piece_bytes))
    await hashing.all(asked, lambda it, hashed, why: found.update({it.id: hashed}))
    for size in SIZES:
        hashed, data = found[f"{size}"], (tmp_path / f"{size}").read_bytes()
        assert hashed is not None and sum(chunk.size for chunk in hashed.chunks) == size
        assert bytes_of(hashed.content) == cut(Cutting.of(CUTTING), data)


async def test_a_file_that_changes_between_two_pieces_is_not_known(tmp_path: Path):
    class Changing(Disk):
        reads = 0

        async def fill(self, pieces):
            self.reads += 1
            if self.reads == 3:
                with (tmp_path / "log").open("ab") as file:
                    file.write(b"one line more")
            return await super().fill(pieces)

    (tmp_path / "log").write_bytes(random.Random(1).randbytes(200_000))
    disk, found = Changing(tmp_path), list[Hashed | None]()
    asked = [Asked("log", ("log",), await stat_of(disk, "log"), None, program=False)]
    await Hashing(disk, CUTTING, Knobs(piece_bytes=50_000)).all(asked, lambda it, hashed, why: found.append(hashed))
    assert found == [None] and disk.reads in (3, 4), "and none of it is read for nothing"
