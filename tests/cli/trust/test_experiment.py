"""A claim is met when even the worst that the tries leave possible is good enough; never and always are not excused."""

import pytest

from fathom.cli.trust.experiment import Met, Row, Said, Tally, Try, Wants

FEW = Wants(300, most=0.02)
MANY = Wants(100, least=0.9)


@pytest.mark.parametrize(
    ("wants", "k", "n", "met"),
    [
        (FEW, 0, 300, Met.MET),
        (FEW, 1, 300, Met.MET),
        (FEW, 2, 300, Met.CANT_TELL),  # 0.67 % of 300 may as well come of 2.4 %
        (FEW, 30, 300, Met.NOT_MET),
        (FEW, 0, 40, Met.CANT_TELL),  # too early to be sure of
        (FEW, 40, 40, Met.NOT_MET),  # and never too early to be refuted
        (MANY, 100, 100, Met.MET),
        (MANY, 96, 100, Met.MET),
        (MANY, 94, 100, Met.CANT_TELL),
        (MANY, 50, 100, Met.NOT_MET),
        (MANY, 30, 30, Met.CANT_TELL),
        (MANY, 0, 10, Met.NOT_MET),
        (Wants(100, most=0), 0, 100, Met.MET),
        (Wants(100, most=0), 1, 100, Met.NOT_MET),
        (Wants(100, most=0), 1, 5, Met.NOT_MET),
        (Wants(100, most=0), 0, 5, Met.CANT_TELL),
        (Wants(10, least=1), 10, 10, Met.MET),
        (Wants(10, least=1), 9, 10, Met.NOT_MET),
        (Wants(1, least=1), 0, 0, Met.CANT_TELL),
    ],
)
def test_a_claim_is_met_only_if_the_whole_range_is(wants, k, n, met):
    assert wants.judge(k, n) is met


def test_a_want_is_written_as_it_is_said():
    assert [str(w) for w in (FEW, MANY, Wants(1, most=0), Wants(1, least=1))] == [
        "at most 2 %",
        "at least 90 %",
        "never",
        "always",
    ]


def tried(*answers: bool | None) -> list[Try]:
    return [
        Try(
            experiment="e",
            number=n,
            seed=n,
            at="",
            took_s=1.0,
            said={"r": Said(a, f"try {n}")},
            code="",
            machine="",
        )
        for n, a in enumerate(answers)
    ]


def test_void_tries_count_for_nothing_and_are_told():
    row = Row(name="r", truth="", counts="", short=FEW, full=FEW)
    tally = Tally.of(row, tried(False, None, False, True, None), full=False)
    assert (tally.k, tally.n, tally.void) == (1, 3, 2)


def test_what_speaks_against_a_claim_is_what_is_shown():
    def shown(wants: Wants, *answers: bool | None) -> str:
        row = Row(name="r", truth="", counts="", short=wants, full=wants)
        return Tally.of(row, tried(*answers), full=True).last

    assert shown(FEW, False, True, False) == "try 1"
    assert shown(MANY, True, False, True) == "try 1"
    assert shown(MANY, True, True, None) == "try 1"
    assert shown(MANY, None) == "try 0"
    assert shown(MANY) == ""
