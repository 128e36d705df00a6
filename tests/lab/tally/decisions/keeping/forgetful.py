"""Keep every second word: a control, there to be caught."""

from fathom.engines.ledger import charge

from ... import laws
from . import Keeping


class Forgetful(Keeping):
    breaks = laws.every_word_said_is_counted

    def __post_init__(self) -> None:
        self.words: list[str] = []
        self.said = 0

    def say(self, word: str) -> int:
        charge("rows")
        self.said += 1
        if self.said % 2:
            self.words.append(word)
        return self.said

    def count(self, word: str) -> int:
        return self.words.count(word)
