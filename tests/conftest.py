"""What every test has: rows of features that are counted, a seed that is printed, and slow tests that say so."""

from __future__ import annotations

import datetime
import os
import platform
from collections import defaultdict
from pathlib import Path

import pytest

from fathom.cli.rows import REPORT, Test, rows, write_report

CHECKOUT = Path(__file__).parent.parent
SLOW_S = 0.25  # from here on a test is marked slow, so that `make check` answers in seconds
OUTCOMES = pytest.StashKey["Outcomes"]()


class Outcomes:
    """How the tests of this run ended, and whether the run was a full one."""

    def __init__(self) -> None:
        self.by_test: dict[str, str] = {}
        self.shows: dict[str, tuple[str, ...]] = {}
        self.left_out: list[str] = []
        self.unmarked: list[tuple[float, str]] = []

    def add(self, report: pytest.TestReport) -> None:
        """Keep the worst of set-up, call and clean-up: a test passed only if all three did."""
        worst = {"failed": 2, "skipped": 1, "passed": 0}
        outcome = "skipped" if hasattr(report, "wasxfail") else report.outcome
        before = self.by_test.get(report.nodeid, "passed")
        self.by_test[report.nodeid] = max(outcome, before, key=worst.__getitem__)
        if report.when == "call" and report.duration > SLOW_S and "slow" not in report.keywords:
            self.unmarked.append((report.duration, report.nodeid))

    def by_row(self) -> dict[str, list[Test]]:
        """Return row → tests that show it, for the tests that ran."""
        found: defaultdict[str, list[Test]] = defaultdict(list)
        for test, ids in self.shows.items():
            for row in ids:
                found[row].append(Test(test, self.by_test.get(test, "not run")))
        return dict(found)


def is_full(config: pytest.Config, left_out: list[str]) -> bool:
    """Whether this run is over everything but what needs outside programs: only then do its results count."""
    everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return everything and not left_out and not config.getoption("collectonly")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = Outcomes()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    known = rows()
    for item in items:
        ids = tuple(str(row) for mark in item.iter_markers("feature") for row in mark.args)
        if unknown := [row for row in ids if row not in known]:
            raise pytest.UsageError(f"{item.nodeid}: features.toml has no row {', '.join(unknown)}")
        config.stash[OUTCOMES].shows[item.nodeid] = ids


@pytest.hookimpl
def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        outcomes = item.config.stash[OUTCOMES]
        outcomes.shows.pop(item.nodeid, None)
        if item.get_closest_marker("outside") is None:
            outcomes.left_out.append(item.nodeid)


class Watch:
    """Takes the reports as they come (a hook of its own object, because reports do not know their config)."""

    def __init__(self, outcomes: Outcomes) -> None:
        self.outcomes = outcomes

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.outcomes.add(report)


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.pluginmanager.register(Watch(session.config.stash[OUTCOMES]), "fathom-watch")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    outcomes = session.config.stash[OUTCOMES]
    ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    early = session.shouldstop or session.shouldfail
    if ended and not early and is_full(session.config, outcomes.left_out):
        write_report(
            Path(os.environ.get("FATHOM_FEATURES", CHECKOUT / REPORT)),
            finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            python=platform.python_version(),
            tests=outcomes.by_row(),
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if unmarked := sorted(config.stash[OUTCOMES].unmarked, reverse=True):
        terminalreporter.section(f"took over {SLOW_S} s without being marked slow")
        for took_s, test in unmarked[:20]:
            terminalreporter.line(f"{took_s:6.2f} s  {test}")


@pytest.fixture
def any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that run dives and do not ask how quiet the machine is; tests/lab/test_gates.py asks that."""
    on_any_machine(monkeypatch)


def on_any_machine(patch: pytest.MonkeyPatch) -> None:
    """Open every gate."""
    from fathom.lab import gates

    limits = ("STEAL", "STEAL_COUNTING", "IDLE", "OTHERS_S", "OTHERS_COUNTING", "STALL", "HICCUP_S", "LAG_S", "LATE_S")
    for limit in (*limits, "DRIFT", "BUSY"):
        patch.setattr(gates, limit, 1_000.0)
