"""The features that the guides describe, and what the last full test run showed of each."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

__all__ = ["Report", "Row", "State", "Test", "last_report", "rows", "write_report"]

State = Literal["green", "grey", "declined"]  # shown by a test that passed; not shown; will not be built
REPORT = Path(".fathom") / "features.json"  # in the checkout: written by its tests, read by `fathom features`


@dataclasses.dataclass(frozen=True)
class Row:
    """One feature: what it is in our words, where the guides say it, and how much they say."""

    id: str
    group: str
    title: str
    feature: str
    source: tuple[str, ...]
    level: str
    declined: str | None = None

    @property
    def guide(self) -> str:
        """The guide that says it first."""
        return self.source[0].partition(" › ")[0]

    @property
    def heading(self) -> str:
        """The heading there under which it stands."""
        return self.source[0].partition(" › ")[2]


@dataclasses.dataclass(frozen=True)
class Test:
    """A test that says it shows a row, and how it ended in the last full run."""

    __test__ = False  # its name is for people; pytest need not collect it

    name: str
    outcome: str

    @property
    def function(self) -> str:
        """Its name without the values that it was run with."""
        return self.name.partition("[")[0]


@dataclasses.dataclass(frozen=True)
class Report:
    """What the last full test run showed: row → tests."""

    finished: str
    python: str
    tests: Mapping[str, tuple[Test, ...]]

    def state(self, row: Row) -> State:
        """Return whether a row is green: its tests ran in the last full run, and every one passed."""
        if row.declined is not None:
            return "declined"
        shown = self.tests.get(row.id, ())
        return "green" if shown and all(test.outcome == "passed" for test in shown) else "grey"


def rows() -> dict[str, Row]:
    """Return every row by its id, in the guides' order."""
    data = tomllib.loads((Path(__file__).parent.parent / "features.toml").read_text(encoding="utf-8"))
    titles = {number: document["title"] for number, document in data["documents"].items()}
    return {
        row["id"]: Row(
            id=row["id"],
            group=group["prefix"],
            title=group["title"],
            feature=row["feature"],
            source=tuple(f"{titles[where[:3]]} › {where[4:]}" for where in row["source"]),
            level=row["level"],
            declined=row.get("declined"),
        )
        for group in data["group"]
        for row in group["rows"]
    }


def write_report(file: Path, *, finished: str, python: str, tests: Mapping[str, Iterable[Test]]) -> None:
    """Write a full run's results, all at once: whoever reads meanwhile sees the old ones or the new ones."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(
        {
            "finished": finished,
            "python": python,
            "rows": {row: {test.name: test.outcome for test in shown} for row, shown in sorted(tests.items())},
        },
        indent=1,
    )
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=file.name)
    with os.fdopen(descriptor, "w", encoding="utf-8") as unfinished:
        unfinished.write(text + "\n")
    Path(name).replace(file)


def last_report(file: Path) -> Report | None:
    """Return what the last full run wrote, or None where there was none (or what is there cannot be read)."""
    try:
        data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        tests = {
            row: tuple(Test(name, outcome) for name, outcome in shown.items()) for row, shown in data["rows"].items()
        }
        return Report(data["finished"], data["python"], tests)
    except (OSError, ValueError, KeyError, AttributeError):
        return None
