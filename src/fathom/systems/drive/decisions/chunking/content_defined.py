"""Cut where the bytes say so: what is inserted moves the cuts beside it, and no others."""

from __future__ import annotations

from fathom.design import knob

from . import KIB, Chunking, Cutting


class ContentDefined(Chunking):
    """FastCDC: chunks of a quarter of the usual size to four times of it."""

    usual_kib: int = knob(256, "how large chunks usually are, in KiB (64 to 4,096)")

    def how(self) -> Cutting:
        return Cutting.content(self.usual_kib * KIB)
