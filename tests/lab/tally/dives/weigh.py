"""How many places does a tally keep a word in?"""

from fathom.history import History, Op
from fathom.lab.dive import Dive, sweep

from ..decisions.keeping import Keeping


class Weigh(Dive):
    decision = Keeping
    words: int = sweep(1, 3)
    counts = "places", "missed"

    async def trial(self, approach, turn):
        ops = []
        for number in range(turn.words):
            approach.say(f"word-{number}")
            ops.append(self.told("say", number, None))
        counts = [approach.count(f"word-{number}") for number in range(turn.words)]
        ops += [self.told("count", number, count, final=True) for number, count in enumerate(counts)]
        places = sum(map(len, getattr(approach, "counts", [approach.__dict__.get("words")])))
        return {"places": places, "missed": counts.count(0)}, History(ops)

    def told(self, call, number, answer, *, final=False):
        at = float(number + 100 * final)
        index = number + 100 * final
        return Op(
            index=index,
            caller="one",
            call=call,
            asked=[f"word-{number}"],
            answer=answer,
            final=final,
            start_s=at,
            end_s=at + 0.5,
        )

    def predict(self, found):
        running, written = found("running", words=3), found("written", words=3)
        yield "a running count is kept in twenty places a word", running.places.equals(20 * written.places)
        yield "who keeps every second word misses none of one", found("forgetful", words=1).missed.equals(0)
        yield "and none of three", found("forgetful", words=3).missed.equals(0)
