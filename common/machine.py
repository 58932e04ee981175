"""What the machine has, on Linux, macOS and Windows: not every Python has every call."""

import os
import sys
from contextlib import suppress
from pathlib import Path

_DEVICES = Path("/dev")
_GPU_FILES = ("nvidia[0-9]*", "nvidiactl", "nvhost-gpu", "nvmap", "kfd", "dxg")
"""NVIDIA's, Jetson's, AMD's, and the one of Windows under Linux."""


def cpu_count() -> int:
    """Cores that this process may use; all of the machine's where the system keeps no such list."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def may_have_gpu() -> bool:
    """Whether it is worth loading torch to ask for a GPU; False only where there can be none."""
    if sys.platform == "linux":
        return any(any(_DEVICES.glob(pattern)) for pattern in _GPU_FILES)
    return sys.platform != "darwin"


def peak_resident() -> int | None:
    """Highest resident memory of this process so far, in bytes; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def limit_data(most: int) -> bool:
    """Keep this process's data under `most` bytes; whether the system can."""
    try:
        import resource
    except ImportError:
        return False
    with suppress(ValueError, OSError, AttributeError):  # macOS takes some limits and refuses others
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
        return True
    return False
