"""A run names the operation and the resource in which approaches differ, and nothing that may be chance."""

from typing import Any

import pytest

from fathom.lab.differences import differences
from fathom.lab.runs import Finding


def finding(approach: str, how: str, value: float, spread: float = 0.0, **more: Any) -> Finding:
    part = "duel" if how == "ratio" else "census"
    ends = {"low": value - spread, "high": value + spread, "op": "post", "point": 7, **more}
    return Finding(
        id=f"{how}/{approach}/{ends}", part=part, how=how, command="", approach=approach, value=value, **ends
    )


def counted(approach: str, value: float, **more: Any) -> Finding:
    return finding(approach, "count", value, **{"measure": "rows", "exact": True, **more})


def cost(approach: str, value: float, spread: float, **more: Any) -> Finding:
    return finding(approach, "cpu", value, spread, **{"measure": "cpu_s", **more})


def names(found: list[Finding]) -> list[tuple[str | None, str, str]]:
    return [(d.approach, d.op, d.measure) for d in differences(found, "old")]


def test_one_row_more_is_named_because_counts_are_exact():
    (found,) = differences([counted("old", 20), counted("new", 21)], "old")
    assert (found.approach, found.op, found.measure, found.more, found.exact) == ("new", "post", "rows", True, True)
    assert str(found) == "new has 1.05x the rows of post of old"


def test_what_only_one_of_them_does_at_all_is_named_though_nothing_was_counted_of_the_other():
    tried = cost("old", 1.0, 0.5)
    (found,) = differences([tried, cost("new", 1.0, 0.5), counted("new", 3)], "old")
    assert (found.op, found.measure, found.more, found.ratio.value) == ("post", "rows", True, float("inf"))
    (found,) = differences([counted("old", 3), cost("new", 1.0, 0.5)], "old")
    assert (found.measure, found.more) == ("rows", False)
    assert names([counted("new", 3)]) == []  # the other was never asked: nobody knows


@pytest.mark.parametrize("other", [{"exact": False}, {"point": 8}, {"op": "home"}, {"void": True}])
def test_counts_that_are_not_of_the_same_thing_or_not_exact_name_nothing(other):
    assert names([counted("old", 20), counted("new", 21, **other)]) == []


def test_cpu_is_named_only_where_even_the_nearest_ends_are_a_margin_apart():
    assert names([cost("old", 1.0, 0.05), cost("new", 1.2, 0.05)]) == [("new", "post", "cpu_s")]
    assert names([cost("old", 1.2, 0.05), cost("new", 1.0, 0.05)]) == [("new", "post", "cpu_s")]
    assert names([cost("old", 1.0, 0.05), cost("new", 1.12, 0.05)]) == []  # 1.07 is not 5 % above 1.05
    assert names([cost("old", 1.0, 0.0), cost("new", 1.02, 0.0)]) == []  # surely different, and it does not matter


def test_cpu_of_too_few_slices_and_of_one_process_names_nothing():
    thin = {"detail": {"thin": True}}
    assert names([cost("old", 1.0, 0.01, **thin), cost("new", 2.0, 0.01)]) == []
    assert names([cost("old", 1.0, 0.01, measure="cpu_s.cache"), cost("new", 2.0, 0.01, measure="cpu_s.cache")]) == []


def test_times_are_named_as_the_duel_judged_them():
    ratio = {"measure": "p50", "versus": "old"}
    assert names([finding("new", "ratio", 1.3, 0.1, verdict="worse", **ratio)]) == [("new", "post", "p50")]
    assert names([finding("new", "ratio", 1.3, 0.1, verdict="can't tell", **ratio)]) == []
    assert names([finding("old", "ratio", 1.3, 0.1, verdict="worse", **ratio, detail={"twin": True})]) == []
