"""A count that a sheet says, and how large it may be: whoever wrote the sheet, it is worked out in seconds."""

from __future__ import annotations

__all__ = ["counted"]


def counted(text: str, most: int, *, least: int = 1) -> int:
    """Return a whole number of `least` to `most`.

    >>> counted("17", 1_000)
    17
    """
    count = int(text)
    if not least <= count <= most:
        raise ValueError(f"{count:,} is not within {least:,} to {most:,}")
    return count
