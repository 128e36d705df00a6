"""A filter in front of every file: some bits for each key, and most files that lack a key are never opened."""

from __future__ import annotations

from fathom.design import knob

from .. import Founding
from . import Bloom


class Full(Bloom):
    """As many bits per key as are given: 0.6 to that power of the files are opened in vain."""

    bits: int = knob(10, "bits of filter for each key")

    def shape(self, founding: Founding) -> Founding:
        return founding.with_tuning(bloom_bits=self.bits)
