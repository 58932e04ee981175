"""What can go wrong in this room; a message is one line: the thing, its value and the way out."""


class EncoderError(Exception):
    """An encoder cannot be made or run: unknown name, missing weights, wrong device, full disk."""


class RequestRefused(EncoderError):
    """A server takes no request like this one (HTTP 400, 413, 415, 422); another may pass."""


class DecodeError(EncoderError):
    """One piece of media cannot be used. Its message is the reason that quarantine shows."""
