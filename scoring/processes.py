"""Shards of a batch job over processes of this machine."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

import torch

from gnn.bundle.bundle import Bundle
from scoring.errors import ScoringError
from scoring.job import Job
from scoring.shards import Part


def run_shards(job: Job, missing: Sequence[int], workers: int) -> Iterator[tuple[int, Part]]:
    """Yield (number, part) as processes finish shards, in any order.

    Each process reads the bundle and has its share of the threads. Left early, those under way are finished first.
    """
    count = min(workers, len(missing))
    threads = max(1, torch.get_num_threads() // count)
    context = multiprocessing.get_context("spawn")  # a forked process would inherit locks of torch's threads
    with ProcessPoolExecutor(count, context, _begin, (job, threads)) as pool:
        try:
            waiting = [pool.submit(_write, number) for number in missing]
            for done in as_completed(waiting):
                yield done.result()
        except BrokenProcessPool as error:
            raise ScoringError(
                f"one of {count} scoring processes ended, for want of memory or because it was killed; run the same "
                "call again, with fewer workers where memory is short"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


_working: list[tuple[Job, Bundle]] = []
"""What this process works on, once it has begun."""


def _begin(job: Job, threads: int) -> None:
    """What a process starts with."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, too, and ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    _working.append((job, job.read()))


def _end_with_parent() -> None:
    """A killed parent tells nobody; without this its processes would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write(number: int) -> tuple[int, Part]:
    ((job, bundle),) = _working
    return number, job.write(number, bundle)
