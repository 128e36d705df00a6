"""The three voices say the findings and nothing else, as they have said them before."""

import io
import os
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

import fathom
from fathom.lab import figures
from fathom.lab.record import Facts, show, voices
from fathom.lab.record.blocks import Story
from fathom.lab.record.html import html
from fathom.lab.record.svg import Linear, Log, apart
from fathom.lab.runs import BREACHES_MAX, Change, Finding, Run
from fathom.lab.verdicts import conclude
from tests.lab.synthetic import World, altered, write_finished, write_run

SAID = Path(__file__).parent / "said"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return write_finished(tmp_path_factory.mktemp("runs"))


def terminal(run: Run, found=None, width: int = 100, colour: bool = False) -> str:
    out = io.StringIO()
    show(Console(file=out, width=width, force_terminal=colour), Facts(run, found or run.findings))
    return out.getvalue()


def said_before(name: str, text: str) -> None:
    """Hold a text against the one that was looked at; SAID=again takes the new one for good."""
    text = text.replace(f"Fathom {fathom.__version__}", "Fathom 0.1.0")
    text = re.sub(r"\b[0-9a-f]{16}\b", "b1d9e0cf8a7b6c5d", text)  # the plan's hash has the version in it
    file = SAID / name
    if os.environ.get("SAID") == "again":
        SAID.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"{name} says something else: look at it, then SAID=again"


@pytest.mark.slow
def test_the_terminal_says_what_it_said(run):
    text = terminal(run).replace(str(run.folder), "runs/timeline/celebrity/2026-11-20T08-41-07")
    said_before("terminal.txt", text)


@pytest.mark.slow
def test_the_markdown_says_what_it_said(run):
    said_before("record.md", (run.folder / "record.md").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_page_says_what_it_said(run):
    page = (run.folder / "record.html").read_text(encoding="utf-8")
    said_before("record.html", re.sub(r"<style>.*?</style>", "<style></style>", page, flags=re.DOTALL))


@pytest.mark.slow
def test_there_is_no_colour_off_a_terminal_and_no_trailing_space(run, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b" not in terminal(run) and "\x1b" in terminal(run, colour=True)
    assert not [line for line in terminal(run).splitlines() if line != line.rstrip()]


@pytest.mark.slow
@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_table_fits_the_terminal(run, width):
    lines = terminal(run, width=width).splitlines()
    path = str(run.folder)
    assert max(len(line) for line in lines if path not in line) <= width


@pytest.mark.slow
def test_the_five_parts_come_first_and_in_their_order(run):
    titles = re.findall(r"^## (.+)$", (run.folder / "record.md").read_text(), flags=re.MULTILINE)
    assert titles[:5] == ["Problem", "Approaches", "Trade-offs", "Decision", "Failure modes"]
    assert titles[5:] == ["At scale", "What was not measured", "How to repeat"]


class Page(HTMLParser):
    """What a browser would make of the page: what it asks for, and whether every element is closed."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asks: list[str] = []
        self.tags: set[str] = set()
        self.anchors: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "xlink:href"):
                self.asks.append(value)
            if name == "data-finding":
                self.anchors.append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.slow
def test_the_page_stands_alone(run):
    text = (run.folder / "record.html").read_text()
    page = Page(text)
    assert not page.open and not page.asks and "script" not in page.tags
    assert "url(" not in text and "@import" not in text and "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text and "@media print" in text
    assert len(text) < 400_000


@pytest.mark.slow
def test_the_page_shows_where_the_cheapest_changes_before_anything_else(run):
    page = (run.folder / "record.html").read_text()
    hero = page[page.index('<figure class="hero">') : page.index("<h2>Problem</h2>")]
    assert "CPU of an average operation, logarithmic" in hero and ">fans, logarithmic<" in hero
    for name in ("hybrid", "on-read", "on-write"):
        assert re.search(rf'class="label s\d">{name}<', hero), "each line has its name at its end, and no legend"
    mattering = [f for f in run.findings if f.how == "crossing" and f.detail["matters"]]
    assert mattering and hero.count('class="ring"') == 2 * len(mattering), "in the wide picture and in the narrow one"
    for crossing in mattering:
        assert f'data-finding="{crossing.id}">≈ ' in hero
    assert ">on-write cheapest<" in hero and ">hybrid cheapest<" in hero


@pytest.mark.slow
def test_a_course_of_a_fault_has_marks_where_it_was_killed_and_where_it_was_back(run):
    page = (run.folder / "record.html").read_text()
    course = page[page.index('aria-label="cache (Redis 6.2.14) killed from 4 to 7 s: latency') :].partition("</svg>")[0]
    assert course.count('class="did"') == 2 * 3, "a kill and a return for each of three approaches"
    assert course.count(">killed<") == 1 and course.count(">back<") == 1


@pytest.mark.slow
def test_every_number_on_the_page_is_a_finding(run):
    """Each shown number carries the id of a finding and is what that finding says."""
    found = {f.id: f for f in run.findings}
    page = (run.folder / "record.html").read_text()
    shown = re.findall(r'<(?:span|s) class="num" data-finding="([^"]+)"[^>]*>([^<]*?)\s*<', page)
    assert len(shown) > 80
    assert [id for id, text in shown if figures.value_of(found[id]) != text] == []
    assert set(Page(page).anchors) <= set(found)


@pytest.mark.slow
def test_every_number_has_its_spread_or_the_word_exact_and_its_count(run):
    text = (run.folder / "record.md").read_text()
    tables = [block for block in text.split("\n\n") if block.startswith(("| Work", "| CPU"))]
    assert len(tables) == 2
    for table in tables:
        for row in table.splitlines()[2:]:
            label, _, *numbers = [cell.strip() for cell in row.strip("|").split("|")]
            assert not label or re.search(r"\((exact, )?n [\d,]+", label)
            if "CPU" in table:
                assert all(re.fullmatch(r"\S+ (s|ms|µs) \(\S+–\S+\)", number) for number in numbers), row


@pytest.mark.slow
def test_numbers_of_one_that_broke_a_law_are_struck_through_everywhere(tmp_path):
    run = write_run(tmp_path, World(broken="on-write", blocks=6, faults=False))
    found = conclude(run)
    said = voices(run, found)
    assert "~~3,005" in said["record.md"] and '<s class="num" data-finding="census/on-write/' in said["record.html"]
    assert "on-write broke each follower sees each post once at least 1 time: its numbers are void" in said["record.md"]
    assert "3,005 void" in terminal(run, found)
    for text in (said["record.md"].partition("## Decision")[2].partition("##")[0], terminal(run, found)):
        assert not re.search(r"on-write is cheaper|from on-write|to on-write|on-write costs less", text)
    assert not re.search(r'<span class="num" data-finding="census/on-write/', said["record.html"])


@pytest.mark.slow
def test_a_terminal_ends_with_the_verdict_in_three_lines_and_where_the_run_lies(run):
    lines = terminal(run, width=400).splitlines()
    at = lines.index("the verdict")
    take, flips, broken = lines[at + 1 : at + 4]
    assert take == "take    on-write at 100 fans, on-read at 3,000 fans, hybrid at 30,000 fans"
    assert "from on-write to on-read near " in flips and "from on-read to hybrid near " in flips
    assert re.search(r"at 3,000 fans from on-read to on-write above [\d.]+ \([\d.]+–[\d.]+\) home per post", flips)
    assert broken.startswith("broken  Redis killed for 3 s: hybrid 9 failed, 12 unknown, lost 0; on-read failed nobody")
    assert lines[at + 4 :] == ["", str(run.folder)]


@pytest.mark.slow
def test_the_verdict_says_so_where_nothing_was_broken_and_nothing_is_known_to_flip(tmp_path):
    costs = {"hybrid": World().costs["hybrid"]}
    lines = terminal(write_finished(tmp_path, World(costs=costs, blocks=0, faults=False)), width=400).splitlines()
    at = lines.index("the verdict")
    assert lines[at + 1] == "take    hybrid at 100 fans, can't tell at 3,000 fans, hybrid at 30,000 fans"
    assert lines[at + 2 : at + 4] == ["flips   nowhere that this run could tell", "broken  nothing was"]


# What is said of a fault, in a line --------------------------------------------------------------------------------


def broken(run: Run, found) -> str:
    return next(line for line in terminal(run, found, width=2_000).splitlines() if line.startswith("broken  "))


def calm(run: Run) -> list[Finding]:
    """The findings of a run, as if every request had been answered."""
    fine = {"value": 0.0, "low": 0.0, "high": 0.0, "exact": True}
    return [replace(f, **fine) if f.measure in ("failed", "unknown") else f for f in run.findings]


@pytest.mark.slow
def test_that_nothing_was_lost_is_said_only_where_somebody_looked(run):
    found = calm(run)
    assert "no request failed, nothing that was acknowledged was lost" in broken(run, found)
    unseen = [f for f in found if not f.id.startswith("trial/on-read/0/lost")]
    assert broken(run, unseen).endswith("no request failed; whether anything was lost is not known")


@pytest.mark.slow
def test_what_most_injections_did_not_lose_is_still_lost(tmp_path):
    run = write_run(tmp_path, World(injections=5, blocks=0))
    lost = {number: each for number, each in zip(range(0, 10, 2), (0, 0, 0, 700, 900), strict=True)}
    for trial in run.trials:
        trial.alone, trial.lost = True, lost.get(trial.fault, 0) if trial.approach == "on-read" else 0
    assert "on-read failed nobody, lost 0 (0–900)" in broken(run, conclude(run))
    for trial in run.trials:
        trial.lost = BREACHES_MAX if trial.fault == 4 else 0
    assert "on-read failed nobody, lost 0 (0–∞)" in broken(run, conclude(run)), "nobody counted further"


def voided(run: Run, *approaches: str) -> list[Finding]:
    for segment in run.segments:
        if segment.part == "trial" and segment.approach in approaches:
            segment.valid = segment.gates[0].ok = False
    return conclude(run)


@pytest.mark.slow
def test_a_voided_trial_is_named_and_speaks_for_nobody(tmp_path):
    run = write_run(tmp_path, World(blocks=0))
    line = broken(run, voided(run, "hybrid", "on-write"))
    assert "on-read failed nobody, lost 0; hybrid: void, a gate tripped: steal" in line and "on-write: void" in line
    assert "no request failed" not in line
    line = broken(run, voided(run, "on-read"))
    assert line.startswith("broken  can't tell: hybrid: void, a gate tripped: steal") and "on-read: void" in line


# Who may be taken where ----------------------------------------------------------------------------------------------


def decided(run: Run, point: int, **fields) -> str:
    found = [replace(f, **fields) if f.id == f"decision/{point}" else f for f in run.findings]
    page = voices(run, found)["record.html"]
    return page[page.index('<figure class="hero">') :].partition("</figure>")[0]


@pytest.mark.slow
def test_only_who_is_taken_is_drawn_as_sure(run):
    assert ">hybrid cheapest<" in decided(run, 30_000)
    hero = decided(run, 30_000, verdict="can't tell", detail={"unclear": []})
    assert ">can't tell<" in hero
    assert ">hybrid cheapest<" not in hero and 'class="strip twin"' in hero
    assert ">hybrid or on-read<" in decided(run, 30_000, verdict="can't tell", detail={"unclear": ["on-read"]})


@pytest.mark.slow
def test_those_that_cost_the_same_are_not_drawn_as_if_nobody_could_tell(run):
    same = {"verdict": "equivalent", "detail": {"same": ["on-read", "on-write"]}}
    hero = decided(run, 30_000, **same)
    assert ">the same<" in hero and ">can't tell<" not in hero


@pytest.mark.slow
def test_who_is_taken_beside_one_that_is_out_need_not_be_the_cheapest(run):
    hero = decided(run, 30_000, detail={"out": {"on-read": "it broke a law"}})
    assert ">take hybrid<" in hero and ">hybrid cheapest<" not in hero


@pytest.mark.slow
def test_where_none_will_do_nobody_is_named(run):
    hero = decided(run, 30_000, verdict="none", approach=None)
    assert "> cheapest<" not in hero and ">hybrid cheapest<" not in hero and ">on-write cheapest<" in hero


@pytest.mark.slow
def test_a_value_without_a_cost_keeps_its_place_on_the_page(run):
    found = [f for f in run.findings if not (f.how == "cost" and f.point == 100)]
    page = voices(run, found)["record.html"]
    hero = page[page.index('<figure class="hero">') :].partition("</svg>")[0]
    ticks = [float(x) for x in re.findall(r'<text x="([-\d.]+)" y="[\d.]+" text-anchor="middle" class="tick">', hero)]
    assert len(ticks) == 3 and ticks == sorted(ticks) and ticks[0] > 58, "inside the frame"


@pytest.mark.slow
def test_whoever_cannot_be_told_apart_is_named(run):
    many = {"verdict": "can't tell", "approach": "hybrid", "detail": {"unclear": ["on-read", "on-write"]}}
    found = [replace(f, **many) if f.id == "decision/100" else f for f in run.findings]
    assert "take    can't tell between hybrid, on-read and on-write at 100 fans" in terminal(run, found, width=400)


@pytest.mark.slow
def test_paper_has_the_placement_and_says_what_it_leaves_out(run):
    repeat = (run.folder / "record.html").read_text().partition("<h2>How to repeat</h2>")[2]
    assert "Placement" in repeat.partition('<div class="aside">')[0]
    left_out = repeat.partition("Left out on paper, and in record.html: ")[2].partition("</p>")[0]
    assert left_out.startswith("the rates that were really offered, some pictures, ")
    assert left_out.endswith("the machine's own measurements and the gates.")
    assert "hold-out" not in left_out, "there was none"
    bare = Story(title="x", about="", changed="", short=[], hero=None, sections=[])
    assert "Left out" not in html(bare, Facts(run, run.findings))


@pytest.mark.slow
def test_what_proves_that_a_law_is_broken_is_told_in_words_in_all_voices(tmp_path):
    run = write_run(tmp_path, World(broken="on-write", blocks=0, faults=False))
    found = conclude(run)
    said, shown = voices(run, found), terminal(run, found)
    seen = "2. at 2.31 s, when all had settled, user 7's home, complete down to 9, showed 12 2 times"
    assert f"1. at 1.20 s user 17 posted '\\*x\\* &lt;b>' (id 12)\n{seen}" in said["record.md"]
    assert "<ol><li>at 1.20 s user 17 posted '*x* &lt;b&gt;' (id 12)</li><li>at 2.31 s" in said["record.html"]
    assert "on-write broke each follower sees each post once" in said["record.md"]
    lines = [line.strip() for line in shown.splitlines()]
    at = lines.index("The 2 operations that prove it:")
    assert lines[at - 1].endswith("reader 7 sees post 12 twice") or lines[at - 2].startswith("✗ on-write keeps")
    assert lines[at + 1] == "1. at 1.20 s user 17 posted '*x* <b>' (id 12)" and seen.startswith(lines[at + 2])


@pytest.mark.slow
def test_a_run_that_is_void_because_all_broke_a_law_shows_the_proof_and_no_number(tmp_path):
    run = write_run(tmp_path, World(broken="on-write", costs={"on-write": World().costs["on-write"]}, blocks=0))
    altered(run.folder / "manifest.json", '"state": "complete"', '"state": "void"')
    void = Run(run.folder)
    text = terminal(void, conclude(void))
    assert "1. at 1.20 s user 17 posted" in text and "CPU" not in text and "take" not in text


@pytest.mark.slow
def test_what_is_not_as_by_default_is_said_at_the_head_and_beside_the_verdict_in_all_voices(tmp_path):
    run = write_run(tmp_path, World(blocks=0, faults=False))
    plan = run.plan
    plan.changed = [Change(kind="knob", name="fame", value=500, default=10_000, of=["hybrid"])]
    (run.folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    read = Run(run.folder)
    found = conclude(read)
    said, shown = voices(read, found), terminal(read, found)
    says = "fame = 500 instead of 10,000 (hybrid)"
    head = said["record.md"].partition("**In short**")[0]
    assert f"**Not the default: {says}**" in head and "hybrid with fame = 500" in said["record.md"]
    assert f'<p class="changed">Not the default: {says}</p>' in said["record.html"].partition('class="short"')[0]
    for text in (said["record.md"], said["record.html"], shown):
        assert text.count(says) == (1 if text is shown else 2), "in a file at the head, too"
        assert "hybrid with fame = 500" in text
    lines = shown.splitlines()
    assert lines[lines.index(f"≠ not the default: {says}") + 1].startswith("→ At 100 fans")


@pytest.mark.slow
def test_no_result_is_told_of_a_void_run(tmp_path):
    run = write_run(tmp_path, World(blocks=0, faults=False))
    altered(run.folder / "manifest.json", '"state": "complete"', '"state": "void"')
    altered(run.folder / "manifest.json", '"why": null', '"why": "the host gave our cores to others"')
    void = Run(run.folder)
    text = terminal(void, conclude(void))
    assert "void: the host gave our cores to others" in text and "CPU" not in text and "take" not in text


@pytest.mark.slow
def test_a_dive_of_one_approach_one_operation_and_words_for_values_has_a_record(tmp_path):
    def one(region: object):
        return {"home": {"cpu": 1e-3, "commands": 2}, "post": {"cpu": 1e-3, "commands": 2}}

    run = write_run(tmp_path, World(costs={"hybrid": one}, latency_ms={"hybrid": 2}, blocks=0, faults=False))
    for file in ("plan.json", "segments.jsonl"):
        text = (run.folder / file).read_text()
        text = re.sub(r'"point":(100|3000|30000)\b', r'"point":"r\1"', text)
        text = re.sub(r'"values": \[[^\]]*\]', '"values": ["r100", "r3000", "r30000"]', text)
        (run.folder / file).write_text(text)
    read = Run(run.folder)
    found = conclude(read)
    said = voices(read, found)
    assert "At r3000 fans **take hybrid**: it is the only one" in said["record.md"]
    Page(said["record.html"])
    assert "r3000" in terminal(read, found)


@pytest.mark.slow
def test_a_fault_that_was_injected_several_times_is_one_story(tmp_path):
    run = write_run(tmp_path, World(injections=3, blocks=0))
    found = conclude(run)
    text = voices(run, found)["record.md"]
    assert text.count("killed from 4 to 7 s**, 3 times") == 1 and text.count("and wiped**, 3 times") == 1
    assert "killed from 4 to 7 s, 3 times" in terminal(run, found)


@pytest.mark.slow
def test_texts_from_outside_cannot_become_markup(tmp_path):
    run = write_run(tmp_path, World(blocks=0, faults=False))
    text = (
        (run.folder / "plan.json").read_text().replace("When a celebrity", "<script>alert(1)</script>When a | *star*")
    )
    (run.folder / "plan.json").write_text(text)
    read = Run(run.folder)
    said = voices(read, conclude(read))
    assert "<script>" not in said["record.html"] and "script" not in Page(said["record.html"]).tags
    assert "<script>" not in said["record.md"]


# How numbers are written ---------------------------------------------------------------------------------------------


def number(value, low=None, high=None, unit="", how="cpu", **more) -> Finding:
    return Finding(id="x", part="x", how=how, command="c", value=value, low=low, high=high, unit=unit, n=3, **more)


@pytest.mark.parametrize(
    ("finding", "value", "spread"),
    [
        (number(0.0412, 0.0389, 0.0447, "s"), "41.2 ms", "38.9–44.7"),
        (number(0.0009996, 0.0009, 0.0011, "s"), "1.00 ms", "0.900–1.10"),
        (number(2.5e-7, 2e-7, 3e-7, "s"), "250 ns", "200–300"),
        (number(31_007, 31_007, 31_007, how="count", exact=True), "31,007", "exact"),
        (number(2.4876, 2.386, 2.609, "x"), "2.49x", "2.39–2.61"),
        (number(1_234_567, 1_200_000, 1_300_000, "bytes"), "1.23 MB", "1.20–1.30"),
        (number(None, 9.0, None, "s"), "–", "9.00–∞"),
        (number(1.0, None, None, "s"), "1.00 s", "no interval"),
        (number(11_200, 11_197, 11_204, "bytes"), "11.2 kB", "11.197–11.204"),
        (number(0.0, 0.0, 0.0, "s"), "0 s", "0–0"),
    ],
)
def test_a_number_is_written_with_three_digits_and_its_spread_in_the_same_unit(finding, value, spread):
    assert figures.value_of(finding) == value and figures.spread_of(finding) == spread


def test_labels_keep_out_of_each_others_way():
    moved = apart([10.0, 11.0, 12.0, 90.0], 15.0, 0.0, 100.0)
    assert all(b - a >= 14.9 for a, b in pairwise(moved)) and max(moved) <= 100
    assert apart([10.0, 80.0], 15.0, 0.0, 100.0) == [10.0, 80.0]


def test_ticks_are_round_and_inside():
    assert Log(0.0003, 0.02, 0, 1).ticks() == pytest.approx([0.0005, 0.001, 0.002, 0.005, 0.01, 0.02])
    assert Linear(0, 16, 0, 1).ticks() == [0, 2, 4, 6, 8, 10, 12, 14, 16]
    wide = Log(1e-6, 1e6, 0, 1).ticks()
    assert len(wide) <= 6 and all(1e-6 <= t <= 1e6 for t in wide)
