"""The list of systems comes off the folders: nothing is imported, so a broken file hides nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fathom.systems import find


def test_it_shows_systems_decisions_approaches_and_dives(fathom):
    said = fathom("list")
    assert said.code == 0
    for word in ("timeline", "fanout", "on-write", "on-read", "hybrid *", "celebrity"):
        assert word in said.out


def test_systems_come_first_then_what_they_decide_then_the_dives(fathom):
    lines = fathom("list").out.splitlines()
    at, line = dict[str, int](), 0
    first = ("kv ", "timeline ", "kv: bloom:", "timeline: fanout:", "hybrid *", "on-read", "timeline: paging:")
    for word in (*first, "dives into kv", "dives into timeline", "celebrity "):
        line = at[word] = next(n for n in range(line, len(lines)) if lines[n].lstrip().startswith(word))
    assert lines[at["timeline: fanout:"]].endswith("?") and lines[at["celebrity "]].endswith("?")
    assert "Push the many, pull the famous" in lines[at["hybrid *"]]
    assert lines[at["hybrid *"] + 1].strip() == "fame=10000, kept_s=0.0, cap=800, depth=200, chunk=1000"


def test_one_system_is_shown_with_its_knobs(fathom):
    said = fathom("list", "timeline")
    assert re.search(r"fame=10000 +followers from which .* \(fanout=hybrid\)", said.out)
    assert re.search(r"cap=800 +posts that a feed keeps \(fanout=hybrid, .*\s+fanout=on-write\)", said.out)


def test_the_knobs_that_are_read_off_the_files_are_those_that_the_approaches_have(fathom):
    for told in fathom("list", "--json").json:
        system = find(told["name"])
        for decision in told["decisions"]:
            for approach in decision["approaches"]:
                kind = system.decision(decision["name"]).approach(approach["name"])
                read = {knob["name"]: (knob["default"], knob["says"]) for knob in approach["knobs"]}
                assert read == {knob.name: (knob.default, knob.says) for knob in kind.knobs().values()}


@pytest.mark.parametrize("columns", [80, 120])
def test_no_line_is_longer_than_a_terminal_is_wide(fathom, monkeypatch, columns: int):
    monkeypatch.setattr("fathom.cli.voice.width", lambda: columns)
    for words in (["list"], ["list", "timeline"], ["features"], ["features", "TL"]):
        assert max(len(line) for line in fathom(*words).out.splitlines()) <= columns


def test_paths_lead_to_files_that_are_there(fathom):
    said = fathom("list", "--paths")
    paths = [Path(line[line.index("/") :]) for line in said.out.splitlines() if "  /" in line]  # they may hold spaces
    assert len(paths) > 4
    assert all(path.exists() for path in paths)


def test_json_says_the_same(fathom):
    (timeline,) = fathom("list", "timeline", "--json").json
    decisions = {decision["name"]: decision for decision in timeline["decisions"]}
    assert set(decisions) == {"counters", "fanout", "ids", "paging", "profiles", "ranking", "stampede"}
    fanout = decisions["fanout"]
    assert fanout["default"] == "hybrid"
    assert {each["name"] for each in fanout["approaches"]} >= {"on-write", "on-read", "hybrid"}


def test_a_system_elsewhere_is_listed_by_its_path(fathom):
    fathom("new", "system", "my_shop")
    assert "on-write *" in fathom("list", "./my_shop").out


def test_a_broken_file_hides_nothing(fathom, tmp_path):
    fathom("new", "system", "my_shop")
    (tmp_path / "my_shop" / "decisions" / "order" / "on_read.py").write_text("def (:")
    fathom("new", "system", "other")
    (tmp_path / "my_shop").rename(tmp_path / "shop")
    said = fathom("list", "./shop", "--json")
    (order,) = said.json[0]["decisions"]
    assert {"name", "says", "path", "knobs"} == set(order["approaches"][0])
    assert "(cannot be read)" in {each["says"] for each in order["approaches"]}


def test_listing_imports_no_engine_and_no_framework():
    code = "import sys; from fathom.cli import main; main(['list']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "litestar", "asyncpg", "nats", "uvloop", "obstore", "fathom.lab.dive"}
    assert heavy.isdisjoint(done.stderr.split())
