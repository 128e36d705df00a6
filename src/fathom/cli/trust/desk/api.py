"""A desk: whoever comes is served in the order of coming, and what that takes is known to the microsecond."""

from typing import Protocol


class Desk(Protocol):
    """What a client can ask."""

    async def ask(self) -> None:
        """Ask something: it costs the CPU time that the approach says, and nothing else."""
        ...

    async def order(self) -> None:
        """Order something, which costs more than asking."""
        ...

    async def pack(self, items: int) -> None:
        """Pack so many items: what one of them costs, and what it takes to begin, is what the approach says."""
        ...

    async def hold(self, held_s: float) -> None:
        """Keep one of the clerks busy for so many seconds, without CPU; wait for one if none is free."""
        ...
