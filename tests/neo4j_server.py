"""Where the tests' real Neo4j servers come from: `NEO4J_URI`, Docker, or jars from Maven Central."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import neo4j
import pytest

from graph.errors import StoreError
from tests.devserver import CACHE, Server, running_server, startable_versions

DOCKER_IMAGE = "neo4j:5.26-community"


def sources() -> list[str]:
    """What to start, best first: one external or Docker server, or every version that a Java here can run."""
    if os.environ.get("NEO4J_URI"):
        return ["NEO4J_URI"]
    if _docker_answers():
        return ["docker"]
    maven = shutil.which("mvn") is not None
    return [v for v in startable_versions() if maven or (CACHE / v / "lib").is_dir()] or ["none"]


@contextmanager
def server_from(source: str) -> Iterator[Server]:
    """Start what `sources` named; without one, skip, or fail where `MODALWEAVE_REQUIRE_NEO4J=1`."""
    if source == "NEO4J_URI":
        user = os.environ.get("NEO4J_USERNAME", "neo4j")
        yield Server("external", os.environ["NEO4J_URI"], (user, os.environ.get("NEO4J_PASSWORD", "")))
    elif source == "docker":
        from testcontainers.neo4j import Neo4jContainer

        with Neo4jContainer(DOCKER_IMAGE) as container:
            yield Server("docker", container.get_connection_url(), (container.username, container.password))
    elif source == "none":
        _give_up("no Neo4j server to be had: set NEO4J_URI, start Docker, or install mvn and a JDK 17+")
    else:
        try:
            context = running_server(source, patience=400)
            server = context.__enter__()
        except StoreError as error:
            _give_up(str(error))
        try:
            yield server
        finally:
            context.__exit__(None, None, None)


def empty(server: Server) -> None:
    """Delete every node and relationship, in batches."""
    _run(server, "MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS")


def drop_schema(server: Server) -> None:
    """Drop every constraint and index (but the token lookup ones, which every database has)."""
    for record in _run(server, "SHOW CONSTRAINTS YIELD name"):
        _run(server, f"DROP CONSTRAINT {_quoted(record['name'])}")
    for record in _run(server, "SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP' RETURN name"):
        _run(server, f"DROP INDEX {_quoted(record['name'])}")


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _run(server: Server, cypher: str) -> list[neo4j.Record]:
    with (
        neo4j.GraphDatabase.driver(server.address, auth=server.credentials, notifications_min_severity="OFF") as driver,
        driver.session() as session,
    ):
        return list(session.run(cypher))


def _give_up(reason: str) -> None:
    if os.environ.get("MODALWEAVE_REQUIRE_NEO4J") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        return subprocess.run([docker, "info"], capture_output=True, timeout=10, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False
