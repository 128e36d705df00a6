"""When many words are said at once, who pays: the one who speaks or the one who asks?"""

from fathom.design import ms
from fathom.lab.dive import Dive, Load, Pause, op, probe, sweep

from ..api import Tally
from ..decisions.keeping import Keeping


class Burst(Dive[Tally]):
    decision = Keeping
    words: int = sweep(1, 5)
    load = Load(say=20, count=200, lasts_s=1)

    @op
    async def say(self, tally, turn):
        word = f"word-{turn.dice.randrange(turn.words)}"
        await tally.say(word)
        return word

    @op(reads=True)
    async def count(self, tally, turn):
        return await tally.count(f"word-{turn.dice.randrange(turn.words)}")

    @probe(after=say)
    async def shows(self, tally, turn, word):
        return await tally.count(word) > 0

    watch = count.p90, say.rows, say.cpu_s
    goals = count.p90 < ms(100), shows.p90 < ms(500)
    faults = Pause("service", from_s=0.4, until_s=0.6)

    async def prepare(self, stores, approach, words, times=1):
        self.words_said = [f"word-{n}" for n in range(max(words) * times)]

    def expects(self, approach, op, point):
        return {"rows": 20} if (approach, op) == ("running", "say") else {}

    def everyone(self, point):
        return self.words_said

    async def look(self, tally, who):
        await tally.count(who)

    def predict(self, found):
        running, written = found("running", words=5), found("written", words=5)
        yield "keeping touches twenty rows a word", running.say.rows.equals(20)
        yield "writing down is cheaper for who speaks", written.say.rows < running.say.rows
        yield "and never dearer for who asks", written.count.rows <= running.count.rows
