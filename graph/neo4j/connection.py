"""One driver to one server: sessions, what is tried again when the connection drops, and errors as `StoreError`s."""

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import LiteralString, TypeVar

import neo4j
import neo4j.exceptions

from graph.errors import StoreError
from graph.neo4j.errors import credentials_in_address, is_passing, store_errors

PATIENCE = 120.0
"""Seconds for which a transaction is tried again while its server is away; a restart takes less."""

Result = TypeVar("Result")


class Connection:
    """A driver at a Bolt address; `database` is the server's default where None.

    Raises `StoreError` where no server answers, the credentials are wrong or the database does not exist.
    """

    def __init__(self, address: str, credentials: tuple[str, str] | None, database: str | None) -> None:
        if problem := credentials_in_address(address):
            raise problem
        self.address = address
        self.database = database
        self._user = credentials[0] if credentials else None
        self._closed = False
        with self.errors():
            self._driver = neo4j.GraphDatabase.driver(
                address, auth=credentials, connection_timeout=15, notifications_min_severity="OFF"
            )
        try:
            # once only: a server that is not there at the start is told at once
            with self.errors(), self.session() as session:
                session.run("RETURN 1").consume()
        except StoreError:
            self._driver.close()
            raise

    @classmethod
    def to(cls, address: str, credentials: tuple[str, str] | None, database: str | None = None) -> "Connection":
        """To an address that may end in `#NAME`, the database, which goes before `database`."""
        # an address with a password in it is refused whole, lest a "#" in the password hide that
        host, _, named = address.partition("#") if "@" not in address else (address, "", "")
        return cls(host, credentials, named or database)

    def errors(self) -> AbstractContextManager[None]:
        """Turns the driver's errors inside the block into `StoreError`."""
        if self._closed:
            raise StoreError(f"{self.address} is closed; open it again")
        return store_errors(self.address, self._user, self.database)

    def session(self, access: str = neo4j.READ_ACCESS, *, notices: bool = False) -> neo4j.Session:
        """A session on the database; one thread at a time may use it. With `notices` the server tells unknown names."""
        least = neo4j.NotificationMinimumSeverity.WARNING if notices else neo4j.NotificationMinimumSeverity.OFF
        return self._driver.session(
            database=self.database, default_access_mode=access, fetch_size=2_000, notifications_min_severity=least
        )

    def run(self, statement: LiteralString, **values: str) -> list[neo4j.Record]:
        """All rows of one statement in its own transaction (schema statements want that)."""
        with self.errors(), self.session(neo4j.WRITE_ACCESS) as session:
            return list(session.run(statement, values))

    def transact(self, work: Callable[[neo4j.Transaction], Result], access: str = neo4j.WRITE_ACCESS) -> Result:
        """`work` in one transaction, again where the connection drops, the server restarts or locks meet.

        A commit whose answer got lost is done again as well: `work` must leave the same graph when it runs twice.
        """
        with self.errors():
            deadline, wait = time.monotonic() + PATIENCE, 0.1
            while True:
                try:
                    with self.session(access) as session, session.begin_transaction() as transaction:
                        done = work(transaction)
                        transaction.commit()
                    return done
                except (neo4j.exceptions.Neo4jError, neo4j.exceptions.DriverError, OSError) as error:
                    if not is_passing(error) or time.monotonic() > deadline:
                        raise
                time.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311
                wait = min(2 * wait, 3.0)

    def close(self) -> None:
        """Close all connections; a second call does nothing."""
        self._closed = True
        self._driver.close()
