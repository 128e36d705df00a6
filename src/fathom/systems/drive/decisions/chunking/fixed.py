"""Cut at every so many bytes: nothing is cheaper to find, and one byte at the front moves every cut behind it."""

from __future__ import annotations

from fathom.design import knob

from . import KIB, Chunking, Cutting


class Fixed(Chunking):
    """Chunks of one size."""

    usual_kib: int = knob(256, "how large chunks are, in KiB (1 to 16,384)")

    def how(self) -> Cutting:
        return Cutting.fixed(self.usual_kib * KIB)
