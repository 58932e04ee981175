"""Memory: told in bytes where the system tells, and no hindrance where it does not."""

import subprocess
import sys
from pathlib import Path

import pytest

from common import memory


def test_without_the_systems_files_the_process_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = memory.resident_peak()
    assert known > 10 << 20
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    assert 0.5 < memory.resident_peak() / known < 2


def test_a_system_without_resource_tells_nothing_and_goes_on(tmp_path: Path) -> None:
    """Windows has neither /proc nor that module."""
    code = (
        "import sys; sys.modules['resource'] = None\n"
        "from pathlib import Path\nfrom common import memory\n"
        "memory._PROC = Path('none')\n"
        "assert memory.resident_peak() == 0\n"
        "with memory.peak_memory() as peak: pass\n"
        "assert peak.resident == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
