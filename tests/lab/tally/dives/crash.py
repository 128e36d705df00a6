"""What is left of a tally that is kept in memory alone when its service dies?"""

from fathom.lab.dive import Dive, Load, Outage, op

from .. import laws
from ..api import Tally
from ..decisions.keeping import Keeping


class Crash(Dive[Tally]):
    decision = Keeping
    load = Load(say=50, lasts_s=1)
    faults = Outage("service", from_s=0.6, until_s=0.9)
    keeps = laws.every_word_said_is_counted

    @op
    async def say(self, tally, turn):
        await tally.say("word")

    def everyone(self, point):
        return ["word"]

    async def look(self, tally, who):
        await tally.count(who)
