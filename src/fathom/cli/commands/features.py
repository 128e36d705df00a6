"""Show which of the guides' 506 features are built: row, test, and how the test ended in the last full run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from fathom.cli import options, voice
from fathom.cli.rows import REPORT, Report, Row, last_report, rows
from fathom.cli.tally import CELLS, Tally, guides, shown_by
from fathom.errors import FathomError

_MARKS = {"green": "✓", "grey": "·", "declined": "–"}
_COLOURS = {"green": "green", "grey": "grey", "declined": "yellow"}


@click.command
@click.argument("prefix", metavar="[PREFIX]", required=False)
@click.option("--headings", is_flag=True, help="The guides and their headings alone, without the rows.")
@options.as_json
def command(prefix: str | None, headings: bool, as_json: bool) -> None:
    """Show which of the guides' 506 features are built: row, test, and how the test ended in the last full run.

    Without PREFIX every guide is shown, heading by heading: ✓ green, shown by tests that passed; · grey, not shown;
    – declined, with the reason. PREFIX is a group (TL, SOCIAL), a row (TL-07), or how its id begins (KV-1); then the
    tests of each row are named, too.
    """
    found = _chosen(prefix)
    report = last_report(_checkout() / REPORT)
    shown = report or Report("", "", {})
    if as_json:
        voice.say_json(
            {
                "finished": shown.finished or None,
                "guides": [guide.as_json(shown) for guide in guides(found)],
                "rows": [_row_json(row, shown) for row in found],
            }
        )
        return
    if prefix is None or headings:
        _print_guides(found, shown, short=headings)
        print(voice.paint("\nby guide", "bold"))
        for guide in guides(found):
            print(_measured(f"  {guide.title}", guide.rows, shown))
        _print_groups(found, shown)
    else:
        _print_rows(found, shown, tests=True)
    tally = Tally.of(found, shown)
    told = f"{tally.green} of {tally.all} are green"
    if tally.declined:
        told += f", {tally.declined} declined"
    print(f"\n{told}")
    if report is None:
        print("no full test run has been made here: make test")
    else:
        print(f"tests of {report.finished}, Python {report.python}")


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


def _print_guides(found: Sequence[Row], report: Report, *, short: bool) -> None:
    """Print every guide: its bar, its headings with theirs, and below each heading its rows."""
    for number, guide in enumerate(guides(found)):
        print("\n" * (number > 0) + _measured(guide.title, guide.rows, report, bold=True))
        for heading in guide.headings:
            if not short:
                print()
            print(_measured(f"  {heading.title}", heading.rows, report))
            if not short:
                _print_rows(heading.rows, report, indent="    ")


def _measured(title: str, found: Sequence[Row], report: Report, *, bold: bool = False) -> str:
    """Return a title, and at the end of the line its bar and its counts."""
    tally = Tally.of(found, report)
    counted = f"{tally.green:>3} of {tally.all:>3}"
    room = min(voice.width(), 100) - CELLS - len(counted) - 16
    name = voice.short(title, room - 1).ljust(room)
    declined = f", {tally.declined} declined" if tally.declined else ""
    return f"{voice.paint(name, 'bold') if bold else name} {tally.bar()} {counted}{declined}"


def _print_groups(found: Sequence[Row], report: Report) -> None:
    """Print the same by system and topic: these are the prefixes that show the tests of a row."""
    groups: dict[str, list[Row]] = {}
    for row in found:
        groups.setdefault(row.group, []).append(row)
    wide = max(map(len, groups))
    print(f"\n{voice.paint('by system and topic', 'bold')}  (tests of each row: fathom features {next(iter(groups))})")
    for name, members in groups.items():
        tally = Tally.of(members, report)
        name, counted = f"  {name.ljust(wide)}  ", f" {tally.green:>3} of {tally.all:>3}  "
        head, shown = f"{name}{' ' * CELLS}{counted}", f"{name}{tally.bar()}{counted}"
        print("\n".join(voice.hanging(head, members[0].title, shown=shown)))


def _print_rows(found: Sequence[Row], report: Report, *, indent: str = "", tests: bool = False) -> None:
    wide = max(len(row.id) for row in found)
    for row in found:
        state = report.state(row)
        head = f"{indent}{_MARKS[state]} {row.id.ljust(wide)}  "
        shown = head.replace(_MARKS[state], voice.paint(_MARKS[state], _COLOURS[state]), 1)
        lines = voice.hanging(head, row.feature, shown=shown)
        if row.declined:
            lines += voice.hanging(" " * len(head), f"declined: {row.declined}")
        for ended, name in shown_by(row, report) if tests else ():
            lines += _test_lines(" " * len(head), ended, name)
        print("\n".join(lines))


def _test_lines(indent: str, ended: str, name: str) -> list[str]:
    """Tell a test as the sentence that its name is, and behind it the file that it lies in."""
    file, _, function = name.rpartition("::")
    sentence = function.removeprefix("test_").replace("_", " ")
    good = not ended.replace("passed", "").strip(" ×0123456789")
    head = f"{indent}{ended}  "
    shown = f"{indent}{voice.paint(ended, 'green' if good else 'red')}  "
    return [
        line if at == 0 else voice.paint(line, "grey") if line.strip() == file else line
        for at, line in enumerate(voice.hanging(head, f"{sentence}  {file}", shown=shown))
    ]
