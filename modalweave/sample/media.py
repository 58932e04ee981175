"""Pictures, sounds and words of the sample catalogue, rendered from an item's hidden traits."""

import io
import math
import struct

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from modalweave.sample.world import SOUNDS, STYLES, TOPICS

Field = NDArray[np.float32]
Wave = NDArray[np.float64]

_COLOURS: dict[str, tuple[tuple[str, tuple[int, int, int]], ...]] = {
    "Spiral": (("Amber", (232, 150, 32)), ("Copper", (184, 96, 48)), ("Honey", (240, 188, 70))),
    "Striped": (("Navy", (28, 48, 112)), ("Sky", (92, 164, 226)), ("Steel", (84, 110, 140))),
    "Dotted": (("Coral", (244, 104, 88)), ("Rose", (226, 84, 128)), ("Cherry", (186, 26, 58))),
    "Ringed": (("Teal", (18, 132, 132)), ("Mint", (108, 202, 164)), ("Jade", (20, 150, 96))),
    "Chequered": (("Ink", (36, 36, 46)), ("Slate", (88, 96, 110)), ("Ash", (140, 140, 146))),
    "Wavy": (("Violet", (118, 70, 186)), ("Lilac", (172, 140, 222)), ("Plum", (110, 36, 104))),
    "Faceted": (("Olive", (126, 134, 44)), ("Moss", (82, 118, 52)), ("Lime", (158, 200, 56))),
    "Starry": (("Indigo", (52, 44, 130)), ("Midnight", (20, 24, 74)), ("Gold", (214, 172, 40))),
}
_THINGS: dict[str, tuple[str, ...]] = {
    "reading": ("Lamp", "Bookmark", "Bookend", "Armchair", "Notebook"),
    "cooking": ("Kettle", "Bowl", "Spice Jar", "Skillet", "Apron"),
    "gardening": ("Planter", "Watering Can", "Trowel", "Seed Box", "Trellis"),
    "music": ("Metronome", "Music Stand", "Drumstick", "Tambourine", "Record Box"),
    "travel": ("Suitcase", "Map Case", "Flask", "Neck Pillow", "Daypack"),
    "sport": ("Racket", "Yoga Mat", "Skipping Rope", "Ball", "Bottle"),
    "sleep": ("Blanket", "Night Light", "Pillow", "Alarm Clock", "Duvet"),
    "play": ("Spinning Top", "Kite", "Puzzle", "Building Set", "Marble Run"),
}
_PHRASES: dict[str, tuple[str, ...]] = {
    "reading": (
        "long evenings with a novel",
        "quiet study of books and letters",
        "turning pages in a corner chair",
    ),
    "cooking": (
        "simmering soups and baking bread",
        "a busy kitchen and a full table",
        "slow weekend recipes",
    ),
    "gardening": (
        "growing herbs and watering flower beds",
        "planting seeds in spring soil",
        "a green balcony",
    ),
    "music": (
        "practising scales and keeping time",
        "band rehearsals and concerts",
        "playing songs with friends",
    ),
    "travel": (
        "train journeys and distant cities",
        "packing light for the airport",
        "mountain roads and maps",
    ),
    "sport": (
        "training hard and winning matches",
        "running, stretching and team games",
        "a workout every morning",
    ),
    "sleep": ("deep rest and calm nights", "falling asleep early", "a dark bedroom and soft dreams"),
    "play": (
        "children who invent games",
        "rainy afternoons full of toys",
        "building, stacking and laughing together",
    ),
}
_TEMPLATES = (
    "The {thing} is made for {first}. It also suits {second}.",
    "Made with {first} in mind, this {thing} is at its best with {second}.",
    "For anyone who loves {first}: a {thing} that lasts. People keep it for {second}.",
)
_MATERIALS = ("oak", "brass", "linen", "glass", "clay", "wool", "steel", "bamboo")
_BASE_HZ = {"bell": 880.0, "pluck": 330.0, "drum": 90.0, "buzz": 140.0, "chirp": 2400.0, "organ": 220.0}
_BEATS_PER_SECOND = {"bell": 1.5, "pluck": 4.0, "drum": 3.0, "buzz": 1.0, "chirp": 6.0, "organ": 0.8}


def name_item(style: int, colour: int, topic: int, rng: np.random.Generator) -> tuple[str, str]:
    """`(title, description)`; the description tells the topic and never the picture's style."""
    look, subject = STYLES[style], TOPICS[topic]
    thing = _THINGS[subject][rng.integers(5)]
    first, second = (_PHRASES[subject][i] for i in rng.permutation(3)[:2])
    text = _TEMPLATES[rng.integers(len(_TEMPLATES))].format(thing=thing.lower(), first=first, second=second)
    text += f" In {rng.choice(_MATERIALS)}, about {rng.integers(8, 60)} cm."
    return f"{_COLOURS[look][colour][0]} {look} {thing}", text


def draw_picture(style: int, colour: int, size: int, rng: np.random.Generator) -> bytes:
    """PNG bytes of a `size` x `size` picture: the style's pattern in its colour, on a rounded shape."""
    fine = 2 * size
    axis = np.linspace(-1, 1, fine, dtype=np.float32)
    x, y = axis[None, :], axis[:, None]
    turn, zoom = float(rng.uniform(0, np.pi)), float(rng.uniform(0.8, 1.25))
    shift_x, shift_y = (float(w) for w in rng.uniform(-0.15, 0.15, size=2))
    along, across = zoom * math.cos(turn), zoom * math.sin(turn)
    u = along * (x - shift_x) + across * (y - shift_y)
    v = along * (y - shift_y) - across * (x - shift_x)
    ink = _pattern(STYLES[style], u, v, rng)[..., None]
    exponent = float(rng.choice([2.0, 3.0, 8.0]))
    curve = np.abs(axis) ** exponent
    inside = (curve[:, None] + curve[None, :] < 0.82**exponent)[..., None]
    base = np.array(_COLOURS[STYLES[style]][colour][1], dtype=np.float32)
    pale = 255 - 0.22 * (255 - base)
    backdrop = np.array(rng.uniform(225, 240, size=3), dtype=np.float32) - 12 * y[..., None]
    pixels = np.where(inside, pale + ink * (base - pale), backdrop)
    picture = Image.fromarray(pixels.astype(np.uint8)).resize((size, size), Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def draw_sound(family: int, rng: np.random.Generator) -> tuple[bytes, str]:
    """`(bytes, extension)` of a clip of 1.0 to 1.8 s: WAV, FLAC or Ogg, mono or stereo, 16 or 22.05 kHz."""
    rate = int(rng.choice([16_000, 22_050]))
    seconds = float(rng.uniform(1.0, 1.8))
    name = SOUNDS[family]
    time = np.arange(int(rate * seconds)) / rate
    beat = _BEATS_PER_SECOND[name] * rng.uniform(0.85, 1.15)
    since = (time * beat % 1.0) / beat
    pitch = _BASE_HZ[name] * 2 ** (rng.integers(-4, 5) / 12)
    wave = _timbre(name, since, time, pitch, rng)
    wave = 0.6 * wave / max(1e-9, float(np.abs(wave).max()))
    if rng.random() < 0.25:
        wave = np.stack([wave, 0.8 * np.roll(wave, rate // 200)], axis=1)
    kind, extension = (("WAV", "wav"), ("FLAC", "flac"), ("OGG", "ogg"))[rng.integers(3)]
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate, format=kind, subtype="VORBIS" if kind == "OGG" else "PCM_16")
    data = buffer.getvalue()
    return (_fixed_serial(data) if kind == "OGG" else data), extension


def _pattern(style: str, u: Field, v: Field, rng: np.random.Generator) -> Field:
    """How much ink each pixel takes, 0 to 1."""
    value: Field
    count = int(rng.integers(5, 8))
    match style:
        case "Spiral":
            value = np.sin(3 * np.arctan2(v, u) + 14 * np.hypot(u, v))
        case "Striped":
            value = np.sin(count * np.pi * u)
        case "Dotted":
            value = np.cos(count * np.pi * u) + np.cos(count * np.pi * v) - 0.6
        case "Ringed":
            value = np.sin(1.1 * count * np.pi * np.hypot(u, v))
        case "Chequered":
            value = np.sin(0.7 * count * np.pi * u) * np.sin(0.7 * count * np.pi * v)
        case "Wavy":
            value = np.sin(count * np.pi * (u + 0.14 * np.sin(7 * v)))
        case "Faceted":
            across = [np.floor(count / 2 * w) for w in (u, 0.5 * u + 0.866 * v, 0.866 * v - 0.5 * u)]
            shade: Field = (2 * across[0] + 3 * across[1] + 5 * across[2]) % 4 / 3
            return shade.astype(np.float32)
        case _:
            cell_u, cell_v = (np.mod(w * count / 2, 1.0) - 0.5 for w in (u, v))
            value = 0.20 + 0.14 * np.cos(5 * np.arctan2(cell_v, cell_u)) - np.hypot(cell_u, cell_v)
    return (value > 0).astype(np.float32)


def _timbre(name: str, since: Wave, time: Wave, pitch: float, rng: np.random.Generator) -> Wave:
    """The wave; `since` is the time since the last beat, `time` since the start, both in seconds."""
    turn = 2 * np.pi * pitch
    wave: Wave = np.zeros_like(time)
    match name:
        case "bell":
            for k, ratio in enumerate((1, 2.76, 5.4)):
                wave += np.exp(-(3 + k) * since) * np.sin(turn * ratio * since) / (k + 1)
        case "pluck":
            for k in range(1, 7):
                wave += np.exp(-(8 + 3 * k) * since) * np.sin(turn * k * since) / k
        case "drum":
            wave += np.exp(-18 * since) * np.sin(turn * since * (1 + 0.5 * np.exp(-40 * since)))
            wave += 0.4 * np.exp(-50 * since) * rng.standard_normal(len(time))
        case "buzz":
            wave += np.sign(np.sin(turn * time)) * (0.6 + 0.4 * np.sin(2 * np.pi * 18 * time))
        case "chirp":
            wave += np.exp(-25 * since) * np.sin(turn * since * (1 + 6 * since))
        case _:
            for ratio in (1, 1.26, 1.5, 2, 3):
                wave += np.sin(turn * ratio * time) / ratio
            wave *= 0.7 + 0.3 * np.sin(2 * np.pi * 0.8 * time)
    return wave


def _fixed_serial(data: bytes) -> bytes:
    """The same Ogg stream with stream number 1: libsndfile draws it from the clock, and files must repeat."""
    out, at = bytearray(data), 0
    while at < len(out):
        segments = out[at + 26]
        end = at + 27 + segments + sum(out[at + 27 : at + 27 + segments])
        out[at + 14 : at + 18] = struct.pack("<I", 1)
        out[at + 22 : at + 26] = bytes(4)
        out[at + 22 : at + 26] = struct.pack("<I", _ogg_crc(out[at:end]))
        at = end
    return bytes(out)


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = ((value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(value)
    return table


_CRC = _crc_table()


def _ogg_crc(page: bytes | bytearray) -> int:
    """CRC-32 with the polynomial and order of RFC 3533."""
    value = 0
    for byte in page:
        value = ((value << 8) & 0xFFFFFFFF) ^ _CRC[(value >> 24) ^ byte]
    return value
