"""The service stands still for a moment: open load shows what users saw, closed load hides it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fathom.cli.trust.freeze import RATE, Frozen, frozen, service
from fathom.engines.keeper import Keeper
from fathom.lab.machine import Placement
from fathom.web.served import Served

SEED = 10  # it draws about the mean for the time of the freeze; by chance, 280 arrivals may as well be 300


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with Keeper.open() as keeper, service(keeper, Placement.here()) as served:
        yield served


async def undisturbed(served: Served, lasts_s: float, frozen_s: float) -> Frozen:
    """Measure again when others on this machine stopped us as well: that is seen beside the freeze, not in it."""
    for _ in range(4):
        seen = await frozen(served, lasts_s, frozen_s, SEED)
        if seen.disturbed() <= 0.001 * RATE * lasts_s:
            return seen
        print(f"disturbed: {seen.disturbed()} requests waited long outside the freeze; once more")
    raise AssertionError("four times somebody else stopped this machine; see above")


@pytest.mark.slow
@pytest.mark.quiet
@pytest.mark.parametrize(("lasts_s", "frozen_s"), [(6, 0.28)])  # 1.4 of 30 s: docs/tour/05 runs the row itself
async def test_a_freeze_is_in_the_tail_of_an_open_load_and_not_in_that_of_a_closed_one(served, lasts_s, frozen_s):
    print(f"seed {SEED}")
    seen = await undisturbed(served, lasts_s, frozen_s)
    assert seen.complete  # every one that was planned, and none was dropped
    assert len(seen.samples.histogram()) == RATE * lasts_s

    print(f"p99 {seen.p99_s:.3f} s; expected {seen.expected_s:.3f} s, of which {seen.drain_s:.3f} s is drain")
    assert seen.stood_s == pytest.approx(frozen_s, rel=0.25)
    assert seen.p99_s == pytest.approx(seen.expected_s, rel=0.10)

    late, had_to = seen.late()
    assert late == pytest.approx(had_to, abs=20)
    if lasts_s == 30:
        assert late == pytest.approx(260, abs=20)  # 1.3 s of 200 a second, give or take what the seed drew

    lie = seen.closed_s
    print(f"closed loop: p99 {seen.closed_p99_s * 1e3:.1f} ms, longest {max(lie):.2f} s, of {len(lie)}")
    assert seen.closed_p99_s < 0.050  # the lie
    assert sum(latency > frozen_s / 2 for latency in lie) == 1  # all it saw of the freeze
