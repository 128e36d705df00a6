"""The systems of which everything is known, and dives into them at a much shorter pace: the lab itself is the same."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from asyncio import CancelledError
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fathom.cli.bodies import Embodied, Maker
from fathom.design import Choice, System
from fathom.engines.keeper import Keeper
from fathom.lab import plan as planning
from fathom.lab.bench import Tell
from fathom.lab.body import Bodies
from fathom.lab.differences import differences
from fathom.lab.plan import Pace, Plan
from fathom.lab.run import Ended, carry_out

if TYPE_CHECKING:
    from fathom.cli.trust.experiment import Workshop

__all__ = ["HERE", "PACE", "Kept", "Known", "announced", "desk", "drawn", "known", "maker", "shelf", "void", "without"]

HERE = Path(__file__).parent
PACE = Pace(
    budget_s=35.0,
    rounds=3,  # the fewest that give CPU an interval
    slice_s=0.15,
    mix_s=0.0,
    blocks=8,
    faults=None,
    injections=1,
    redo=0.25,
)
BEYOND_S = 3_600.0  # no budget is spared when a plan is drawn: this room's own comes after
PARTS_S = {"set-up": 3.0, "census": 2.0, "flip": 1.0, "duel": 10.0, "record": 1.0}  # what is left may be redone


def desk() -> System:
    """Return the desk: CPU per operation, service times and clerks are known."""
    return System.at(HERE / "desk", "fathom.cli.trust.desk")


def shelf() -> System:
    """Return the shelf, which stands on a Redis."""
    return System.at(HERE / "shelf", "fathom.cli.trust.shelf")


def drawn(
    system: System,
    dive: str,
    only: Sequence[str],
    shop: Workshop,
    seed: int,
    *,
    row: str,
    race: bool = True,
    budget_s: float = PACE.budget_s,
    settings: Mapping[str, str] | None = None,
) -> Plan:
    """Return the plan of a dive as the lab draws it, at this room's pace: a race, or else the census and the flip."""
    plan = planning.draw(
        system, dive, placement=shop.placement, only=only, settings=settings, seed=seed, budget_s=BEYOND_S
    )
    parts = {name: seconds for name, seconds in PARTS_S.items() if name != ("flip" if race else "duel")}
    return dataclasses.replace(
        plan,
        pace=PACE,
        order=plan.order if race else (),
        faults=(),
        parts_s=parts,
        budget_s=budget_s,
        command=f"fathom trust --rows {row} --seed {seed}",
    )


class Kept:
    """Bodies that stay up from one dive to the next, stopped in between (`fathom.lab.body.Bodies`).

    Both variants are warm, and no comparison pays for a start. What the lab does with them is not changed by it: it
    enters a body, finds it running, and leaves it.
    """

    def __init__(self, make: Callable[[Choice, str, frozenset[int]], AbstractAsyncContextManager[Embodied]]) -> None:
        self._make, self._up = make, AsyncExitStack()
        self.bodies: dict[str, Embodied] = {}

    async def __aenter__(self) -> Kept:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._up.aclose()

    def __call__(self, choice: Choice, name: str, cores: frozenset[int]) -> AbstractAsyncContextManager[Embodied]:
        return self._entered(choice, f"{name}: {choice}", name, cores)

    @asynccontextmanager
    async def _entered(self, choice: Choice, key: str, name: str, cores: frozenset[int]) -> AsyncIterator[Embodied]:
        if key in self.bodies:
            await self.bodies[key].resume()
        else:
            self.bodies[key] = await self._up.enter_async_context(self._make(choice, name, cores))
        try:
            yield self.bodies[key]
        finally:
            await self.bodies[key].pause()


@dataclasses.dataclass(frozen=True)
class Known:
    """A known system with bodies that stay up; `dive` carries out a plan on it."""

    bodies: Bodies
    shop: Workshop

    async def dive(self, plan: Plan, tell: Tell = lambda line: None) -> Ended:
        """Carry a plan out as `fathom dive` does, and return what became of it. Ctrl-C ends it as it would there."""
        ended = await carry_out(plan, self.bodies, laws={}, root=self.shop.folder, tell=tell)
        if ended.state == "interrupted":
            raise CancelledError
        return ended


def maker(keeper: Keeper, system: System, decision: str) -> Maker:
    """Return what makes the bodies of a known system, as `fathom dive` makes those of any other."""
    return Maker(keeper, system, system.decision(decision))


@asynccontextmanager
async def known(system: System, decision: str, shop: Workshop) -> AsyncIterator[Known]:
    """Bring a system's bodies up as they are asked for; they stay up until the block is left."""
    async with Keeper.open() as keeper, Kept(maker(keeper, system, decision)) as bodies:
        yield Known(bodies, shop)


def announced(ended: Ended, plan: Plan) -> list[str]:
    """Return everything by which a run says that approaches differ, in its own words: of equals, each is false."""
    said = [str(difference) for difference in differences(ended.findings, plan.default)]
    for finding in ended.findings:
        if finding.how == "decision" and finding.verdict == "takes":
            said.append(f"take {finding.approach}: it costs {finding.value:.3g}x less than {finding.versus}")
        if finding.how == "flip" and finding.verdict == "dominates":
            said.append(f"{finding.approach} is cheaper than {finding.versus} at any mix")
        if finding.how == "flip" and finding.verdict == "flips":
            said.append(
                f"{finding.approach} is cheaper than {finding.versus} below {finding.value:.3g} {finding.measure}"
            )
    return said


def void(ended: Ended) -> str | None:
    """Say why a run proves nothing; None where it does."""
    return None if ended.state == "complete" else f"void: {ended.why or 'it says not why'}"


def without(ended: Ended) -> None:
    """Remove a run's folder: it said what was expected, and there will be hundreds."""
    shutil.rmtree(ended.folder, ignore_errors=True)
    for folder in (ended.folder.parent, ended.folder.parent.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()  # only if nothing else lies there
