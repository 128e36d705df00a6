"""`fathom trust` as a person types it: the rows, the table, what is kept, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from fathom.cli.trust import rows, table
from fathom.cli.trust.experiment import Wants
from tests.cli.trust.made_up import Made, made_up

NEVER = Wants(3, most=0)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch):
    """Let the command find experiments whose answers are made up."""

    def put(*answers: bool | str | None, wants: Wants = NEVER) -> Made:
        it = Made(*answers)
        monkeypatch.setattr(rows, "experiments", lambda: {"made-up": made_up(it, wants)})
        return it

    return put


@pytest.mark.slow
def test_the_rows_are_listed_with_what_is_true(fathom):
    said = fathom("trust", "--list")
    assert said.code == 0
    assert "the same code under two names" in said.out and "plus20" in said.out
    assert {"row": "aa", "rows": "aa"}.items() <= fathom("trust", "--list", "--json").json[0].items()


def test_a_row_that_there_is_not_is_told_with_a_guess(fathom):
    fathom("trust", "--rows", "aa,pluss20").is_told(code=64, what="there is no row 'pluss20'", fix="'plus20'")


@pytest.mark.slow
def test_a_table_is_printed_and_its_worst_row_is_the_exit_code(fathom, made):
    made(False, False, False)
    said = fathom("trust")
    assert said.code == 0 and "✓ made-up  nothing is" in said.out
    assert "said yes: 0 of 3 (0 % to 70.8 %), wanted never" in said.out and "1 of 1 rows met" in said.out
    assert "made-up: it said False; said yes 1 of 3" not in said.err and "0 of 3 (3 wanted)" in said.err

    made(False, True, False)
    said = fathom("trust", "--json")
    assert said.code == 1
    (line,) = said.json["summaries"][0]["lines"]
    assert (line["k"], line["n"], line["met"], said.json["exit"]) == (1, 3, "not met", 1)


@pytest.mark.slow
def test_a_short_table_begins_anew_and_a_full_one_goes_on(fathom, made):
    made(False, False, False)
    assert fathom("trust", "--full").code == 0
    again = made()  # it has no answers left to give
    said = fathom("trust", "--full")
    assert said.code == 0 and "going on after 3 answers" in said.err and again.up == 0
    anew = made(False, False, False)
    assert fathom("trust").code == 0 and anew.up == 1
    assert len(Path("runs/trust/full.jsonl").read_text().splitlines()) == 3


@pytest.mark.slow
def test_what_was_kept_is_shown_with_the_command_and_the_date(fathom, made, monkeypatch, tmp_path):
    file = tmp_path / "last.json"
    monkeypatch.setattr(table.Summary.keep, "__defaults__", (file,))
    monkeypatch.setattr(table.last, "__defaults__", (file,))
    fathom("trust", "--last").is_told(code=64, what="there is no summary to show", fix="--full --keep")
    made(False, False, False)
    assert fathom("trust", "--full", "--keep").code == 0
    said = fathom("trust", "--last")
    assert said.code == 0 and said.out.startswith("fathom trust --full --seed 7  20")
    assert "said yes: 0 of 3" in said.out
    file.write_text(file.read_text().replace('"row": "', '"row": "former-').replace('"code": "', '"code": "f'))
    said = fathom("trust", "--last")
    assert "(now it is " in said.out and "no answer was kept of: " in said.out


@pytest.mark.slow
def test_a_machine_on_which_nothing_can_be_told_proves_nothing(fathom, made, monkeypatch):
    monkeypatch.setattr("fathom.cli.commands.trust.WAIT_S", 0.0)
    made(*[None] * 20)
    said = fathom("trust")
    assert said.code == 3 and "said yes: 0 of 0 (0 % to 100 %), wanted never of 3; 4 void" in said.out
