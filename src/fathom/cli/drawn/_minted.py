"""Ids of one kind: which bits say what, and what becomes of them when the clock steps back."""

from __future__ import annotations

import itertools
import random
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.text import Text

from fathom.cli.drawing import Drawing, table, turned
from fathom.cli.plot import Line, plot

START_MS = 1_800_000_000_000
ROW = 64  # bits on a line
STYLES = ("cyan", "magenta", "yellow", "green", "blue", "red")
Mint = Callable[[int], int]


class Field(NamedTuple):
    """So many bits that say one thing, each shown as a letter."""

    letter: str
    says: str
    bits: int


class Minted(Drawing):
    """Ids minted by one clock that steps back once, and beside them those of other ways to mint."""

    back_ms: int = turned(300, "milliseconds that the clock steps back, once, halfway", least=0, most=10_000)
    each_ms: float = turned(2.0, "ids that are asked for in a millisecond", least=0.01, most=20)
    lasts_ms: int = turned(1_000, "milliseconds", least=10, most=10_000)

    @abstractmethod
    def layouts(self) -> dict[str, Sequence[Field]]:
        """Return which bits are what, the highest first."""

    @abstractmethod
    def mints(self, dice: random.Random) -> dict[str, tuple[Mint, Callable[[int], int]]]:
        """Return ways to mint, ours first, each with what reads the milliseconds of an id."""

    @abstractmethod
    def written(self, minted: int) -> str:
        """Return an id as people see it."""

    def measure(self, dice: random.Random) -> dict[str, Any]:
        clock = list(self._clock())
        found = {}
        for name, (mint, at_ms) in self.mints(dice).items():
            minted = [mint(START_MS + now_ms) for _, now_ms in clock]
            latest = list(itertools.accumulate(minted, max))
            found[name] = {
                "minted": len(minted),
                "twice": len(minted) - len(set(minted)),
                "back": sum(now <= before for before, now in itertools.pairwise(minted)),
                "below": sum(now < most for now, most in zip(minted, latest, strict=True)),
                "ahead_ms": max(at_ms(each) - START_MS - now for each, (_, now) in zip(minted, clock, strict=True)),
                "says_ms": [at_ms(each) - START_MS for each in minted][:: max(1, len(minted) // 200)],
                "first": [str(each) for each in minted[:3]],
            }
        return {
            "layouts": {name: [list(field) for field in fields] for name, fields in self.layouts().items()},
            "clock": clock[:: max(1, len(clock) // 200)],
            "kinds": found,
        }

    def _clock(self) -> Iterator[tuple[float, int]]:
        """Yield true milliseconds with what the clock says of them."""
        for number in range(max(3, round(self.lasts_ms * self.each_ms))):
            true_ms = number / self.each_ms
            yield true_ms, int(true_ms) - (self.back_ms if true_ms >= self.lasts_ms / 2 else 0)

    def draw(self, found: Mapping[str, Any], width: int) -> Iterator[Text | str]:
        yield Text("\n").join(line for name, fields in found["layouts"].items() for line in _strip(name, fields))
        ours, mine = next(iter(found["kinds"].items()))
        examples = [self.written(int(each)) for each in mine["first"]]
        yield Text().append("the first three\n", style="bold").append("\n".join(f"  {each}" for each in examples))
        true_ms = [true_ms for true_ms, _ in found["clock"]]
        yield plot(
            [
                Line("the clock", [(at, now) for at, now in found["clock"]]),
                Line("the ids", list(zip(true_ms, mine["says_ms"], strict=False))),
            ],
            width=width,
            height=14,
            title=f"milliseconds by the clock and by the ids; halfway the clock steps {self.back_ms} ms back",
            x="ms",
        )
        rows = [["", "minted", "twice", "not above the last", "below earlier", "ahead by"]]
        for name, each in found["kinds"].items():
            rows.append(
                [
                    f"{name} ←" if name == ours else name,
                    f"{each['minted']:,}",
                    f"{each['twice']:,}",
                    f"{each['back']:,}",
                    f"{each['below']:,}",
                    f"{each['ahead_ms']:,} ms",
                ]
            )
        yield table(rows)


def _strip(name: str, fields: Sequence[Sequence[Any]]) -> Iterator[Text]:
    """Yield the bits of an id, a letter for each, and below them what they say."""
    yield Text(f"{name}: {sum(bits for _, _, bits in fields)} bits", style="bold")
    strip, legend = Text(), Text()
    letters = list(dict.fromkeys(letter for letter, _, _ in fields))
    for letter, _, bits in fields:
        strip.append(letter * bits, style=STYLES[letters.index(letter)])
    for number, letter in enumerate(letters):
        mine = [(says, bits) for other, says, bits in fields if other == letter]
        legend.append(letter, style=STYLES[number])
        legend.append(f" {' + '.join(str(bits) for _, bits in mine)} {mine[0][0]}  ")
    yield from (strip[at : at + ROW] for at in range(0, len(strip), ROW))
    legend.rstrip()
    yield legend
