"""Do not cut: one row a file, and the whole file again for each change of it."""

from __future__ import annotations

from ...api import CHUNK_BYTES_MAX
from . import Chunking, Cutting


class Whole(Chunking):
    """One chunk, as far as a chunk may be large."""

    def how(self) -> Cutting:
        return Cutting.fixed(CHUNK_BYTES_MAX)
