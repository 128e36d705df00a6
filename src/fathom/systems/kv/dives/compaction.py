"""Which of the three amplifications is paid: writing each byte again, keeping old ones, or looking in many files?

A real RocksDB whose memtable is a thousandth of the usual one, so that a few megabytes fall into levels as gigabytes
would. Each key is written twenty times, in no order, and each time merging comes to its end. Space is the bytes in
files beside those of what is wanted: in the mean over the last ten times, and at its most. Each of these times keys are
read, too: what one look finds depends on how long ago files of like size were merged into one. There is no Bloom filter
here: with one a reader of a single key is hardly told what the other would cost (see the dive `bloom`), while who lists
keys in order never is helped. Merging happens in threads of RocksDB's own, so another run counts a little differently.
"""

from __future__ import annotations

import dataclasses
from statistics import fmean
from typing import Any

from fathom.engines.rocks_tuning import write_amplification
from fathom.lab.dive import Dive, sweep

from ..decisions import Founding
from ..decisions.compaction import Compaction as Merging
from ._shrunk import VALUE_BYTES, shrunk

TIMES, LATE = 20, 10  # how often each key is written; and after so many of these, the last, it is read
ASKED, LISTS, LISTED = 400, 40, 20
KEY_BYTES = 8 + 4  # and the checksum before each value


class Compaction(Dive[Any]):
    """Two ways to merge, with little and with more below the memtable."""

    decision = Merging
    engines = False
    trial_s = 15.0
    keys: int = sweep(5_000, 30_000)
    counts = (
        "write_amplification",
        "space_mean",
        "space_most",
        "blocks_a_read",
        "blocks_a_list",
        "held_up_s",
    )

    async def trial(self, approach: Merging, turn) -> dict[str, float]:
        tuning = dataclasses.replace(approach.shape(Founding()).tuning, bloom_bits=0)
        wanted = turn.keys * (VALUE_BYTES + KEY_BYTES)
        async with shrunk(tuning, turn.dice) as store:
            await store.write(turn.keys, TIMES - LATE)
            blocks_read, blocks_listed = 0, 0
            for _ in range(LATE):
                await store.write(turn.keys, 1)
                there = [2 * turn.dice.randrange(turn.keys) for _ in range(ASKED)]
                blocks_read += (await store.reads(there))["cache_misses"]
                blocks_listed += (await store.scans(there[:LISTS], LISTED))["cache_misses"]
            after = await store.counters()
            return {
                "write_amplification": write_amplification(after),
                "space_mean": fmean(store.file_bytes[-LATE:]) / wanted,
                "space_most": max(store.file_bytes) / wanted,
                "blocks_a_read": blocks_read / (LATE * ASKED),
                "blocks_a_list": blocks_listed / (LATE * LISTS),
                "held_up_s": after["stall_us"] / 1e6,
            }

    def predict(self, found):
        few, many = found("leveled", keys=5_000), found("leveled", keys=30_000)
        yield "with more data, levels write each byte more often", many.write_amplification > few.write_amplification
        late = found("universal", keys=30_000)
        yield "merging late writes less", late.write_amplification < many.write_amplification
        yield "and needs over 1.2 times the space", late.space_mean > 1.2 * many.space_mean
        yield "levels keep less than a third more than what is wanted", many.space_mean < 1.33
        yield "in files of like size one key is looked for in more of them", late.blocks_a_read > many.blocks_a_read
        yield "and a list is read out of more of them", late.blocks_a_list > many.blocks_a_list
