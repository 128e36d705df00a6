"""Keep a running count: a little at every word, nothing at the question."""

from fathom.design import knob
from fathom.engines.ledger import charge

from . import Keeping


class Running(Keeping):
    copies: int = knob(20, "how many counts are kept of each word")

    def __post_init__(self) -> None:
        self.counts: list[dict[str, int]] = [{} for _ in range(self.copies)]
        self.said = 0

    def say(self, word: str) -> int:
        for counts in self.counts:
            charge("rows")
            counts[word] = counts.get(word, 0) + 1
        self.said += 1
        return self.said

    def count(self, word: str) -> int:
        charge("rows")
        return self.counts[0].get(word, 0)
