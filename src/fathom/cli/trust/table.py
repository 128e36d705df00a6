"""The table: what was true, what the lab said, how often, and whether that is what it promises."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Sequence
from pathlib import Path

import msgspec

from fathom.cli import voice
from fathom.cli.trust.experiment import Met, Tally
from fathom.errors import FathomError

__all__ = ["LAST", "Line", "Summary", "exit_of", "last", "show"]

LAST = Path(__file__).parent / "last.json"
EXIT = {Met.MET: 0, Met.NOT_MET: 1, Met.CANT_TELL: 2}
SIGNS = {Met.MET: ("✓", "green"), Met.NOT_MET: ("✗", "red"), Met.CANT_TELL: ("?", "yellow")}


class Line(msgspec.Struct, kw_only=True, frozen=True):
    """One row with what came of it."""

    row: str
    truth: str
    counts: str
    k: int
    n: int
    low: float
    high: float
    wants: str
    tries: int
    void: int
    says: str  # what the lab said last, or what speaks against it
    met: Met

    @classmethod
    def of(cls, tally: Tally) -> Line:
        row, range = tally.row, tally.range
        return cls(
            row=row.name,
            truth=row.truth,
            counts=row.counts,
            k=tally.k,
            n=tally.n,
            low=round(range.low, 6),
            high=round(range.high, 6),
            wants=str(tally.wants),
            tries=tally.wants.tries,
            void=tally.void,
            says=tally.last,
            met=tally.met,
        )

    def lines(self) -> list[str]:
        sign, colour = SIGNS[self.met]
        often = f"{self.counts}: {self.k} of {self.n} ({_percent(self.low)} to {_percent(self.high)}), "
        often += f"wanted {self.wants}" + (f" of {self.tries}" if self.n < self.tries else "")
        if self.void:
            often += f"; {self.void} void"
        return [
            f"{voice.paint(sign, colour)} {voice.paint(self.row, 'bold')}  {self.truth}",
            f"    {often}",
            f"    {voice.short(self.says, voice.width() - 4)}",
        ]


class Summary(msgspec.Struct, kw_only=True, frozen=True):
    """A whole table, with the command, the date, the machine and the state of the code that it was made with."""

    command: str
    date: str
    fathom: str
    code: str
    machine: str
    cores: int
    cpu: str
    system: str
    python: str
    lines: list[Line]

    def keep(self, file: Path = LAST) -> None:
        """Write it beside what was kept of other rows; of the same rows, the newest is what counts."""
        mine = {line.row for line in self.lines}
        others: list[Summary] = []
        with contextlib.suppress(FathomError):  # what cannot be read is no summary
            others += [each.without(mine) for each in last(file)]
        kept = [*(each for each in others if each.lines), self]
        file.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")

    def without(self, rows: set[str]) -> Summary:
        return msgspec.structs.replace(self, lines=[line for line in self.lines if line.row not in rows])


def exit_of(lines: Sequence[Line]) -> int:
    """Return 0 when every row is met, 1 when one is not, 2 when of one it cannot be told, 3 when nothing was told."""
    if not any(line.n for line in lines):
        return 3
    met = {line.met for line in lines}
    return EXIT[Met.NOT_MET if Met.NOT_MET in met else Met.CANT_TELL if Met.CANT_TELL in met else Met.MET]


def last(file: Path = LAST) -> list[Summary]:
    """Return the summaries that were kept, which come with the code: of each row the newest."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[Summary])
    except FileNotFoundError:
        why = "there is none yet"
    except msgspec.MsgspecError as unfit:
        why = str(unfit)
    raise FathomError(
        "there is no summary to show", why=f"{file.name}: {why}", fix="make one: fathom trust --full --keep"
    )


def show(*summaries: Summary, code: str = "", untold: Sequence[str] = ()) -> None:
    """Print tables for a person; `code` is the state of the code that runs now, `untold` are rows without an answer."""
    for summary in summaries:
        made = f"code {summary.code}" + (f" (now it is {code})" if code not in ("", summary.code) else "")
        about = [_day(summary.date), f"{summary.cores} cores", summary.cpu, summary.system, made]
        print(f"{summary.command}  {' · '.join(about)}")
        print("what is true, how often the lab said it (95 % bounds, Clopper and Pearson), and what it said\n")
        for line in summary.lines:
            print("\n".join(line.lines()))
        print()
    lines = [line for summary in summaries for line in summary.lines]
    print(f"{sum(line.met is Met.MET for line in lines)} of {len(lines) + len(untold)} rows met")
    if untold:
        print("\n".join(voice.hanging("no answer was kept of: ", ", ".join(untold))))


def _day(date: str) -> str:
    return datetime.datetime.fromisoformat(date).strftime("%Y-%m-%d")


def _percent(share: float) -> str:
    """Write a share as it is read: 0 %, 1.2 %, 98 %.

    >>> _percent(0.0122), _percent(0.9812), _percent(0.0), _percent(1.0)
    ('1.2 %', '98.1 %', '0 %', '100 %')
    """
    return f"{100 * share:.1f}".removesuffix(".0") + " %"
