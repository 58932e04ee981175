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


_RUNNING = pytest.StashKey[dict[str, Server]]()


@pytest.fixture(scope="session")
def neo4j_servers(request: pytest.FixtureRequest) -> Server:
    """A running server of a version: started at its first test, stopped with the session.

    pytest ends a fixture where its parameter changes, which is twice a file: each start takes a quarter of a minute.
    """
    running = request.config.stash.setdefault(_RUNNING, {})
    if request.param not in running:
        context = helper.server_from(request.param)
        running[request.param] = context.__enter__()
        request.config.add_cleanup(lambda: context.__exit__(None, None, None))
    return running[request.param]


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
