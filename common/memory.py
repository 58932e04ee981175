"""Memory of this process and of this machine, in bytes."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from common.machine import peak_resident

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
    torch = sys.modules.get("torch")  # who has not loaded it uses no GPU
    on_gpu = torch is not None and torch.cuda.is_available()
    if torch is not None and on_gpu:
        torch.cuda.reset_peak_memory_stats()
    yield peak
    peak.resident = resident_peak()
    peak.device = int(torch.cuda.max_memory_allocated()) if torch is not None and on_gpu else 0


def resident_peak() -> int:
    """Highest resident memory of this process since it was last reset; 0 where the system does not tell."""
    try:
        lines = (_PROC / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return peak_resident() or 0


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
