"""Memory of this process and of this machine, in bytes."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

_PROC = Path("/proc/self")
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass
class Peak:
    """The highest use seen, once the block has ended."""

    resident: int = 0
    """Of the process."""
    device: int = 0
    """Of the GPU; 0 without one."""


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Watch the peak of one block. Where the system keeps one peak a process only, it is that of the whole run."""
    peak = Peak()
    _give_back()
    with suppress(OSError):
        (_PROC / "clear_refs").write_text("5")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    yield peak
    peak.resident = resident_peak()
    peak.device = int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else 0


def resident_peak() -> int:
    """Highest resident memory of this process since it was last reset; 0 where the system does not tell."""
    try:
        lines = (_PROC / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        if resource is None:
            return 0
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def available() -> int | None:
    """What a run may use: free memory, or what a container's limit leaves of it; None where nobody tells."""
    try:
        facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(facts["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    for path in _LIMITS:
        try:
            free = min(free, int(path.read_text()))
        except (OSError, ValueError):
            continue
    return free


def _give_back() -> None:
    """Freed memory that the allocator kept would count for the next block."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
