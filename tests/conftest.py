"""What every test has: rows of features that are counted, a seed that is printed, and slow tests that say so."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import gc
import importlib
import json
import os
import platform
import shutil
import signal
import tempfile
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any

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
        # But for long ones, and those that need outside programs; whether each is a quiet one.
        self.left_out: dict[str, bool] = {}
        self.lost = False  # a worker has died: what it was to run is not known
        self.unmarked: list[tuple[float, str]] = []

    def add(self, report: pytest.TestReport) -> None:
        """Keep the worst of set-up, call and clean-up: a test passed only if all three did."""
        worst = {"failed": 2, "skipped": 1, "passed": 0}
        outcome = "skipped" if hasattr(report, "wasxfail") else report.outcome
        before = self.by_test.get(report.nodeid, "passed")
        self.by_test[report.nodeid] = max(outcome, before, key=worst.__getitem__)
        if report.when == "call" and report.duration > SLOW_S and "slow" not in report.keywords:
            self.unmarked.append((report.duration, report.nodeid))

    def tell(self) -> dict[str, Any]:
        """Return what a worker knows and the process that started it does not: that one collects nothing."""
        return {"shows": self.shows, "left_out": self.left_out}

    def hear(self, told: dict[str, Any]) -> None:
        """Add what a worker told, or an earlier pass, whose tests then are not left out."""
        self.shows |= told["shows"]
        self.left_out |= told["left_out"]
        self.by_test |= told.get("by_test", {})
        self.left_out = {test: quiet for test, quiet in self.left_out.items() if test not in self.shows}

    def by_row(self) -> dict[str, list[Test]]:
        """Return row → tests that show it, for the tests that ran."""
        found: defaultdict[str, list[Test]] = defaultdict(list)
        for test, ids in self.shows.items():
            for row in ids:
                found[row].append(Test(test, self.by_test.get(test, "not run")))
        return dict(found)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--first", type=Path, help="a file through which a first pass, without `quiet`, tells the second")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = Outcomes()
    # A shell has its background jobs ignore it, and all that they start: what a test ends by it would never end.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if given := getattr(config, "workerinput", None):
        os.environ["TMPDIR"] = given["folder"]
        tempfile.tempdir = None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give each worker a folder of its own: who measures on a machine leaves a sign there, for the others to wait."""
    folder = node.workerinput["folder"] = tempfile.mkdtemp(prefix="fw-", dir="/var/tmp")  # short: for sockets
    node.config.add_cleanup(functools.partial(shutil.rmtree, folder, ignore_errors=True))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    outcomes = node.config.stash[OUTCOMES]
    told = getattr(node, "workeroutput", {}).get("told")
    if error or told is None:
        outcomes.lost = True
    else:
        outcomes.hear(told)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Read in a second pass only the files in which the first left something for it: all of them take a while."""
    first: Path | None = config.getoption("first")
    if first is None or collection_path.suffix != ".py" or not first.exists():
        return None
    return collection_path not in _left_by(first.resolve(), config.rootpath) or None


@functools.cache
def _left_by(first: Path, root: Path) -> frozenset[Path]:
    return frozenset(root / test.partition("::")[0] for test in json.loads(first.read_text())["left_out"])


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
        if item.get_closest_marker("outside") is None and item.get_closest_marker("long") is None:
            outcomes.left_out[item.nodeid] = item.get_closest_marker("quiet") is not None


class Watch:
    """Takes the reports as they come (a hook of its own object, because reports do not know their config)."""

    def __init__(self, outcomes: Outcomes, terminal: pytest.TerminalReporter | None) -> None:
        self.outcomes = outcomes
        self.terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.outcomes.add(report)
        if self.terminal and report.failed:  # at once: a run that is stopped by force prints no summary
            self.terminal.ensure_newline()
            self.terminal.line(f"FAILED {report.nodeid} ({report.when})", red=True)
            for line in report.longreprtext.splitlines()[-6:]:
                self.terminal.line(f"    {line}")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call() -> Generator[None]:
    """Let a test that hangs also say where each of its tasks stood: its stack shows only the loop, waiting."""
    before = signal.getsignal(signal.SIGALRM)

    def tell(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(RuntimeError):  # there is no loop
            for task in asyncio.all_tasks():
                task.print_stack()
        assert callable(before)
        before(number, frame)

    if callable(before):  # pytest-timeout has set its alarm
        signal.signal(signal.SIGALRM, tell)
    return (yield)


def _everything(config: pytest.Config) -> bool:
    """Return whether this run is about all tests, and runs them."""
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.getoption("collectonly")


def _read_ahead(worker: int, workers: int) -> None:
    """Read a share of the test files before all of them are collected.

    Reading one for the first time takes most of a collection, and what was made of it is kept. Workers who all begin
    with the first file do that work as often as there are workers.
    """
    for file in sorted((CHECKOUT / "tests").rglob("test_*.py"))[worker::workers]:
        with contextlib.suppress(Exception, pytest.skip.Exception):  # its collection tells why it cannot be read
            importlib.import_module(".".join(file.relative_to(CHECKOUT).with_suffix("").parts))


def pytest_sessionstart(session: pytest.Session) -> None:
    if (given := getattr(session.config, "workerinput", None)) and _everything(session.config):
        _read_ahead(int(given["workerid"].removeprefix("gw")), given["workercount"])
    plugins = session.config.pluginmanager
    terminal = None if hasattr(session.config, "workerinput") else plugins.get_plugin("terminalreporter")
    plugins.register(Watch(session.config.stash[OUTCOMES], terminal), "fathom-watch")


def pytest_collection_finish() -> None:
    """Keep the garbage collector from looking again and again through thousands of tests, which all stay to the end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    config, outcomes = session.config, session.config.stash[OUTCOMES]
    if hasattr(config, "workeroutput"):
        config.workeroutput["told"] = outcomes.tell()
        return
    first: Path | None = config.getoption("first")
    if first and first.exists():
        outcomes.hear(json.loads(first.read_text()))
    ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    if not _everything(config) or not ended or session.shouldstop or session.shouldfail or outcomes.lost:
        return
    if not outcomes.left_out:
        write_report(
            Path(os.environ.get("FATHOM_FEATURES", CHECKOUT / REPORT)),
            finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            python=platform.python_version(),
            tests=outcomes.by_row(),
        )
    elif first and all(outcomes.left_out.values()):
        first.parent.mkdir(exist_ok=True)
        first.write_text(json.dumps(outcomes.tell() | {"by_test": outcomes.by_test}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if unmarked := sorted(config.stash[OUTCOMES].unmarked, reverse=True):
        terminalreporter.section(f"took over {SLOW_S} s without being marked slow")
        for took_s, test in unmarked[:20]:
            terminalreporter.line(f"{took_s:6.2f} s  {test}")


@pytest.fixture
def any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that run dives and do not ask how quiet the machine is; tests/lab/test_gates.py asks that."""
    on_any_machine(monkeypatch)


LOOKED_AT: dict[str, Any] = {}  # what the machine's fingerprint told: it takes a second, and is the same for all


def on_any_machine(patch: pytest.MonkeyPatch) -> None:
    """Open every gate, look at the machine once, and wait for no disk that others write to and no sign of idleness."""
    from fathom.lab import census, gates, machine

    limits = ("STEAL", "STEAL_COUNTING", "IDLE", "OTHERS_S", "OTHERS_COUNTING", "STALL", "HICCUP_S", "LAG_S", "LATE_S")
    for limit in (*limits, "DRIFT", "BUSY"):
        patch.setattr(gates, limit, 1_000.0)
    for look in ("_loop_ns", "_loopback_s", "_overshoot_s"):
        LOOKED_AT.setdefault(look, functools.cache(getattr(machine, look)))
        patch.setattr(machine, look, LOOKED_AT[look])
    patch.setattr(machine, "sync", lambda: None)
    patch.setattr(census, "IDLE_S", 0.1)
