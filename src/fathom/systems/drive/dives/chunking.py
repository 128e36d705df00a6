"""How large should chunks be, and who says where one ends: what does a change move, what is kept, what does it cost?

A file of 24 MiB that nothing compresses goes through twenty revisions as an editor, a database and a log would make
them: something is inserted, overwritten, cut out, or appended, of a hundred bytes to a hundred thousand, anywhere. Each
revision is cut anew, and what chunks are not there already is moved and kept, as a drive does it. Before that, a
kilobyte is put in front of the file. Beside it lies a folder of 400 small texts, each of which takes a row at least.
All of it is counted, and comes out the same for the same seed. What the cutting takes of a core is no count, and is
asked in `benchmarks.drive_sync`.
"""

from __future__ import annotations

from random import Random
from typing import Any

from fathom.blocks.packs import digest_of
from fathom.lab.dive import Dive, sweep

from ..decisions.chunking import KIB, Cutting
from ..decisions.chunking import Chunking as Cut

MIB = 1 << 20
FILE_BYTES, REVISIONS, TEXTS = 24 * MIB, 20, 400
IN_FRONT = 1 * KIB
CHANGED = (100, 1_000, 10_000, 100_000)  # bytes of a change: one is drawn


class Chunking(Dive[Any]):
    """Three ways to cut, at four sizes."""

    decision = Cut
    trial_s = 4.0
    kib: int = sweep(64, 256, 1_024, 4_096)
    counts = (
        "moved_in_front_kib",
        "moved_a_change_kib",
        "kept_of_one",
        "rows_a_gb",
        "rows_a_small_file",
    )

    async def trial(self, approach: Cut, turn) -> dict[str, float]:
        if "usual_kib" in approach.knobs():
            vars(approach)["usual_kib"] = turn.kib
        shelf = Shelf(approach.how())
        data = turn.dice.randbytes(FILE_BYTES)
        rows = shelf.keep(data)
        in_front = Shelf(shelf.cutting)
        in_front.kept |= shelf.kept
        in_front.keep(turn.dice.randbytes(IN_FRONT) + data)
        moved = shelf.moved
        for _ in range(REVISIONS):
            data = revised(data, turn.dice)
            shelf.keep(data)
        texts = Shelf(shelf.cutting)
        small = [texts.keep(turn.dice.randbytes(turn.dice.randint(200, 20_000))) for _ in range(TEXTS)]
        return {
            "moved_in_front_kib": in_front.moved / KIB,
            "moved_a_change_kib": (shelf.moved - moved) / REVISIONS / KIB,
            "kept_of_one": shelf.moved / FILE_BYTES,
            "rows_a_gb": rows * (1 << 30) / FILE_BYTES,
            "rows_a_small_file": sum(small) / TEXTS,
        }

    def predict(self, found):
        for kib in (64, 256, 1_024, 4_096):
            content, fixed = found("content-defined", kib=kib), found("fixed", kib=kib)
            yield (
                f"by content a kilobyte in front moves less than two of the largest chunks, at {kib} KiB",
                content.moved_in_front_kib < 2 * 4 * kib,
            )
            yield (
                f"at every {kib} KiB it moves the whole file",
                fixed.moved_in_front_kib > FILE_BYTES / KIB,
            )
        fine, coarse = found("content-defined", kib=64), found("content-defined", kib=4_096)
        yield "with chunks of 4 MiB twenty changes keep over three times the file", coarse.kept_of_one > 3
        yield "with chunks of 64 KiB less than a fifth more than one", fine.kept_of_one < 1.2
        yield "and over thirty times the rows for it", fine.rows_a_gb > 30 * coarse.rows_a_gb
        middle = found("content-defined", kib=1_024)
        yield "a change moves about as much as a chunk is large, and some", middle.moved_a_change_kib > 512


class Shelf:
    """What is kept of files that are cut in one way: each chunk once."""

    def __init__(self, cutting: Cutting) -> None:
        self.cutting = cutting
        self.kept: set[bytes] = set()
        self.moved = 0

    def keep(self, data: bytes) -> int:
        """Cut a file, and keep what is not there; return how many chunks it has."""
        view, begin = memoryview(data), 0
        ends = self.cutting.ends(data)
        for end in ends:
            digest = digest_of(view[begin:end])
            if digest not in self.kept:
                self.kept.add(digest)
                self.moved += end - begin
            begin = end
        return len(ends)


def revised(data: bytes, dice: Random) -> bytes:
    """Return a file after one change, somewhere."""
    size, at = dice.choice(CHANGED), dice.randrange(len(data))
    match dice.choice(("insert", "overwrite", "cut", "append")):
        case "insert":
            return data[:at] + dice.randbytes(size) + data[at:]
        case "overwrite":
            return data[:at] + dice.randbytes(size) + data[at + size :]
        case "cut":
            return data[:at] + data[at + size :]
        case _:
            return data + dice.randbytes(size)
