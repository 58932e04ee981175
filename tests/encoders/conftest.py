import io

import numpy as np
import pytest
import soundfile
from PIL import Image


def picture(n, kind="PNG"):
    rng = np.random.default_rng(n)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def sound(n, seconds=0.1, rate=8000):
    buffer = io.BytesIO()
    wave = np.random.default_rng(n).normal(0, 0.1, int(seconds * rate)).astype(np.float32)
    soundfile.write(buffer, wave, rate, format="WAV")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def make_picture():
    return picture


@pytest.fixture(scope="session")
def make_sound():
    return sound
