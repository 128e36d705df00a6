"""What is offered is asked at its time, what is acknowledged is probed, and what broke is told apart."""

import asyncio

import numpy as np
import pytest

from fathom.engines.engine import EngineDown, EngineUnknown
from fathom.errors import FathomError, Refusal
from fathom.history import Outcome
from fathom.lab.body import Contender, Recorder, outcome_of
from fathom.lab.dive import Dive, Load, op, probe
from fathom.lab.load import Samples, Schedule
from fathom.lab.offer import Offered, Offering


class Memory:
    """A client that remembers, in this process; `shows_after` is how often it has to be asked."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.asked = 0
        self.shows_after = 3

    async def say(self, word: str, loud: bool = False) -> int:
        self.said.append(word)
        return len(self.said)

    async def shows(self, word: str) -> bool:
        self.asked += 1
        return self.asked >= self.shows_after

    async def fail(self, how: BaseException) -> None:
        raise how


class Saying(Dive):
    load = Load(say=100, lasts_s=0.2)

    @op
    async def say(self, client, turn):
        await client.say(f"word-{turn.dice.randrange(100)}", loud=True)
        return "answer"

    @probe(after=say)
    async def seen(self, client, turn, answer):
        return await client.shows(answer)

    def degraded(self, op, answer):
        return answer == "answer"


def contender(dive=Saying, client=None) -> Contender:
    return Contender("one", "one", None, dive(), client or Memory(), Recorder())  # pyright: ignore[reportArgumentType]


async def offered(who: Contender, rate: float = 50, *, kept: float = 0.0, seed: int = 1):
    schedule = Schedule.draw({"say": rate}, 0.1, seed)
    return await Offering(who, 1, 7, "test", kept=kept).through(schedule, drain_s=1.0)


async def test_everything_is_offered_and_every_acknowledgement_probed():
    client = Memory()
    got = await offered(contender(client=client))
    assert got.offered == got.done == {"say": 5} and got.censored == 0
    assert sorted(got.samples.ops) == ["say", "seen"] and int(got.samples.of("seen").sum()) == 5
    assert client.asked >= 7  # one of the five had to ask three times
    assert len(got.degraded_s) == 5


async def test_two_contenders_are_asked_the_same():
    words = []
    for _ in range(2):
        who = contender()
        await offered(who)
        words.append(who.client.said)
    assert words[0] == words[1] and len(set(words[0])) > 1


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [
        (EngineDown("down", why="killed", fix="wait"), Outcome.FAILED),
        (EngineUnknown("lost", why="killed", fix="read"), Outcome.UNKNOWN),
        (TimeoutError(), Outcome.UNKNOWN),
        (asyncio.CancelledError(), Outcome.UNKNOWN),
        (Refusal("conflict", "no"), Outcome.FAILED),
        (ConnectionRefusedError(), Outcome.FAILED),
    ],
)
def test_a_timeout_is_unknown_and_a_refusal_failed(raised, outcome):
    assert outcome_of(raised) is outcome


async def test_what_fails_is_counted_and_is_no_fault_of_the_dive():
    class Failing(Saying):
        @op
        async def say(self, client, turn):
            await client.fail(TimeoutError() if turn.index % 2 else Refusal("unavailable", "later"))

        load = Load(say=100, lasts_s=0.2)

        @probe(after=say)
        async def seen(self, client, turn, answer): ...

    got = await offered(contender(Failing))
    assert got.done == {"say": 0} and list(got.samples.ops) == ["say"]
    assert {int(code) for code in got.samples.outcome} == {1, 2}


async def test_a_dive_that_is_wrong_itself_is_told_from_a_system_that_fails():
    class Wrong(Saying):
        @op
        async def say(self, client, turn):
            raise KeyError("a typo")

        load = Load(say=100, lasts_s=0.2)

        @probe(after=say)
        async def seen(self, client, turn, answer): ...

    with pytest.raises(FathomError, match="an operation of Wrong broke"):
        await offered(contender(Wrong))


async def test_a_probe_that_never_comes_true_stays_open():
    client = Memory()
    client.shows_after = 10**9
    schedule = Schedule.draw({"say": 20}, 0.1, 1)
    offering = Offering(contender(client=client), 1, 7, "test")
    got = await offering.through(schedule, drain_s=0.1)
    assert list(got.samples.outcome[got.samples.of("seen")]) == [3, 3]
    assert await offering.still_open() == 2
    client.shows_after = 0  # it was only slow
    assert await offering.still_open() == 0


# ── the record of what was asked ──────────────────────────────────────────────────────────────────────────────────


class Asked:
    """A protocol, for the order of arguments."""

    async def say(self, word: str, loud: bool = False) -> int: ...

    async def fail(self, how: object) -> None: ...


async def test_a_history_has_every_call_in_order_with_its_arguments_by_place():
    recorder = Recorder(Asked)
    client = recorder.beside(Memory(), "caller")
    await client.say(loud=True, word="hello")
    with pytest.raises(TimeoutError):
        await client.fail(TimeoutError("late"))
    with pytest.raises(Refusal):
        await client.fail(Refusal("conflict", "no"))
    history = recorder.history({"words": [1]}, [call for call in recorder.calls if call.verb == "say"])
    given, said = history.ops
    assert (given.index, given.call, given.answer) == (-1, "given", {"words": [1]})
    assert (said.asked, said.answer, said.outcome, said.caller) == (["hello", True], 1, Outcome.OK, "caller")
    late, no = (call for call in recorder.calls if call.verb == "fail")
    assert late.outcome is Outcome.UNKNOWN and late.end_s is None  # it may yet happen
    assert no.outcome is Outcome.FAILED and no.end_s is not None and no.error == "no"


@pytest.mark.slow
async def test_only_what_changes_and_a_share_of_reads_is_kept():
    class Reading(Dive):
        load = Load(say=100, lasts_s=0.2)

        @op(reads=True)
        async def say(self, client, turn):
            await client.say("word")

    for kept, least, most in ((0.0, 0, 0), (1.0, 40, 40), (0.5, 8, 32)):
        who = contender(Reading)
        await offered(who, 400, kept=kept)
        assert least <= len(who.recorder.calls) <= most
        assert not any(call.changes for call in who.recorder.calls)


def thirds_of(took_ms) -> tuple[float, float]:
    """The thirds of a second in which 900 requests took so long, in the order in which they were due."""
    due = np.linspace(0, 1e9, 900, endpoint=False).astype(np.int64)
    rows = Samples(["say"], np.zeros(900, int), due, due, due + (np.asarray(took_ms) * 1e6).astype(np.int64), [0] * 900)
    ((first, last),) = Offered(rows, {"say": 900}, {"say": 900}, []).thirds_s(1.0)
    return first, last


def test_a_burst_in_the_last_third_is_told_from_a_queue_that_never_empties():
    burst = np.where((np.arange(900) > 620) & (np.arange(900) < 860), 40.0, 1.0)  # 80 % of the last third is slow
    assert thirds_of(burst) == pytest.approx((0.001, 0.001))
    first, last = thirds_of(np.linspace(1, 60, 900))
    assert last > 5 * first
