"""The parts of a message as OpenAI-compatible servers take them; pictures and sounds go without their metadata."""

import base64
import io
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

SOUND_RATE = 16_000
"""Hz: what models that listen are trained on."""

Part = dict[str, Any]


def text_part(text: str) -> Part:
    """Words."""
    return {"type": "text", "text": text}


def picture_part(pixels: UInt8[np.ndarray, "height width 3"]) -> Part:
    """A picture as a PNG in a data URL."""
    from PIL import Image  # here, as below: settings are read by every command

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_base64(file)}"}}


def sound_part(samples: Float32[np.ndarray, "samples"]) -> Part:
    """Mono samples at `SOUND_RATE` as a WAV file."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, SOUND_RATE, format="WAV", subtype="PCM_16")
    return {"type": "input_audio", "input_audio": {"data": _base64(file), "format": "wav"}}


def _base64(file: io.BytesIO) -> str:
    return base64.b64encode(file.getvalue()).decode()
