"""Where a model runs."""

import re

from common.machine import may_have_gpu

_SYNTAX = re.compile(r"auto|cpu|cuda(:\d+)?")
_WAY_OUT = "use auto, cpu, cuda or cuda:N"


class DeviceError(ValueError):
    """A device that is not known or not there; one line with the way out. Rooms above make it an error of their own."""


def checked_device(name: str) -> str:
    """The name, where it is written as one: `auto`, `cpu`, `cuda` or `cuda:N`. Whether it is there is not looked at."""
    if not _SYNTAX.fullmatch(name):
        raise DeviceError(f"device {name!r} is not known; {_WAY_OUT}")
    return name


def pick_device(wanted: str) -> str:
    """`auto` is cuda where there is one, else cpu; a device that is not there is a `DeviceError`."""
    if wanted == "auto" and not may_have_gpu():
        return "cpu"  # found without loading torch
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise DeviceError(f"device {wanted!r} is not known; {_WAY_OUT}") from error
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise DeviceError(f"device {wanted!r} is not there ({torch.cuda.device_count()} GPUs); use auto or cpu")
    return wanted
