"""How large a piece of media may be before it is refused unread."""

from collections.abc import Mapping

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt

Facts = Mapping[str, int | float | str]
"""What is known of a decoded piece: `width`, `height` (pixels) | `duration` (s), `sample_rate` (Hz)."""


class DecodeLimits(BaseModel, extra="forbid", frozen=True):
    """Limits that hold before and while media are decoded; whatever exceeds one is quarantined."""

    bytes: PositiveInt = 256 * 2**20
    """Largest file, in bytes."""

    pixels: PositiveInt = 100_000_000
    """Largest picture, width x height, judged from its header."""

    seconds: PositiveFloat = 3600.0
    """Longest sound, in seconds, judged from its header and again while decoding."""

    channels: PositiveInt = 64
    """Most channels of a sound."""

    characters: PositiveInt = 5_000_000
    """Longest text."""

    timeout: PositiveFloat = 60.0
    """Seconds one file may take to decode before its worker is stopped and the file refused."""

    memory: PositiveInt = Field(default=8 * 2**30, ge=2**29)
    """Bytes one decoding process may allocate."""

    def violation(self, facts: Facts) -> str | None:
        """Why media with these facts exceeds the limits, or None. Also asked of media found in the cache."""
        width, height = facts.get("width"), facts.get("height")
        if width is not None and height is not None and int(width) * int(height) > self.pixels:
            return f"picture of {width} x {height} pixels is over the limit of {self.pixels} pixels"
        seconds = facts.get("duration")
        if seconds is not None and float(seconds) > self.seconds:
            return f"sound of {float(seconds):.1f} s is over the limit of {self.seconds:g} s"
        return None
