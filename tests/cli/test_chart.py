"""The picture on a terminal: a line per approach, its marks where it was measured, and no picture where none fits."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
from rich.console import Console

from fathom.cli.chart import MARKS, chart

COSTS = {
    "hybrid": {100: 5e-4, 3_000: 2.4e-3, 30_000: 6e-4},
    "on-read": {100: 1.1e-3, 3_000: 1.05e-3, 30_000: 1e-3},
    "on-write": {100: 6e-4, 3_000: 2.3e-3, 30_000: 1.9e-2},
}
WIDTH, HEIGHT = 80, 16


def drawn(costs=COSTS, points=(100, 3_000, 30_000), width: int = WIDTH) -> list[str]:
    picture = chart(costs, points, list(COSTS), width=width, height=HEIGHT, swept="fans", title="CPU of an operation")
    out = io.StringIO()
    Console(file=out, width=200, color_system=None).print(picture)
    return out.getvalue().rstrip("\n").split("\n")


def test_every_approach_has_its_line_and_its_name_at_the_end():
    lines = drawn()
    assert lines[0] == "CPU of an operation" and max(map(len, lines)) <= WIDTH
    ends = {name: next(n for n, line in enumerate(lines) if line.endswith(f" {name}")) for name in COSTS}
    assert ends["on-write"] < ends["on-read"] < ends["hybrid"], "the dearest is on top"
    for number, name in enumerate(COSTS):
        marks = sum(line.count(MARKS[number]) for line in lines)
        assert 2 <= marks <= 4, f"{name}: where it was measured, and beside its name"
    assert any("\u2800" < c <= "\u28ff" for line in lines for c in line)


def test_the_axes_say_what_they_are():
    lines = drawn()
    assert any(line.lstrip().startswith("1 ms ┤") for line in lines) and any("10 ms ┤" in line for line in lines)
    assert lines[-1].split() == ["100", "3,000", "30k", "fans"]


def test_higher_is_dearer_and_further_right_is_more():
    lines = drawn({"hybrid": {100: 1e-3, 30_000: 1e-1}})
    (first, low), (last, high) = [
        (line.index(MARKS[0]), n) for n, line in enumerate(lines) if MARKS[0] in line.removesuffix(f"{MARKS[0]} hybrid")
    ][::-1]
    assert first < last and low > high


def test_what_flips_stands_below_the_foot_and_takes_no_more_room():
    flips = ["flips near 870 fans: hybrid → on-read", "flips near 6,900 fans: on-read → hybrid"]
    points = (100, 3_000, 30_000)
    picture = chart(COSTS, points, list(COSTS), width=80, height=16, swept="fans", title="T", flips=flips)
    lines = picture.plain.split("\n")
    assert [line.strip() for line in lines[-2:]] == flips and len(lines) == len(drawn())


@pytest.mark.parametrize("costs", [{}, {"hybrid": {}}, {"hybrid": {100: 0.0}}])
def test_without_a_cost_there_is_a_title_alone(costs):
    assert drawn(costs)[0] == "CPU of an operation" and len(drawn(costs)) <= 2


def test_one_value_is_drawn_too():
    assert any(MARKS[0] in line for line in drawn({"hybrid": {100: 1e-3}}, points=(100,)))


SCRIPT = """
from fathom.cli import stage
from fathom.lab import machine, plan
from fathom.lab.runs import Segment
from fathom.systems import find
drawn = plan.draw(find("timeline"), "celebrity", placement=machine.Placement.of({0, 1}), mode="quick")
def segment(op, fans, us):
    return Segment(id=f"{op}{fans}", part="census", approach="hybrid", slice=op, point=fans, lasts_s=1.0,
                   done={op: 100}, cpu_s={"service": us * 1e-4})
with stage.stage(drawn) as shown:
    shown.note("hybrid comes up")
    for fans in (100, 3_000):
        for op in ("home", "post"):
            shown.seen(segment(op, fans, 300))
    shown.note("it has come up")
"""


@pytest.mark.slow
def test_a_terminal_gets_a_picture_below_the_lines_and_a_pipe_the_lines_alone():
    piped = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert [line.rpartition("  ")[2] for line in piped.stderr.splitlines()] == [
        "hybrid comes up",
        "it has come up",
    ]
    large, small = in_terminal(40, 100), in_terminal(10, 40)
    assert all(line in text for line in ("hybrid comes up", "it has come up") for text in (large, small))
    assert "CPU of an average operation (home and post), logarithmic" in large and MARKS[0] in large
    assert large.index("who pays: the writer or the readers?") < large.index("hybrid comes up"), "from the beginning"
    assert "CPU of an average" not in small, "there is no room for it"


def in_terminal(rows: int, columns: int) -> str:
    """Run the script in a terminal of this size, and return all that it showed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name not in ("LINES", "COLUMNS")}
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=theirs, stderr=theirs, env={**environ, "TERM": "xterm"}
    )
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # Linux says so that nobody writes there any more
        while piece := os.read(ours, 65_536):
            said += piece
    os.close(ours)
    assert child.wait() == 0
    return said.decode()
