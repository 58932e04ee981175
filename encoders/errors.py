"""What can go wrong in this room; a message is one line: the thing, its value and the way out."""


class EncoderError(Exception):
    """An encoder cannot be made or run: unknown name, missing weights, wrong device, full disk."""


class DecodeError(EncoderError):
    """One piece of media cannot be used. Its message is the reason that quarantine shows."""
