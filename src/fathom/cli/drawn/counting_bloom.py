"""What does it cost to be able to take a key out again, and how full do the counters get?"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from fathom.blocks.bloom import Bloom, false_positives
from fathom.blocks.counting_bloom import CountingBloom
from fathom.cli.bars import Bar, bars
from fathom.cli.drawing import Drawing, table, turned
from fathom.cli.plot import share

ASKED = 10_000


class Counting(Drawing):
    """How many counters stand where, and how often it is wrong before and after keys are taken out."""

    counters: float = turned(10.0, "counters for each key", least=1, most=24)
    keys: int = turned(2_000, "keys that are put in", least=10, most=20_000)
    out: float = turned(0.5, "share of them that is taken out again", least=0, most=1)

    def measure(self, dice: random.Random) -> dict[str, Any]:
        mark = dice.getrandbits(64)
        keys = [b"%x in %d" % (mark, number) for number in range(self.keys)]
        gone = keys[: round(self.out * self.keys)]
        others = [b"%x out %d" % (mark, number) for number in range(ASKED)]
        counting, plain = CountingBloom(self.keys, self.counters), Bloom(self.keys, self.counters)
        for key in keys:
            counting.add(key)
            plain.add(key)
        full = {"wrong": sum(key in counting for key in others), "standing": _standing(counting)}
        for key in gone:
            counting.remove(key)
        size = math.ceil(self.keys * self.counters)
        mean = self.keys * counting.hashes / size
        return {
            "counters": size,
            "hashes": counting.hashes,
            "asked": ASKED,
            "gone": len(gone),
            "full": full,
            "left": {"wrong": sum(key in counting for key in others), "standing": _standing(counting)},
            "denied": sum(key not in counting for key in keys[len(gone) :]),
            "gone_still_seen": sum(key in counting for key in gone),
            "plain_gone_still_seen": sum(key in plain for key in gone),
            "stuck": counting.stuck,
            "expected": _poisson(size, mean),
            "expected_left": _poisson(size, mean * (1 - len(gone) / self.keys)),
            "theory": [false_positives(self.counters), self._theory_left(len(gone), counting.hashes)],
            "bytes": [counting.bytes_held, plain.bytes_held],
        }

    def _theory_left(self, gone: int, hashes: int) -> float:
        left = self.keys - gone
        return false_positives(self.keys * self.counters / left, hashes) if left else 0.0

    def draw(self, found: Mapping[str, Any], width: int) -> Iterator[Text | str]:
        parts = (
            (f"{self.keys:,} keys in", found["full"]["standing"], found["expected"]),
            (f"{found['gone']:,} of them out again", found["left"]["standing"], found["expected_left"]),
        )
        most = max(max(standing) for _, standing, _ in parts)
        for title, standing, expected in parts:
            last = max(at for at, count in enumerate(standing) if count)
            rows = [
                Bar(str(at), count, f"{count:>7,}  expected {expected[at]:>7,.0f}")
                for at, count in enumerate(standing[: last + 1])
            ]
            head = Text().append(f"counters by what they have counted to: {title}\n", style="bold")
            yield head.append_text(bars(rows, width=width, most=most))
        theory = found["theory"]
        yield table(
            [
                [f"of {ASKED:,} keys that were never there", "seem to be", "measured", "expected"],
                *(
                    [said, f"{wrong:,}", share(wrong / ASKED), share(expected)]
                    for said, wrong, expected in (
                        (f"with {self.keys:,} keys", found["full"]["wrong"], theory[0]),
                        (f"with {self.keys - found['gone']:,} left", found["left"]["wrong"], theory[1]),
                    )
                ),
            ]
        )
        counting, plain = found["bytes"]
        gone, still, bits = found["gone"], found["gone_still_seen"], found["plain_gone_still_seen"]
        yield (
            f"{found['denied']} of those left are denied. Of the {gone:,} that went, {still:,} still seem to be there;"
            f" a filter of bits, which cannot forget, has {bits:,}. For that it takes {counting / 1000:,.3g} KB instead"
            f" of {plain / 1000:,.3g} KB. {found['stuck']} counters have reached 15 and are stuck there."
        )


def _poisson(size: int, mean: float) -> list[float]:
    return [size * math.exp(-mean) * mean**n / math.factorial(n) for n in range(16)]


def _standing(bloom: CountingBloom) -> list[int]:
    counts = Counter(bloom.standing())
    return [counts[at] for at in range(16)]
