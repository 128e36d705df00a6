"""A picture in smaller sizes: what strangers' bytes are made into, and how they are named."""

from __future__ import annotations

import io
import re

from fathom.errors import Refusal

from ..api import PICTURE_BYTES_MAX, ItemId

__all__ = ["WIDTHS", "checked_picture", "checked_picture_name", "key_of", "names_of", "resized", "route_of"]

WIDTHS = (160, 480, 960)  # of the sizes, in pixels
PIXELS_MAX = 16_000_000  # a picture of a few bytes may say that it is as large as a house
BULKY_BYTES = 64 << 10
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_SIZED = re.compile(rf"({_NAME.pattern})-({'|'.join(map(str, WIDTHS))})")
_PNG = b"\x89PNG\r\n\x1a\n"


def checked_picture_name(name: str) -> None:
    """Refuse what cannot name a picture."""
    if not _NAME.fullmatch(name):
        raise Refusal("invalid", "a picture's name is 1 to 40 small letters, digits and -")


def checked_picture(picture: bytes) -> None:
    """Refuse what is surely no picture that is kept; whether it can be read is found out later."""
    if len(picture) > PICTURE_BYTES_MAX:
        raise Refusal("too-large", f"a picture has at most {PICTURE_BYTES_MAX >> 10} KiB")
    if not picture.startswith(_PNG):
        raise Refusal("invalid", "a picture is a PNG file")


def names_of(name: str) -> list[str]:
    """Return the names of a picture's sizes, the smallest first.

    >>> names_of("front")
    ['front-160', 'front-480', 'front-960']
    """
    return [f"{name}-{width}" for width in WIDTHS]


def key_of(item: ItemId, name: str) -> str:
    """Return where a picture, or one of its sizes, lies among the files.

    >>> key_of(ItemId(7), "front-160")
    'pictures/7/front-160.png'
    """
    return f"pictures/{item}/{name}.png"


def is_a_size(name: str) -> bool:
    """Whether something may be the name of a size."""
    return _SIZED.fullmatch(name) is not None


def route_of(picture: bytes) -> str:
    """Return by which way a picture goes to its worker: one that takes long does not hold up the others.

    >>> route_of(b"small"), route_of(bytes(100_000))
    ('quick', 'bulky')
    """
    return "bulky" if len(picture) > BULKY_BYTES else "quick"


def resized(picture: bytes) -> list[bytes]:
    """Return a picture in all widths, never larger than it was. Equal bytes come out equal. Not for an event loop.

    Raises ValueError for what cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(picture), formats=["PNG"]) as image:
            if image.width * image.height > PIXELS_MAX:
                raise ValueError(f"it has more than {PIXELS_MAX:,} pixels")
            image.load()
            plain = image.convert("RGBA" if image.has_transparency_data else "RGB")
    except ValueError:
        raise
    except Exception as unread:  # whatever strangers' bytes make of a reader of pictures, it is the bytes' fault
        raise ValueError(f"it cannot be read ({type(unread).__name__})") from unread
    plain.info = {}
    made: list[bytes] = []
    for width in WIDTHS:
        size = min(width, plain.width), max(1, round(plain.height * min(1.0, width / plain.width)))
        written = io.BytesIO()
        plain.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0).save(written, "png")
        made.append(written.getvalue())
    return made
