"""Who knows one system knows all: the same rooms, and the folder is the registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from fathom.systems import catalogue
from tests.house.grammar import grammar_faults
from tests.house.source import PACKAGE

SYSTEMS = sorted(folder.parent.name.replace("_", "-") for folder in (PACKAGE / "systems").glob("*/__init__.py"))


def test_the_folder_is_the_registry():
    assert sorted(catalogue()) == SYSTEMS


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_has_the_rooms_that_every_system_has(name: str):
    faults = grammar_faults(catalogue()[name].folder)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_rooms_of_a_system_can_be_read(name: str):
    system = catalogue()[name]
    assert system.says
    assert system.protocol
    for question in system.decisions.values():
        assert question.asks.endswith("?")
        for approach in question.approaches.values():
            assert all(knob.says for knob in approach.knobs().values())


def shop(tmp_path: Path) -> Path:
    """Lay out a small system with nothing wrong in it."""
    folder = tmp_path / "shop"
    for file in ("README.md", "api.py", "model.py", "laws.py", "service.py", "dives/rush.py"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text('"""A line."""\n')
    for file in ("__init__.py", "one.py", "two.py"):
        (folder / "decisions" / "stock").mkdir(parents=True, exist_ok=True)
        (folder / "decisions" / "stock" / file).write_text('"""A line?"""\n')
    return folder


def test_a_well_laid_out_folder_is_left_in_peace(tmp_path: Path):
    assert grammar_faults(shop(tmp_path)) == []


FAULTS = {
    "a drawer": ("helpers.py", "x = 1", "not a room"),
    "an answer without a question": ("decisions/price.py", "x = 1", "a question is a folder"),
    "a question with one answer": ("decisions/price/__init__.py", "x = 1", "fewer than two"),
    "SQL on the request path": ("service.py", "ASK = 'SELECT id FROM posts'", "SQL belongs to stores"),
}


@pytest.mark.parametrize(("file", "code", "says"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_grammar_is_told(tmp_path: Path, file: str, code: str, says: str):
    folder = shop(tmp_path)
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(code)
    (fault,) = grammar_faults(folder)
    assert says in fault


@pytest.mark.parametrize("room", ["api.py", "laws.py", "README.md"])
def test_a_missing_room_is_told(tmp_path: Path, room: str):
    folder = shop(tmp_path)
    (folder / room).unlink()
    (fault,) = grammar_faults(folder)
    assert "missing" in fault


def test_a_question_that_is_not_asked_is_told(tmp_path: Path):
    folder = shop(tmp_path)
    (folder / "decisions" / "stock" / "__init__.py").unlink()
    (fault,) = grammar_faults(folder)
    assert "to ask its question" in fault
