"""What `fathom new` writes is whole: it obeys the rules of the house and runs as it is."""

from __future__ import annotations

import importlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from fathom.cli.editor import command_for
from fathom.design import System
from fathom.history import History, Op, laws_of
from fathom.lab import dive as grammar
from fathom.systems import find
from tests.house.floors import system_faults
from tests.house.grammar import grammar_faults
from tests.house.tidy import text_faults, tidy_faults


def house_faults(folder: Path) -> list[str]:
    package = f"fathom.systems.{folder.name}"
    texts = [fault for file in folder.rglob("*.*") if file.is_file() for fault in text_faults(file, file.name)]
    return [*system_faults(folder), *grammar_faults(folder), *tidy_faults(folder, package=package), *texts]


@pytest.fixture
def shop(fathom, tmp_path: Path) -> Path:
    assert fathom("new", "system", "my_shop").code == 0
    return tmp_path / "my_shop"


def test_a_new_system_obeys_the_rules_of_the_house(shop: Path):
    assert house_faults(shop) == []


def test_everything_new_in_a_system_obeys_them_too(fathom, shop: Path):
    assert fathom("new", "decision", "my_shop/stock").code == 0
    assert fathom("new", "approach", "./my_shop/order/on-both").code == 0  # one word for all, or a word for each
    assert fathom("new", "approach", "my_shop", "order", "mine").code == 0
    assert fathom("new", "dive", "my_shop/rush").code == 0
    assert house_faults(shop) == []
    system = System.at(shop)
    assert set(system.decisions) == {"order", "stock"}
    assert set(system.decisions["order"].approaches) == {"mine", "on-both", "on-read", "on-write"}
    for name in ("burst", "rush"):
        assert grammar.question_of(grammar.read(system, name)).endswith("?")


def test_a_new_approach_is_its_decisions_methods_and_does_as_the_default_does(fathom, shop: Path):
    said = fathom("new", "approach", "my_shop", "order", "mine")
    file = shop / "decisions" / "order" / "mine.py"
    lines = file.read_text().splitlines()
    shown = [line.split("  ", 2) for line in said.out.splitlines()[1:3]]
    assert [lines[int(number) - 1].strip() for _, number, text in shown] == [
        "def add(self, name: str) -> int:",
        "def first(self, n: int) -> list[str]:",
    ]
    assert "then: fathom dive ./my_shop burst --only mine,on-write --quick" in said.out
    order = System.at(shop).decision("order")
    mine, default = (order.build(order.choice(name), None) for name in ("mine", "on-write"))
    for name in ("Mary", "Ada", "Kurt"):
        assert mine.add(name) == default.add(name)
    assert mine.first(2) == default.first(2) == ["Ada", "Kurt"]


def test_the_imports_of_a_new_approach_bring_every_name_as_its_decision_knows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from fathom.cli.methods import written

    (tmp_path / "named_otherwise.py").write_text(
        "import collections.abc as abc\n"
        "import os.path\n"
        "from decimal import Decimal as Money, Inexact\n"
        "from abc import abstractmethod\n"
        "from fathom.design import Decision\n"
        "MOST = 3\n"
        "LEAST: int = 1\n"
        "def usual() -> int: ...\n"
        "async def later() -> int: ...\n"
        "class Price(Decision):\n"
        "    @abstractmethod\n"
        "    def of(self, on: abc.Set, at: os.PathLike, most=MOST, least=LEAST, or_=usual, then=later) -> Money: ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    body = written(importlib.import_module("named_otherwise").Price)
    assert body.imports.splitlines() == [
        "import collections.abc as abc",
        "import os.path",
        "from decimal import Decimal as Money",
        "",
        "from . import LEAST, MOST, later, usual",
    ]


def test_a_new_approach_of_the_timeline_has_two_methods_with_what_they_promise():
    from fathom.cli.methods import written

    body = written(find("timeline").decision("fanout").base)
    assert body.names == ("deliver", "home")
    assert body.imports == "from ...api import Page, PostId, UserId\nfrom . import Scan\n"
    assert "return await super().deliver(author, post, after)" in body.methods
    assert max(map(len, body.methods.splitlines())) <= 120


def test_a_new_approach_is_tried_in_the_dive_that_is_about_right_answers():
    from fathom.cli.commands.new import _dive_of

    assert _dive_of(find("timeline"), "fanout") == "celebrity", (
        "celebrities, before it, is about what a wrong one loses"
    )
    assert _dive_of(find("timeline"), "profiles") is None


def test_an_editor_is_given_the_line_as_it_takes_one():
    file = Path("mine.py")
    assert command_for("vim", file, 14) == ["vim", "+14", "mine.py"]
    assert command_for("/usr/bin/emacs -nw", file, 14) == ["/usr/bin/emacs", "-nw", "+14", "mine.py"]
    assert command_for("code --wait", file, 14) == ["code", "--wait", "--goto", "mine.py:14"]
    assert command_for("hx", file, 14) == ["hx", "mine.py:14"]
    assert command_for("myown", file, 14) == ["myown", "mine.py"]
    assert command_for("", file, 14) == command_for("'", file, 14) == []


@pytest.mark.slow
def test_on_a_terminal_a_new_approach_opens_in_the_editor_at_its_first_method(shop: Path, tmp_path: Path):
    editor = tmp_path / "vi"  # by its name it takes +LINE
    editor.write_text('#!/bin/sh\necho "opened at $1" >&2\n')
    editor.chmod(0o755)
    words = [sys.executable, "-P", "-m", "fathom", "new", "approach", "my_shop", "order"]
    ours, theirs = pty.openpty()
    environ = {**os.environ, "EDITOR": str(editor), "VISUAL": ""}
    seen = subprocess.run(
        [*words, "mine"], cwd=tmp_path, env=environ, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True
    )
    os.close(theirs)
    os.close(ours)
    at = next(
        n for n, line in enumerate((shop / "decisions/order/mine.py").read_text().splitlines(), 1) if "def " in line
    )
    assert seen.returncode == 0 and f"opened at +{at}" in seen.stderr
    piped = subprocess.run([*words, "other"], cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert piped.returncode == 0 and "opened" not in piped.stderr


def test_the_formatter_and_the_linter_leave_it_as_it_is(shop: Path):
    for words in (["format", "--check", "--line-length", "120"], ["check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *words, str(shop)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


async def test_its_model_and_its_service_answer_alike_in_each_approach(shop: Path):
    from fathom.web.choices import Choices

    system = System.at(shop)
    for approach in ("on-read", "on-write"):
        chosen = system.choices({"order": approach}, {})
        async with system.service.open(None, Choices(system, None, chosen)) as service:
            model = system.room("model").Model()
            for name in ("Mary", "Ada", "Kurt", "Ada"):
                assert await service.sign(name) == await model.sign(name)
                assert await service.first(3) == await model.first(3)


def test_its_laws_catch_what_they_are_there_for(shop: Path):
    laws = laws_of(System.at(shop).room("laws"))
    signed = [Op(index=n, caller="a", call="sign", asked=[name], answer=n) for n, name in enumerate("ba")]

    def read(*names: str) -> Op:
        return Op(index=9, caller="a", call="first", asked=[10], answer=list(names), start_s=1, final=True)

    whole, lost, mixed = History([*signed, read("a", "b")]), History([*signed, read("a")]), History([read("b", "a")])
    assert [broken for law in laws.values() for broken in law(whole)] == []
    assert [broken.ops for broken in laws["no_acknowledged_name_is_lost"](lost)] == [(0, 9)]
    assert [broken.ops for broken in laws["a_page_is_in_order"](mixed)] == [(9,)]


def test_nothing_is_ever_written_over(fathom, shop: Path):
    fathom("new", "system", "my_shop").is_told(code=64, what="already there")
    fathom("new", "dive", "my_shop/burst").is_told(code=64, what="already there")


def test_what_cannot_be_written_is_told(fathom, shop: Path):
    fathom("new", "sytem", "x").is_told(code=64, what="'sytem'", fix="did you mean 'system'?")
    fathom("new", "system", "Not-A-Name").is_told(code=64, what="cannot be a name")
    fathom("new", "approach", "lazy").is_told(code=64, what="does not say of which system")
    fathom("new", "approach", "my_shop/ordr/lazy").is_told(code=64, what="no decision 'ordr'", fix="'order'")
    fathom("new", "dive", "./nowhere/rush").is_told(code=64, what="no folder ./nowhere")


def test_a_disk_that_cannot_be_written_leaves_nothing_half_done(fathom, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    said = fathom("new", "system", "file/shop")
    assert said.code != 0
    assert "Traceback" not in said.err
    assert [path.name for path in tmp_path.iterdir() if path.name != ".fathom"] == ["file"]
