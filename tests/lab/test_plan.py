"""A plan says its seconds before it starts, and refuses what it could not support."""

import itertools
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from fathom.design import System
from fathom.errors import FathomError
from fathom.lab import changes, runs
from fathom.lab.machine import Placement
from fathom.lab.plan import Plan, draw, williams

APART, TOGETHER = Placement.of([0, 1]), Placement.of([3])

DIVE = '''"""Which is cheaper?

It asks so for a reason."""
from fathom.lab.dive import Dive, Load, Outage, op, probe, sweep
from ..decisions.ask import Ask

class Burst(Dive):
    decision = Ask
    size: int = sweep(1, 10, 100)
    load = Load(get=400, put=4, lasts_s=2.5)
    faults = Outage("service", from_s=4, until_s=7), Outage("service", from_s=4, until_s=6)

    @op
    async def get(self, client, turn): ...

    @op
    async def put(self, client, turn): ...

    @probe(after=put)
    async def seen(self, client, turn, answer): ...

    watch = get.p99, put.p50
    goals = seen.p50 < 1

    async def prepare(self, stores, approach, size): ...

    def predict(self, found):
        yield "it does", found("one", size=10).get.p99 < found("two", size=10).get.p99
'''
ASK = '"""One or two?"""\nfrom fathom.design import Decision\n\nclass Ask(Decision):\n    default = "two"\n'
ONE = (
    '"""Bet on one."""\nfrom fathom.design import knob\nfrom . import Ask\n\n'
    'class One(Ask):\n    fame: int = knob(3, "how many")\n'
)
TWO = '"""Bet on two."""\nfrom . import Ask\n\nclass Two(Ask): ...\n'
WRONG = '"""Known to lose."""\nfrom . import Ask\n\nclass Wrong(Ask):\n    breaks = "a_law"\n'


@pytest.fixture
def write(tmp_path: Path):
    numbers = itertools.count()

    def write(dive: str = DIVE, **more: str) -> System:
        folder = tmp_path / str(next(numbers)) / "small"  # a package is imported once: each has its own folder
        files = {
            "api": '"""Small."""\n',
            "service": '"""Serves."""\n',
            "decisions/ask/__init__": ASK,
            "decisions/ask/one": ONE,
            "decisions/ask/two": TWO,
            "dives/burst": dive,
        }
        for name, text in {**files, **more}.items():
            file = folder / f"{name}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return System.at(folder)

    return write


def plan(system: System, **asked) -> Plan:
    return draw(system, "burst", **{"placement": APART, **asked})


def refused(system: System, **asked) -> str:
    with pytest.raises(FathomError) as refusal:
        plan(system, **asked)
    return str(refusal.value)


def test_the_default_is_raced_first_and_has_a_twin(write):
    drawn = plan(write())
    assert list(drawn.choices) == ["two", "one"] and drawn.default == "two"
    assert {name for row in drawn.order for name in row} == {"one", "two", "two'"}


def test_the_seconds_are_the_sum_of_the_parts_and_fit_the_budget(write):
    drawn = plan(write())
    assert drawn.lasts_s == sum(drawn.parts_s.values()) <= drawn.budget_s == 300
    assert list(drawn.parts_s) == ["set-up", "census", "flip", "warm-up", "duel", "redone", "trial", "record"]
    assert "in all about" in drawn.lines()[1]


def test_a_budget_that_cannot_be_met_is_refused_with_one_that_can(write):
    system = write()
    said = refused(system, budget_s=30)
    assert "30 s are too few" in said
    needed = float(said.partition("say --budget ")[2].partition(",")[0])
    assert plan(system, budget_s=needed).lasts_s <= needed


def test_a_quick_dive_has_no_duel_and_says_what_it_leaves_out(write):
    drawn = plan(write(), mode="quick")
    assert drawn.lasts_s <= 90 and not drawn.order and len(drawn.faults) == 1
    assert any("cannot be told" in note for note in drawn.notes)
    assert any("outage of service from 4 to 6 s" in note for note in drawn.notes)


def test_on_one_core_there_are_counts_only(write):
    drawn = plan(write(), placement=TOGETHER)
    assert not drawn.order and any("one core" in note for note in drawn.notes)


def test_a_quantile_gets_the_samples_it_needs_or_is_refused(write):
    assert plan(write()).duel_rates == {"get": 400, "put": 8}  # 20 of put for its median
    said = refused(write(DIVE.replace("put.p50", "put.p99")))
    assert "put.p99 cannot be supported by 10 samples" in said and "watch put.p50" in said


def test_a_goal_needs_its_samples_in_all_blocks_together(write):
    assert "cannot be judged by 160 samples" in refused(write(DIVE.replace("seen.p50", "seen.p99")))


def test_approaches_run_side_by_side_through_a_fault_only_when_time_is_short(write):
    system = write()
    assert plan(system, budget_s=1000).together is False
    tight = plan(system, budget_s=1000).lasts_s - 5
    assert plan(system, budget_s=tight).together is True


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"settings": {"sice": "3"}}, "did you mean 'size'?"),
        ({"settings": {"size": "3,x"}}, "is not a number"),
        ({"settings": {"size": "3,3"}}, "a value twice"),
        ({"settings": {"get": "0"}}, "cannot be offered"),
        ({"settings": {"fame": "many"}}, "is not a whole number"),
        ({"settings": {"fame": "3"}, "only": ["two"]}, "has the knob 'fame'"),
        ({"only": ["tow"]}, "did you mean 'two'?"),
        ({"mode": "deeep"}, "did you mean 'deep'?"),
    ],
)
def test_what_was_asked_wrongly_is_refused_with_a_guess(write, asked, says):
    assert says in refused(write(), **asked)


def test_a_setting_goes_to_whom_it_belongs(write):
    drawn = plan(write(), settings={"size": "5,50", "fame": "9", "put": "6", "lasts_s": "3"})
    assert drawn.points == (5, 50) and drawn.choices["one"].knobs == {"fame": 9}
    assert drawn.load is not None and drawn.load.rates["put"] == 6 and drawn.segment_s == 3
    assert drawn.command.endswith("burst --set size=5,50 --set fame=9 --set put=6 --set lasts_s=3 --seed 7")


def test_a_dive_turns_the_knobs_that_it_needs_unless_somebody_sets_them(write):
    turned = DIVE.replace("    load =", '    turned = {"fame": 9}\n    load =')
    drawn = plan(write(turned))
    assert drawn.choices["one"].knobs == {"fame": 9} and "--set" not in drawn.command and drawn.changed == ()
    for fame, said in (("4", "fame = 4 instead of 9 (one)"), ("3", "fame = 3 instead of 9 (one)")):
        assert changes.said(plan(write(turned), settings={"fame": fame}).changed) == said
    assert plan(write(turned), settings={"fame": "4"}).choices["one"].knobs == {"fame": 4}
    assert "nothing here can be set by 'fmae'" in refused(write(turned.replace('"fame"', '"fmae"')))


def test_an_approach_that_is_kept_to_break_a_law_is_not_raced(write):
    drawn = plan(write(**{"decisions/ask/wrong": WRONG}))
    assert list(drawn.controls) == ["wrong"] and "wrong" not in {n for row in drawn.order for n in row}
    assert "cannot be raced" in refused(drawn.system, only=["wrong"])


def test_a_dive_that_names_nobody_it_knows_to_come_up_first_is_refused_with_a_guess(write):
    assert plan(write(DIVE.replace("    load", '    comes_first = "one"\n    load'))).dive.comes_first == "one"
    assert "did you mean" in refused(write(DIVE.replace("    load", '    comes_first = "won"\n    load')))


def test_a_control_is_counted_where_the_dive_weighs_it_and_that_takes_time(write):
    wrong = {"decisions/ask/wrong": WRONG}
    plain, weighed = (
        plan(write(**wrong)),
        plan(write(DIVE.replace("    load", '    weighs = "wrong"\n    load'), **wrong)),
    )
    assert (plain.weighed, weighed.weighed) == ((), ("wrong",))
    assert weighed.raw().counted == ["two", "one", "wrong"] and weighed.raw().names == ["two", "one"]
    assert weighed.parts_s["census"] == pytest.approx(1.5 * plain.parts_s["census"])
    assert "is no control" in refused(write(DIVE.replace("    load", '    weighs = "one"\n    load')))


def test_a_dive_about_some_of_the_answers_compares_these_unless_it_is_told_otherwise(write):
    system = write(DIVE.replace("    load", '    among = "two"\n    load'), **{"decisions/ask/wrong": WRONG})
    assert (list(plan(system).choices), list(plan(system).controls)) == (["two"], [])
    assert plan(system).changed == ()
    assert list(plan(system, only=["one"]).choices) == ["one"]
    assert changes.said(plan(system, only=["one"]).changed) == "without two, with one"
    assert changes.said(plan(system, only=["two", "one"]).changed) == "with one"
    assert "did you mean 'two'?" in refused(write(DIVE.replace("    load", '    among = "twoo"\n    load')))


def test_the_plan_is_written_whole(write):
    raw = plan(write()).raw()
    assert raw.question == "Which is cheaper?" and raw.tells == "It asks so for a reason."
    assert raw.swept.values == [1, 10, 100] and raw.duel is not None and raw.duel.point == 10
    assert raw.approaches[1].knobs == {"fame": 3} and raw.probes == {"seen": "put"}
    assert msgspec.json.decode(msgspec.json.encode(raw), type=runs.Plan) == raw


def test_the_same_seed_draws_the_same_plan_and_another_one_another_order(write):
    system = write()
    assert plan(system).raw() == plan(system).raw()
    assert len({plan(system, seed=seed).order for seed in range(5)}) > 1


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_williams_rows_balance_places_and_neighbours(n):
    names = "abcdef"[:n]
    rows = williams(names)
    places = Counter((place, name) for row in rows for place, name in enumerate(row))
    neighbours = Counter(pair for row in rows for pair in itertools.pairwise(row))
    assert len(set(places.values())) == 1 and len(places) == n * n
    assert len(set(neighbours.values())) == 1 and len(neighbours) == n * (n - 1)


def test_a_plan_says_what_is_not_as_it_is_by_default(write):
    system = write()
    assert plan(system).changed == () and plan(system).raw().changed == []
    asked = plan(system, settings={"fame": "7", "size": "1,50", "get": "500", "lasts_s": "3"}, mode="quick")
    says = "fame = 7 instead of 3 (one); size = 1, 50 instead of 1, 10, 100; get = 500/s instead of 400/s"
    assert f"not the default: {says}; lasts_s = 3 instead of 2.5" in asked.lines()
    assert changes.said(asked.raw().changed) == f"{says}; lasts_s = 3 instead of 2.5"
    assert changes.turned(asked.raw().changed, "one") == "fame = 7" and not changes.turned(asked.raw().changed, "two")


def test_what_is_set_to_what_it_is_already_is_no_change(write):
    asked = plan(write(), settings={"fame": "3", "size": "1,10,100", "get": "400"})
    assert asked.changed == () and not any("not the default" in line for line in asked.lines())


def test_an_approach_that_is_left_out_is_a_change(write):
    (change,) = plan(write(), only=["one"]).raw().changed
    assert changes.said([change]) == "without two" and change.default == ["one", "two"]
