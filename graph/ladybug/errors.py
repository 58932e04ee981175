"""The database's messages as errors that say what to do."""

import re

from common.text import one_line
from graph.errors import QueryRefused, StoreError

_FULL = ("No space left on device", "File too large", "Disk quota exceeded", "Cannot write to file")
_DAMAGED = ("not a valid", "checkpoint", "checksum", "corrupt", "WAL", "magic")


def open_error(address: str, error: BaseException) -> StoreError:
    """Why a database did not open."""
    text = _text(error)
    if "lock" in text.lower():
        holder = re.search(r"PID (\d+)", text)
        who = f"process {holder.group(1)}" if holder else "another process"
        return StoreError(f"{address} is being written by {who}; wait until it ends, then run this again")
    if "Mmap for size" in text:
        return StoreError(
            f"{address}: too little address space ({text}); raise the limit (ulimit -v), or set max_db_size in the "
            "config to a smaller size, e.g. 1GB"
        )
    if any(word in text for word in _FULL):
        return StoreError(f"{address}: the disk is full ({text}); free some space and run this again")
    if any(word in text for word in _DAMAGED):
        return StoreError(f"{address} is damaged or no graph store ({text}); delete it and build again")
    return StoreError(f"{address} cannot be opened: {text}; check the path and its permissions")


def run_error(address: str, error: BaseException, timeout: float | None) -> StoreError | QueryRefused:
    """Why a statement failed."""
    text = _text(error)
    if "Interrupted" in text and timeout is not None:
        return StoreError(f"the query was stopped after {timeout:g} s; narrow it or allow more time")
    if "read-only transaction" in text:
        return QueryRefused("the query writes; only reading is allowed here")
    if key := re.search(r"Unable to find primary key value (.*?)\.?$", text):
        return StoreError(f"node {key.group(1)!r} does not exist in {address}; write the nodes first")
    return StoreError(f"{address}: {_resources(text)}")


def _resources(text: str) -> str:
    """A message about a full disk, memory or database with the way out; any other as it is."""
    if any(word in text for word in _FULL):
        return f"the disk is full ({text}); free some space and run this again"
    if "Maximum database size" in text:
        reached = text.partition("Maximum database size of ")[2].split(" ")[0]
        return f"the graph has grown to its max_db_size of {reached} bytes; set max_db_size in the config higher"
    if "Buffer manager exception" in text:
        return f"not enough memory ({text}); narrow the query or free memory"
    return text


def _text(error: BaseException) -> str:
    return one_line(str(error).split("See the docs")[0], None)
