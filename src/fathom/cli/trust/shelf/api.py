"""A shelf: put something on it, and see what is there; all of it lies in Redis."""

from typing import Protocol


class Shelf(Protocol):
    """What a client can ask."""

    async def put(self, name: str, what: str) -> None:
        """Put something on the shelf; what had this name before is gone."""
        ...

    async def see(self, name: str) -> str | None:
        """Return what lies there under a name."""
        ...
