"""Write everything down: nothing at a word, a look at all of them at the question."""

from fathom.engines.ledger import charge

from . import Keeping


class Written(Keeping):
    def __post_init__(self) -> None:
        self.words: list[str] = []

    def say(self, word: str) -> int:
        charge("rows")
        self.words.append(word)
        return len(self.words)

    def count(self, word: str) -> int:
        charge("rows", len(self.words))
        return sum(1 for each in self.words if each == word)
