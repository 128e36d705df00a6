"""A picture is what its bytes say, and comes out small, upright, and without anything that tells on its sender."""

from __future__ import annotations

import io
import random
import struct
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fathom.errors import Refusal
from fathom.systems.timeline.api import MEDIA_BYTES_MAX, MEDIA_PIXELS_MAX
from fathom.systems.timeline.model import pictures
from fathom.systems.timeline.model.pictures import FRAMES_MAX, form_of, reworked
from fathom.systems.timeline.service.workshop import Workshop
from tests.features import feature

from .pictures import camera, film, gif, noise, picture, webp


def opened(body: bytes) -> Image.Image:
    return Image.open(io.BytesIO(body))


@pytest.mark.parametrize(
    ("raw", "form"),
    [(picture(), "png"), (picture(form="JPEG"), "jpeg"), (picture(form="GIF"), "png"), (webp(), "webp")],
)
def test_each_kind_is_kept_in_a_form_that_everybody_can_show(raw: bytes, form: str) -> None:
    original, small = reworked(raw)
    assert (original.form, small.form) == (form, "webp")
    assert opened(original.body).format == form.upper()
    assert opened(original.body).size == (original.width, original.height) == opened(raw).size


@pytest.mark.parametrize(
    "raw", [b"", b"GIF", b"<svg xmlns='x'/>", b"<html>", b"%PDF-1.7", b"MZ\x90", b"BM" + bytes(60)]
)
def test_what_is_no_picture_by_its_bytes_is_refused(raw: bytes) -> None:
    with pytest.raises(Refusal, match="no picture that is kept here") as told:
        form_of(raw)
    assert told.value.code == "invalid"


@pytest.mark.parametrize("raw", [film(), b"\x1aE\xdf\xa3" + bytes(5), b"OggS" + bytes(5), b"RIFF0000WAVE", b"ID3"])
def test_films_and_sounds_are_declined_in_words(raw: bytes) -> None:
    with pytest.raises(Refusal, match="films and sounds are not kept here"):
        reworked(raw)


@pytest.mark.parametrize(
    "raw",
    [picture(), picture(form="JPEG"), gif(), webp(), picture(form="GIF")],
    ids=["png", "jpeg", "moving", "webp", "gif"],
)
def test_a_picture_that_is_cut_off_or_broken_is_refused_and_nothing_worse(raw: bytes) -> None:
    dice, refused = random.Random(4), 0
    for length in range(12, len(raw) - 1, 7):
        broken = bytearray(raw[:length])
        broken[dice.randrange(12, length) if length > 12 else 11] ^= 0xFF
        try:
            reworked(bytes(broken))
        except Refusal as told:
            assert told.code == "invalid"
            refused += 1
    assert refused > len(range(12, len(raw) - 1, 7)) / 2, refused


def test_what_a_camera_tells_of_its_owner_is_left_behind_and_the_picture_is_upright() -> None:
    raw = camera((40, 20))
    assert b"CAMERA-OF-ANN" in raw and b"SECRET-COMMENT" in raw
    for part in reworked(raw):
        assert (part.width, part.height) == (20, 40)
        assert b"CAMERA" not in part.body and b"SECRET" not in part.body and b"Exif" not in part.body
        assert not opened(part.body).getexif()
    marked = io.BytesIO()
    said = PngInfo()
    said.add_text("Author", "ann lives here")
    Image.new("RGB", (9, 9)).save(marked, "PNG", pnginfo=said, xmp=b"<x:xmpmeta>me</x:xmpmeta>")
    assert b"ann lives here" in marked.getvalue()
    assert all(b"ann" not in part.body and b"xmp" not in part.body for part in reworked(marked.getvalue()))


def test_a_photograph_with_a_preview_in_it_is_a_photograph() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    photograph, preview = Image.new("RGB", (40, 20), "red"), Image.new("RGB", (20, 10), "red")
    raw = io.BytesIO()
    photograph.save(raw, "MPO", save_all=True, append_images=[preview], exif=exif)
    original, small = reworked(raw.getvalue())
    assert (original.form, original.width, original.height) == ("jpeg", 20, 40)
    assert (small.width, small.height) == (20, 40)


async def test_who_sends_a_picture_that_there_is_no_memory_for_is_not_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pictures, "_reworked", no_room)
    with Workshop() as workshop, pytest.raises(Refusal) as told:
        await workshop.rework(picture())
    assert told.value.code == "unavailable"


@pytest.mark.slow
@feature("SOCIAL-16")
def test_a_photograph_becomes_smaller_and_a_large_one_is_shrunk() -> None:
    original, small = reworked(noise((900, 700)))
    assert (original.form, original.width, original.height) == ("png", 900, 700)
    large = picture(size=(4_000, 4_000), form="JPEG", quality=100)
    original, small = reworked(large)
    assert original.width * original.height <= 3840 * 2160 < 4_000 * 4_000
    assert len(original.body) < len(large)
    assert small.width * small.height <= 640 * 360
    assert len(small.body) < len(original.body)


@pytest.mark.slow
def test_a_photograph_that_was_sent_without_loss_is_kept_as_a_photograph() -> None:
    raw = noise((1_400, 1_100))
    original, _ = reworked(raw)
    assert original.form == "webp"
    assert len(original.body) < len(raw) / 2


@feature("SOCIAL-16")
def test_equal_pictures_come_out_equal() -> None:
    assert reworked(picture(3)) == reworked(picture(3))
    assert reworked(picture(3)).original.digest != reworked(picture(4)).original.digest
    compressed_otherwise = picture(3, compress_level=1)
    assert compressed_otherwise != picture(3)
    assert reworked(compressed_otherwise).original.digest == reworked(picture(3)).original.digest


def test_a_moving_picture_goes_on_moving_and_its_small_one_stands_still() -> None:
    original, small = reworked(gif(5))
    assert (original.form, opened(original.body).n_frames) == ("webp", 5)  # type: ignore[attr-defined]
    assert opened(small.body).n_frames == 1  # type: ignore[attr-defined]
    assert opened(webp()).mode == "RGBA" and opened(reworked(webp()).original.body).mode == "RGBA"


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that says it is so large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packed = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def large_webp() -> bytes:
    raw = bytearray(webp((10, 10), lossless=True))
    raw[21:25] = (0x3FFF | 0x3FFF << 14).to_bytes(4, "little")
    return bytes(raw)


@pytest.mark.parametrize(
    "raw",
    [bomb(5_000, 5_000), bomb(60_000, 60_000), bomb(1 << 30, 1 << 30), bomb(20_000, 1), large_webp()],
    ids=["25 million", "3.6 billion", "2 to the 60", "long", "webp"],
)
def test_a_picture_is_refused_for_its_size_before_it_is_unpacked(raw: bytes) -> None:
    assert len(raw) < 1_000
    with pytest.raises(Refusal) as told:
        reworked(raw)
    assert told.value.code == "invalid"


@pytest.mark.slow
def test_a_moving_picture_has_so_many_frames_and_so_many_pixels_in_them() -> None:
    with pytest.raises(Refusal, match="frames"):
        reworked(gif(FRAMES_MAX + 1, (1, 1)))
    side = 2_100
    frames = 2 * MEDIA_PIXELS_MAX // side**2 + 1
    with pytest.raises(Refusal, match="frames"):
        reworked(gif(frames, (side, side)))


def test_a_file_is_refused_for_its_length() -> None:
    with pytest.raises(Refusal) as told:
        reworked(picture() + bytes(MEDIA_BYTES_MAX))
    assert told.value.code == "too-large"
