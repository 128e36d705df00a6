"""The guides' worked examples come out of the cases, and a wrong formula or a wrong figure turns them red."""

import re

import pytest

from fathom.cli.figures import cases_of_systems
from fathom.lab.estimate import Case, Claim, case_of, cases, check, outlook, read, solve
from tests.features import feature

TOPICS = {topic: read(file) for topic, file in cases().items()}
OWN = {name: read(file, name) for name, file in cases_of_systems().items()}
CLAIMS = [(case, claim) for case in TOPICS.values() for claim in case.claims.values()]


@pytest.mark.parametrize(("case", "claim"), CLAIMS, ids=[f"{case.name}-{claim.id}" for case, claim in CLAIMS])
def test_a_claim_is_what_its_case_comes_to(case: Case, claim: Claim):
    found = check(case, claim)
    assert found.stands, found.why


def test_no_claim_is_made_twice():
    ids = [claim.id for _, claim in CLAIMS]
    assert len(ids) == len(set(ids))


@feature("SOCIAL-17", "METHOD-26")
def test_the_capacity_model_of_a_social_network_is_reproduced_and_mended():
    sheet = solve(TOPICS["social"])
    said = {name: sheet.told(name) for name in ("posts_per_day", "peak_posts_per_s", "views_per_day", "text_per_day")}
    assert said == {
        "posts_per_day": "250M/day",
        "peak_posts_per_s": "28,935/s",
        "views_per_day": "25B/day",
        "text_per_day": "125 GB/day",
    }
    assert sheet.told("peak_egress") == "28.9 GB/s", "twenty posts a view, not the one that the guide counts"
    assert sheet.told("stored_in_a_year") == "5.61 PB", "with the media that the guide forgets"


@feature("MSG-01")
def test_the_capacity_model_of_messages_is_reproduced_and_mended():
    sheet = solve(TOPICS["messages"])
    said = [sheet.told(name) for name in ("messages_per_day", "messages_per_s", "peak_messages_per_s")]
    assert said == ["25B/day", "289K/s", "868K/s"]
    assert sheet.told("one_copy_in_a_year") == "9.12 PB"
    assert sheet.told("shards_needed") == "2,282", "16 shards were sized by the mean of their writes alone"


@feature("KV-60")
def test_the_inner_operations_of_a_key_value_store_are_those_of_its_own_quorum():
    sheet = solve(TOPICS["key-value"])
    assert sheet.told("operations_per_s") == "1.05M/s"
    assert sheet.told("operations_if_all_are_asked") == "1.5M/s"


def _planted(case: Case, cell: str) -> Case:
    """The same case with this one formula wrong by a half more."""
    assert case.file
    text = case.file.read_text(encoding="utf-8")
    wrong, found = re.subn(rf'(?m)^({cell} = {{ derive = ")([^"]*)"', r'\1(\2) * 1.5"', text)
    assert found == 1, cell
    return case_of(case.name, wrong, case.file)


CHECKED = [
    (case, claim)
    for case, claim in CLAIMS
    if claim.cell and case.cell(claim.cell).derive is not None and (claim.right or claim.verdict != "wrong")
]


@pytest.mark.parametrize(("case", "claim"), CHECKED, ids=[f"{case.name}-{claim.id}" for case, claim in CHECKED])
def test_a_wrong_formula_turns_its_claims_red(case: Case, claim: Claim):
    found = check(_planted(case, claim.cell), claim.id)
    assert not found.stands
    assert "comes to" in found.why


@pytest.mark.parametrize(
    ("topic", "id", "planted"),
    [
        ("social", "CLM-206", {"claimed": "39K/s"}),  # a wrong figure of a guide is not said to hold
        ("social", "CLM-206", {"right": "28,936/s"}),  # nor is our own, by its last digit
        ("twitter", "CLM-032", {"verdict": "holds"}),  # nor a wrong verdict
        ("twitter", "CLM-032", {"claimed": "140M/s"}),  # nor is what is right said to be wrong
        ("file-sync", "CLM-150", {"unless": {}}),  # nor what depends on nothing to depend
        ("twitter", "CLM-028", {"given": {"threshold": "100K"}}),
    ],
)
def test_a_wrong_figure_or_verdict_turns_it_red(topic: str, id: str, planted: dict[str, object]):
    import msgspec

    case = TOPICS[topic]
    assert check(case, id).stands
    assert not check(case, msgspec.structs.replace(case.claims[id], **planted)).stands


@pytest.mark.parametrize("case", [*TOPICS.values(), *OWN.values()], ids=[*TOPICS, *OWN])
def test_every_case_can_be_drawn_grown_and_says_what_each_cell_is(case: Case):
    found = outlook(case, draws=200)
    assert all(found.spans[name].value == found.spans[name].value for name in case.cells), "no cell is nan"
    assert case.question.endswith("?")
    assert case.answers and case.grows
    assert all(found.swings[answer] for answer in case.answers)
    assert found.breaks, "it says what breaks first"


def test_a_cell_that_nothing_asks_for_is_an_answer_a_claims_or_says_why_it_stands_there():
    for case in TOPICS.values():
        asked = {name for cell in case.cells.values() if cell.formula for name in cell.formula.names}
        asked |= set(case.answers) | {claim.cell for claim in case.claims.values()}
        told = "\n".join([*(c.so for c in case.claims.values()), *(f"{x.load} {x.most}" for x in case.limits.values())])
        idle = [n for n, c in case.cells.items() if n not in asked and n not in told and c.derive is None]
        assert not idle, f"{case.name}: nothing is made of {idle}"


def test_the_envelope_of_another_widely_read_guide_comes_out_too():
    """The Twitter exercise of the System Design Primer: 6 thousand posts, 60 thousand deliveries a second, 150 TB."""
    case = case_of(
        "primer",
        """
        question = "What does it take?"
        [sheet.all]
        posts = { assume = "500M/day", unit = "1/day" }
        followers = { assume = 10 }
        size = { assume = "10 KB", unit = "KB" }
        reads = { assume = "250B/month", unit = "1/month" }
        deliveries = { derive = "posts * followers", unit = "1/s" }
        stored_in_a_month = { derive = "posts * size * 1 month", unit = "TB" }
        """,
    )
    sheet = solve(case)
    assert sheet.evaluate("posts").value == pytest.approx(6_000, rel=0.05)
    assert sheet.middle("deliveries") == pytest.approx(60_000, rel=0.05)
    assert sheet.middle("stored_in_a_month") == pytest.approx(150)
    assert sheet.evaluate("reads").value == pytest.approx(100_000, rel=0.05)
