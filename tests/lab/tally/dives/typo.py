"""Who is blamed when the dive itself is wrong?"""

from fathom.lab.dive import Dive, Load, op

from ..api import Tally
from ..decisions.keeping import Keeping


class Typo(Dive[Tally]):
    decision = Keeping
    load = Load(say=50, lasts_s=1)

    @op
    async def say(self, tally, turn):
        await tally.say(turn.word)
