"""What can go wrong in this room; every message is one line that names the thing, its value and the
way out."""


class EncoderError(Exception):
    """An encoder cannot be made or run: unknown name, missing weights, wrong device, unusable cache
    folder."""


class DecodeError(EncoderError):
    """One piece of media cannot be used. Its message is the reason that quarantine shows."""
