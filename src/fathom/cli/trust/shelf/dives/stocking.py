"""What does it cost to put things on the shelf and to look at them?"""

from fathom.lab.dive import Dive, Load, op

from ..api import Shelf
from ..decisions.writing import Writing


class Stocking(Dive[Shelf]):
    decision = Writing
    load = Load(see=200, put=200, lasts_s=0.25)

    @op
    async def put(self, shelf: Shelf, turn) -> None:
        await shelf.put(f"thing-{turn.dice.randrange(100)}", "a thing")

    @op(reads=True)
    async def see(self, shelf: Shelf, turn) -> str | None:
        return await shelf.see(f"thing-{turn.dice.randrange(100)}")

    watch = see.p50, put.p50
