"""A drive outgrows one database: by what are its rows spread, what does each deed ask, and how uneven does it get?

1,500 people's drives, most small and some very large, on databases that each have their part of the 1,024 logical
shards. The journal of a space, its lock and who may use it are at home, in the database of its owner, whatever lies
elsewhere: without that there is no order. A file has a row as it is, and rows for its versions and their chunks. All
deeds are drawn from the seed and counted: which databases take part, and which rows have to be carried to another.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from statistics import fmean
from typing import NamedTuple

from fathom.lab.dive import Dive, sweep

from ..api import NodeId, SpaceId
from ..decisions.sharding import Sharding as Key
from ..stores.shards import SHARDS, shard_of

PEOPLE, DEEDS = 1_500, 3_000
FILES_MEDIAN_LOG, FILES_SPREAD, FILES_MAX = 4.5, 1.6, 60_000  # of the logarithm of how many files somebody has
IN_FOLDER = 12  # files, on average
ROWS = 9  # of a file: as it is, two versions, and three chunks of each


class Sharding(Dive[None]):
    """By user, by folder and by file, over few databases and over many."""

    decision = Key
    engines = False
    trial_s = 5.0
    databases: int = sweep(4, 32)
    counts = (
        "asked_for_a_page",
        "asked_for_a_tree",
        "in_a_commit",
        "in_a_move",
        "rows_carried_a_move",
        "fullest",
        "fullest_after_moving_shards",
        "rows_moved_for_that",
    )

    async def trial(self, approach: Key, turn) -> dict[str, float]:
        town = Town(approach, turn.databases, turn.dice)
        return {**town.deeds(), **town.spread()}

    def predict(self, found):
        for databases in (4, 32):
            user, folder, file = (found(name, databases=databases) for name in ("user", "folder", "file"))
            yield f"by user one database does everything, of {databases}", user.in_a_move.equals(1)
            yield f"by folder a page is one question beside home, of {databases}", folder.asked_for_a_page <= 2
            yield f"by file it is asked of several, of {databases}", file.asked_for_a_page > 3
            yield f"by folder a move carries rows, of {databases}", folder.rows_carried_a_move > 5
            yield f"by file none, of {databases}", file.rows_carried_a_move.equals(0)
            yield f"and most commits are in two databases, of {databases}", file.in_a_commit > 1.6
            yield f"by file no database is a tenth fuller than the mean, of {databases}", file.fullest < 1.1
        few, many = found("user", databases=4), found("user", databases=32)
        yield "by user the fullest of 32 has over 1.3 times its share", many.fullest > 1.3
        yield (
            "moving whole shards mends that, as far as nobody alone is too large",
            many.fullest_after_moving_shards < 1.2,
        )
        yield "for less than a tenth of all rows", few.rows_moved_for_that < 0.1


class Drive(NamedTuple):
    """Somebody's: how many files there are in each folder; a folder's number is its id."""

    space: SpaceId
    folders: list[int]


class Town:
    """All drives, and where their rows lie."""

    def __init__(self, key: Key, databases: int, dice: Random) -> None:
        self.key, self.databases, self.dice = key, databases, dice
        self.drives = [self._drive(SpaceId(n + 1)) for n in range(PEOPLE)]
        self.place = [shard % databases for shard in range(SHARDS)]

    def _drive(self, space: SpaceId) -> Drive:
        files = min(FILES_MAX, 1 + round(self.dice.lognormvariate(FILES_MEDIAN_LOG, FILES_SPREAD)))
        folders: list[int] = []
        while files > 0:
            here = min(files, 1 + round(self.dice.expovariate(1 / IN_FOLDER)))
            folders.append(here)
            files -= here
        return Drive(space, folders)

    def of(self, space: SpaceId, folder: int, number: int) -> int:
        """Return the database of a file, by its folder and its number there."""
        node = NodeId((folder << 20) + number + 1)
        return self.place[self.key.shard(space, NodeId(folder), node)]

    def home(self, space: SpaceId) -> int:
        return self.place[shard_of(space)]

    def deeds(self) -> dict[str, float]:
        """Draw deeds, each of somebody as likely as they have much; return what they ask, on average."""
        pages, trees, commits, moves, carried = [], [], [], [], []
        weights = [len(drive.folders) for drive in self.drives]
        for drive in self.dice.choices(self.drives, weights, k=DEEDS):
            space, home = drive.space, self.home(drive.space)
            folder, to = (self.dice.randrange(len(drive.folders)) for _ in range(2))
            number = self.dice.randrange(drive.folders[folder])
            lies = self.of(space, folder, number)
            page = {home} | {self.of(space, folder, n) for n in range(drive.folders[folder])}
            # Moved, a file keeps its id: it lies elsewhere only where its folder says so.
            goes = self.place[self.key.shard(space, NodeId(to), NodeId((folder << 20) + number + 1))]
            pages.append(len(page))
            commits.append(len({home, lies}))
            moves.append(len({home, lies, goes}))
            carried.append(ROWS * (goes != lies))
        for drive in self.dice.choices(self.drives, k=200):
            places = {self.of(drive.space, at, n) for at, files in enumerate(drive.folders[:200]) for n in range(files)}
            trees.append(len(places | {self.home(drive.space)}))
        return {
            "asked_for_a_page": fmean(pages),
            "asked_for_a_tree": fmean(trees),
            "in_a_commit": fmean(commits),
            "in_a_move": fmean(moves),
            "rows_carried_a_move": fmean(carried),
        }

    def spread(self) -> dict[str, float]:
        """Return how full the fullest database is beside the mean: as it comes, and when whole shards were moved."""
        rows: Counter[int] = Counter()
        for drive in self.drives:
            for folder, files in enumerate(drive.folders):
                for number in range(files):
                    node = NodeId((folder << 20) + number + 1)
                    rows[self.key.shard(drive.space, NodeId(folder), node)] += ROWS
        fill = [sum(rows[shard] for shard in range(SHARDS) if self.place[shard] == at) for at in range(self.databases)]
        mean = fmean(fill)
        before, moved = max(fill) / mean, 0
        theirs = {at: [shard for shard in range(SHARDS) if self.place[shard] == at] for at in range(self.databases)}
        while True:
            fullest, emptiest = fill.index(max(fill)), fill.index(min(fill))
            gap = fill[fullest] - fill[emptiest]
            fit = [shard for shard in theirs[fullest] if 0 < rows[shard] < gap]
            if not fit or fill[fullest] < 1.05 * mean:
                break
            shard = max(fit, key=lambda shard: min(rows[shard], gap - rows[shard]))
            theirs[fullest].remove(shard)
            theirs[emptiest].append(shard)
            fill[fullest] -= rows[shard]
            fill[emptiest] += rows[shard]
            moved += rows[shard]
        return {
            "fullest": before,
            "fullest_after_moving_shards": max(fill) / mean,
            "rows_moved_for_that": moved / sum(fill),
        }
