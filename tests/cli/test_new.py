"""What `fathom new` writes is whole: it obeys the rules of the house and runs as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fathom.design import System
from fathom.history import History, Op, laws_of
from fathom.lab import dive as grammar
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
    assert fathom("new", "approach", "./my_shop/order/on-both").code == 0
    assert fathom("new", "dive", "my_shop/rush").code == 0
    assert house_faults(shop) == []
    system = System.at(shop)
    assert set(system.decisions) == {"order", "stock"}
    assert set(system.decisions["order"].approaches) == {"on-both", "on-read", "on-write"}
    for name in ("burst", "rush"):
        assert grammar.question_of(grammar.read(system, name)).endswith("?")


def test_the_formatter_and_the_linter_leave_it_as_it_is(shop: Path):
    import subprocess
    import sys

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
