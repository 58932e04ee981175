"""Shards of a batch job spread over Ray workers. Importing this needs the extra `ray`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import ray
import torch
from ray._private import ray_constants

from scoring.errors import ScoringError
from scoring.job import Job
from scoring.shards import Part


class _Worker:
    """Holds the bundle and writes one part after another."""

    def __init__(self, job: Job) -> None:
        # One core an actor: the same arithmetic, and so the same bytes, however many there are.
        torch.set_num_threads(1)
        self.job, self.bundle = job, job.read()

    def write(self, number: int) -> tuple[int, Part]:
        return number, self.job.write(number, self.bundle)


def run_shards(job: Job, missing: Sequence[int], workers: int) -> Iterator[tuple[int, Part]]:
    """Yield (number, part) as workers finish shards, in any order.

    Uses the Ray that runs in this process, else the cluster at `ray_address`, else starts one bound to
    127.0.0.1 and stops it afterwards.
    """
    if not missing:
        return
    started = not ray.is_initialized()
    if started:
        _start(job, workers)
    try:
        actor = ray.remote(num_cpus=1)(_Worker)
        work = ray.put(replace(job, bundle_dir=job.bundle_dir.resolve(), out=job.out.resolved()))
        actors = [actor.remote(work) for _ in range(min(workers, len(missing)))]
        pool = ray.util.ActorPool(actors)
        yield from pool.map_unordered(lambda worker, number: worker.write.remote(number), missing)  # type: ignore[arg-type]
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        why = str(cause).partition("\n")[0]
        raise ScoringError(f"ray worker failed: {why}; run the same call again, or engine 'local'") from error
    finally:
        if started:
            ray.shutdown()


def _start(job: Job, workers: int) -> None:
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    address = job.options.ray_address
    clusters = ray_constants.ENABLE_RAY_CLUSTER
    try:
        if address:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")  # type: ignore[arg-type]
        else:
            # Else Ray turns 127.0.0.1 into the machine's own address and listens on the network, unprotected.
            ray_constants.ENABLE_RAY_CLUSTER = False
            ray.init(address="local", num_cpus=workers, _node_ip_address="127.0.0.1", **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ScoringError(f"ray at {address or '127.0.0.1'} does not start: {str(error).splitlines()[0]}") from error
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = clusters
