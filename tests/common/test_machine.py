"""What the machine has, also where its Python lacks the calls that Linux has."""

import builtins
import os
import sys
from typing import Any

import pytest

from common import machine, memory
from encoders.embedding import _workers


@pytest.fixture
def no_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: no module `resource`."""
    load = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        if name == "resource":
            raise ImportError(name)
        return load(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)


def test_cores_are_those_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= machine.cpu_count() <= (os.cpu_count() or 1)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS and Windows
    assert machine.cpu_count() == os.cpu_count()
    assert 1 <= _workers(None, "image") <= 8


def test_the_peak_is_in_bytes() -> None:
    block = b"x" * (64 * 2**20)
    peak = machine.peak_resident()
    assert peak is not None and len(block) < peak < 2**40


def test_what_the_system_does_not_tell_is_not_made_up(
    no_resource: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    assert machine.peak_resident() is None
    assert machine.limit_data(2**40) is False
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    with memory.peak_memory() as peak:
        pass
    assert (peak.resident, peak.device) == (0, 0)


def test_nobody_asks_for_a_gpu_where_there_can_be_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert machine.may_have_gpu() is False
    monkeypatch.setattr(sys, "platform", "win32")
    assert machine.may_have_gpu() is True
    assert _workers(None, "image") == 0  # decoded in this process


def test_a_gpu_shows_by_its_device_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(machine, "_DEVICES", tmp_path)
    (tmp_path / "nvme0").touch()  # a disk
    assert machine.may_have_gpu() is False
    (tmp_path / "nvidia0").touch()
    assert machine.may_have_gpu() is True
