"""How many places does a tally keep a word in?"""

from fathom.lab.dive import Dive, sweep

from ..decisions.keeping import Keeping


class Weigh(Dive):
    decision = Keeping
    words: int = sweep(1, 3)

    async def trial(self, approach, turn):
        for number in range(turn.words):
            approach.say(f"word-{number}")
        return {"places": sum(map(len, getattr(approach, "counts", [approach.__dict__.get("words")])))}
