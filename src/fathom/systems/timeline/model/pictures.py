"""A picture from strangers' bytes: known by what it is, written anew, smaller, and without what nobody asked for."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from fathom.errors import Refusal

from ..api import MEDIA_BYTES_MAX, MEDIA_PIXELS_MAX, Form

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Encoded", "Picture", "form_of", "reworked"]

KEPT_PIXELS_MAX = 3840 * 2160
SMALL_PIXELS_MAX = 640 * 360
SIDE_PIXELS_MAX = 16_383  # what WebP can say
FRAMES_MAX = 300
MOVING_PIXELS_MAX = 2 * MEDIA_PIXELS_MAX  # of all frames of a moving picture together
LOSSLESS_BYTES_MAX = 2 << 20  # a larger one is most likely a photograph, and nobody sees what it then loses
_KINDS = ((b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"))
_SOUNDS = (b"\x1aE\xdf\xa3", b"OggS", b"ID3", b"fLaC", b"\xff\xfb")


class Encoded(NamedTuple):
    """A picture as bytes."""

    body: bytes
    digest: bytes
    form: Form
    width: int
    height: int


class Picture(NamedTuple):
    """A picture as it is kept, and a small one of it."""

    original: Encoded
    small: Encoded


def form_of(raw: bytes) -> str:
    """Return what a file is, by its bytes: its name and what was said of it do not count. Refuse what is not kept.

    >>> form_of(b"GIF89a...")
    'GIF'
    """
    for begins, form in _KINDS:
        if raw.startswith(begins):
            return form
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        return "WEBP"
    film = raw[4:8] == b"ftyp" and raw[8:11] not in (b"avi", b"hei", b"mif")
    if film or raw.startswith(_SOUNDS) or (raw[:4] == b"RIFF" and raw[8:12] in (b"WAVE", b"AVI ")):
        raise Refusal("invalid", "films and sounds are not kept here: pictures are, as PNG, JPEG, GIF or WebP")
    raise Refusal("invalid", "this is no picture that is kept here: send PNG, JPEG, GIF or WebP")


def reworked(raw: bytes) -> Picture:
    """Return a picture as it is kept, or refuse. Equal bytes come out equal. It takes a while: not for an event loop.

    Whatever is in it besides the picture (where it was taken, with what, by whom) is left behind; it is turned as its
    camera was held, and its colours are those that screens expect.
    """
    form = form_of(raw)
    if len(raw) > MEDIA_BYTES_MAX:
        raise Refusal("too-large", f"a picture has at most {MEDIA_BYTES_MAX >> 20} MiB")
    try:
        if form == "WEBP":  # its reader takes the memory for a frame before it says how large one is
            _check_size(*_webp_size(raw))
        return _reworked(raw, form)
    except (Refusal, MemoryError):
        raise
    except Exception as unread:  # whatever strangers' bytes make of a reader of pictures, it is the bytes' fault
        raise Refusal("invalid", "this picture cannot be read: it is cut off, or broken") from unread


def _reworked(raw: bytes, form: str) -> Picture:
    from PIL import Image

    with Image.open(io.BytesIO(raw), formats=[form]) as image:
        _check_size(*image.size)
        frames = list(_frames(image))
        if len(frames) > 1:
            return Picture(_moving(frames), _small(frames[0][0]))
        image.seek(0)
        lossless = form in ("PNG", "GIF") or (form == "WEBP" and b"VP8L" in raw[12:64])
        still = _plain(image)
    return Picture(_still(still, form, lossless), _small(still))


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1 or width * height > MEDIA_PIXELS_MAX or max(width, height) > SIDE_PIXELS_MAX:
        raise Refusal(
            "invalid",
            f"a picture has at most {MEDIA_PIXELS_MAX:,} pixels, {SIDE_PIXELS_MAX:,} on a side;"
            f" this one has {width:,} times {height:,}",
        )


def _webp_size(raw: bytes) -> tuple[int, int]:
    kind = raw[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(raw[24:27], "little"), 1 + int.from_bytes(raw[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(raw[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", raw, 26)
    return width & 0x3FFF, height & 0x3FFF


def _frames(image: Image) -> Iterator[tuple[Image, int]]:
    """Yield the frames of a moving picture, each with how long it is shown, in milliseconds; of a still one nothing."""
    # A photograph with previews of itself (MPO) says that it moves.
    if image.format in ("JPEG", "MPO") or not getattr(image, "is_animated", False):
        return
    each = image.size[0] * image.size[1]
    for number in range(FRAMES_MAX + 1):
        try:
            image.seek(number)
        except EOFError:
            return
        if number == FRAMES_MAX or (number + 1) * each > MOVING_PIXELS_MAX:
            raise Refusal(
                "invalid",
                f"a moving picture has at most {FRAMES_MAX} frames, and {MOVING_PIXELS_MAX:,} pixels in all of them",
            )
        image.load()
        shown_ms = int(image.info.get("duration") or 0)
        yield image.convert("RGBA"), shown_ms if 20 <= shown_ms <= 60_000 else 100


def _plain(image: Image) -> Image:
    """Return a picture as everybody sees it: upright, in the usual colours, and with nothing written on its back."""
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    image = _usual_colours(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode.startswith("I") or image.mode in ("1", "L"):
        image = image.convert("L")
    else:
        image = image.convert("RGB")
    return _shrunk(image, KEPT_PIXELS_MAX)


def _usual_colours(image: Image) -> Image:
    """Translate a picture's colours where it says that they mean something else than usual."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        usual = ImageCms.profileToProfile(image, io.BytesIO(profile), _srgb(), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):  # a profile that says nothing: take the colours as they are
        return image
    return image if usual is None else usual


@lru_cache(maxsize=1)
def _srgb() -> Any:
    from PIL import ImageCms

    return ImageCms.createProfile("sRGB")


def _shrunk(image: Image, pixels_max: int) -> Image:
    from PIL import Image

    width, height = image.size
    image.info = {}  # some writers put into a file what they find here
    if width * height <= pixels_max:
        return image
    scale = (pixels_max / (width * height)) ** 0.5
    size = max(1, int(width * scale)), max(1, int(height * scale))
    small = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    small.info = {}
    return small


def _still(image: Image, form: str, lossless: bool) -> Encoded:
    if form == "JPEG" and image.mode != "RGBA":
        return _smallest_of(image, "jpeg", optimize=True, progressive=True)
    if lossless:
        exact = _encoded(image, "png") if form != "WEBP" else _encoded(image, "webp", lossless=True)
        if len(exact.body) <= LOSSLESS_BYTES_MAX:
            return exact
    return _smallest_of(image, "webp")


def _smallest_of(image: Image, form: Form, **how: Any) -> Encoded:
    """Write a photograph, and once more with less in it if it is larger than what may be kept."""
    for quality in (85, 60, 30):
        found = _encoded(image, form, quality=quality, **how)
        if len(found.body) <= MEDIA_BYTES_MAX:
            return found
    raise Refusal("too-large", f"a picture has at most {MEDIA_BYTES_MAX >> 20} MiB, however it is written")


def _small(image: Image) -> Encoded:
    return _encoded(_shrunk(image.copy(), SMALL_PIXELS_MAX), "webp", quality=75)


def _moving(frames: list[tuple[Image, int]]) -> Encoded:
    first, *rest = (_shrunk(frame, KEPT_PIXELS_MAX) for frame, _ in frames)
    shown_ms = [ms for _, ms in frames]
    how = {"save_all": True, "append_images": rest, "duration": shown_ms, "loop": 0, "quality": 75, "method": 2}
    found = _encoded(first, "webp", **how)
    if len(found.body) > MEDIA_BYTES_MAX:
        raise Refusal("too-large", f"a moving picture has at most {MEDIA_BYTES_MAX >> 20} MiB, however it is written")
    return found


def _encoded(image: Image, form: Form, **how: Any) -> Encoded:
    written = io.BytesIO()
    image.save(written, form, **how)
    body = written.getvalue()
    return Encoded(body, hashlib.sha256(body).digest(), form, *image.size)
