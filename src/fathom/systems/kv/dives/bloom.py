"""How many bits for each key are enough, so that a key that is not there costs nothing?

A real RocksDB with a small memtable, so that there are files; one of them may hold a key. Half of what is asked for
lies between the keys that are there. A filter of b bits lets 0.6185 to the power of b pass, if it is as good as theory.
"""

from __future__ import annotations

from typing import Any

from fathom.lab.dive import Dive, sweep

from ..decisions import Founding
from ..decisions.bloom import Bloom as Filter
from ._shrunk import shrunk

KEYS, ASKED = 20_000, 20_000


class Bloom(Dive[Any]):
    """A filter of so many bits for each key, beside none."""

    decision = Filter
    engines = False
    trial_s = 2.0
    bits: int = sweep(2, 5, 10, 16)
    counts = "passed", "blocks_absent", "blocks_there", "filter_bytes_a_key"

    async def trial(self, approach: Filter, turn) -> dict[str, float]:
        if "bits" in approach.knobs():
            vars(approach)["bits"] = turn.bits
        async with shrunk(approach.shape(Founding()).tuning, turn.dice) as store:
            await store.load(KEYS)
            await store.merge()  # as many files to ask with each filter: what differs is the filter
            numbers = [2 * turn.dice.randrange(KEYS) for _ in range(ASKED)]
            absent = await store.reads([number + 1 for number in numbers])
            there = await store.reads(numbers)
            files = await store.tables()
            asked = absent["bloom_positives"] + absent["bloom_negatives"]
            return {
                "passed": absent["bloom_positives"] / asked if asked else 1.0,
                "blocks_absent": absent["cache_misses"] / ASKED,
                "blocks_there": there["cache_misses"] / ASKED,
                "filter_bytes_a_key": files["filter_bytes"] / files["entries"],
            }

    def predict(self, found):
        for bits in (2, 5, 10):
            passed = found("full", bits=bits).passed
            theory = 0.6185**bits
            yield (
                f"with {bits} bits between half and twice as many pass as theory says",
                (passed > theory / 2) & (passed < theory * 2),
            )
        ten, sixteen, none = found("full", bits=10), found("full", bits=16), found("none", bits=10)
        yield "without a filter a key that is not there costs a block", none.blocks_absent > 0.98
        yield "with 10 bits less than a fiftieth of that", ten.blocks_absent < none.blocks_absent / 50
        yield "what is there is read from about one block either way", ten.blocks_there < 1.1
        yield "6 bits more save less than a block in 50 keys", ten.blocks_absent - sixteen.blocks_absent < 0.02
        yield "and the filter of 10 bits is less than 2 bytes a key", ten.filter_bytes_a_key < 2
