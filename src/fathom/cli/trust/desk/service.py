"""The desk is open: the approach spends the CPU, the clerks are held."""

from contextlib import asynccontextmanager

from .core import Clerks


class Service:
    def __init__(self, choices, clerks: Clerks) -> None:
        self._work, self._clerks = choices.work, clerks

    async def ask(self) -> None:
        self._work.ask()

    async def order(self) -> None:
        self._work.order()

    async def pack(self, items: int) -> None:
        self._work.pack(items)

    async def hold(self, held_s: float) -> None:
        await self._clerks.hold(held_s)


@asynccontextmanager
async def open(stores, choices):
    clerks = Clerks(choices.clerks.clerks)
    try:
        yield Service(choices, clerks)
    finally:
        clerks.close()
