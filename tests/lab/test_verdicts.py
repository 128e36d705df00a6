"""An approach is named only where its costs are surely least; otherwise the record says why nobody is."""

from pathlib import Path

import pytest

from fathom.lab.runs import Finding, Run
from fathom.lab.verdicts import conclude, exit_of, statements
from tests.lab.synthetic import World, altered, at_the_load_of_the_duel, plan_of, write_run

pytestmark = pytest.mark.slow


def decided(folder: Path, **changes) -> dict[str, Finding]:
    return {f.id: f for f in conclude(write_run(folder, World().but(**changes)))}


def test_the_cheapest_is_taken_at_each_swept_value_and_the_next_costs_so_much_more(tmp_path):
    found = decided(tmp_path, faults=False)
    assert [found[f"decision/{fans}"].approach for fans in (3_000, 30_000)] == ["on-read", "hybrid"]
    for fans, true in ((3_000, 1.60), (30_000, 3.2)):
        decision = found[f"decision/{fans}"]
        assert decision.verdict == "takes" and decision.low <= true * 1.06 and decision.high >= true * 0.94


def test_where_the_cheapest_changes_along_the_swept_value_is_bracketed_by_what_was_run(tmp_path):
    found = decided(tmp_path, faults=False)
    crossing = found["crossing/on-write|on-read/100"]
    assert (crossing.low, crossing.high) == (100, 3_000) and 100 < crossing.value < 3_000
    assert "crossing/on-write|on-read/3000" not in found


def same(factor: float):
    def cost(fans: int):
        return {"post": {"cpu": 2e-3 * factor, "commands": 1}, "home": {"cpu": 1e-3 * factor, "commands": 1}}

    return cost


def test_costs_within_five_percent_are_equal(tmp_path):
    world = {"hybrid": same(1.0), "other": same(1.001)}
    found = decided(
        tmp_path,
        costs=world,
        latency_ms={"hybrid": 1, "other": 1},
        cpu_noise=0.0,
        idle_noise=0.0,
        blocks=0,
        faults=False,
    )
    assert found["decision/100"].verdict == "equivalent"
    assert "cost the same within 5%" in found["decision/100"].says


def test_costs_that_overlap_cannot_be_told_apart_and_it_says_what_would(tmp_path):
    world = {"hybrid": same(1.0), "other": same(1.06)}
    found = decided(tmp_path, costs=world, latency_ms={"hybrid": 1, "other": 1}, cpu_noise=0.05, blocks=0, faults=False)
    assert found["decision/100"].verdict == "can't tell" and "--deep" in found["decision/100"].says
    assert {found["decision/100"].approach, *found["decision/100"].detail["unclear"]} == set(world)


def test_the_cheapest_is_not_taken_if_it_misses_a_goal(tmp_path):
    run = write_run(tmp_path, World(faults=False))
    at_the_load_of_the_duel(run)
    altered(run.folder / "plan.json", '"less_than": 0.2', '"less_than": 0.008')  # on-read's p99 is 11 ms
    found = {f.id: f for f in conclude(Run(run.folder))}
    decision = found["decision/3000"]
    assert decision.approach != "on-read" and decision.detail["out"] == {"on-read": "it misses the goal for home.p99"}


def test_the_cheapest_is_not_taken_if_a_goal_lies_inside_its_interval(tmp_path):
    run = write_run(tmp_path, World(faults=False))
    at_the_load_of_the_duel(run)
    altered(run.folder / "plan.json", '"less_than": 0.2', '"less_than": 0.011')
    decision = next(f for f in conclude(Run(run.folder)) if f.id == "decision/3000")
    assert decision.verdict == "can't tell" and "home.p99 may lie on either side" in decision.says


def test_none_is_taken_where_none_meets_the_goals(tmp_path):
    run = write_run(tmp_path, World(faults=False))
    at_the_load_of_the_duel(run)
    altered(run.folder / "plan.json", '"less_than": 0.2', '"less_than": 0.001')
    decision = next(f for f in conclude(Run(run.folder)) if f.id == "decision/3000")
    assert decision.verdict == "none" and decision.says == "no approach meets the goals"


def test_a_goal_that_held_at_a_lower_load_than_the_declared_one_decides_nothing(tmp_path):
    run = write_run(tmp_path, World(faults=False))
    altered(run.folder / "plan.json", '"home": 200.0', '"home": 400.0')
    found = {f.id: f for f in conclude(Run(run.folder))}
    decision = found["decision/3000"]
    assert decision.verdict == "can't tell" and "home.p99 was held at 350 home/s" in decision.says
    assert exit_of(run.plan, [verdict("prediction/1", "prediction", "held"), *found.values()]) == 2


def test_one_that_broke_a_law_is_out_and_the_dive_has_failed(tmp_path):
    run = write_run(tmp_path, World(broken="on-read", faults=False))
    found = conclude(run)
    decision = next(f for f in found if f.id == "decision/3000")
    assert decision.approach in ("hybrid", "on-write") or decision.verdict in ("can't tell", "equivalent")
    assert "on-read" in decision.detail["out"]
    assert exit_of(run.plan, found) == 1


def verdict(id: str, how: str, verdict: str, approach: str = "hybrid") -> Finding:
    return Finding(id=id, part="x", how=how, command="c", verdict=verdict, approach=approach)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([("prediction", "held"), ("law", "held")], 0),
        ([("prediction", "held"), ("prediction", "failed"), ("prediction", "can't tell")], 1),
        ([("prediction", "held"), ("prediction", "can't tell")], 2),
        ([("prediction", "held"), ("flip check", "can't tell")], 2),
        ([("prediction", "held"), ("cross-check", "failed")], 1),
        ([("prediction", "held"), ("closed form", "failed")], 1),
        ([("prediction", "held"), ("trial", "does not recover")], 1),
        ([("prediction", "held"), ("ratio", "can't tell"), ("goal", "failed"), ("decision", "can't tell")], 0),
        ([("prediction", "held"), ("decision", "none")], 1),
        ([("prediction", "held"), ("prediction", "can't tell"), ("decision", "none")], 1),
        ([("law", "held")], 2),
    ],
)
def test_a_dive_exits_as_its_worst_statement(found, code):
    listed = [verdict(f"{how}/{n}", how, said) for n, (how, said) in enumerate(found)]
    assert exit_of(plan_of(World(faults=False)), listed) == code


def test_a_control_that_does_not_recover_costs_the_dive_nothing():
    plan = plan_of(World(faults=False))
    kept = verdict("trial/kept/0", "trial", "does not recover", approach="kept")
    found = [verdict("prediction/1", "prediction", "held"), kept]
    assert "kept" not in plan.names and exit_of(plan, found) == 0


def told(how: str, said: str, **fields) -> Finding:
    finding = verdict(f"{how}/{fields}", how, said)
    for name, value in fields.items():
        setattr(finding, name, value)
    return finding


TAKES = {"point": 3_000, "versus": "on-read"}


@pytest.mark.parametrize(
    "found",
    [
        [told("trial", "can't tell", measure="void")],
        [told("trial", "did not settle", measure="settled_s")],
        [told("trial", "can't tell", measure="healed_s")],
        [told("decision", "can't tell", point=3_000)],
        [told("goal", "can't tell", point=3_000)],
        [told("goal", "can't tell", point=3_000, low=0.1, high=0.3)],
        [told("decision", "takes", **TAKES), told("flip", "can't tell", point=3_000, versus="on-read")],
    ],
)
def test_what_was_promised_and_cannot_be_told_is_never_held(found):
    plan = plan_of(World(faults=False))
    assert exit_of(plan, [verdict("prediction/1", "prediction", "held"), *found]) == 2
    assert exit_of(plan, [verdict("prediction/1", "prediction", "failed"), *found]) == 1


@pytest.mark.parametrize(
    "found",
    [
        [told("trial", "never", measure="noticed_s"), told("trial", "healed", measure="healed_s")],
        [told("decision", "can't tell", point=100), told("goal", "can't tell", point=100)],
        [told("flip", "can't tell", point=3_000, versus="on-read")],
        [
            told("decision", "takes", point=3_000, detail={"out": {"hybrid": "it misses a goal"}}),
            told("goal", "can't tell", point=3_000),
        ],
        [
            told("decision", "equivalent", point=3_000, detail={"same": ["on-write"]}),
            told("flip", "can't tell", point=3_000, versus="on-write"),
        ],
    ],
)
def test_what_was_not_promised_or_does_not_matter_may_stay_untold(found):
    plan = plan_of(World(faults=False))
    assert exit_of(plan, [verdict("prediction/1", "prediction", "held"), *found]) == 0


def test_a_plan_without_a_duel_promises_no_samples_for_its_goals():
    plan = plan_of(World(faults=False))
    plan.duel = None
    held = verdict("prediction/1", "prediction", "held")
    assert exit_of(plan, [held, told("goal", "can't tell", point=3_000)]) == 0
    assert exit_of(plan, [held, told("goal", "can't tell", point=3_000, low=0.1, high=0.3)]) == 2


def test_a_law_that_nothing_tried_is_no_promise_kept_unless_others_were_tried():
    plan = plan_of(World(faults=False))
    held = verdict("prediction/1", "prediction", "held")
    untried = [verdict(f"law/{name}/x", "law", "not tried", name) for name in plan.names]
    tried = [verdict(f"law/{name}/y", "law", "held", name) for name in plan.names]
    assert exit_of(plan, [held, *untried, *tried]) == 0
    assert exit_of(plan, [held, *untried, *tried[1:]]) == 2


def test_a_fault_that_somebody_was_not_taken_through_is_untold():
    plan = plan_of(World())
    ran = [told("trial", "", id=f"trial/{name}/{n}/ok", measure="ok") for name in plan.names for n in (0, 1)]
    held = verdict("prediction/1", "prediction", "held")
    assert exit_of(plan, [held, *ran]) == 0
    assert exit_of(plan, [held, *ran[1:]]) == 2


def test_a_goal_that_could_not_be_judged_where_the_duel_ran_is_not_passed(tmp_path):
    run = write_run(tmp_path, World(faults=False, blocks=1))  # 21 posts show nothing about seen.p90
    found = {f.id: f for f in conclude(run)}
    assert found["goal/hybrid/3000/seen.p90"].value is None
    decision = found["decision/3000"]
    assert decision.verdict == "can't tell" and decision.says == "on-read costs least, but seen.p90 could not be judged"
    assert found["decision/30000"].verdict == "takes", "nobody promised it there: its line says what was not judged"


def test_no_number_stands_where_every_approach_broke_a_law():
    plan = plan_of(World())
    broken = [verdict(f"law/{name}/x", "law", "failed", name) for name in plan.names]
    assert exit_of(plan, [*broken, verdict("prediction/1", "prediction", "held")]) == 3
    assert exit_of(plan, broken[:-1]) == 1


def test_without_a_prediction_the_decision_is_what_was_asked_for():
    plan = plan_of(World(faults=False))
    plan.predictions = []
    assert exit_of(plan, [verdict("decision/100", "decision", "takes")]) == 0
    assert exit_of(plan, [verdict("decision/100", "decision", "can't tell")]) == 2


def test_a_statement_is_whatever_could_have_failed(tmp_path):
    run = write_run(tmp_path)
    kinds = {said.kind for said in statements(run.plan, conclude(run))}
    assert kinds == {"law", "closed form", "cross-check", "flip check"}
