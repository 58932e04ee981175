"""The driver's and the server's failures as `StoreError`s: one line that names the address, no password."""

from collections.abc import Iterator
from contextlib import contextmanager

import neo4j
import neo4j.exceptions

from common.text import one_line
from graph.errors import GraphError, StoreError

_PASSING = ("DatabaseUnavailable", "TransactionTerminated", "Transaction.Terminated", "NotALeader")
_FULL = ("no space left", "disk is full", "storage exhausted", "out of disk")


@contextmanager
def store_errors(address: str, user: str | None, database: str | None) -> Iterator[None]:
    """Turn what the driver raises inside the block into `StoreError`; other errors pass."""
    try:
        yield
    except neo4j.exceptions.Neo4jError as error:
        raise server_error(address, user, database, error) from error
    except (neo4j.exceptions.DriverError, OSError) as error:
        raise driver_error(address, error) from error


def is_passing(error: BaseException) -> bool:
    """Whether the same transaction may go through a little later: the connection dropped, the server restarts."""
    if isinstance(error, neo4j.exceptions.Neo4jError):
        return error.is_retryable() or any(part in (error.code or "") for part in _PASSING)
    return isinstance(error, neo4j.exceptions.ServiceUnavailable | neo4j.exceptions.SessionExpired | ConnectionError)


def driver_error(address: str, error: BaseException) -> StoreError:
    """Why a server could not be talked to."""
    text = one_line(error)
    if isinstance(error, neo4j.exceptions.ServiceUnavailable | neo4j.exceptions.SessionExpired | OSError):
        return StoreError(f"{address}: no Neo4j server answers; start it or correct the address ({text})")
    return StoreError(f"{address}: {text}")


def server_error(
    address: str, user: str | None, database: str | None, error: neo4j.exceptions.Neo4jError
) -> StoreError:
    """Why the server refused or failed."""
    code, text = error.code or "", one_line(error.message or "", 300)
    who = f"user {user!r} or the password is wrong" if user else "the server wants a user and a password"
    reasons = {
        "AuthenticationRateLimit": "too many wrong passwords; wait a few seconds and try again",
        "Security.Forbidden": f"user {user!r} may not do this ({text}); ask for a role that may",
        "Security.": f"{who}; set NEO4J_USERNAME and NEO4J_PASSWORD",
        "DatabaseNotFound": f"database {database!r} does not exist; create it or name another",
        "TransactionTimedOut": "the query was stopped at its time limit; narrow it or allow more time",
        "MemoryPool": f"the server has too little memory for this ({text}); narrow it",
        "OutOfMemory": f"the server has too little memory for this ({text}); narrow it",
    }
    if any(word in text.lower() for word in _FULL):
        return StoreError(f"{address}: the server's disk is full ({text}); free some space, run it again")
    for part, reason in reasons.items():
        if part in code:
            return StoreError(f"{address}: {reason}")
    return StoreError(f"{address}: {text} ({code})")


def credentials_in_address(address: str) -> GraphError | None:
    """What is wrong with an address that holds a password; the message does not repeat it."""
    if "@" not in address:
        return None
    host = address.rsplit("@", 1)[1]
    scheme = address.split("://", maxsplit=1)[0]
    return StoreError(f"a Neo4j address holds no credentials; use {scheme}://{host} and give them apart")
