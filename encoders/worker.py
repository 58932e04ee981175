"""One decoding process: takes bytes, gives prepared arrays. It may crash or hang; only its file is lost.

Requests are pickled by the parent, which trusts itself. Answers are JSON and raw array bytes, so that
a process taken over by a hostile file cannot make the parent run anything.
"""

import json
import signal
import sys
from multiprocessing.connection import Connection

import numpy as np

from common.machine import limit_data
from encoders.base import Prepared, Preparer
from encoders.errors import DecodeError
from encoders.limits import DecodeLimits

READY = b"ready"
BYTES, TEXT = b"b", b"t"


def main() -> None:
    """Serve requests on the socket whose number is the last argument until the parent hangs up."""
    connection = Connection(int(sys.argv[-1]))
    preparer, limits = connection.recv()
    limit_data(limits.memory)
    connection.send_bytes(READY)
    while True:
        try:
            request = connection.recv_bytes()
        except EOFError:
            return
        # The parent stops a decoder that takes too long; one whose parent was killed ends by itself.
        signal.setitimer(signal.ITIMER_REAL, 2 * limits.timeout)
        _answer(connection, preparer, limits, request)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(connection: Connection, preparer: Preparer, limits: DecodeLimits, request: bytes) -> None:
    content: bytes | str = request[1:].decode("utf-8", "surrogatepass") if request[:1] == TEXT else request[1:]
    try:
        prepared = preparer(content, limits)
    except DecodeError as error:
        connection.send_bytes(json.dumps({"reason": str(error)}).encode())
        return
    except MemoryError:
        connection.send_bytes(json.dumps({"reason": f"needs more than {limits.memory} bytes to decode"}).encode())
        return
    array = np.asarray(prepared.array, order="C")  # keeps a 0-d array 0-d
    head = {"dtype": array.dtype.str, "shape": array.shape, "facts": dict(prepared.facts)}
    connection.send_bytes(json.dumps(head).encode())
    connection.send_bytes(array.tobytes())


def receive(connection: Connection) -> Prepared | str:
    """The parent's side: what was prepared, or why not. Raises EOFError or OSError on a crash."""
    head = json.loads(connection.recv_bytes(2**20))
    if "reason" in head:
        return str(head["reason"])
    dtype = np.dtype(head["dtype"])
    if dtype.kind not in "uifU":
        raise OSError(f"decoder sent an array of {dtype}")
    array = np.frombuffer(connection.recv_bytes(), dtype=dtype).reshape([int(n) for n in head["shape"]])
    return Prepared(array, {sys.intern(name): value for name, value in head["facts"].items()})
