"""Every call goes straight to the approach that was chosen."""

from contextlib import asynccontextmanager


class Service:
    def __init__(self, choices):
        self.choices = choices

    async def say(self, word: str) -> int:
        return self.choices.keeping.say(word)

    async def count(self, word: str) -> int:
        return self.choices.keeping.count(word)


@asynccontextmanager
async def open(stores, choices):
    yield Service(choices)
