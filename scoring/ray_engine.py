"""Shards of a batch job spread over Ray workers. Importing this needs the extra `ray`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ray
import torch
from ray._private import ray_constants

from gnn.bundle.bundle import load_bundle
from scoring.config import ScoringConfig
from scoring.errors import ScoringError
from scoring.job import Job
from scoring.shards import Part, part_name, write_part


class _Worker:
    """Holds the bundle and writes one part after another."""

    def __init__(self, bundle_dir: str, bundle_hash: str, unknown: list[str]) -> None:
        # One core an actor: the same arithmetic, and so the same bytes, however many there are.
        torch.set_num_threads(1)
        self.bundle = load_bundle(Path(bundle_dir))
        if self.bundle.hash != bundle_hash:
            raise ScoringError(f"{bundle_dir}: the bundle changed while the job ran; start the job again")
        if unknown:
            self.bundle = self.bundle.with_strangers(unknown)

    def write(self, number: int, users: Any, options: ScoringConfig, out: str) -> tuple[int, Part]:
        # Ray hands out arrays that cannot be written to, which torch does not take.
        return number, write_part(self.bundle, users.copy(), options, Path(out) / part_name(number, options.format))


def run_shards(job: Job, missing: Sequence[int]) -> Iterator[tuple[int, Part]]:
    """Yield (number, part) as workers finish shards, in any order.

    Uses the Ray that runs in this process, else the cluster at `ray_address`, else starts one bound to
    127.0.0.1 and stops it afterwards.
    """
    if not missing:
        return
    started = not ray.is_initialized()
    if started:
        _start(job)
    try:
        actor = ray.remote(num_cpus=1)(_Worker)
        count = min(job.options.workers, len(missing))
        workers = [actor.remote(str(job.bundle_dir.resolve()), job.bundle.hash, job.unknown) for _ in range(count)]
        out = str(job.out.resolve())
        pool = ray.util.ActorPool(workers)
        work = ((number, job.shard(number), job.options, out) for number in missing)
        yield from pool.map_unordered(lambda worker, shard: worker.write.remote(*shard), work)  # type: ignore[arg-type]
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        why = str(cause).partition("\n")[0]
        raise ScoringError(f"ray worker failed: {why}; run the same call again, or engine 'local'") from error
    finally:
        if started:
            ray.shutdown()


def _start(job: Job) -> None:
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    address = job.options.ray_address
    clusters = ray_constants.ENABLE_RAY_CLUSTER
    try:
        if address:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")  # type: ignore[arg-type]
        else:
            # Else Ray turns 127.0.0.1 into the machine's own address and listens on the network, unprotected.
            ray_constants.ENABLE_RAY_CLUSTER = False
            ray.init(address="local", num_cpus=job.options.workers, _node_ip_address="127.0.0.1", **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ScoringError(f"ray at {address or '127.0.0.1'} does not start: {str(error).splitlines()[0]}") from error
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = clusters
