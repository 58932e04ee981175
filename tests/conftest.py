"""Fixtures that several rooms share: the real Neo4j servers."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from graph.neo4j.store import Neo4jStore
from tests import neo4j_server as helper
from tests.devserver import Server

# a busy machine is no failure: how long an example takes is not what these tests are about
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for a Neo4j server on each one that can be had; looked up only where a test asks."""
    if "neo4j_servers" in metafunc.fixturenames:
        metafunc.parametrize("neo4j_servers", _sources(metafunc.config), indirect=True, scope="session")


def _sources(config: pytest.Config) -> list[str]:
    if _FOUND not in config.stash:
        config.stash[_FOUND] = helper.sources()
    return config.stash[_FOUND]


_FOUND = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def neo4j_servers(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running server, once per version; started at its first test, stopped after its last."""
    with helper.server_from(request.param) as server:
        yield server


@pytest.fixture(scope="class")
def neo4j_clean(neo4j_servers: Server) -> Server:
    """The server without any data, constraint or index, at the start of each test class."""
    helper.empty(neo4j_servers)
    helper.drop_schema(neo4j_servers)
    return neo4j_servers


@pytest.fixture
def neo4j_store(neo4j_clean: Server) -> Iterator[Neo4jStore]:
    """An open, empty, writable store."""
    helper.empty(neo4j_clean)
    with Neo4jStore(neo4j_clean.address, credentials=neo4j_clean.credentials) as store:
        yield store
