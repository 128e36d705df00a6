"""A tally: say a word, ask how often it was said."""

from typing import Protocol


class Tally(Protocol):
    """What a client can ask."""

    async def say(self, word: str) -> int:
        """Count a word once more; return which number of all words it was."""
        ...

    async def count(self, word: str) -> int:
        """Return how often a word was said."""
        ...
