"""What the simulator draws for fifty seeds, played on processes under clients of Redis Cluster: no promise breaks."""

from __future__ import annotations

import pytest

from fathom.systems.kv.commands.torture import told
from fathom.systems.kv.commands.torture.run import Plan, torture

pytestmark = [pytest.mark.outside, pytest.mark.slow, pytest.mark.timeout(2_400)]

KNOBS = {"ping_ms": 100, "ack_ms": 200, "suspect_ms": 500, "repair_ms": 300}


async def test_fifty_schedules_of_the_simulator_break_no_promise_of_processes():
    report = await torture(Plan(schedules=50, seed=0, people=4, knobs=KNOBS))
    print(told(report))
    assert not report.broken and not report.troubles, told(report)
    assert len(report.harms) > 200 and {harm.what for harm in report.harms} >= {
        "crash",
        "wipe",
        "pause",
        "cut",
        "split",
    }
