"""Memory: told in bytes where the system tells, and no hindrance where it does not."""

import subprocess
import sys
from pathlib import Path

import pytest

from common import memory


def test_the_peak_is_at_least_what_is_held() -> None:
    before = memory.resident_peak()
    held = bytearray(b"x" * (before + (32 << 20)))
    assert memory.resident_peak() >= len(held)


def test_without_the_systems_files_the_process_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = memory.resident_peak()
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    assert 0.5 < memory.resident_peak() / known < 2
    monkeypatch.setattr(memory, "resource", None)
    assert memory.resident_peak() == 0


def test_a_system_without_resource_can_train() -> None:
    code = "import sys; sys.modules['resource'] = None; import gnn.network.training, common.memory"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
