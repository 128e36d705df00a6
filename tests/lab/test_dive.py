"""The grammar of a dive refuses what cannot be meant, and has three truth values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from fathom.design import Decision, System, ms, s
from fathom.errors import FathomError
from fathom.lab.dive import (
    Dive,
    Estimate,
    Found,
    Goal,
    Load,
    Measure,
    Outage,
    Pause,
    Target,
    Turn,
    Verdict,
    op,
    predictions,
    probe,
    read,
    rehearse,
    sweep,
)


class Anything(Protocol): ...


class Ask(Decision):
    default = "one"


class Simple(Dive[Anything]):
    """Which is cheaper?"""

    decision = Ask
    size: int = sweep(1, 10)
    load = Load(put=5, get=100, lasts_s=2)

    @op
    async def put(self, client, turn):
        return turn.size

    @op(reads=True)
    async def get(self, client, turn): ...

    @probe(after=put)
    async def seen(self, client, turn, answer) -> bool:
        return True

    watch = get.p99, put.commands
    goals = get.p99 < ms(200), seen.p90 < s(5)
    target = Target(users=1e6, per_s={put: 10, get: 1_000})

    def predict(self, found):
        yield "one costs less than two", found("one", size=10).put.commands < found("two", size=10).put.commands


def refused(build: Callable[[], Any]) -> str:
    with pytest.raises(FathomError) as refusal:
        build()
    return str(refusal.value)


def test_measures_and_goals_hang_from_operations():
    assert Simple.watch == (Measure("get", "p99"), Measure("put", "commands"))
    assert Simple.goals == (Goal("get", "p99", 0.2), Goal("seen", "p90", 5.0))
    assert list(Simple.operations) == ["put", "get"] and list(Simple.probes) == ["seen"]
    assert Simple.swept == "size" and Simple.points == (1, 10)
    assert Simple.operations["get"].reads and not Simple.operations["put"].reads
    assert Simple.target is not None and Simple.target.per_s == {"put": 10.0, "get": 1_000.0}


async def test_an_operation_is_called_on_the_dives_own_object():
    assert await Simple().put(None, Turn("seed", 0, "size", 10)) == 10


def test_a_misspelt_operation_is_a_name_error():
    def build():
        class Misspelt(Dive[Anything]):
            load = Load(get=1)

            @op
            async def get(self, client, turn): ...

            goals = gett.p99 < 1  # noqa: F821  # pyright: ignore[reportUndefinedVariable]

    with pytest.raises(NameError):
        build()


def test_a_misspelt_measure_is_refused_with_a_guess():
    assert "did you mean 'p99'?" in refused(lambda: Simple.operations["get"].p999)


def test_a_goal_is_a_limit_from_above():
    assert "not a goal" in refused(lambda: Simple.operations["get"].p99 > 3)
    assert (ms(200) > Simple.operations["get"].p99) == Goal("get", "p99", 0.2)


def subclass(**members: Any) -> Callable[[], Any]:
    return lambda: type("Wrong", (Dive,), members)


@op
async def get(self, client, turn): ...


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"get": get, "load": Load(gett=1)}, "did you mean 'get'?"),
        ({"get": get, "load": Load(get=1), "a": sweep(1), "b": sweep(2)}, "varies one thing"),
        ({"get": get, "load": Load(get=1), "a": sweep(1, 1)}, "visited once"),
        ({"get": get}, "has no load"),
        ({"load": Load(get=1)}, "has no operations"),
        ({"get": get, "load": Load(get=1), "goals": 3}, "among its goals"),
        ({"get": get, "load": Load(get=1), "target": Target(users=1, per_s={"got": 1})}, "did you mean 'get'?"),
        ({"get": get, "load": Load(get=1), "trial": lambda self, approach, turn: {}}, "both trial() and a load"),
    ],
)
def test_a_class_that_cannot_be_meant_is_refused_when_it_is_read(members, says):
    assert says in refused(subclass(**members))


@pytest.mark.parametrize("name", ["look", "operations", "decision", "trial", "lasts_s"])
def test_what_every_dive_has_is_no_name_for_something_of_its_own(name: str):
    assert f"something of its own called '{name}'" in refused(subclass(**{name: get}, load=Load(get=1)))


def test_a_number_that_a_dive_does_not_count_is_refused_when_its_prediction_is_rehearsed():
    class Weighs(Dive):
        counts = "lost", "kept"

        async def trial(self, approach, turn): ...

        def predict(self, found):
            yield "less is lost than kept", found("one").lost < found("one").keptt

    assert "did you mean 'kept'?" in refused(lambda: rehearse(Weighs, ["one"]))


def test_an_operation_without_a_rate_is_refused():
    @op
    async def put(self, client, turn): ...

    assert "never asks for 'put'" in refused(subclass(get=get, put=put, load=Load(get=1)))


def test_a_probe_comes_after_an_operation_of_its_own_class():
    @probe(after="get")
    async def seen(self, client, turn, answer): ...

    assert "comes after nothing" in refused(subclass(get=get, seen=seen, load=Load(get=1)))


def test_rates_and_times_are_above_zero():
    assert "rates are operations per second" in refused(lambda: Load(get=0))
    assert "begins after the load" in refused(lambda: Outage("cache", from_s=0, until_s=3))
    assert "begins after the load" in refused(lambda: Pause("cache", from_s=4, until_s=4))
    assert str(Outage("cache", 4, 7, wiped=True)) == "outage of cache and wiped from 4 to 7 s"


def test_the_dice_are_the_same_for_every_approach():
    one, two, other = Turn("7/post", 3), Turn("7/post", 3), Turn("7/post", 4)
    assert [one.dice.random() for _ in range(3)] == [two.dice.random() for _ in range(3)]
    assert one.dice.random() != other.dice.random()


def test_a_turn_has_only_the_swept_value_beside_its_own():
    with pytest.raises(AttributeError, match="size"):
        _ = Turn("7", 0, "size", 10).sise


# ── three truth values ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("comparison", "verdict"),
    [
        (Estimate(1, 0.5, 1.5) < Estimate(2, 1.6, 2.5), Verdict.HELD),
        (Estimate(1, 0.5, 1.7) < Estimate(2, 1.6, 2.5), Verdict.CANT_TELL),
        (Estimate(3, 2.6, 4) < Estimate(2, 1.6, 2.5), Verdict.FAILED),
        (Estimate.of(5) < Estimate.of(5), Verdict.FAILED),
        (Estimate.of(5) <= Estimate.of(5), Verdict.HELD),
        (Estimate.of(5) >= 5, Verdict.HELD),
        (Estimate.of(5) > 5, Verdict.FAILED),
        (Estimate.unknown() > 5, Verdict.CANT_TELL),
        (10 * Estimate(1, 0.9, 1.1) > Estimate(5, 4, 6), Verdict.HELD),
        (10 - Estimate(1, 0.9, 1.1) > 9, Verdict.CANT_TELL),
        (1 / Estimate(2, -1, 3) > 0, Verdict.CANT_TELL),
        (6 / Estimate(2, 1, 3) >= 2, Verdict.HELD),
        (Estimate.of(5).equals(5), Verdict.HELD),
        (Estimate(5, 5, 5).equals(5), Verdict.CANT_TELL),
        (Estimate(5, 4, 6).equals(7), Verdict.FAILED),
    ],
)
def test_a_comparison_is_held_failed_or_cannot_be_told(comparison, verdict):
    assert comparison.verdict is verdict


def test_a_comparison_is_no_truth_value():
    with pytest.raises(TypeError, match=r"use \.verdict"):
        assert Estimate.of(1) < 2


def test_comparisons_join_by_three_valued_logic():
    held, failed, unknown = Estimate.of(1) < 2, Estimate.of(2) < 1, Estimate.unknown() < 1
    assert (held & unknown).verdict is Verdict.CANT_TELL
    assert (failed & unknown).verdict is Verdict.FAILED
    assert (held | unknown).verdict is Verdict.HELD
    assert (failed | unknown).verdict is Verdict.CANT_TELL
    assert (held & held).verdict is Verdict.HELD and (failed | failed).verdict is Verdict.FAILED


# ── the prediction ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rehearsal_returns_the_sentences_and_knows_nothing():
    assert rehearse(Simple, ["one", "two"]) == ["one costs less than two"]
    (_, comparison), *_ = predictions(Simple, Found(Simple, ["one", "two"], lambda *_: None))
    assert comparison.verdict is Verdict.CANT_TELL


def test_a_prediction_is_judged_by_what_was_found():
    look = {("one", 10, "put", "commands"): Estimate.of(3), ("two", 10, "put", "commands"): Estimate.of(2)}
    (_, comparison), *_ = predictions(Simple, Found(Simple, ["one", "two"], lambda *at: look.get(at)))
    assert comparison.verdict is Verdict.FAILED and comparison.says == "3 < 2"


@pytest.mark.parametrize(
    ("predict", "says"),
    [
        (lambda self, found: [("a", found("onn", size=1).put.p99 < 1)], "did you mean 'one'?"),
        (lambda self, found: [("a", found("one").put.p99 < 1)], "write: found('one', size=…)"),
        (lambda self, found: [("a", found("one", size=1).putt.p99 < 1)], "did you mean 'put'?"),
        (lambda self, found: [("a", found("one", size=1).put.comands < 1)], "did you mean 'commands'?"),
        (lambda self, found: [("a", True)], "a sentence and a comparison"),
        (lambda self, found: [("a", not found("one", size=1).put.p99 < 1)], "not yes or no"),
        (lambda self, found: [("a", found("one", size=1).put.p99 < 1)] * 2, "says the same twice"),
    ],
)
def test_a_typo_in_the_prediction_fails_before_the_run(predict, says):
    wrong = type("WrongPrediction", (Simple,), {"predict": predict})
    assert says in refused(lambda: rehearse(wrong, ["one", "two"]))


def test_prepare_takes_all_swept_values():
    async def prepare(self, stores, approach): ...

    assert "does not take size" in refused(lambda: rehearse(type("W", (Simple,), {"prepare": prepare}), ["one", "two"]))


# ── reading one from its folder ───────────────────────────────────────────────────────────────────────────────────


def system_with(folder: Path, dive: str) -> System:
    (folder / "decisions/ask").mkdir(parents=True)
    (folder / "dives").mkdir()
    (folder / "api.py").write_text('"""A system."""\n')
    (folder / "service.py").write_text('"""Serves."""\n')
    (folder / "stores.py").write_text(
        '"""Where it keeps things."""\nfrom dataclasses import dataclass\n'
        "from fathom.engines.engine import Engine\n\n@dataclass\nclass Stores:\n    cache: Engine\n"
    )
    (folder / "decisions/ask/__init__.py").write_text(
        '"""One or two?"""\nfrom fathom.design import Decision\n\nclass Ask(Decision):\n    default = "one"\n'
    )
    (folder / "decisions/ask/one.py").write_text('"""One."""\nfrom . import Ask\n\nclass One(Ask): ...\n')
    (folder / "dives/burst.py").write_text(dive)
    return System.at(folder)


BURST = '''"""Does it hold?"""
from fathom.lab.dive import Dive, Load, Outage, op
from ..decisions.ask import Ask

class Burst(Dive):
    decision = Ask
    load = Load(get=1)
    faults = Outage("cache", from_s=1, until_s=2)

    @op
    async def get(self, client, turn): ...
'''


def test_a_dive_is_read_from_the_file_of_its_name(tmp_path):
    assert read(system_with(tmp_path / "sys", BURST), "burst").__name__ == "Burst"


@pytest.mark.parametrize(
    ("change", "name", "says"),
    [
        (("", ""), "brust", "did you mean 'burst'?"),
        (('"cache"', '"cahce"'), "burst", "did you mean 'cache'?"),
        (("hold?", "hold."), "burst", "asks nothing"),
        (("decision = Ask", "decision = Dive"), "burst", "compares the answers to Dive"),
        (("class Burst(Dive)", "class Burst(object)"), "burst", "has 0 dives"),
    ],
)
def test_a_dive_that_does_not_fit_its_system_is_refused(tmp_path, change, name, says):
    system = system_with(tmp_path / "sys", BURST.replace(*change))
    assert says in refused(lambda: read(system, name))
