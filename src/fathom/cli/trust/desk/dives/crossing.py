"""From how many questions per order on is it cheaper to make orders dear and questions cheap?"""

from fathom.lab.dive import Dive, Load, op

from ..api import Desk
from ..decisions.work import Work


class Crossing(Dive[Desk]):
    """The two ways cost the same at three questions per order: 1,000 + 3 × 300 = 400 + 3 × 500."""

    decision = Work
    load = Load(ask=300, order=100, lasts_s=0.25)

    @op(reads=True)
    async def ask(self, desk: Desk, turn) -> None:
        await desk.ask()

    @op(reads=True)
    async def order(self, desk: Desk, turn) -> None:
        await desk.order()
