"""What `fathom latency` says to a person and to a program, with engines that are truly asked."""

from __future__ import annotations

import pytest

from fathom.cli.chart import Span, spans
from tests.features import feature


@pytest.mark.slow
@feature("BLOCK-139")
def test_engines_are_asked_one_at_a_time_and_what_was_measured_is_kept(fathom_process):
    names = ("redis-get", "postgres-row", "postgres-commit", "jetstream-publish")
    only = [word for name in names for word in ("--only", name)]
    said = fathom_process("latency", *only, "--seconds", "0.05", "--json")
    assert said.code == 0, said.err
    rows = {row["name"]: row for row in said.json["rows"]}
    assert set(rows) == set(names)
    for row in rows.values():
        assert row["why_not"] is None, row
        assert row["n"] >= 20 and 0 < row["p5_s"] <= row["p50_s"] <= row["p95_s"]
        assert row["method"]
    assert "redis-get: A value of 100 bytes" in said.err  # how far it is
    assert said.json["file"].startswith("runs/latency/20")


@feature("BLOCK-139")
def test_a_person_reads_the_table_the_chart_and_how_it_was_done(fathom):
    said = fathom("latency", "--only", "json-1kb", "--only", "compress-1kb", "--seconds", "0.01", "--no-keep")
    assert said.code == 0, said.err
    table, told = said.out.split("\nhow\n")
    for word in ("compress-1kb  3.00 µs", "json-1kb      –", "● median here", "○"):
        assert word in table, said.out
    assert "zlib at level 1" in told and "told by J. Dean, keynote at LADIS, 2009" in told
    assert "runs/" not in said.out


@feature("BLOCK-139")
def test_what_one_machine_cannot_measure_is_told_beside_what_is_told_of_it(fathom):
    said = fathom("latency", "--only", "datacenter", "--only", "continents", "--no-keep")
    assert said.code == 0, said.err
    shown = " ".join(said.out.partition("not measured here")[2].split())
    assert "datacenter told 500 µs (J. Dean, keynote at LADIS, 2009); it needs a second machine" in shown
    assert "continents told 150 ms" in shown and "here, median" not in said.out


def test_what_was_measured_is_said_also_where_it_cannot_be_kept(fathom, tmp_path):
    (tmp_path / "file").write_text("")
    said = fathom("latency", "--only", "json-1kb", "--seconds", "0.01", "--runs", str(tmp_path / "file" / "runs"))
    said.is_told(code=64, what="cannot be written", fix="--runs FOLDER")
    assert "json-1kb" in said.out and "here, median" in said.out


def test_a_name_that_is_not_there_is_told(fathom):
    fathom("latency", "--only", "mutecks").is_told(code=64, what="nothing called 'mutecks'", fix="mutex")


def test_spans_lie_on_one_axis_of_powers_of_ten():
    rows = [
        Span("lock", 5e-9, 6e-9, 2e-8, 2.5e-8),
        Span("disk", 1e-3, 2e-3, 2e-3),
        Span("same", 9e-8, 1e-7, 1e-7, 1e-7),
    ]
    lines = spans(rows, width=80).plain.splitlines()
    assert lines[0].index("●") < lines[0].index("○") < lines[2].index("◉") < lines[1].index("●")
    assert len({line.index("┊") for line in lines[:3]}) == 1
    assert lines[3].split() == [
        "1",
        "ns",
        "10",
        "ns",
        "100",
        "ns",
        "1",
        "µs",
        "10",
        "µs",
        "100",
        "µs",
        "1",
        "ms",
        "10",
        "ms",
    ]


def test_nothing_measured_draws_nothing():
    assert spans([], width=80).plain == ""
