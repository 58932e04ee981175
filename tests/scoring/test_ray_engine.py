"""The Ray engine writes the bytes of the local one, whatever happens to its machines."""

import time
from pathlib import Path

import pytest

from scoring.config import ScoringConfig
from scoring.errors import ScoringError
from scoring.job import run_job, run_similar

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


def test_a_machine_lost_in_mid_job_changes_no_byte(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)  # keeps it on loopback
    options = ScoringConfig(top_k=7, shard_size=3, workers=3)
    run_job(bundle, tmp_path / "local", options.model_copy(update={"workers": None}))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        lost = [cluster.add_node(num_cpus=2)]
        cluster.wait_for_nodes()
        spread = options.model_copy(update={"engine": "ray", "ray_address": cluster.address})
        machines: list[int] = []

        def progress(done: int, total: int) -> None:
            if done and lost:
                cluster.remove_node(lost.pop(), allow_graceful=False)
                cluster.wait_for_nodes()  # until its loss is known; its tasks are under way
            if done:
                machines.append(sum(node["Alive"] for node in ray.nodes()))

        run_job(bundle, tmp_path / "ray", spread, progress=progress)
        assert machines == [1] * 19
        assert contents(tmp_path / "ray") == contents(tmp_path / "local")

        run_similar(bundle, tmp_path / "alike", options.model_copy(update={"workers": None}))
        run_similar(bundle, tmp_path / "alike_ray", spread)
        assert contents(tmp_path / "alike_ray") == contents(tmp_path / "alike")
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "ray://127.0.0.1:1", "127.0.0.1:x", "127.0.0.1:99999"])
def test_an_address_where_nobody_answers_is_told_at_once(bundle: Path, tmp_path: Path, address: str) -> None:
    started = time.monotonic()
    with pytest.raises(ScoringError, match="no Ray answers there") as caught:
        run_job(bundle, tmp_path / "scores", ScoringConfig(engine="ray", ray_address=address))
    assert repr(address) in str(caught.value) and time.monotonic() - started < 10
