"""The garbage collector of this process, kept out of what is measured."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["set_aside"]


@contextmanager
def set_aside() -> Iterator[None]:
    """Have no collection look through what exists now, for the length of a block.

    Objects can be set aside one and all, and be taken back only one and all. So who finds some set aside, by a block
    around this one or for good by whoever runs us, takes none back: the ends of inner blocks would undo outer ones.
    """
    outermost = not gc.get_freeze_count()
    gc.freeze()
    try:
        yield
    finally:
        if outermost:
            gc.unfreeze()
