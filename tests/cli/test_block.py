"""`fathom block`: every block is listed, each drawing is measured with its own block, and the picture fits."""

from __future__ import annotations

import functools
import io
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fathom.cli import pages, shelf
from fathom.cli.bars import Bar, Part, bars, parted, upright
from fathom.cli.drawing import DRAWN, Drawing, find, turned
from fathom.cli.plot import Line, plot, share
from fathom.errors import FathomError
from tests.features import feature

DRAWINGS = sorted(name for name, block in shelf.every().items() if block.is_drawn)
every = pytest.mark.parametrize("name", DRAWINGS)


def test_every_block_is_listed_and_those_that_are_drawn_first(fathom):
    said = fathom("block", "--json").json
    assert {each["name"] for each in said} == set(shelf.every())
    assert [each["drawn"] for each in said] == sorted((each["drawn"] for each in said), reverse=True)
    lines = fathom("block").out.splitlines()
    assert all(any(line.startswith(f"  {name} ") for line in lines) for name in shelf.every())


def test_every_drawing_is_named_for_a_block():
    files = {file.name for file in DRAWN.glob("[!_]*.py")}
    assert files and files <= {block.path.name for block in shelf.every().values()}
    assert {"bloom", "token-bucket", "ring", "breaker", "windows", "ids"} <= set(DRAWINGS)


@functools.cache
def measured(name: str, seed: int = 7) -> tuple[Drawing, Mapping[str, Any]]:
    """Return a drawing as it is by default, and what it measures."""
    drawing = find(name.replace("-", "_"))
    assert drawing is not None
    made = drawing()
    return made, made.measure(random.Random(seed))


@every
@pytest.mark.parametrize("columns", [80, 120])
def test_a_drawing_is_no_wider_than_its_terminal(name, columns):
    drawing, found = measured(name)
    parts = [part for part in drawing.draw(found, columns) if not isinstance(part, str)]
    assert parts and max(len(line) for part in parts for line in part.plain.splitlines()) <= columns


@every
def test_it_has_no_colour_off_a_terminal_and_says_its_seed_and_its_knobs(name, fathom):
    said = fathom("block", name, "--seed", "7")
    lines = said.out.splitlines()
    assert said.code == 0 and max(map(len, lines)) <= 100 and "\x1b" not in said.out
    assert lines[0].split() == [name, "seed", "7"] and len(lines) > 15
    assert shelf.find(name).asks().split()[0] in said.out
    assert all(f"{knob}=" in said.out for knob in measured(name)[0].knobs())


@every
def test_a_seed_says_it_all_and_another_one_something_else(name):
    drawing, found = measured(name)
    assert drawing.measure(random.Random(7)) == found != drawing.measure(random.Random(8))


def test_json_is_what_the_picture_is_drawn_from(fathom):
    said = fathom("block", "ids", "--json").json
    assert (said.pop("block"), said.pop("seed")) == ("ids", 7)
    assert said.pop("knobs") == {"back_ms": 300, "each_ms": 2.0, "lasts_ms": 1_000, "worker": 3}
    assert said == json.loads(json.dumps(measured("ids")[1]))


@every
def test_its_knobs_may_be_turned_to_their_ends_and_no_further(name):
    drawing = type(measured(name)[0])
    fields, least = drawing.__dataclass_fields__, {}
    for knob in drawing.knobs().values():
        assert knob.says
        bounds = fields[knob.name].metadata
        if bounds["least"] is None:
            continue
        least[knob.name] = str(bounds["least"])
        with pytest.raises(FathomError, match=f"{knob.name}="):
            drawing.turn({knob.name: str(bounds["most"] + 1)})
    for words in [{}, *({knob: word} for knob, allowed in drawing.words.items() for word in allowed)]:
        turned_to = drawing.turn({**least, **words})
        assert list(turned_to.draw(turned_to.measure(random.Random(7)), 80))


def test_a_terminal_gets_colours(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = {}
    for no_colour in (False, True):
        terminal = Terminal()
        monkeypatch.setattr("sys.stdout", terminal)
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.delenv("NO_COLOR", raising=False)
        if no_colour:
            monkeypatch.setenv("NO_COLOR", "1")
        drawing = find("ids")
        assert drawing is not None
        shelf.drawn(shelf.find("ids"), drawing(), 7, as_json=False, width=80)
        shown[no_colour] = terminal.getvalue()
    assert "\x1b[36m" in shown[False] and "\x1b[36m" not in shown[True]


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (["blom"], "no block 'blom'", "did you mean 'bloom'?"),
        (["bloom", "--set", "bit=3"], "no knob 'bit'", "did you mean 'bits'?"),
        (["bloom", "--set", "bits=0"], "bits=0 cannot be drawn", "bits=10.0"),
        (["bloom", "--set", "bits=nan"], "bits=nan cannot be drawn", "bits=10.0"),
        (["bloom", "--set", "bits=many"], "bits=many is not a number", "bits=10.0"),
        (["windows", "--set", "shape=tubling"], "shape=tubling is not one of", "did you mean 'tumbling'?"),
        (["windows", "--set", "shape=sliding", "--set", "every_s=11"], "windows cannot be drawn so", "turn"),
        (["slots", "--set", "n=3"], "slots has no knobs", "leave out"),
    ],
)
def test_what_was_asked_wrongly_is_told(fathom, words, what, fix):
    fathom("block", *words).is_told(code=64, what=what, fix=fix)


def test_a_block_without_a_drawing_is_told_by_its_own_words(fathom):
    said = fathom("block", "slots")
    assert "slot_of(key: bytes) -> int" in said.out and ">>> slot_of" in said.out
    assert fathom("block", "slots", "--json").json["offers"][-1]["name"] == "slot_of"
    assert fathom("block", "sliding_log").out == fathom("block", "sliding-log").out


@feature("BLOCK-20")
def test_a_filters_errors_as_they_are_drawn_are_those_of_the_theory(fathom):
    found = fathom("block", "bloom", "--set", "bits=5", "--json").json
    (here,) = [each for each in found["points"] if each["bits_per_key"] == 5]
    assert here["theory"] == pytest.approx(0.0918, abs=0.0001)
    assert here["measured"] == pytest.approx(here["theory"], rel=0.15)


@feature("BLOCK-07")
def test_the_five_limiters_as_they_are_drawn_differ_where_they_must():
    found = measured("token-bucket")[1]["limiters"]
    in_window = {name: each["most_in_window"] for name, each in found.items()}
    assert in_window["fixed-window"] == 100 and in_window["sliding-log"] == 50
    assert found["token-bucket"]["let_in"] == found["leaky-bucket"]["let_in"]
    assert max(found["leaky-bucket"]["goes_on_by_cell"]) <= 6, "ten a second: five in half of one, and one on its edge"


@pytest.mark.parametrize("shape", ["tumbling", "sliding", "session"])
@feature("BLOCK-14")
def test_windows_as_they_are_drawn_lose_less_the_longer_they_wait(shape: str):
    found = type(measured("windows")[0]).turn({"shape": shape}).measure(random.Random(7))
    for each in found["by_lag"]:
        assert each["on_time"] + each["late"] + each["dropped"] == found["events"]
    first, *_, last = found["by_lag"]
    assert first["dropped"] >= last["dropped"] and first["waited_s"] < last["waited_s"]


@feature("BLOCK-109")
def test_a_pool_each_as_it_is_drawn_answers_every_quick_call():
    found = measured("bulkhead")[1]
    each, one = found["pools"]["a pool each"]["quick"], found["pools"]["one pool"]["quick"]
    assert each["answered"] == found["quick_calls"] > one["answered"]
    for pool in (each, one):
        assert pool["answered"] + pool["refused"] + pool["gave_up"] == found["quick_calls"]


@feature("BLOCK-19")
def test_breakers_as_they_are_drawn_spare_calls_and_the_count_alone_gives_a_false_alarm():
    found = measured("breaker")[1]
    for each in found["breakers"].values():
        assert each["passed"] + each["at_once"] == found["calls"] and each["failed"] < found["would_fail"] / 3
        assert each["closes_after_s"] is not None
    alarms = {name: each["opened_while_well"] for name, each in found["breakers"].items()}
    assert alarms["count"] > 0 == alarms["share"] == alarms["in a row"]


def test_a_file_with_no_drawing_or_two_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import sys
    import types

    module = types.ModuleType("fathom.cli.drawn.double")

    class One(Drawing):
        n: int = turned(1, "n", least=1, most=2)

    class Two(One):
        pass

    for each in (One, Two):
        each.__module__ = module.__name__
        setattr(module, each.__name__, each)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("fathom.cli.drawing.DRAWN", tmp_path)
    (tmp_path / "double.py").write_text("")
    with pytest.raises(FathomError, match="has 2 drawings"):
        find("double")
    assert find("_double") is None and find("nothing") is None


# What it is drawn with -----------------------------------------------------------------------------------------------


def test_bars_are_as_long_as_their_values():
    lines = bars([Bar("a", 8, "8"), Bar("bb", 4, "4"), Bar("c", 0, "0")], width=26).plain.splitlines()
    assert [line.count("█") for line in lines] == [19, 9, 0] and {len(line) for line in lines} == {26}
    assert lines[1].startswith("bb  ") and lines[1].endswith("  4")
    assert bars([Bar("a", 0, "")], width=20).plain.strip() == "a"


def test_parts_make_up_a_bar_and_what_there_is_of_any_shows():
    bar = parted([Part(1_000, "█", "x"), Part(1, "▒", "y"), Part(0, "░", "z")], 10, most=1_001)
    assert bar.plain == "█████████▒"
    late = parted([Part(98, "█", "x"), Part(1, "▒", "y"), Part(0, "-", "z"), Part(1, "░", "z")], 10)
    assert late.plain == "████████▒░"
    assert parted([Part(1, "█", "x")] * 5, 3).plain == "███", "more parts than cells"
    assert parted([Part(1, "█", "x"), Part(1, "▒", "y")], 10).plain == "█████▒▒▒▒▒"
    assert parted([Part(5, "█", "x")], 10, most=10).plain == "█████     "
    assert upright([]) == "" and upright([1, 100], most=8) == "▁█"


def test_a_plot_rises_to_the_right_where_values_do():
    lines = plot(
        [Line("up", [(0, 0), (10, 10)], marked=True)], width=60, height=10, title="t", x="s"
    ).plain.splitlines()
    marks = [(row, line.index("●")) for row, line in enumerate(lines[:-1]) if "●" in line.replace("● up", "")]
    assert marks[0][1] > marks[-1][1] and marks[0][0] < marks[-1][0]
    assert lines[0] == "t" and lines[-1].endswith("  s") and max(map(len, lines)) <= 60
    assert plot([Line("flat", [(1, 0)])], width=60, height=10, title="t", x="s").plain.startswith("t\n")
    assert plot([Line("none", [(1, 0)])], width=60, height=10, title="t", x="s", powers=True).plain.strip() == "t"


@pytest.mark.parametrize(
    ("value", "says"), [(0.5, "50 %"), (0.0082, "0.82 %"), (0.099, "9.9 %"), (0, "0 %"), (1, "100 %")]
)
def test_a_share_is_written_as_exactly_as_it_is_small(value: float, says: str):
    assert share(value) == says


def test_a_page_is_read_off_the_file(tmp_path: Path):
    file = tmp_path / "thing.py"
    file.write_text(
        '"""A thing.\n\nMore of it.\n"""\n__all__ = ["Pair", "Thing", "make"]\n'
        'class Thing:\n    """Does it.\n\n    >>> Thing(1).go(2)\n    3\n\n    And more.\n    """\n'
        "    def __init__(self, n: int, *, on: bool = True) -> None: ...\n"
        '    def go(self, m: int) -> int:\n        """Go on.\n\n        Far.\n        """\n'
        '    @property\n    def is_on(self) -> bool:\n        """Whether."""\n'
        "    def _hidden(self): ...\n    def silent(self): ...\n"
        'class Pair:\n    """Two."""\n    a: int\n    b: str = ""\n'
        'def make() -> Thing:\n    """Make one."""\ndef other():\n    """Not public."""\n'
    )
    page = pages.of(file)
    assert (page.says, page.more) == ("A thing.", "More of it.")
    pair, thing, make = page.offers
    assert (pair.called, make.called) == ("Pair(a: int, b: str = '')", "make() -> Thing")
    assert thing.called == "Thing(n: int, *, on: bool=True)" and thing.examples == ">>> Thing(1).go(2)\n3"
    assert [method.called for method in thing.methods] == ["go(m: int) -> int", "is_on"]
    text = "\n\n".join(page.markdown())
    assert "**`Thing(n: int, *, on: bool=True)`** Does it.\n\nAnd more.\n\n```python\n>>> Thing(1)" in text
    assert "* `.go(m: int) -> int` Go on.\n* `.is_on` Whether." in text
    assert "  .go(m: int) -> int" in list(page.lines(60)) and max(map(len, page.lines(60))) <= 60
