"""Before a race everybody is warm, or it is said who was not seen to be."""

from __future__ import annotations

import numpy as np
import pytest

from fathom.lab.findings import compute
from fathom.lab.findings.warm import FEW, TOO_FEW, series, still_faster
from fathom.lab.runs import Run, Samples, Segment

from .synthetic import World, write_run


def test_what_goes_one_way_is_a_slope_and_what_goes_both_ways_is_none():
    assert still_faster({"cpu_s": [9.0, 6.0, 5.0, 4.0]}) == ["cpu_s"]
    assert still_faster({"cpu_s": [9.0, 6.0, 5.0, 5.1]}) == []
    assert still_faster({"cpu_s": [9.0, 6.0, 5.97, 5.95, 5.9]}) == [], "it fell, but hardly"
    falls = [2.1, 2.0, 1.9, 1.8]
    assert still_faster({"cpu_s": [9.0, 6.0, 6.5, 6.0], "home.p50": falls}) == ["home.p50"]


def test_a_few_rounds_show_nothing():
    assert still_faster({}) == still_faster({"cpu_s": [9.0, 8.9, 9.1]}) == [TOO_FEW]


def round_of(number: int, cpu_s: float, name: str = "on-read", *, valid: bool = True) -> Segment:
    return Segment(
        id=f"warm-up-{name}-{number}", part="warm-up", approach=name.rstrip("'"), twin=name.endswith("'"), slice="mix",
        point=3_000, lasts_s=1.0, block=number, rates={"home": 350.0}, done={"home": 100}, cpu_s={"service": cpu_s},
        valid=valid,
    )  # fmt: skip


def test_a_median_takes_samples_and_the_generator_is_nobody():
    few = Samples(("home",), np.zeros((5, FEW - 1), np.int64))
    segment = round_of(0, 0.3)
    segment.cpu_s["generator"] = 9.0
    assert series([segment], lambda _: few) == {"cpu_s": [0.003]}
    due = np.arange(FEW, dtype=np.int64)
    enough = Samples(("home",), np.stack([due * 0, due, due, due + 2_000_000, due * 0]))
    assert series([segment], lambda _: enough) == {"cpu_s": [0.003], "home.p50": [0.002]}


@pytest.mark.slow
def test_who_still_became_faster_is_named_beside_the_race(tmp_path):
    run: Run = write_run(tmp_path, World(faults=False))
    run.segments += [round_of(n, 0.3) for n in range(4)]
    run.segments += [round_of(n, 0.3 - 0.05 * n, "hybrid'") for n in range(4)]
    run.segments += [round_of(4, 0.1, "on-read", valid=False)]
    run.segments += [round_of(n, 0.3, "on-write", valid=False) for n in range(4)]
    found = {f.id: f for f in compute(run)}
    warm, cold = found["warm-up/on-read"], found["warm-up/hybrid'"]
    assert (warm.verdict, warm.detail["rounds"]) == ("held", 4), "a disturbed round shows nothing"
    assert cold.verdict == "can't tell" and cold.says == "cpu_s fell"
    assert found["warm-up/on-write"].says == TOO_FEW, "who was always disturbed is named too"
    assert cold.value == pytest.approx(1 / 2)
