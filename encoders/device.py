"""Where an encoder runs and in which numbers."""

from pathlib import Path
from typing import Literal

from common import device as devices
from encoders.errors import EncoderError

Dtype = Literal["auto", "float32", "bfloat16"]


def pick_device(wanted: str) -> str:
    """`auto` is cuda where there is one, else cpu; a device that is not there is an `EncoderError`."""
    try:
        return devices.pick_device(wanted)
    except devices.DeviceError as error:
        raise EncoderError(str(error)) from error


def dtype_name(wanted: Dtype, device: str) -> str:
    """The weights' numbers: as asked; auto is bfloat16 on a GPU and on a CPU that multiplies it natively."""
    if wanted != "auto":
        return wanted
    native = pick_device(device).startswith("cuda") or _cpu_has_bfloat16()
    return "bfloat16" if native else "float32"


def _cpu_has_bfloat16() -> bool:
    info = Path("/proc/cpuinfo")
    return info.is_file() and any(flag in info.read_text() for flag in ("avx512_bf16", "amx_bf16"))
