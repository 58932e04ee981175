"""The driver's and the server's failures as `StoreError`s: one line that names the address, no password."""

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import neo4j
import neo4j.exceptions

from common.text import one_line
from graph.errors import GraphError, StoreError
from graph.store import without_password

_PASSING = ("DatabaseUnavailable", "TransactionTerminated", "Transaction.Terminated", "NotALeader")
_FULL = ("no space left", "disk is full", "storage exhausted", "out of disk")
_CHANGE = (
    "`ALTER CURRENT USER SET PASSWORD FROM '...' TO '...'` in `cypher-shell -d system`; then set NEO4J_PASSWORD to it"
)


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
    if problem := _tls_problem(address):
        return StoreError(f"{address}: {problem}")
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
        "CredentialsExpired": f"the password of user {user!r} must be changed first: in Neo4j Browser, or by {_CHANGE}",
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
    if index := re.search(r"too large to index.*?name='([^']*)'.*?schema=\((.*?\})", text):
        name, where = index.groups()
        return StoreError(
            f"{address}: a value of {where} is too long for index {name!r}; run `DROP INDEX {name}` there"
        )
    if twice := re.search(r"label `(.*?)` and property `(.*?)` = (.*?)\. Note", text):
        label, key, value = twice.groups()
        return StoreError(
            f"{address}: several :{label} nodes have {key} = {value}, of other data; delete or relabel them, or "
            "name another database"
        )
    return StoreError(f"{address}: {text} ({code})")


def _tls_problem(address: str) -> str | None:
    """What is wrong with the encryption that an address asks for; the driver's own words hide it."""
    parts = urlsplit(address)
    if not parts.scheme.endswith(("+s", "+ssc")):
        return None
    context = ssl.create_default_context()
    if parts.scheme.endswith("+ssc"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 7687), timeout=5) as plain:
            context.wrap_socket(plain, server_hostname=parts.hostname).close()
    except ssl.SSLCertVerificationError as error:
        way = (
            f"use {parts.scheme.removesuffix('+s')}+ssc:// to take it as it is, or let SSL_CERT_FILE name its authority"
        )
        return f"the server's certificate is not trusted ({error.verify_message}); {way}"
    except ssl.SSLError as error:
        plain_scheme = parts.scheme.partition("+")[0]
        return f"the server does not speak TLS ({error.reason or error}); use {plain_scheme}:// where that is so"
    except OSError:
        return None
    return None


def credentials_in_address(address: str) -> GraphError | None:
    """What is wrong with an address that holds a password; the message does not repeat it."""
    if "@" not in address:
        return None
    return StoreError(f"a Neo4j address holds no credentials; use {without_password(address)} and give them apart")
