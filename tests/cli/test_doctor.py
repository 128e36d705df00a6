"""The doctor starts every engine for real and says what this machine can measure."""

from __future__ import annotations

import pytest

from fathom.cli.commands import doctor
from fathom.errors import FathomError


@pytest.mark.slow
def test_every_engine_starts_and_says_its_version_and_program(fathom_process):
    said = fathom_process("doctor", "--json")
    assert said.code == 0, said.err
    engines = {engine["kind"]: engine for engine in said.json["engines"]}
    assert set(engines) == {"postgres", "redis", "nats", "objects"}
    assert all(engine["version"] and engine["trouble"] is None for engine in engines.values())
    assert engines["postgres"]["version"].startswith("PostgreSQL 18")
    assert said.json["machine"]["cores"] >= 1 and said.json["measured"]["fsync_s"] > 0


@pytest.mark.slow
def test_a_person_reads_it_line_by_line(fathom_process):
    said = fathom_process("doctor")
    assert said.code == 0, said.err
    for word in ("machine", "cores", "kernel", "✓  postgres", "✓  redis", "every engine starts"):
        assert word in said.out
    assert "starting each engine once" in said.err


@pytest.mark.slow
def test_an_engine_that_will_not_start_is_told_and_fails_the_visit(fathom, monkeypatch):
    async def engines() -> list[doctor.Found]:
        return [doctor.Found("redis", trouble=FathomError("there is no Redis", why="none found", fix="install one"))]

    monkeypatch.setattr(doctor, "_engines", engines)
    said = fathom("doctor")
    assert said.code == 1
    assert "there is no Redis" in said.out and "redis will not start" in said.out
    assert fathom("doctor", "--json").json["engines"][0]["trouble"]["fix"] == "install one"
