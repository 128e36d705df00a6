"""`fathom estimate` shows its work: values, states, formulas, what moves and breaks it, and what cannot be meant."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fathom.lab.estimate import Measurements
from tests.lab.synthetic import altered, write_finished


@pytest.mark.slow
def test_without_a_subject_it_lists_whose_estimates_there_are(fathom):
    said = fathom("estimate")
    assert said.code == 0
    assert all(
        f"  {name} " in said.out for name in ("timeline", "social", "twitter", "messages", "file-sync", "key-value")
    )
    listed = fathom("estimate", "--json").json
    assert {one["subject"] for one in listed if one["system"]} >= {"timeline"}
    assert all(one["question"].endswith("?") for one in listed)


@pytest.mark.slow
def test_a_system_is_estimated_with_the_cells_that_were_set(fathom):
    said = fathom("estimate", "timeline", "--set", "users=200M", "--set", "posts_per_user_per_day=0.5")
    assert said.code == 0, said.err
    lines = {words[0]: line for line in reversed(said.out.splitlines()) if (words := line.split())}
    assert "200M" in lines["users"] and "assumed, set" in lines["users"]
    assert re.search(r"1,157/s +derived", lines["posts_per_s"])
    wanted = ("peak_homes_per_s", "rows_stored", "peak_egress_bits", "cache_memory", "connections", "database_parts")
    assert set(wanted) | {"servers", "usd_per_month"} <= set(lines)
    assert "seed 7" in said.out and "a month is 30 days" in said.out
    assert "what moves servers" in said.out and "what breaks first when users grows" in said.out


@pytest.mark.slow
def test_json_has_every_cell_with_its_state_and_its_ends(fathom):
    found = fathom("estimate", "timeline", "--set", "users=200M", "--set", "posts_per_user_per_day=0.5", "--json").json
    cells = {cell["cell"]: cell for cell in found["cells"]}
    assert cells["users"] | {"value": 2e8, "unit": "1", "state": "assumed", "set": True} == cells["users"]
    assert cells["posts_per_s"]["value"] == pytest.approx(2e8 * 0.5 / 86_400)
    assert cells["posts_per_s"]["formula"] == "users * posts_per_user_per_day"
    assert cells["servers"]["low"] < cells["servers"]["value"] < cells["servers"]["high"]
    assert found["seed"] == 7 and found["draws"] == 10_000
    assert found["moves"]["servers"][0]["assumption"] in cells
    assert next(it["limit"] for it in found["breaks"]) == "one_machine"


@pytest.mark.slow
def test_the_same_seed_says_the_same(fathom):
    one, again, other = (fathom("estimate", "timeline", "--seed", seed).out for seed in ("3", "3", "4"))
    assert one == again != other


def test_a_formula_is_told_down_to_what_is_assumed(fathom):
    said = fathom("estimate", "social", "--formula", "peak_egress")
    assert said.out.splitlines()[0].startswith("peak_egress = peak_egress_of_one_post * posts_per_view = 28.9 GB/s")
    assert re.search(r"(?m)^daily_users = 500M  assumed", said.out)
    assert "= posts_per_day * post_size" in fathom("estimate", "social", "--formulas").out


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (("timeline", "--set", "users=200MB"), "users=200MB tells of bytes", "did you mean users=200M?"),
        (("timelin",), "there is no estimate of 'timelin'", "did you mean 'timeline'?"),
        (("social", "--set", "posts_per_day=daily_users * 5/s + 3/day"), "per s", "to("),
        (("social", "--formula", "peak_egres"), "no cell 'peak_egres'", "did you mean 'peak_egress'?"),
        (("social", "--set", "users"), "users", ""),
        (("--file", "nowhere.toml"), "nowhere.toml cannot be read", ""),
        (("--set", "a=b * 2", "--set", "b=a / 2"), "in a circle", "--set"),
        (("--set", "a=1 / 0"), "divides by zero", ""),
        (("social", "--file", "x.toml"), "not both", ""),
    ],
)
def test_what_cannot_be_meant_is_told_in_three_lines(fathom, words: tuple[str, ...], what: str, fix: str):
    fathom("estimate", *words).is_told(code=64, what=what, fix=fix)


def test_a_case_of_ones_own_is_begun_changed_and_estimated(fathom, tmp_path: Path):
    assert fathom("estimate", "--new", "my.toml").code == 0
    assert "peak_writes_per_s" in fathom("estimate", "--file", "my.toml").out
    fathom("estimate", "--new", "my.toml").is_told(code=64, what="my.toml was not written")
    altered(tmp_path / "my.toml", 'row_size = { assume = "1 KB"', 'row_size = { assume = "1 KiB"')
    assert fathom("estimate", "--file", "my.toml").code == 0, "a size alone may be told in either"
    altered(tmp_path / "my.toml", "* row_size *", "* (row_size + 1 KB) *")
    fathom("estimate", "--file", "my.toml").is_told(code=64, what="KiB (1,024 bytes)", fix="to(")


def test_a_sheet_of_ones_own_needs_no_file(fathom):
    said = fathom("estimate", "--set", "users=10M..30M", "--set", "reads_per_s=to(users * 20/day, '1/s')")
    assert re.search(r"reads_per_s +4,630/s +2,5\d\d–6,7\d\d/s +derived, set", said.out), said.out


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in ("meta", "line", "rect", "path", "circle"):
            self.open.append(tag)
        assert not any(name in ("src", "href") or name.startswith("on") for name, _ in attrs), (
            "nothing is fetched or run"
        )

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.slow
def test_the_page_stands_alone_and_has_everything(fathom, tmp_path: Path):
    hostile = "users * 2 if users < 5 else users"
    said = fathom("estimate", "timeline", "--html", "page.html", "--set", f"connections={hostile}")
    assert said.code == 0 and "page.html" in said.err
    page = _Page()
    page.feed((tmp_path / "page.html").read_text())
    assert not page.open and "script" not in page.seen and page.seen.count("svg") == 4
    assert all(name in page.text for name in ("What moves it", "What breaks first when users grows", "Money", "seed 7"))
    assert hostile in page.text


@pytest.mark.slow
def test_an_approach_that_broke_a_law_gives_a_sheet_no_number(tmp_path: Path):
    run = write_finished(tmp_path / "runs")
    rate = {"id": "capacity/hybrid", "part": "capacity", "how": "capacity", "command": "", "value": 2.5}
    findings = [*json.loads((run.folder / "findings.json").read_text()), rate]
    under, asked = tmp_path / "runs" / "timeline", ("home.cpu_s.service", "home.commands", "home.capacity")
    for void in (False, True):
        (run.folder / "findings.json").write_text(json.dumps([each | {"void": void} for each in findings]))
        assert [Measurements(under).get(what) is None for what in asked] == [void] * len(asked)


@pytest.mark.slow
def test_what_was_measured_stands_in_the_sheet_with_its_command(fathom, tmp_path: Path):
    run = write_finished(tmp_path / "runs")
    assert fathom("estimate", "timeline").out.count(" measured  ") == 8
    found = Measurements(tmp_path / "runs" / "timeline")
    home, post = found.get("home.cpu_s.service"), found.get("post.cpu_s.cache@3000")
    assert home is not None and home.run == run.folder and home.command == run.plan.command
    assert home.interval.low < home.interval.value < home.interval.high
    assert 0.5 * 6e-6 * 3_000 < post.interval.value < 12e-6 * 3_000 if post else False
    assert found.get("home.commands").interval.value == 4  # pyright: ignore[reportOptionalMemberAccess]
    assert found.get("nobody.cpu_s") is None and found.get("home.capacity") is None
    cells = {cell["cell"]: cell for cell in fathom("estimate", "timeline", "--json").json["cells"]}
    assert cells["home_service"]["state"] == "measured" and cells["home_service"]["command"] == run.plan.command
    assert cells["home_service"]["value"] == pytest.approx(home.interval.value * 1_000)
    assert cells["home_service"]["low"] < cells["home_service"]["value"] < cells["home_service"]["high"]
    finding = {"id": "capacity/hybrid", "part": "capacity", "how": "capacity", "command": "", "value": 2.5, "low": 2.4}
    findings = json.loads((run.folder / "findings.json").read_text())
    (run.folder / "findings.json").write_text(json.dumps([*findings, finding | {"high": 2.6, "over": "9 steps"}]))
    most = Measurements(tmp_path / "runs" / "timeline").get("home.capacity")
    assert most is not None and most.interval.value == 2.5 * run.plan.load.rates["home"] and most.unit == "1/s"
    mine = fathom("estimate", "timeline", "--set", "home_service=1 ms", "--formula", "home_service")
    assert "1 ms  assumed, set" in mine.out
