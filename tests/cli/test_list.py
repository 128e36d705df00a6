"""The list of systems comes off the folders: nothing is imported, so a broken file hides nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def test_it_shows_systems_decisions_approaches_and_dives(fathom):
    said = fathom("list")
    assert said.code == 0
    for word in ("timeline", "fanout", "on-write", "on-read", "hybrid *", "celebrity"):
        assert word in said.out


def test_one_system_is_shown_with_its_knobs(fathom):
    said = fathom("list", "timeline")
    assert re.search(r"fanout=hybrid +fame=10000 +followers from which", said.out)


def test_paths_lead_to_files_that_are_there(fathom):
    said = fathom("list", "--paths")
    paths = [Path(line[line.index("/") :]) for line in said.out.splitlines() if "  /" in line]  # they may hold spaces
    assert len(paths) > 4
    assert all(path.exists() for path in paths)


def test_json_says_the_same(fathom):
    (timeline,) = fathom("list", "timeline", "--json").json
    decisions = {decision["name"]: decision for decision in timeline["decisions"]}
    assert set(decisions) == {"counters", "fanout", "stampede"}
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
    assert {"name", "says", "path"} == set(order["approaches"][0])
    assert "(cannot be read)" in {each["says"] for each in order["approaches"]}


def test_listing_imports_no_engine_and_no_framework():
    code = "import sys; from fathom.cli import main; main(['list']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "litestar", "asyncpg", "nats", "uvloop", "obstore", "fathom.lab.dive"}
    assert heavy.isdisjoint(done.stderr.split())
