"""The store's dives fit their time, count what they say, and what was foretold holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from fathom.cli.bodies import Maker
from fathom.engines.keeper import Keeper
from fathom.history import laws_of
from fathom.lab.machine import Placement
from fathom.lab.plan import PACES, draw
from fathom.lab.run import Ended, carry_out

from .test_decisions import KV


async def dived(name: str, root: Path, only: tuple[str, ...] = (), **settings: str) -> Ended:
    """Carry a dive out to its record, in silence."""
    plan = draw(KV, name, placement=Placement.here(), only=only, settings=settings)
    laws = laws_of(KV.room("laws")) if KV.has("laws") else {}
    async with Keeper.open() as keeper:
        return await carry_out(plan, Maker(keeper, KV, plan.question), laws=laws, root=root)


@pytest.mark.parametrize("mode", PACES)
@pytest.mark.parametrize("dive", KV.dives)
def test_a_dive_fits_the_time_of_its_mode_and_foretells_something(dive: str, mode):
    plan = draw(KV, dive, placement=Placement.of([0, 1]), mode=mode)
    assert plan.lasts_s <= plan.budget_s
    assert plan.predictions


@pytest.mark.slow
async def test_what_a_placement_moves_is_counted_and_written_down(tmp_path: Path):
    ended = await dived("placement", tmp_path, nodes="5")
    assert ended.state == "complete", ended.why
    found = {finding.id: finding for finding in ended.findings}
    assert found["state/rendezvous/5/moved_going"].value == 1
    assert found["state/modulo/5/moved_coming"].value == pytest.approx(3, abs=0.01)
    assert {f.verdict for f in ended.findings if f.how == "prediction"} == {"held", "can't tell"}
    assert "How uneven are nodes" in (ended.folder / "record.md").read_text()
