"""Is a number printed when nothing succeeds?"""

from fathom.errors import Refusal
from fathom.lab.dive import Dive, Load, op

from ..api import Tally
from ..decisions.keeping import Keeping


class Mute(Dive[Tally]):
    decision = Keeping
    load = Load(say=50, lasts_s=1)

    @op
    async def say(self, tally, turn):
        raise Refusal("unavailable", "nobody listens")
