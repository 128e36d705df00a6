"""Show which of the guides' 506 features are built: row, test, and how the test ended in the last full run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from fathom.cli import options, voice
from fathom.cli.rows import REPORT, Report, Row, last_report, rows
from fathom.errors import FathomError

_MARKS = {"green": "✓", "grey": "·", "declined": "–"}
_COLOURS = {"green": "green", "grey": "grey", "declined": "yellow"}


@click.command
@click.argument("prefix", metavar="[PREFIX]", required=False)
@options.as_json
def command(prefix: str | None, as_json: bool) -> None:
    """Show which of the guides' 506 features are built: row, test, and how the test ended in the last full run.

    PREFIX is a group (TL, SOCIAL), a row (TL-07), or how its id begins (KV-1).
    """
    found = _chosen(prefix)
    report = last_report(_checkout() / REPORT)
    shown = report or Report("", "", {})
    if as_json:
        voice.say_json({"finished": shown.finished or None, "rows": [_row_json(row, shown) for row in found]})
        return
    if prefix is None:
        _print_groups(found, shown)
    else:
        _print_rows(found, shown)
    counts = Counter(shown.state(row) for row in found)
    told = f"{counts['green']} of {len(found)} are green"
    if counts["declined"]:
        told += f", {counts['declined']} declined"
    print(f"\n{told}" + (f" (tests of {report.finished}, Python {report.python})" if report else ""))
    if report is None:
        print("no full test run has been made here: make test")


def _chosen(prefix: str | None) -> list[Row]:
    known = rows()
    if prefix is None:
        return list(known.values())
    wanted = prefix.upper()
    groups = list(dict.fromkeys(row.group for row in known.values()))
    found = [row for row in known.values() if row.group == wanted or row.id == wanted]
    found = found or [row for row in known.values() if row.id.startswith(wanted)]
    if not found:
        raise FathomError(
            f"no feature's id begins with '{prefix}'",
            why=f"the groups are {', '.join(groups)}",
            fix="say one of them, or a row: fathom features TL-07",
        )
    return found


def _checkout() -> Path:
    """Return where this Fathom's tests would have left their report: the checkout that it runs from, or here."""
    checkout = Path(__file__).parents[4]
    return checkout if (checkout / "tests").is_dir() else Path()


def _row_json(row: Row, report: Report) -> dict[str, object]:
    return {
        "id": row.id,
        "feature": row.feature,
        "source": list(row.source),
        "level": row.level,
        "state": report.state(row),
        "declined": row.declined,
        "tests": {test.name: test.outcome for test in report.tests.get(row.id, ())},
    }


def _print_groups(found: list[Row], report: Report) -> None:
    groups: dict[str, list[Row]] = {}
    for row in found:
        groups.setdefault(row.group, []).append(row)
    table: list[list[str]] = []
    for name, members in groups.items():
        green = sum(report.state(row) == "green" for row in members)
        table.append([name, f"{green:3} of {len(members):3}", members[0].title])
    print(voice.columns(table))


def _print_rows(found: list[Row], report: Report) -> None:
    wide = max(len(row.id) for row in found)
    for row in found:
        state = report.state(row)
        print(f"{voice.paint(_MARKS[state], _COLOURS[state])} {row.id.ljust(wide)}  {row.feature}")
        if row.declined:
            print(f"  {' ' * wide}  declined: {row.declined}")
        for test in report.tests.get(row.id, ()):
            print(f"  {' ' * wide}  {test.outcome}  {test.name}")
