"""A guest book, as small as a system can be."""

from typing import Protocol


class MySystem(Protocol):
    async def sign(self, name: str) -> int: ...
    async def first(self, n: int) -> list[str]: ...
