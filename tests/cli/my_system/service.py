"""Ask whichever approach keeps the book."""

from contextlib import asynccontextmanager


class Service:
    def __init__(self, choices):
        self.choices = choices

    async def sign(self, name):
        return self.choices.order.add(name)

    async def first(self, n):
        return self.choices.order.first(n)


@asynccontextmanager
async def open(stores, choices):
    yield Service(choices)
