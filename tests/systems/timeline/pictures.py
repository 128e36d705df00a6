"""Pictures to send: small ones, each of its own, and with whatever cameras and others put into them."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

__all__ = ["camera", "film", "gif", "noise", "picture", "webp"]


def picture(number: int = 0, size: tuple[int, int] = (8, 6), form: str = "PNG", **how: Any) -> bytes:
    """Return a picture of one colour, which is its number's."""
    return _written(Image.new("RGB", size, (number * 83 % 256, number * 157 % 256, 77)), form, **how)


def noise(size: tuple[int, int] = (600, 400), form: str = "PNG", **how: Any) -> bytes:
    """Return a picture that nothing makes small: another each time."""
    return _written(Image.effect_noise(size, 90).convert("RGB"), form, **how)


def camera(size: tuple[int, int] = (40, 20)) -> bytes:
    """Return a photograph whose camera lay on its side, and which knows where that was."""
    image = Image.new("RGB", size, "red")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010F] = "CAMERA-OF-ANN"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    return _written(image, "JPEG", exif=exif, comment=b"SECRET-COMMENT")


def gif(frames: int = 3, size: tuple[int, int] = (10, 10)) -> bytes:
    """Return a moving picture."""
    first, *rest = (Image.new("RGB", size, (n * 60 % 256, 0, 0)) for n in range(frames))
    return _written(first, "GIF", save_all=True, append_images=rest, duration=80)


def webp(size: tuple[int, int] = (10, 10), **how: Any) -> bytes:
    return _written(Image.new("RGBA", size, (9, 9, 9, 100)), "WEBP", **how)


def film() -> bytes:
    """Return what a film begins with."""
    return b"\0\0\0\x20ftypisom" + bytes(200)


def _written(image: Image.Image, form: str, **how: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, form, **how)
    return written.getvalue()
