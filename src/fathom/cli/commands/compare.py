"""Hold two runs of one dive against each other: counts exactly, CPU and latency by their intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fathom.cli import options, voice

if TYPE_CHECKING:
    from fathom.lab.compare import Line
    from fathom.lab.runs import Finding

_QUIET = ("equal", "equivalent")
_COLOURS = {"better": "green", "worse": "red", "different": "red"}


@click.command
@click.argument("before", metavar="RUN")
@click.argument("after", metavar="RUN")
@click.option("--all", "every", is_flag=True, help="Show what is the same, too.")
@options.runs
@options.as_json
def command(before: str, after: str, every: bool, runs: Path, as_json: bool) -> int:
    """Hold two runs of one dive against each other: counts exactly, CPU and latency by their intervals.

    The first RUN is the older one. Exit code 0: no difference was seen; 1: something differs; 2: can't tell.
    """
    import msgspec

    from fathom.cli import records
    from fathom.lab.compare import compare

    compared = compare(records.find(before, runs), records.find(after, runs))
    if as_json:
        voice.say_json({**msgspec.to_builtins(compared), "differs": compared.differs})
        return compared.exit
    print(f"before  {compared.before}\nafter   {compared.after}\n")
    lines = [line for line in compared.lines if every or line.verdict not in _QUIET]
    if lines:
        print(voice.columns([["", "before", "after", "ratio", ""], *map(_row, lines)]) + "\n")
    print(", ".join(f"{n} {verdict}" for verdict, n in sorted(compared.totals.items())) or "nothing to compare")
    for note in compared.notes:
        print(note)
    return compared.exit


def _row(line: Line) -> list[str]:
    ratio = "" if line.ratio is None else "{:.2f}x ({:.2f}–{:.2f})".format(*line.ratio)
    verdict = voice.paint(line.verdict, _COLOURS.get(line.verdict, "grey"))
    return [line.id, _number(line.before), _number(line.after), ratio, verdict]


def _number(finding: Finding | None) -> str:
    from fathom.lab import figures

    if finding is None or finding.value is None:
        return "–"
    shown: Any = figures.value_of(finding)
    return shown if finding.exact else f"{shown} ({figures.spread_of(finding)})"
