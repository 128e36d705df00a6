"""Two runs of one dive are held against each other, and what may not be compared is refused with the reason."""

import random
import shutil
from pathlib import Path

import pytest

from fathom.errors import FathomError
from fathom.lab.compare import compare
from fathom.lab.runs import Run, Writing
from tests.lab.synthetic import FANS, World, altered, write_finished

pytestmark = pytest.mark.slow

QUIET = World(faults=False, cpu_noise=0.001, idle_noise=0.0)


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Run:
    return write_finished(tmp_path_factory.mktemp("before"), QUIET)


FAULT = '"faults": [{"kind": "outage", "target": "cache", "from_s": 4, "until_s": 7}]'


def by_id(before: Run, after: Run) -> dict[str, str]:
    return {line.id: line.verdict for line in compare(before, after).lines}


def test_a_run_beside_itself_is_equal_or_equivalent(before):
    result = compare(before, before)
    assert not result.differs and {"equal", "equivalent"} <= set(result.totals) <= {"equal", "equivalent", "can't tell"}
    assert all(line.verdict == "equal" for line in result.lines if line.before and line.before.how == "count")


def test_counts_are_equal_and_a_dearer_approach_is_worse(before, tmp_path):
    push = World().costs["on-write"]

    def dearer(fans: int):
        costs = push(fans)
        return {**costs, "home": {**costs["home"], "cpu": costs["home"]["cpu"] * 1.5}}

    after = write_finished(tmp_path, QUIET.but(costs={**QUIET.costs, "on-write": dearer}))
    verdicts = by_id(before, after)
    assert verdicts["census/on-write/3000/home.cpu_s"] == "worse"
    assert verdicts["census/on-read/3000/home.cpu_s"] == "equivalent"
    assert verdicts["census/on-write/3000/post.commands"] == "equal"
    back = by_id(after, before)
    assert back["census/on-write/3000/home.cpu_s"] == "better"


def test_a_machine_that_was_faster_all_along_is_no_difference(before, tmp_path):
    """Two runs are like one block of a duel: no interval of either knows how they differ."""

    def faster(approach):
        def costs(fans: int):
            return {op: {**each, "cpu": 0.7 * each["cpu"]} for op, each in approach(fans).items()}

        return costs

    after = write_finished(tmp_path, QUIET.but(costs={name: faster(each) for name, each in QUIET.costs.items()}))
    result = compare(before, after)
    assert not {"better", "worse", "different"} & set(result.totals)
    assert any("0.70x after, all in all" in note for note in result.notes)


def test_what_scatters_from_run_to_run_is_no_difference_until_it_stands_out(before, tmp_path):
    """Costs that are each off by something of its own, as machines make them, and one that is three times as dear."""
    dice = random.Random(5)

    def scattered(approach):
        off = {(op, fans): dice.uniform(0.8, 1.25) for op in ("post", "home") for fans in FANS}

        def costs(fans: int):
            return {op: {**each, "cpu": off[op, fans] * each["cpu"]} for op, each in approach(fans).items()}

        return costs

    world = QUIET.but(costs={name: scattered(each) for name, each in QUIET.costs.items()})
    assert not {"better", "worse"} & set(compare(before, write_finished(tmp_path / "a", world)).totals)
    push = world.costs["on-write"]

    def dear(fans: int):
        costs = push(fans)
        return {**costs, "home": {**costs["home"], "cpu": 3 * costs["home"]["cpu"]}}

    verdicts = by_id(before, write_finished(tmp_path / "b", world.but(costs={**world.costs, "on-write": dear})))
    assert verdicts["census/on-write/3000/home.cpu_s"] == "worse"
    assert {name.split("/")[1] for name, verdict in verdicts.items() if verdict in ("better", "worse")} == {"on-write"}


def test_a_count_that_changed_is_different(before, tmp_path):
    push = World().costs["on-write"]

    def one_more(fans: int):
        costs = push(fans)
        return {**costs, "home": {**costs["home"], "commands": 4}}

    verdicts = by_id(before, write_finished(tmp_path, QUIET.but(costs={**QUIET.costs, "on-write": one_more})))
    assert verdicts["census/on-write/100/home.commands"] == "different"


def test_what_only_one_run_measured_is_said(before, tmp_path):
    fewer = {name: cost for name, cost in QUIET.costs.items() if name != "on-read"}
    verdicts = by_id(before, write_finished(tmp_path, QUIET.but(costs=fewer)))
    assert verdicts["census/on-read/100/home.commands"] == "only before"


def test_latencies_are_compared_from_the_duel_alone(before, tmp_path):
    slower = write_finished(tmp_path, QUIET.but(latency_ms={**QUIET.latency_ms, "hybrid": 6.0}))
    verdicts = by_id(before, slower)
    assert verdicts["duel/hybrid/3000/home.p99"] == "worse"
    assert not [id for id in verdicts if id.startswith("census/") and id.endswith(".p99")]


@pytest.mark.parametrize(
    ("file", "old", "new", "why"),
    [
        ("machine.json", '"cores": 2', '"cores": 4', "cores differ: 2 and 4"),
        ("machine.json", "AMD EPYC, 41 ns", "other", "machines differ"),
        ("machine.json", "PostgreSQL 18.1", "PostgreSQL 18.2", "engines differ"),
        ("plan.json", '"dive": "celebrity"', '"dive": "other"', "dives differ: celebrity and other"),
        ("plan.json", '"home": 200.0', '"home": 100.0', "loads differ"),
        ("plan.json", '"lasts_s": 3.0', '"lasts_s": 2.0', "lengths of a segment differ: 3.0 and 2.0"),
        ("plan.json", '"post": 14000', '"post": 1400', "targets differ: home 300,000/s, post 14,000/s and home"),
        ("plan.json", '"less_than": 0.2', '"less_than": 0.3', "goals differ: home.p99 < 0.2"),
        ("plan.json", '"faults": []', FAULT, "faults differ: none and outage of cache 4-7 s"),
        ("plan.json", '"fame": 10000', '"fame": 500', "knobs differ"),
        ("manifest.json", '"state": "complete"', '"state": "void"', "it is void"),
    ],
)
def test_runs_of_other_plans_or_machines_are_refused_with_the_reason(before, tmp_path, file, old, new, why):
    copy = Path(shutil.copytree(before.folder, tmp_path / "copy"))
    altered(copy / file, old, new)
    with pytest.raises(FathomError) as refused:
        compare(before, Run(copy))
    assert why in refused.value.why and refused.value.fix


def test_latencies_of_duels_that_ran_elsewhere_are_not_compared(before, tmp_path):
    """The census may move a duel to lower rates; what it then measured is another question's answer."""
    copy = Path(shutil.copytree(before.folder, tmp_path / "copy"))
    lines = (copy / "segments.jsonl").read_text().splitlines()
    slower = [x.replace('"home":350.0', '"home":150.0') if '"part":"duel"' in x else x for x in lines]
    (copy / "segments.jsonl").write_text("\n".join(slower) + "\n")
    result = compare(before, Run(copy))
    raced = {line.verdict for line in result.lines if line.id.startswith("duel/")}
    assert raced == {"can't tell"} and any("150 home/s" in note for note in result.notes)


def test_what_only_one_of_two_such_duels_had_samples_for_is_untold_and_not_different(before, tmp_path):
    after = Run(shutil.copytree(before.folder, tmp_path / before.folder.name))
    altered(after.folder / "segments.jsonl", '"home":350.0', '"home":250.0')
    raced = {f.id for f in after.findings if f.part == "duel" and f.op == "post" and f.how == "quantile"}
    left = [f for f in after.findings if f.id not in raced]
    Writing(after.folder, after.manifest).write("findings.json", left)
    after = Run(after.folder)
    verdicts = by_id(before, after)
    assert raced and {verdicts[id] for id in raced & verdicts.keys()} == {"can't tell"}
    assert not compare(before, after).differs


def test_a_comparison_in_which_nothing_can_be_told_ends_with_2(before):
    result = compare(before, before)
    assert result.exit == 0
    result.lines = [line for line in result.lines if line.verdict == "can't tell"]
    assert result.exit == 2
    result.lines = []
    assert result.exit == 2
