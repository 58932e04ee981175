import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from encoders import DecodeError, DecodeLimits
from encoders.image import ImagePreparer, decode_image

RED, SIZE = (250, 10, 10), (20, 12)


def saved(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format_by_content(kind):
    array = decode_image(saved(Image.new("RGB", SIZE, RED), kind))
    assert array.shape == (12, 20, 3)
    assert array.dtype == np.uint8
    assert np.abs(array.astype(int) - RED).max() <= 12  # lossy formats


@pytest.mark.parametrize("kind", ["PPM", "ICO", "TGA", "EPS", "PDF"])
def test_other_formats_are_refused(kind):
    with pytest.raises(DecodeError, match="not a readable picture"):
        decode_image(saved(Image.new("RGB", SIZE, RED), kind))


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
    [
        ("1", 1, "PNG", (255, 255, 255)),
        ("L", 100, "PNG", (100, 100, 100)),
        ("LA", (100, 0), "PNG", (255, 255, 255)),
        ("P", 0, "PNG", (0, 0, 0)),
        ("RGBA", (*RED, 0), "PNG", (255, 255, 255)),
        ("RGBA", (*RED, 255), "WEBP", RED),
        ("CMYK", (0, 255, 255, 0), "JPEG", (255, 0, 0)),
        ("CMYK", (0, 255, 255, 0), "TIFF", (255, 0, 0)),
        ("I;16", 32896, "PNG", (128, 128, 128)),
        ("I;16", 65535, "TIFF", (255, 255, 255)),
        ("I", 65535, "TIFF", (255, 255, 255)),
        ("F", 0.5, "TIFF", (128, 128, 128)),
        ("LAB", (255, 128, 128), "TIFF", (255, 255, 255)),
        ("YCbCr", (255, 128, 128), "TIFF", (255, 255, 255)),
    ],
)
def test_every_mode_and_depth(mode, colour, kind, expected):
    array = decode_image(saved(Image.new(mode, SIZE, colour), kind))
    assert array.shape == (12, 20, 3)
    assert np.abs(array.astype(int) - expected).max() <= 3


def test_transparent_palette_goes_on_white():
    picture = Image.new("P", SIZE, 0)
    picture.putpalette([0, 0, 0] * 256)
    assert decode_image(saved(picture, "PNG", transparency=0)).min() == 255
    assert decode_image(saved(picture, "GIF", transparency=0)).min() == 255


def test_float_picture_with_nan_is_kept():
    picture = Image.fromarray(np.array([[np.nan, 0.0], [1.0, np.inf]], dtype=np.float32))
    assert decode_image(saved(picture, "TIFF")).shape == (2, 2, 3)


def test_exif_rotation_turns_the_picture_and_its_facts():
    picture = Image.new("RGB", SIZE, RED)
    exif = picture.getexif()
    exif[0x0112] = 6
    data = saved(picture, "JPEG", exif=exif)
    assert decode_image(data).shape == (20, 12, 3)
    assert ImagePreparer(8)(data, DecodeLimits()).facts == {"width": 12, "height": 20}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_leads_back_to_the_same_picture(orientation):
    upright = np.zeros((12, 20, 3), dtype=np.uint8)
    upright[:4, :5] = RED  # one corner tells all eight apart
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    picture = Image.fromarray(np.ascontiguousarray(stored))
    exif = picture.getexif()
    exif[0x0112] = orientation
    assert np.array_equal(decode_image(saved(picture, "PNG", exif=exif)), upright)


def test_half_transparent_colours_are_mixed_with_white():
    picture = Image.new("RGBA", SIZE, (0, 100, 200, 128))
    for kind in ("PNG", "TIFF"):
        assert np.abs(decode_image(saved(picture, kind))[0, 0].astype(int) - (127, 177, 227)).max() <= 1


def test_sixteen_bit_levels_keep_their_order():
    ramp = np.linspace(0, 65535, 240).astype(np.uint16).reshape(12, 20)
    values = decode_image(saved(Image.fromarray(ramp), "PNG"))[..., 0].ravel().astype(int)
    assert values[0] == 0 and values[-1] == 255
    assert (np.diff(values) >= 0).all() and len(set(values)) > 200


def test_broken_exif_does_not_cost_the_picture():
    data = saved(Image.new("RGB", SIZE, RED), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\x12\x01" * 9)
    assert decode_image(data).shape == (12, 20, 3)


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", SIZE, RED), Image.new("RGB", SIZE, (0, 0, 255))]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        assert np.abs(decode_image(data)[0, 0].astype(int) - RED).max() <= 12


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_truncated_pictures_are_refused_with_a_line(kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = saved(noise, kind)
    for keep in (len(data) // 2, 30, 9):
        with pytest.raises(DecodeError) as error:
            decode_image(data[:keep])
        assert "\n" not in str(error.value)


def test_empty_text_and_sound_are_no_pictures():
    for data in (b"", b"hello", b"RIFF\x10\0\0\0WAVEfmt ", b"<svg/>", b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(DecodeError):
            decode_image(data)


def test_a_bomb_is_refused_by_its_header():
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 10**6)
    bomb = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")
    with pytest.raises(DecodeError, match="over the limit of 100000000 pixels"):
        decode_image(bomb)
    with pytest.raises(DecodeError, match="20 x 12 pixels is over the limit of 100 pixels"):
        decode_image(saved(Image.new("RGB", SIZE), "PNG"), DecodeLimits(pixels=100))


def test_a_limit_above_that_of_pillow_holds(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    data = saved(Image.new("RGB", SIZE, RED), "PNG")
    assert decode_image(data, DecodeLimits(pixels=240)).shape == (12, 20, 3)
    with pytest.raises(DecodeError, match="over the limit of 239 pixels"):
        decode_image(data, DecodeLimits(pixels=239))


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (3, 500)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_any_shape_fits_the_square(size, fit):
    prepared = ImagePreparer(32, fit)(saved(Image.new("RGB", size, RED), "PNG"), DecodeLimits())
    assert prepared.array.shape == (32, 32, 3)
    assert prepared.facts == {"width": size[0], "height": size[1]}


def test_pad_keeps_the_whole_picture_on_white():
    array = ImagePreparer(32, "pad")(saved(Image.new("RGB", (32, 16), RED), "PNG"), DecodeLimits()).array
    assert (array[0] == 255).all()
    assert (array[16] == RED).all()


def test_a_large_jpeg_is_reduced_while_decoding_but_its_facts_are_true():
    data = saved(Image.new("RGB", (1600, 1200), RED), "JPEG")
    prepared = ImagePreparer(32)(data, DecodeLimits())
    assert prepared.facts == {"width": 1600, "height": 1200}
    assert np.abs(prepared.array.astype(int) - RED).max() <= 12
