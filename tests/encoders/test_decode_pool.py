import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from encoders import DecodeLimits, EncoderError
from encoders.pool import DecodePool

PREPARERS = """
import ctypes, os, time
import numpy as np
from encoders.base import Prepared
from encoders.errors import DecodeError

class Odd:
    def __call__(self, content, limits):
        if content == b"crash":
            ctypes.string_at(0)
        if content == b"hang":
            time.sleep(600)
        if content == b"pid":
            return Prepared(np.zeros(1), {"pid": os.getpid()})
        if content == b"exit":
            os._exit(3)
        if content == b"bug":
            raise KeyError("a bug")
        if content == b"bad":
            raise DecodeError("it is bad")
        if content == b"huge":
            np.ones(10**10)
        if isinstance(content, str):
            return Prepared(np.array(content), {"text": 1})
        return Prepared(np.frombuffer(content, dtype=np.uint8).reshape(1, -1), {"size": len(content)})

"""


@pytest.fixture
def odd(tmp_path, monkeypatch):
    (tmp_path / "odd_preparers.py").write_text(PREPARERS)
    monkeypatch.syspath_prepend(tmp_path)
    import odd_preparers

    return odd_preparers


def test_crashes_and_hangs_cost_their_own_file_only(odd):
    contents = [b"crash", b"hang", b"exit", b"bug", b"bad", b"huge"]
    tasks = list(enumerate(contents)) + [(n, b"good %d" % n) for n in range(6, 40)]
    limits = DecodeLimits(timeout=1.5, memory=2**30)
    began = time.monotonic()
    outcomes = {o.task: o for o in DecodePool(odd.Odd(), limits, workers=2).map(tasks)}
    assert time.monotonic() - began < 60
    assert sorted(outcomes) == list(range(40))
    assert [outcomes[n].lasting for n in range(6)] == [False, False, False, False, True, True]
    assert "SIGSEGV" in outcomes[0].reason
    assert outcomes[1].reason == "decoding took longer than 1.5 s"
    assert "exit code 3" in outcomes[2].reason
    assert "exit code 1" in outcomes[3].reason
    assert outcomes[4].reason == "it is bad"
    assert outcomes[5].reason == f"needs more than {2**30} bytes to decode"
    for n in range(6, 40):
        assert outcomes[n].prepared.array.tobytes() == b"good %d" % n
        assert outcomes[n].prepared.facts == {"size": len(b"good %d" % n)}


def test_no_decoder_outlives_a_parent_that_was_killed(odd, tmp_path):
    code = (
        "from odd_preparers import Odd; from encoders import DecodeLimits; from encoders.pool import DecodePool\n"
        "tasks = [(0, b'hang'), (1, b'pid'), (2, b'hang')]\n"
        "for outcome in DecodePool(Odd(), DecodeLimits(timeout=3), 2).map(tasks): print(outcome.prepared.facts['pid'])"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    parent = subprocess.Popen([sys.executable, "-uc", code], env={**os.environ, "PYTHONPATH": path}, stdout=-1)
    pid = int(parent.stdout.readline())  # of the decoder that hangs on task 2 by now, or will in a moment
    time.sleep(0.2)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 60
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(pid)


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_large_arrays_and_texts_arrive_whole(odd):
    big = bytes(np.random.default_rng(0).integers(0, 256, 3_000_000, dtype=np.uint8))
    outcomes = {o.task: o.prepared for o in DecodePool(odd.Odd(), DecodeLimits(), 1).map([(0, big), (1, "größer")])}
    assert outcomes[0].array.tobytes() == big
    assert str(outcomes[1].array) == "größer"


def test_stopping_early_does_not_hang(odd):
    began = time.monotonic()
    for _ in DecodePool(odd.Odd(), DecodeLimits(), 2, ahead=4).map((n, b"x") for n in range(10**6)):
        break
    assert time.monotonic() - began < 60


def test_workers_that_cannot_start_are_an_error_not_a_refusal(odd):
    broken = odd.Odd()
    broken.__class__ = type("Unknown", (odd.Odd,), {"__module__": "odd_preparers"})
    odd.Unknown = type(broken)
    with pytest.raises(EncoderError, match="does not start"):
        list(DecodePool(broken, DecodeLimits(), 1).map([(0, b"x")]))
