"""From how many items on does it pay to fetch a box first?"""

from fathom.lab.dive import Dive, Load, op, sweep

from ..api import Desk
from ..decisions.work import Work


class Boxes(Dive[Desk]):
    """The two ways cost the same at 150 items: 300 + 150 × 10 = 1,350 + 150 × 3."""

    decision = Work
    items: int = sweep(10, 1_000)
    load = Load(pack=40, lasts_s=0.5)

    async def prepare(self, stores, approach, items) -> None:
        """There is nothing to lay out: items come with who brings them."""

    @op(reads=True)
    async def pack(self, desk: Desk, turn) -> None:
        await desk.pack(turn.items)
