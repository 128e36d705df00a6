"""What is planted in the timeline lies in a copy of it, and is named only if the lab names just that."""

from __future__ import annotations

from pathlib import Path

import pytest

from fathom.cli.trust.rows import large
from fathom.cli.trust.rows.large import PLANTED, Planted, copied, judge
from fathom.lab.dive import read
from fathom.lab.runs import Finding
from fathom.systems import find

BY = {each.approach: each for each in PLANTED}


def finding(approach: str, op: str, measure: str, value: float, spread: float = 0.0, **more) -> Finding:
    how = "cpu" if measure == "cpu_s" else "count"
    return Finding(
        id=f"{approach}/{op}.{measure}",
        part="census",
        how=how,
        command="",
        approach=approach,
        point=0,
        op=op,
        measure=measure,
        value=value,
        low=value - spread,
        high=value + spread,
        exact=how == "count",
        **more,
    )


def told(planted: Planted, **changed: float) -> list[Finding]:
    """Make up what is found of on-write and one other; `changed` says what the other has instead."""
    plain = {"post.statements": 2, "post.messages": 1, "home.commands": 2, "post.cpu_s": 2e-3, "home.cpu_s": 3e-4}
    other = {**plain, **{name.replace("_of_", "."): value for name, value in changed.items()}}
    return [
        finding(who, *name.split("."), value=value, spread=value / 100 if name.endswith("cpu_s") else 0.0)
        for who, values in ((large.DEFAULT, plain), (planted.approach, other))
        for name, value in values.items()
    ]


def slower(planted: Planted, op: str) -> Finding:
    ends = {"value": 4.0, "low": 3.5, "high": 4.5, "verdict": "worse", "versus": large.DEFAULT}
    return Finding(
        id="duel", part="duel", how="ratio", command="", approach=planted.approach, op=op, measure="p50", **ends
    )


def test_the_copy_has_what_is_planted_and_the_product_has_not(tmp_path: Path):
    system = copied(tmp_path)
    approaches = system.decision("fanout").approaches
    assert {large.DEFAULT, *BY} <= set(approaches)
    assert not set(BY) & set(find("timeline").decision("fanout").approaches)
    assert system.dives == ["town"]
    assert read(system, "town").__module__.startswith("fathom_at_")
    town = system.room("dives.town")
    assert large.FANS == town.FANS


@pytest.mark.parametrize(
    ("approach", "resource", "count"), [("plus-query", "statements", 3), ("plus-message", "messages", 41)]
)
def test_exactly_so_many_more_is_named_and_nothing_else_will_do(approach, resource, count):
    planted = BY[approach]
    right = {f"post_of_{resource}": count}
    assert judge(planted, told(planted, **right)).happened
    assert judge(planted, told(planted, **right, post_of_cpu_s=9e-3)).happened  # it may well cost CPU, too
    assert not judge(planted, told(planted)).happened
    assert not judge(planted, told(planted, **{f"post_of_{resource}": count + 1})).happened
    assert not judge(planted, told(planted, **right, home_of_commands=3)).happened


def test_a_sleep_is_named_as_time_and_never_as_work():
    planted = BY["plus-sleep"]
    assert judge(planted, [*told(planted), slower(planted, "home")]).happened
    assert not judge(planted, told(planted)).happened
    assert not judge(planted, [*told(planted), slower(planted, "post")]).happened
    assert not judge(planted, [*told(planted, home_of_commands=3), slower(planted, "home")]).happened


def test_more_cpu_is_named_at_the_operation_that_has_it():
    planted = BY["plus-cpu"]
    assert judge(planted, told(planted, home_of_cpu_s=3.6e-4)).happened
    assert not judge(planted, told(planted)).happened
    assert not judge(planted, told(planted, post_of_cpu_s=3e-3)).happened
    assert not judge(planted, told(planted, home_of_cpu_s=3.6e-4, post_of_cpu_s=3e-3)).happened
    assert not judge(planted, told(planted, home_of_cpu_s=2.4e-4)).happened
