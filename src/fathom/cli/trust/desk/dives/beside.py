"""Is one way to work at the desk cheaper or quicker than another, and at which operation?"""

from fathom.lab.dive import Dive, Load, op

from ..api import Desk
from ..decisions.work import Work


class Beside(Dive[Desk]):
    """Mostly orders, at less than half of what one core can do."""

    decision = Work
    load = Load(order=400, ask=200, lasts_s=0.25)

    @op(reads=True)
    async def order(self, desk: Desk, turn) -> None:
        await desk.order()

    @op(reads=True)
    async def ask(self, desk: Desk, turn) -> None:
        await desk.ask()

    watch = order.p50, order.p90, ask.p50
