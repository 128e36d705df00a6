"""Which local node is which remote one: each of them at most once, found from either side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fathom.blocks.reconcile import Tie

__all__ = ["Ties"]


class Ties:
    """Ties by both of their ends."""

    def __init__(self, ties: Iterable[Tie] = ()) -> None:
        self.of_local: dict[object, Tie] = {}
        self.of_remote: dict[object, Tie] = {}
        for tie in ties:
            self.add(tie)

    def __iter__(self) -> Iterator[Tie]:
        return iter(self.of_remote.values())

    def __len__(self) -> int:
        return len(self.of_remote)

    def add(self, tie: Tie) -> list[Tie]:
        """Tie two nodes; return the ties that this ends, but for one of the same remote node."""
        if (old := self.of_remote.pop(tie.remote, None)) is not None:
            self.of_local.pop(old.local, None)
        ended: list[Tie] = []
        if (other := self.of_local.get(tie.local)) is not None:
            del self.of_remote[other.remote]
            ended.append(other)
        self.of_local[tie.local] = self.of_remote[tie.remote] = tie
        return ended

    def remove(self, remote: object) -> bool:
        tie = self.of_remote.pop(remote, None)
        if tie is not None:
            self.of_local.pop(tie.local, None)
        return tie is not None
