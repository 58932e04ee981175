"""The Ray engine writes the bytes of the local one."""

from pathlib import Path

import pytest

from scoring.config import ScoringConfig
from scoring.job import run_job

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_same_bytes_as_local_and_resumes(bundle: Path, tmp_path: Path) -> None:
    options = ScoringConfig(top_k=7, shard_size=10, workers=2)
    run_job(bundle, tmp_path / "local", options)
    steps: list[int] = []
    spread = options.model_copy(update={"engine": "ray"})
    addresses = set()

    def progress(done: int, total: int) -> None:
        steps.append(done)
        if ray.is_initialized():
            addresses.update(node["NodeManagerAddress"] for node in ray.nodes())

    run_job(bundle, tmp_path / "ray", spread, progress=progress)
    assert addresses == {"127.0.0.1"}
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")
    assert steps[0] == 0 and steps[-1] == 57 and sorted(steps) == steps
    assert not ray.is_initialized()
    # Nothing is missing, so the second call starts no Ray and keeps every part.
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "ray").glob("part-*")}
    run_job(bundle, tmp_path / "ray", spread)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
