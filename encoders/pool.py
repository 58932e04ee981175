"""A pool of decoding processes that outlives crashes and hangs: each costs the file that caused it."""

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import NamedTuple

from encoders.base import Prepared, Preparer
from encoders.errors import DecodeError, EncoderError
from encoders.limits import DecodeLimits
from encoders.worker import BYTES, READY, TEXT, receive

_START_SECONDS, _END_SECONDS = 120.0, 10.0
# One BLAS thread a process: the processes are the parallelism.
_CODE = (
    "import json, os, sys; os.environ.update(OMP_NUM_THREADS='1', OPENBLAS_NUM_THREADS='1');"
    "sys.path[:] = json.loads(sys.argv[1]); from encoders.worker import main; main()"
)


class Outcome(NamedTuple):
    """One task's end."""

    task: int
    prepared: Prepared | None
    reason: str | None
    lasting: bool = True
    """Whether the same bytes would end the same way; a crash or a timeout may have had another cause."""


class DecodePool:
    """`workers` processes, each driven by a thread of its own; arrays wait in a queue of bounded length."""

    def __init__(self, preparer: Preparer, limits: DecodeLimits, workers: int, ahead: int = 64) -> None:
        self._preparer, self._limits, self._workers = preparer, limits, workers
        self._results: queue.Queue[Outcome | None] = queue.Queue(maxsize=ahead)
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def map(self, tasks: Iterable[tuple[int, bytes | str]]) -> Iterator[Outcome]:
        """Prepare each `(number, content)`; outcomes come as they are done, not in order."""
        source = iter(tasks)
        with ThreadPoolExecutor(self._workers) as threads:
            drivers = [threads.submit(self._drive, source) for _ in range(self._workers)]
            try:
                running = self._workers
                while running:
                    outcome = self._results.get()
                    if outcome is None:
                        running -= 1
                    else:
                        yield outcome
            finally:  # also when the caller stops early: the drivers must not wait for room in the queue
                self._stop.set()
                while not all(driver.done() for driver in drivers):
                    with contextlib.suppress(queue.Empty):
                        self._results.get(timeout=0.02)
            for driver in drivers:
                driver.result()

    def _drive(self, source: Iterator[tuple[int, bytes | str]]) -> None:
        worker: _Worker | None = None
        try:
            while not self._stop.is_set():
                with self._lock:
                    task = next(source, None)
                if task is None:
                    break
                worker = worker or _Worker(self._preparer, self._limits)
                outcome = worker.prepare(*task)
                if not worker.alive:
                    worker = None
                self._results.put(outcome)
        finally:
            if worker is not None:
                worker.close()
            self._results.put(None)


class Decoder:
    """One decoding process for pieces that come one at a time; started when first needed, safe to be used by several
    threads. On Windows, which hands no socket to a child, this process decodes."""

    def __init__(self, preparer: Preparer, limits: DecodeLimits) -> None:
        self._preparer, self._limits = preparer, limits
        self._worker: _Worker | None = None
        self._lock = threading.Lock()

    def __call__(self, content: bytes | str) -> Prepared:
        """The piece, decoded; `DecodeError` with the reason where it cannot be used."""
        if sys.platform == "win32":
            return self._preparer(content, self._limits)
        with self._lock:
            if self._worker is None or not self._worker.alive:
                self._worker = _Worker(self._preparer, self._limits)
            outcome = self._worker.prepare(0, content)
        if outcome.prepared is None:
            raise DecodeError(outcome.reason or "could not be decoded")
        return outcome.prepared

    def close(self) -> None:
        """End the process, if one was started."""
        with self._lock:
            if self._worker is not None and self._worker.alive:
                self._worker.close()
            self._worker = None


class _Worker:
    """One process and the socket to it."""

    def __init__(self, preparer: Preparer, limits: DecodeLimits) -> None:
        import json

        ours, theirs = socket.socketpair()
        path = json.dumps([os.path.abspath(p) if p in ("", ".") else p for p in sys.path])
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-c", _CODE, path, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        self._connection = Connection(ours.detach())
        self._timeout = limits.timeout
        self.alive = True
        try:
            self._connection.send((preparer, limits))
            ready = self._connection.poll(_START_SECONDS) and self._connection.recv_bytes() == READY
        except (EOFError, OSError):
            ready = False
        if not ready:
            self._process.kill()
            code = self._end()
            raise EncoderError(f"a decoding process does not start ({code}); use workers=0 to see why")

    def prepare(self, task: int, content: bytes | str) -> Outcome:
        """Send one task and wait for its end."""
        try:
            if isinstance(content, str):
                self._connection.send_bytes(TEXT + content.encode("utf-8", "surrogatepass"))
            else:
                self._connection.send_bytes(BYTES + content)
            if not self._connection.poll(self._timeout):
                self._process.kill()
                self._end()
                return Outcome(task, None, f"decoding took longer than {self._timeout:g} s", lasting=False)
            answer = receive(self._connection)
        except (EOFError, OSError, ValueError):
            return Outcome(task, None, f"the decoder crashed on this file ({self._end()})", lasting=False)
        return Outcome(task, None, answer) if isinstance(answer, str) else Outcome(task, answer, None)

    def close(self) -> None:
        """Hang up; the process ends by itself."""
        self._connection.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _end(self) -> str:
        self.alive = False
        try:
            code = self._process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._connection.close()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
