"""Whole files: a failure, a kill or two writers leave the old content or the new one, and no litter of the living."""

import os
import subprocess
import sys
import textwrap
import time
from hashlib import sha256
from pathlib import Path

import pytest

from common import files
from common.files import is_partial, keep, partial_file, remove_stale, sha256_of, write_bytes, write_json, write_whole

ROOT = Path(__file__).parents[2]


def test_what_is_written_is_there_and_the_folder_is_made(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "b" / "x.json", {"name": "ü"})
    assert (tmp_path / "a" / "b" / "x.json").read_text(encoding="utf-8") == '{\n  "name": "\\u00fc"\n}\n'
    write_bytes(tmp_path / "x", b"1")
    write_bytes(tmp_path / "x", b"2")
    assert (tmp_path / "x").read_bytes() == b"2"
    assert sorted(os.listdir(tmp_path)) == ["a", "x"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")

    def half(partial: Path) -> None:
        partial.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_whole(path, half)
    with pytest.raises(RuntimeError), partial_file(tmp_path) as file:
        file.write(b"ne")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]


KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from common.files import write_whole

    def half(partial):
        partial.write_text("ne")
        os.kill(os.getpid(), signal.SIGKILL)

    write_whole(Path(sys.argv[1]), half)
""")


def test_a_kill_leaves_the_old_file_and_its_temporary_one_is_known(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=False).returncode == -9
    assert path.read_text() == "old"
    (left,) = (name for name in os.listdir(tmp_path) if name != "x")
    assert is_partial(left)
    assert remove_stale(tmp_path) == 0  # young: it might still be written
    hour_ago = time.time() - 4000
    for name in (left, "x"):
        os.utime(tmp_path / name, (hour_ago, hour_ago))
    (tmp_path / ".tmp-mine").write_text("a user's own")
    os.utime(tmp_path / ".tmp-mine", (hour_ago, hour_ago))
    assert remove_stale(tmp_path) == 2
    assert sorted(os.listdir(tmp_path)) == [".tmp-mine", "x"]


def test_content_is_on_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        fsync(descriptor)

    def renamed(source: object, target: object) -> None:
        steps.append("rename")
        replace(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr(files.os, "fsync", synced)
    monkeypatch.setattr(files.os, "replace", renamed)
    write_bytes(tmp_path / "x", b"1")
    assert steps == ["file", "rename", "folder"]
    with partial_file(tmp_path) as file:
        file.write(b"2")
        keep(file, tmp_path / "x")
    assert steps[3:] == ["file", "rename"]


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    (tmp_path / "x").write_bytes(content)
    assert sha256_of(tmp_path / "x") == sha256(content).hexdigest()
