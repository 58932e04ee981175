"""Pictures: bytes to RGB, whatever the mode, and to the square a model wants. No torch."""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from common.text import one_line
from encoders.base import Prepared
from encoders.containers import png_damage
from encoders.errors import DecodeError
from encoders.limits import DecodeLimits

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""Accepted formats, told by content; of an animation the first frame."""

# What Pillow's decoders raise on damaged input; anything else ends the worker and costs that one file.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    ZeroDivisionError,
    EOFError,
    MemoryError,
    RuntimeError,
    NotImplementedError,
    struct.error,
    zlib.error,
)
_BITS = (10, 12, 14, 16)
"""How many bits of a 16-bit file cameras and scanners use."""

Fit = Literal["stretch", "crop", "pad"]


@dataclass(frozen=True)
class ImagePreparer:
    """Pictures to uint8 [size, size, 3]."""

    size: int
    fit: Fit = "crop"
    """stretch: to the square; crop: shorter side, then centre; pad: longer side, then white margins."""
    resample: str = "BICUBIC"
    background: int = 255

    def __call__(self, content: bytes | str, limits: DecodeLimits) -> Prepared:
        """Decode, composite on the background, fit into the square."""
        if isinstance(content, str):
            raise DecodeError("a picture needs a file, not inline text")
        picture, width, height = _open_rgb(content, limits, self.size, self.background)
        try:
            array = np.asarray(self._fitted(picture))
        except _DAMAGE as error:
            raise DecodeError(f"picture of {width} x {height} pixels cannot be resized: {one_line(error)}") from error
        return Prepared(array, {"width": width, "height": height})

    def _fitted(self, picture: Image.Image) -> Image.Image:
        square, how = (self.size, self.size), Image.Resampling[self.resample]
        if self.fit == "stretch":
            return picture.resize(square, how)
        if self.fit == "pad":
            colour = (self.background,) * 3
            return ImageOps.pad(picture, square, how, color=colour)
        return ImageOps.fit(picture, square, how)


def decode_image(data: bytes, limits: DecodeLimits | None = None) -> UInt8[np.ndarray, "height width 3"]:
    """Decode PNG, JPEG, WebP, GIF, BMP or TIFF to upright RGB, transparency on white.

    Raises `DecodeError` with a one-line reason.
    """
    picture, _, _ = _open_rgb(data, limits or DecodeLimits(), None, 255)
    return np.asarray(picture)


def _open_rgb(data: bytes, limits: DecodeLimits, at_least: int | None, background: int) -> tuple[Image.Image, int, int]:
    """The upright RGB picture (never reduced under `at_least` pixels a side), true width and height."""
    if not data:
        raise DecodeError("file is empty (0 bytes)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if Image.MAX_IMAGE_PIXELS is not None:  # Pillow refuses twice as many: let it not be stricter than the limits
            Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, -(-limits.pixels // 2))
        try:
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
        except Image.DecompressionBombError as error:
            raise DecodeError(f"picture is over the limit of {limits.pixels} pixels") from error
        except _DAMAGE as error:
            raise DecodeError(f"not a readable picture ({', '.join(FORMATS)}): {one_line(error)}") from error
        width, height = picture.size
        reason = limits.violation({"width": width, "height": height})
        if reason:
            raise DecodeError(reason)
        try:
            if picture.format == "PNG" and (broken := png_damage(data)):
                raise DecodeError(f"damaged PNG picture: {broken}")
            if at_least is not None and picture.format == "JPEG":
                picture.draft(None, (2 * at_least, 2 * at_least))  # decodes a large JPEG at 1/2, 1/4 or 1/8
            halved = any("16" in str(tile[3]) for tile in picture.tile)
            picture.load()  # before anything asks for EXIF data, which loads too and whose errors are no damage
            turned = _is_turned(picture)
            rgb = _to_rgb(_upright(picture), background, from_16_bits=halved)
        except _DAMAGE as error:
            raise DecodeError(f"damaged {picture.format} picture: {one_line(error)}") from error
    return rgb, *((height, width) if turned else (width, height))


def _is_turned(picture: Image.Image) -> bool:
    try:
        return picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except _DAMAGE:  # broken EXIF data beside a good picture
        return False


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except _DAMAGE:  # broken EXIF data beside a good picture
        return picture


def _to_rgb(picture: Image.Image, background: int, *, from_16_bits: bool) -> Image.Image:
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        return _from_deep(picture)
    if from_16_bits and picture.mode in ("RGB", "RGBA", "LA"):
        picture = _brightened(picture)
    if picture.mode in ("La", "RGBa"):
        picture = picture.convert({"La": "LA", "RGBa": "RGBA"}[picture.mode])
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        ground = Image.new("RGBA", rgba.size, (background,) * 3 + (255,))
        return Image.alpha_composite(ground, rgba).convert("RGB")
    return picture.convert("RGB")


def _brightened(picture: Image.Image) -> Image.Image:
    """Colours of which Pillow kept the upper 8 of 16 bits, scaled by the bits that are used of them."""
    values = np.asarray(picture)
    colours = values[..., : 1 if picture.mode == "LA" else 3]
    top = int(colours.max())
    most = next(2 ** (bits - 8) - 1 for bits in _BITS if top < 2 ** (bits - 8))
    scaled = values.copy()
    scaled[..., : colours.shape[2]] = np.rint(colours * (255 / most))
    if picture.mode != "RGB" and 0 < values[..., -1].max() <= most:
        scaled[..., -1] = np.rint(values[..., -1] * (255 / most))
    return Image.fromarray(scaled, picture.mode)


def _from_deep(picture: Image.Image) -> Image.Image:
    """16- and 32-bit integers and floats to 8 bits: by the bits that are in use, else min to max."""
    values = np.nan_to_num(np.asarray(picture, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if picture.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 65535 and picture.mode != "F":
        low, high = 0.0, next(2.0**bits - 1 for bits in _BITS if high < 2**bits)
    grey = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
    return Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8)).convert("RGB")
