"""Load: drawn beforehand, sent whatever happens, and nothing left out of the samples."""

from __future__ import annotations

import asyncio
import csv
import gc
import math
import time

import numpy as np
import pytest

from fathom.errors import FathomError
from fathom.history import Outcome
from fathom.lab.load import CENSORED, NEVER, OUTCOMES, Samples, Schedule, drive


def at_once(index, done) -> None:
    done(Outcome.OK)


def test_a_schedule_has_exactly_rate_times_length_of_each():
    schedule = Schedule.draw({"home": 200, "post": 5, "rare": 0.4}, 3, seed=7)
    assert schedule.ops == ("home", "post", "rare")
    assert np.bincount(schedule.op).tolist() == [600, 15, 1]
    assert (np.diff(schedule.intended_ns) >= 0).all()
    assert schedule.intended_ns[0] >= 0
    assert schedule.intended_ns[-1] < 3e9


def test_the_same_seed_draws_the_same_and_another_does_not():
    one, same, other = (Schedule.draw({"home": 100}, 1, seed) for seed in (1, 1, 2))
    assert (one.intended_ns == same.intended_ns).all()
    assert (one.intended_ns != other.intended_ns).any()


def test_an_operation_comes_at_the_same_times_whoever_its_neighbours_are():
    alone = Schedule.draw({"post": 50}, 2, seed=3)
    mixed = Schedule.draw({"home": 400, "post": 50}, 2, seed=3)
    assert (mixed.intended_ns[mixed.op == mixed.ops.index("post")] == alone.intended_ns).all()


def test_arrivals_are_those_of_independent_users():
    gaps_s = np.diff(Schedule.draw({"home": 1_000}, 100, seed=5).intended_ns) / 1e9
    assert gaps_s.std() / gaps_s.mean() == pytest.approx(1, abs=0.02)  # exponential gaps, not a metronome
    assert (gaps_s > 1e-3).mean() == pytest.approx(math.exp(-1), abs=0.01)


@pytest.mark.parametrize("rates", [{"home": -1}, {f"op{n}": 1 for n in range(101)}])
def test_a_load_that_cannot_be_is_refused(rates):
    with pytest.raises(ValueError, match="no load can be drawn"):
        Schedule.draw(rates, 1, 0)


async def test_every_request_is_fired_once_in_its_turn_and_not_before_its_time():
    schedule = Schedule.draw({"a": 1_000, "b": 500}, 0.1, seed=1)
    fired: list[int] = []

    def fire(index, done) -> None:
        fired.append(index)
        asyncio.get_running_loop().call_soon(done, Outcome.OK)

    samples = await drive(schedule, fire, drain_s=5)
    assert fired == list(range(150))
    assert (samples.sent_ns >= samples.intended_ns).all()
    assert (samples.done_ns >= samples.sent_ns).all()
    assert (samples.outcome == 0).all()
    assert (samples.of("a") == (schedule.op == 0)).all()


async def test_outcomes_are_kept_apart_and_only_success_has_a_latency():
    schedule = Schedule(["a"], [0] * 4, [0, 1, 2, 3], 1)
    outcomes = [Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN]

    def fire(index, done) -> None:
        if index < 3:
            done(outcomes[index])

    samples = await drive(schedule, fire, drain_s=0.01)
    assert [OUTCOMES[code] for code in samples.outcome] == ["ok", "failed", "unknown", "censored"]
    assert (samples.done_ns > 0).tolist() == [True, True, True, False]
    assert (samples.took_ns() == NEVER).tolist() == [False, True, True, True]
    assert math.isinf(samples.quantile("a", 0.99))
    assert samples.quantile("a", 0.25) < 1e9
    assert samples.waited_ns()[3] >= 0.01e9 * 0.9  # as long as anybody waited for it
    assert len(samples.histogram()) == 4  # nothing is left out


async def test_an_answer_that_comes_after_the_end_or_twice_changes_nothing():
    late = []

    def fire(index, done) -> None:
        if index == 0:
            done(Outcome.OK)
            done(Outcome.FAILED)
        else:
            late.append(done)

    samples = await drive(Schedule(["a"], [0, 0], [0, 0], 1), fire, drain_s=0.01)
    late[0](Outcome.OK)
    assert samples.outcome.tolist() == [0, CENSORED]
    assert samples.done_ns[1] == 0


@pytest.mark.quiet
async def test_a_stall_of_the_generator_is_in_the_latency_and_in_the_lag_and_nothing_is_dropped():
    schedule = Schedule.draw({"a": 1_000}, 0.2, seed=2)

    def fire(index, done) -> None:
        if index == 50:
            time.sleep(0.1)  # the whole process stands still
        done(Outcome.OK)

    samples = await drive(schedule, fire, drain_s=5)
    assert len(samples) == 200
    assert (samples.outcome == 0).all()
    stalled = (samples.intended_ns > samples.intended_ns[50]) & (samples.intended_ns < samples.sent_ns[50] + 0.09e9)
    assert stalled.sum() > 60
    assert samples.overdue[stalled].all()  # marked
    assert samples.lag_p99 > 0.09e9  # which no gate lets pass
    assert samples.quantile("a", 0.99) > 0.09e9
    assert samples.lag().quantile(0.99) == pytest.approx(samples.lag_p99, rel=0.001)


async def test_overdue_requests_go_at_once_and_answers_are_read_in_between():
    schedule = Schedule(["a"], np.zeros(1_000), np.zeros(1_000), 1)
    sent_at_first_answer: list[int] = []
    sent = 0

    def fire(index, done) -> None:
        nonlocal sent
        sent += 1
        asyncio.get_running_loop().call_soon(answer, done)

    def answer(done) -> None:
        sent_at_first_answer.append(sent)
        done(Outcome.OK)

    samples = await drive(schedule, fire, drain_s=5)
    assert (samples.outcome == 0).all()
    assert sent_at_first_answer[0] < 100


async def test_a_judge_says_what_an_answer_means():
    samples = await drive(
        Schedule(["a"], [0, 0], [0, 0], 1),
        lambda index, done: done(404 if index else 200),
        drain_s=1,
        judge=lambda status: Outcome.OK if status == 200 else Outcome.FAILED,
    )
    assert samples.outcome.tolist() == [0, 1]


async def test_what_breaks_the_load_is_raised_and_not_taken_for_a_result():
    with pytest.raises(ZeroDivisionError):
        await drive(Schedule(["a"], [0], [0], 1), lambda index, done: 1 / 0, drain_s=60)


async def test_an_empty_schedule_has_empty_samples():
    assert len(await drive(Schedule.draw({}, 1, 0), at_once, drain_s=60)) == 0


async def test_the_garbage_collector_is_left_as_it_was():
    before, aside = gc.get_threshold(), gc.get_freeze_count() > 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await drive(Schedule(["a"], [0], [0], 1), lambda index, done: None, drain_s=60)
    assert gc.get_threshold() == before
    assert (gc.get_freeze_count() > 0) == aside


async def test_samples_are_read_back_as_they_were_and_with_nothing_but_the_standard_library(tmp_path):
    file = tmp_path / "samples.csv"
    schedule = Schedule.draw({"home": 300, "post": 30}, 0.05, seed=9)
    samples = await drive(schedule, lambda i, done: None if i == 3 else done(Outcome.OK), drain_s=0.01)
    samples.write_csv(file)
    again = Samples.read_csv(file)
    for name in ("intended_ns", "sent_ns", "done_ns", "outcome"):
        assert (getattr(again, name) == getattr(samples, name)).all()
    assert [again.ops[code] for code in again.op] == [samples.ops[code] for code in samples.op]
    with file.open() as lines:
        rows = list(csv.DictReader(lines))
    assert [int(row["intended_ns"]) for row in rows] == schedule.intended_ns.tolist()
    assert rows[3]["outcome"] == "censored"


@pytest.mark.parametrize(
    "text",
    ["", "op\n", "op,intended_ns,sent_ns,done_ns,outcome\na,1,2,3,ok\na,1,x,3,ok\n"],
    ids=["empty", "head", "row"],
)
def test_a_file_that_holds_no_samples_is_refused_with_its_line(tmp_path, text):
    file = tmp_path / "samples.csv"
    file.write_text(text)
    with pytest.raises(FathomError, match=r"line [13] is not"):
        Samples.read_csv(file)


def test_probes_join_the_samples_with_an_operation_of_their_own():
    samples = Samples(["post"], [0], [1], [2], [5], [0])
    more = samples.plus([("seen", 5, 6, 9, Outcome.OK), ("seen", 7, 8, 0, None)])
    assert more.ops == ("post", "seen")
    assert more.took_ns("seen").tolist() == [4, NEVER]
    assert more.took_ns("post").tolist() == [4]
    assert samples.plus([]).ops == ("post",)
