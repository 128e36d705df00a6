"""What people wrote, what they themselves destroyed, and what clients did that they should not have."""

from __future__ import annotations

from fathom.blocks.chunking import Cutting

from ..client.hashing import cut
from ..core.files import Path
from .door import CUTTING, Server
from .medium import Medium

__all__ = ["Ledger"]


class Ledger:
    """Everything is told by its bytes: who writes, writes what nobody wrote before (but for those who copy)."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.existed: set[bytes] = set()  # what a file held at any instant, by somebody's hand
        self.destroyed: set[bytes] = set()  # what somebody wrote over, or deleted
        self.broken: list[str] = []
        self.conflicts: list[str] = []
        self.last: tuple[str, dict[Path, bytes | None]] | None = None
        self._digests: dict[bytes, str] = {}

    def wrote(self, data: bytes) -> None:
        self.existed.add(data)

    def overwrote(self, data: bytes) -> None:
        self.destroyed.add(data)

    def acted(self, name: str, medium: Medium) -> None:
        """Remember how somebody's folder was after the last thing that anybody did."""
        self.last = name, medium.tree()

    def took(self, device: str, data: bytes, path: Path) -> None:
        """A client took a file's content from a disk: the drive must have it, or had it when it was set back."""
        if data and self.digest(data) not in self._server.contents() and not self._server.set_back_at_ns:
            self.broken.append(f"the client of {device} took from the disk what the drive does not have: {data[:20]!r}")

    def conflict(self, device: str, what: str, path: str) -> None:
        self.conflicts.append(f"{device}: {path}")
        if what == "equal contents in conflict":
            self.broken.append(f"equal contents were called a conflict on {device}: {path}")

    def digest(self, data: bytes) -> str:
        """Return how the drive tells this content."""
        found = self._digests.get(data)
        if found is None:
            found = self._digests[data] = cut(Cutting.of(CUTTING), data)
        return found
