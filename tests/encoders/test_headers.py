"""Sound headers as recorders and pipes write them, damaged PNG files, and pictures of more than 8 bits."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from encoders import DecodeError
from encoders.audio import decode_audio
from encoders.image import decode_image

SAMPLES = (np.sin(np.arange(4_000) / 9) * 12_000).astype("<i2").tobytes()
FORMAT = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8_000, 16_000, 2, 16)
GREY = (np.arange(48 * 32) % 251).reshape(32, 48).astype(np.uint16)


def wav(size: int, *, head: bytes = b"RIFF", before: bytes = b"", body: bytes = SAMPLES, after: bytes = b"") -> bytes:
    chunks = before + FORMAT + b"data" + struct.pack("<I", size) + body + after
    return head + struct.pack("<I", min(4 + len(chunks), size | 0xFF)) + b"WAVE" + chunks


def ds64(size: int) -> bytes:
    return b"ds64" + struct.pack("<IQQQI", 28, (size + 100) % 2**64, size, size // 2, 0)


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, len(SAMPLES) + 36])
def test_a_size_that_was_not_known_is_what_is_there(size: int) -> None:
    np.testing.assert_array_equal(decode_audio(wav(size), 8_000), decode_audio(wav(len(SAMPLES)), 8_000))


@pytest.mark.parametrize("head", [b"RF64", b"BW64"])
@pytest.mark.parametrize("size", [len(SAMPLES), 0, 2**64 - 1])
def test_the_long_form(head: bytes, size: int) -> None:
    assert decode_audio(wav(0xFFFFFFFF, head=head, before=ds64(size)), 8_000).size == 4_000
    with pytest.raises(DecodeError, match="8000 of 9000 bytes"):
        decode_audio(wav(0xFFFFFFFF, head=head, before=ds64(9_000)), 8_000)


@pytest.mark.parametrize("padding", [b"\0", b"x", b""])
def test_odd_chunks_with_and_without_padding(padding: bytes) -> None:
    note = b"LIST" + struct.pack("<I", 5) + b"INFOa" + padding
    assert decode_audio(wav(len(SAMPLES), before=note), 8_000).size == 4_000
    assert decode_audio(wav(len(SAMPLES) - 1, body=SAMPLES[:-1]), 8_000).size == 3_999


def test_what_is_short_or_empty_is_still_refused() -> None:
    with pytest.raises(DecodeError, match="truncated WAV sound: 5000 of 8000 bytes"):
        decode_audio(wav(len(SAMPLES), body=SAMPLES[:5_000]), 8_000)
    with pytest.raises(DecodeError, match="holds no samples"):
        decode_audio(wav(0, body=b"", after=b"LIST" + struct.pack("<I", 4) + b"INFO"), 8_000)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def pictures() -> dict[str, bytes]:
    colours = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    picture, other = Image.fromarray(colours), Image.fromarray(255 - colours)
    return {
        "png": saved(picture, "PNG"),
        "palette": saved(picture.convert("P"), "PNG"),
        "16 bits": saved(Image.fromarray(GREY), "PNG"),
        "animated": saved(picture, "PNG", save_all=True, append_images=[other]),
        "with exif": saved(picture, "PNG", exif=Image.Exif()),
    }


@pytest.mark.parametrize("name", list(pictures()))
def test_no_damage_to_a_png_goes_unnoticed(name: str) -> None:
    good, draw = pictures()[name], random.Random(0)
    assert decode_image(good).shape == (32, 48, 3)
    for _ in range(40):
        data = bytearray(good)
        data[draw.randrange(8, len(data))] ^= 1 << draw.randrange(8)
        with pytest.raises(DecodeError):
            decode_image(bytes(data))
    for _ in range(40):
        with pytest.raises(DecodeError):
            decode_image(good[: draw.randrange(len(good))])


def test_a_png_whose_pixels_do_not_unpack_though_its_sums_are_right() -> None:
    good = pictures()["png"]
    place = good.index(b"IDAT")
    size = struct.unpack(">I", good[place - 4 : place])[0]
    packed = bytearray(good[place + 4 : place + 4 + size])
    packed[size // 2] ^= 0xFF
    chunk = b"IDAT" + bytes(packed)
    bad = good[:place] + chunk + struct.pack(">I", zlib.crc32(chunk)) + good[place + 8 + size :]
    with pytest.raises(DecodeError, match="damaged PNG picture"):
        decode_image(bad)


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_no_cut_goes_unnoticed(kind: str, options: dict[str, str]) -> None:
    if options and kind != "TIFF":
        pytest.skip("a setting of TIFF")
    colours = np.random.default_rng(1).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    good = saved(Image.fromarray(colours), kind, **options)
    for tenth in range(10):
        with pytest.raises(DecodeError):
            decode_image(good[: len(good) * tenth // 10])


@pytest.mark.parametrize(("bits", "kind"), [(bits, kind) for bits in (10, 12, 14, 16) for kind in ("PNG", "TIFF")])
def test_grey_pictures_are_scaled_by_the_bits_in_use(bits: int, kind: str) -> None:
    most = 2**bits - 1
    values = np.linspace(0, most, 48 * 32).round().astype(np.uint16).reshape(32, 48)
    found = decode_image(saved(Image.fromarray(values), kind))[..., 0]
    np.testing.assert_allclose(found, values * (255 / most), atol=0.51)


def test_a_dark_picture_stays_dark() -> None:
    # 300 of 65,535 is as dark in the 10 bits that hold it: 300 / 1023 of white, not white
    assert decode_image(saved(Image.fromarray(np.full((8, 8), 300, np.uint16)), "PNG")).max() == 75
    assert decode_image(saved(Image.fromarray(np.zeros((8, 8), np.uint16)), "PNG")).max() == 0


def png_of_16_bits(values: np.ndarray) -> bytes:
    """Pillow writes no colours of 16 bits."""
    height, width, bands = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6, 2: 4}[bands], 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("bands", [2, 3, 4])
def test_colours_of_12_bits_are_not_black(bands: int) -> None:
    values = np.zeros((4, 16, bands), np.uint16)
    values[..., 0] = np.arange(16) * 273  # 0 to 4,095
    if bands != 3:
        values[..., -1] = 65_535
    found = decode_image(png_of_16_bits(values))
    np.testing.assert_allclose(found[0, :, 0], np.arange(16) * 17, atol=1)
