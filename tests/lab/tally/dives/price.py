"""What does a mistake cost, beside what is right?"""

from fathom.lab.dive import Dive, Load, op

from ..api import Tally
from ..decisions.keeping import Keeping


class Price(Dive[Tally]):
    decision = Keeping
    load = Load(say=50, lasts_s=1)
    weighs = "forgetful"

    @op
    async def say(self, tally, turn):
        await tally.say(f"word-{turn.index}")

    def predict(self, found):
        yield "to forget is as cheap as to write down", found("forgetful").say.rows <= found("written").say.rows
