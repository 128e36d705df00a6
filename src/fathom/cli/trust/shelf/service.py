"""Every call goes to the approach that was chosen."""

from contextlib import asynccontextmanager


class Service:
    def __init__(self, choices) -> None:
        self._writing = choices.writing

    async def put(self, name: str, what: str) -> None:
        await self._writing.put(name, what)

    async def see(self, name: str) -> str | None:
        return await self._writing.see(name)


@asynccontextmanager
async def open(stores, choices):
    yield Service(choices)
