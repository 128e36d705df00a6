"""The guides' figures are settled by what comes out: a wrong one that is planted turns red, every one of them."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import msgspec
import pytest

from fathom.cli import figures
from fathom.cli.asked import Took
from fathom.cli.commands import figures as command
from fathom.cli.figures import Figure, Said, Totals
from fathom.lab import estimate, latency
from fathom.lab.estimate import Case, Claim
from fathom.lab.latency.measured import Measured, Session, write
from fathom.systems import catalogue
from tests.lab.synthetic import write_finished

CASES = figures.all_cases()
SAID = figures.said()
FLIPPED = {"==": "!=", "<=": ">", ">=": "<", "<": ">=", ">": "<="}


@pytest.mark.slow
def test_at_least_150_figures_are_settled_by_what_comes_out(tmp_path: Path):
    found = figures.figures(SAID, CASES, tmp_path)
    red = [f"{figure.id}: {figure.why}" for figure in found if not figure.stands]
    assert not red, "\n".join(red)
    totals = Totals.of(found)
    assert totals.settled >= 150
    assert totals.status == {"derived": totals.settled}  # nothing was measured in this folder
    assert set(totals.verdict) == {"holds", "wrong", "depends"} and min(totals.verdict.values()) >= 20


def test_every_figure_is_said_in_a_sentence_once_and_settled_in_one_place():
    claimed = [claim.id for case in CASES for claim in case.claims.values()]
    assert sorted(claimed) == sorted(set(claimed)), "claimed in two cases"
    assert sorted(SAID.says) == sorted(claimed)
    more = {id: each.says for id, each in [*SAID.measured.items(), *SAID.judged.items()]}
    assert len(more) == len(SAID.measured) + len(SAID.judged) and not set(SAID.says) & set(more)
    for id, sentence in [*SAID.says.items(), *more.items()]:
        assert re.fullmatch(r"CLM-\d{3}", id)
        assert sentence.endswith(".") and len(sentence) < 120, sentence


def planted(claim: Claim) -> Claim:
    """Return the claim as somebody would have it who is wrong: the figure, the comparison, or when it holds."""
    if claim.unless:
        return msgspec.structs.replace(claim, given=claim.unless, unless=claim.given)
    if not claim.claimed:
        sign = next(sign for sign in FLIPPED if sign in claim.so)
        return msgspec.structs.replace(claim, so=claim.so.replace(sign, FLIPPED[sign], 1))
    if claim.verdict == "wrong":
        return msgspec.structs.replace(claim, claimed=claim.right)
    number = re.match(r"\$?([\d.,]+)", claim.claimed)
    assert number is not None
    other = f"{3 * float(number[1].replace(',', '')) + 1:g}"
    return msgspec.structs.replace(claim, claimed=claim.claimed.replace(number[1], other, 1))


@pytest.mark.slow
def test_a_wrong_figure_that_is_planted_turns_every_one_of_them_red():
    checked = 0
    for case in CASES:
        for claim in case.claims.values():
            checked += 1
            assert estimate.check(case, claim).stands, claim.id
            assert not estimate.check(case, planted(claim)).stands, claim.id
    assert checked >= 150


def changed(name: str, old: str, new: str) -> Case:
    """Return a case with a line of its file changed."""
    file = estimate.cases()[name]
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    return estimate.case_of(name, text.replace(old, new), file)


@pytest.mark.parametrize(
    ("name", "old", "new", "id"),
    [
        (
            "caching",
            'needed_hits = { derive = "1 - served / asked"',
            'needed_hits = { derive = "served / asked"',
            "074",
        ),
        ("promises", "unavailable * 30 day", "unavailable * 31 day", "201"),
        ("placement", "'placement.moved', 'modulo', '16', '17'", "'placement.moved', 'jump', '16', '17'", "162"),
        ("feeds", "'pages.seen', 'time', '7', '20'", "'pages.seen', 'id', '7', '20'", "089"),
    ],
)
def test_a_wrong_formula_that_is_planted_turns_its_figure_red(name: str, old: str, new: str, id: str):
    case = changed(name, old, new)
    found = {figure.id: figure for figure in figures.figures(Said(says={}, measured={}), [case], Path("nowhere"))}
    assert not found[f"CLM-{id}"].stands and not found[f"CLM-{id}"].is_settled
    assert "comes to" in found[f"CLM-{id}"].why


def test_a_figure_that_does_not_stand_ends_the_command_with_1_and_is_told(fathom, monkeypatch):
    monkeypatch.setattr(
        command, "all_cases", lambda: [changed("promises", "unavailable * 30 day", "unavailable * 3 day")]
    )
    said = fathom("figures", "promises")
    assert said.code == 1
    assert "CLM-201 is red: budget comes to 4.32 min" in said.out
    assert "6 of 10 are settled (6 derived)" in said.out


STATED = """
question = "What is worked out?"
[sheet.all]
a = { assume = "24 h", unit = "h" }
b = { derive = "a" }
c = { derive = "2 * b" }
d = { derive = "c" }
"""


@pytest.mark.parametrize(
    ("claim", "status"),
    [
        ('cell = "a"\nclaimed = "1 h"\nright = "24 h"\nverdict = "wrong"', "stated"),
        ('cell = "b"\nclaimed = "24 h"\nverdict = "holds"', "stated"),
        ('so = "3600 s"\nclaimed = "1 h"\nverdict = "holds"', "stated"),
        ('so = "to(a, \'min\')"\nclaimed = "1440 min"\nverdict = "holds"', "stated"),
        ('so = "a <= 30 h"\nverdict = "depends"\nunless = { a = "40 h" }', "stated"),
        ('so = "10% < 8 bit/B * (1 B) / (8 bit)"\nverdict = "holds"', "derived"),
        ('so = "(0 h if a > 3 h else a) < 10 h"\nverdict = "holds"', "stated"),
        ('so = "5 Mbit/s < 10 Mbit/s"\nverdict = "holds"', "stated"),
        ('cell = "c"\nclaimed = "48 h"\nverdict = "holds"', "derived"),
        ('cell = "d"\nclaimed = "48 h"\nverdict = "holds"', "derived"),
        ('so = "d > a"\nverdict = "holds"', "derived"),
        ('so = "ceil(5 h / 2 h) == 3"\nverdict = "holds"', "derived"),
        ("so = \"shown('order.concurrent', 'A1', 'B1')\"\nclaimed = \"1\"\nverdict = \"holds\"", "derived"),
    ],
)
def test_one_typed_number_beside_another_settles_nothing(claim: str, status: str):
    case = estimate.case_of("stated", f"{STATED}\n[claims.CLM-001]\n{claim}\n")
    (figure,) = figures.figures(Said(says={}), [case], Path("nowhere"))
    assert figure.stands, figure.why
    assert (figure.status, figure.is_settled) == (status, status == "derived")


def test_what_the_cases_only_state_is_told_and_not_counted(fathom):
    said = fathom("figures", "promises")
    assert "7 of 10 are settled (7 derived)" in said.out
    assert "3 are only stated, one typed number beside another, and count for nothing" in said.out
    assert "stated 24 h" in said.out, "what its case has written down is shown all the same"


# What is measured ----------------------------------------------------------------------------------------------------


def session(**medians_s: float) -> Session:
    rows = [
        Measured(name=name.replace("_", "-"), says="it", method="so", p5_s=at * 0.9, p50_s=at, p95_s=at * 1.1, n=50)
        for name, at in medians_s.items()
    ]
    return Session("2026-11-21T08:00:00+00:00", "a machine", "one core", rows)


def measured(tmp_path: Path, **medians_s: float) -> dict[str, Figure]:
    if medians_s:
        write(session(**medians_s), tmp_path)
    return {figure.id: figure for figure in figures.figures(Said(says={}, measured=SAID.measured), [], tmp_path)}


def test_who_measures_one_thing_again_unmeasures_no_other(tmp_path: Path):
    measured(tmp_path, main_memory=100e-9, postgres_commit=0.001)
    found = measured(tmp_path, main_memory=300e-9)
    assert (found["CLM-253"].verdict, found["CLM-034"].verdict) == ("wrong", "holds")
    failed = [Measured(name="main-memory", says="it", method="so", why_not="it broke")]
    write(Session("2026-11-21T09:00:00+00:00", "a machine", "one core", failed), tmp_path)
    assert measured(tmp_path)["CLM-253"].verdict == "wrong", "what could not be measured again was measured before"


def test_what_could_not_be_measured_here_says_why(tmp_path: Path):
    failed = [Measured(name="main-memory", says="it", method="so", why_not="it broke")]
    write(Session("2026-11-21T09:00:00+00:00", "a machine", "one core", failed), tmp_path)
    assert measured(tmp_path)["CLM-253"].because == "it broke"


def test_what_nobody_has_measured_here_is_not_settled(tmp_path: Path):
    found = measured(tmp_path)
    assert all(figure.verdict is None and figure.status == "unmeasured" for figure in found.values())
    assert Totals.of(list(found.values())).settled == 0


@pytest.mark.parametrize(
    ("at_s", "verdict"),
    [(100e-9, "holds"), (150e-9, "holds"), (20e-9, "wrong"), (300e-9, "wrong"), (195e-9, "depends")],
)
def test_a_time_about_which_something_is_said_is_judged_by_where_nine_in_ten_lie(tmp_path, at_s: float, verdict: str):
    figure = measured(tmp_path, main_memory=at_s)["CLM-253"]
    assert (figure.verdict, figure.status, figure.is_settled) == (verdict, "measured", True)
    assert figure.command == "fathom latency --only main-memory"


@pytest.mark.parametrize(("at_s", "verdict"), [(0.001, "holds"), (0.05, "depends"), (0.06, "wrong")])
def test_a_bound_holds_where_nearly_all_lie_below_it(tmp_path, at_s: float, verdict: str):
    assert measured(tmp_path, postgres_commit=at_s)["CLM-034"].verdict == verdict


@pytest.mark.slow
def test_a_dive_settles_what_is_said_of_its_operations(tmp_path: Path):
    run = write_finished(tmp_path)
    truth = {(f.approach, f.op, f.measure): f for f in run.findings if f.part == "duel" and f.how == "quantile"}
    found = measured(tmp_path)
    assert found["CLM-030"].verdict == "holds"
    p99 = truth["on-write", "home", "p99"]
    assert found["CLM-030"].found == str(Took(p99.value or 0, p99.low or 0, p99.high or 0, p99.n))
    assert found["CLM-035"].verdict == "wrong"  # pulled in 11 ms, not in 200
    assert found["CLM-101"].status == found["CLM-026"].status == "measured"
    assert found["CLM-030"].topic == "timeline" and found["CLM-030"].command == "fathom dive timeline celebrity"
    (run.folder / "findings.json").write_text("[]")
    assert measured(tmp_path)["CLM-030"].because == "no dive has measured it here"


@pytest.mark.slow
def test_every_thing_and_operation_that_a_figure_asks_for_can_be_measured():
    known = {thing.name for thing in latency.every_thing()}
    for id, asked in SAID.measured.items():
        assert bool(asked.most) != bool(asked.about), id
        assert bool(asked.thing) != bool(asked.dive), id
        if asked.thing:
            assert asked.thing in known, id
            continue
        system, dive = asked.dive.split()
        opened = catalogue()[system]
        assert dive in opened.dives, id
        assert any(asked.approach in question.approaches for question in opened.decisions.values()), id


# What is said --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_program_gets_all_of_them_with_their_totals(fathom):
    said = fathom("figures", "--json")
    assert said.code == 0, said.err
    totals, found = said.json["totals"], said.json["figures"]
    assert totals["settled"] == sum(figure["settled"] for figure in found) >= 150
    one = next(figure for figure in found if figure["id"] == "CLM-215")
    assert one == {
        "id": "CLM-215",
        "topic": "social",
        "says": SAID.says["CLM-215"],
        "status": "derived",
        "verdict": "wrong",
        "claimed": "1.45 GB/s",
        "found": "28.94 GB/s",
        "command": "fathom estimate social --formulas",
        "because": "a view shows a page of 20 posts, not one",
        "stands": True,
        "why": "",
        "source": "deep-dive-guide.md, Phase 2: Capacity Planning",
        "settled": True,
    }


@pytest.mark.slow
def test_a_person_reads_a_topic_or_one_figure(fathom):
    said = fathom("figures", "placement")
    assert "~ CLM-011" in said.out and "✗ CLM-162" in said.out and "✓ CLM-012" in said.out
    assert "CLM-215" not in said.out
    assert fathom("figures", "CLM-162").out.count("CLM-") == 1
    assert "· CLM-253" in fathom("figures", "latency").out
    fathom("figures", "placemant").is_told(code=64, what="no topic 'placemant'", fix="placement")


def test_totals_count_what_is_settled_alone():
    figure = Figure("CLM-001", "t", "s", "derived", "holds", "1", "1", "c")
    red = dataclasses.replace(figure, stands=False)
    open_ = dataclasses.replace(figure, status="unmeasured", verdict=None)
    judged = dataclasses.replace(figure, status="judged")
    assert Totals.of([figure, red, open_, judged]) == Totals(4, 1, {"derived": 1}, {"holds": 1})


def test_what_is_only_judged_says_so_and_counts_for_nothing(fathom):
    said = fathom("figures", "judged")
    assert f"0 of {len(SAID.judged)} are settled\n{len(SAID.judged)} are only judged, and count for nothing" in said.out
    assert all(not figure["settled"] for figure in fathom("figures", "judged", "--json").json["figures"])
