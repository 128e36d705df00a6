"""As many tries as are wanted, whatever they say; void ones anew; and no more than there is time for."""

import time

import pytest

from fathom.cli.trust.experiment import Met, Wants
from fathom.cli.trust.session import tallies
from fathom.errors import FathomError
from tests.cli.trust.made_up import BROKEN, Made, answers_in, made_up, session

NEVER = Wants(4, most=0)


async def test_the_outcome_does_not_decide_how_many_tries_there_are(tmp_path):
    for name, answers in (("good", [False] * 9), ("bad", [True] * 9)):
        made, told = Made(*answers), []
        experiment = made_up(made, NEVER)
        await session([experiment], kept := answers_in(tmp_path / name), told).run()
        (tally,) = tallies([experiment], kept, False)
        assert (tally.n, tally.met) == (4, Met.MET if name == "good" else Met.NOT_MET)
        assert (made.up, made.ended) == (1, 1)  # warm from the first to the last
        assert "4 of 4" in told[-1] if name == "bad" else "0 of 4" in told[-1]


async def test_a_void_try_is_made_anew_and_counted_as_void(tmp_path):
    made = Made(False, None, False, None, False, False, False)
    experiment = made_up(made, NEVER)
    await session([experiment], kept := answers_in(tmp_path), []).run()
    (tally,) = tallies([experiment], kept, False)
    assert (tally.n, tally.void, tally.met) == (4, 2, Met.MET)
    assert len(set(made.seeds)) == 6  # each with a seed of its own


async def test_a_machine_on_which_all_is_void_is_given_up_and_nothing_is_claimed(tmp_path):
    experiment = made_up(Made(*[None] * 99), NEVER)
    await session([experiment], kept := answers_in(tmp_path), []).run()
    (tally,) = tallies([experiment], kept, False)
    assert (tally.n, tally.void, tally.met) == (0, 5, Met.CANT_TELL)


async def test_what_broke_is_brought_up_anew(tmp_path):
    made, told = Made(False, BROKEN, False, False, False), []
    experiment = made_up(made, NEVER)
    await session([experiment], kept := answers_in(tmp_path), told).run()
    (tally,) = tallies([experiment], kept, False)
    assert (tally.n, tally.void) == (4, 1) and (made.up, made.ended) == (2, 2)
    assert any("the service is gone: somebody killed it" in line for line in told)


async def test_an_interruption_loses_nothing(tmp_path):
    first = made_up(Made(False, False), NEVER)
    with pytest.raises(RuntimeError):  # it has no third answer: as good as a crash
        await session([first], answers_in(tmp_path), []).run()
    made = Made(True, True)
    second = made_up(made, NEVER)
    await session([second], kept := answers_in(tmp_path), []).run()
    (tally,) = tallies([second], kept, False)
    assert (tally.k, tally.n) == (2, 4) and made.seeds == [7_003, 7_004]


async def test_nothing_is_begun_that_would_end_too_late(tmp_path):
    made, told = Made(False, False, False, False), []
    experiment = made_up(made, NEVER, try_s=100.0)
    await session([experiment], kept := answers_in(tmp_path), told, ends_s=time.monotonic() + 50).run()
    (tally,) = tallies([experiment], kept, False)
    assert (tally.n, tally.met, made.up) == (0, Met.CANT_TELL, 0) and "no time is left for 4 more" in told[-1]


async def test_code_that_changes_meanwhile_ends_it_before_the_next_try(tmp_path):
    states = iter(["c0de", "c0de", "other"])
    made, kept = Made(False, False, False), answers_in(tmp_path)
    with pytest.raises(FathomError, match="the code has changed"):
        await session([made_up(made, NEVER)], kept, [], code=lambda: next(states)).run()
    assert len(kept.mine) == 2 and made.ended == made.up == 1
