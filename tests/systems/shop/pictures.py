"""Pictures for tests: good ones of any size, and ones that only look like one."""

from __future__ import annotations

import io

from PIL import Image

__all__ = ["BROKEN", "png"]


def png(width: int = 40, height: int = 30, shade: int = 90) -> bytes:
    """Return a plain picture."""
    written = io.BytesIO()
    Image.new("RGB", (width, height), (shade, 40, 160)).save(written, "png")
    return written.getvalue()


BROKEN = png()[:40]  # it begins as a picture does
