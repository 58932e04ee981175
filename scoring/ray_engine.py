"""Shards of a batch job spread over Ray workers. Importing this needs the extra `ray`."""

import socket
from collections.abc import Iterator, Sequence
from typing import Any

import ray
import torch
from ray._private import ray_constants

from gnn.bundle.bundle import Bundle
from scoring.errors import ScoringError
from scoring.job import Job
from scoring.shards import Part, part_name

_PATIENCE = 5.0
"""Seconds within which a cluster has to answer."""

_RETRIES = 3
"""How often a part is made again because its machine was lost."""


def run_shards(job: Job, bundle: Bundle, missing: Sequence[int], workers: int) -> Iterator[tuple[int, Part]]:
    """Yield (number, part) as workers finish shards, in any order.

    Workers get the bundle from Ray's object store and give back the parts, which are written here: they need no disk,
    address or credentials in common with this machine. What a lost machine had under way is made on another.

    Uses the Ray that runs in this process, else the cluster at `ray_address`, else starts one bound to
    127.0.0.1 and stops it afterwards.
    """
    if not missing:
        return
    started = not ray.is_initialized()
    if started:
        _start(job, workers)
    try:
        # In a list, Ray hands over the reference, and a process reads the bundle once for all its parts.
        work = [ray.put((job, bundle))]
        make = ray.remote(num_cpus=1, max_retries=_RETRIES)(_make)
        waiting = list(reversed(missing))
        running: dict[Any, int] = {}
        while waiting or running:
            while waiting and len(running) < workers:
                number = waiting.pop()
                running[make.remote(work, number)] = number
            (done, *_), _ = ray.wait(list(running))
            part, content = ray.get(done)
            number = running.pop(done)
            job.out.write(part_name(number, job.options), content)
            yield number, part
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        why = str(cause).partition("\n")[0]
        raise ScoringError(f"ray worker failed: {why}; run the same call again, or engine 'local'") from error
    finally:
        if started:
            ray.shutdown()


_working: dict[str, tuple[Job, Bundle]] = {}
"""What this process works on, by its reference."""


def _make(work: Sequence[Any], number: int) -> tuple[Part, bytes]:
    # One core a task: the same arithmetic, and so the same bytes, however many there are.
    torch.set_num_threads(1)
    (reference,) = work
    if reference.hex() not in _working:
        _working.clear()
        _working[reference.hex()] = ray.get(reference)
    job, bundle = _working[reference.hex()]
    return job.make(number, bundle)


def _start(job: Job, workers: int) -> None:
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    address = job.options.ray_address
    clusters = ray_constants.ENABLE_RAY_CLUSTER
    if address and address != "auto":
        _check_answers(address)
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


def _check_answers(address: str) -> None:
    """Raise `ScoringError` within seconds where nobody listens: Ray itself would try for minutes, and say nothing."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, ValueError, OverflowError) as error:
        why = "it is no HOST:PORT" if isinstance(error, ValueError) else str(error)
        raise ScoringError(
            f"address {address!r}: no Ray answers there ({why}); run `ray start --head`, or leave address out"
        ) from error
