"""How many bits does a key take, and how often is it wrong then?"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from fathom.blocks.bloom import Bloom, false_positives, hashes_for
from fathom.cli.drawing import Drawing, table, turned
from fathom.cli.plot import Line, plot, share

ASKED = 10_000  # keys that are not there
SWEPT = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0)
ROWS = 5  # of bits


class BloomFilter(Drawing):
    """Its bits, and the false positives that were counted beside those that are expected, over the bits of each key."""

    bits: float = turned(10.0, "bits for each key", least=0.5, most=24)
    keys: int = turned(2_000, "keys that are put in", least=10, most=50_000)
    hashes: int = turned(0, "hashes of each key; 0: as many as err least", least=0, most=32)

    def measure(self, dice: random.Random) -> dict[str, Any]:
        mark = dice.getrandbits(64)
        points = [self._measured(bits, mark) for bits in sorted({*SWEPT, self.bits})]
        bloom = self._filled(self.bits, mark)
        return {
            "bits": int(self.keys * self.bits),
            "fullness": bloom.fullness,
            "bytes": bloom.bytes_held,
            "raw": bloom.raw().hex(),
            "asked": ASKED,
            "points": points,
        }

    def _filled(self, bits: float, mark: int) -> Bloom:
        bloom = Bloom(self.keys, bits, self.hashes or None)
        for number in range(self.keys):
            bloom.add(b"%x in %d" % (mark, number))
        return bloom

    def _measured(self, bits: float, mark: int) -> dict[str, float]:
        bloom = self._filled(bits, mark)
        wrong = sum(b"%x out %d" % (mark, number) in bloom for number in range(ASKED))
        return {
            "bits_per_key": bits,
            "hashes": bloom.hashes,
            "wrong": wrong,
            "measured": wrong / ASKED,
            "theory": false_positives(bits, bloom.hashes),
            "best_hashes": hashes_for(bits),
        }

    def draw(self, found: Mapping[str, Any], width: int) -> Iterator[Text | str]:
        raw = bytes.fromhex(found["raw"])
        shown = raw[: ROWS * width]
        cells = "".join(chr(0x2800 + byte) for byte in shown)
        part = "all" if len(shown) == len(raw) else f"{8 * len(shown):,} of"
        title = f"{part} {found['bits']:,} bits, eight to a character: {share(found['fullness'])} of them are set"
        lines = [Text(cells[at : at + width], style="cyan") for at in range(0, len(cells), width)]
        yield Text("\n").join([Text(title, style="bold"), *lines])
        points = found["points"]
        yield plot(
            [
                Line("theory", [(each["bits_per_key"], each["theory"]) for each in points]),
                Line("measured", [(each["bits_per_key"], each["measured"]) for each in points], marked=True),
            ],
            width=width,
            height=14,
            title="keys that are not there and seem to be",
            x="bits per key",
            powers=True,
            form=share,
        )
        rows = [["bits per key", "hashes", "expected", "measured", f"of {ASKED:,}", "filter"]]
        for each in points:
            here = " ←" if each["bits_per_key"] == self.bits else ""
            rows.append(
                [
                    f"{each['bits_per_key']:g}{here}",
                    f"{each['hashes']:.0f}",
                    share(each["theory"]),
                    share(each["measured"]),
                    f"{each['wrong']:,.0f}",
                    f"{self.keys * each['bits_per_key'] / 8 / 1000:,.3g} KB",
                ]
            )
        yield table(rows)
