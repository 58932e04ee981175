"""Ways to write, administer or reach outside through `query`: every one is refused, and nothing changes."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graph.ladybug.store
import graph.neo4j.query
from graph import GraphSchema, GraphStore, QueryRefused, StoreError, open_store
from graph.neo4j.store import Neo4jStore
from graph.readonly.guard import Dialect, check_read_only, tokenise
from tests.graph.tiny_graph import EDGE_COUNTS, NODE_COUNTS, write_tiny

ATTACKS = {
    "create": "CREATE (n:Item {id: 'x'})",
    "merge": "MERGE (n:Item {id: 'x'}) RETURN n",
    "set": "MATCH (n:Item) SET n.title = 'x'",
    "set all": "MATCH (n:Item) SET n = {id: n.id}",
    "set label": "MATCH (n:Item) SET n:User",
    "remove": "MATCH (n:Item) REMOVE n.title",
    "delete": "MATCH (n:Item) DELETE n",
    "detach delete": "MATCH (n:Item) DETACH DELETE n",
    "nodetach delete": "MATCH (n:Item) NODETACH DELETE n",
    "insert": "INSERT (:Item {id: 'x'})",
    "insert after match": "MATCH (n:Item) INSERT (n)-[:RELATED]->(:Entity {id: 'x'})",
    "foreach": "MATCH (n:Item) FOREACH (x IN [1] | SET n.title = 'x')",
    "write after with": "MATCH (n:Item) WITH n LIMIT 1 SET n.title = 'x' RETURN n.id",
    "write after union": "RETURN 1 AS a UNION CREATE (n:Item {id: 'x'}) RETURN 1 AS a",
    "case": "MATCH (n:Item) sEt n.title = 'x'",
    "comment before": "/* RETURN 1 */ CREATE (n:Item {id: 'x'})",
    "comment inside": "MATCH (n:Item) DETACH/**/DELETE n",
    "line comment": "// MATCH\nCREATE (n:Item {id: 'x'})",
    "carriage return ends a comment": "MATCH (n:Item) // \rSET n.title = 'x'",
    "comment that is none in a string": "MATCH (n:Item) WHERE n.title <> '/*' SET n.title = '*/'",
    "quote in a string": "MATCH (n:Item) WHERE n.title <> '\\'' SET n.title = ''",
    "quote in a double string": 'MATCH (n:Item) WHERE n.title <> "\'" SET n.title = "\'"',
    "backtick in a string": "MATCH (n:Item) WHERE n.title <> '`' SET n.title = '`'",
    "double backtick": "MATCH (`a``b`:Item) SET `a``b`.title = 'x'",
    "escaped keyword": "MATCH (n:Item) \\u0053ET n.title = 'x'",
    "escaped quote": "MATCH (n:Item) WHERE n.title = '\\u0027 SET n.title = \\u0027' RETURN n",
    "escaped backslash": "MATCH (n:Item) WHERE n.title = '\\u005c' SET n.title = '' RETURN n",
    "escaped comment": "RETURN 1 \\u002f* */ CREATE (n:Item {id: 'x'})",
    "doubled u": "MATCH (n:Item) \\uu0053ET n.title = 'x'",
    "long s": "MATCH (n:Item) \u017fET n.title = 'x'",
    "full width": "MATCH (n:Item) \uff33\uff25\uff34 n.title = 'x'",
    "zero width": "MATCH (n:Item) S\u200bET n.title = 'x'",
    "right to left": "MATCH (n:Item) \u202eSET n.title = 'x'",
    "no-break space": "MATCH (n:Item)\u00a0SET\u00a0n.title = 'x'",
    "form feed": "MATCH (n:Item)\fSET\fn.title = 'x'",
    "null byte": "MATCH (n:Item) \x00SET n.title = 'x'",
    "number before keyword": "MATCH (n:Item) WITH n LIMIT 1SET n.title = 'x'",
    "number and dot before keyword": "MATCH (n:Item) WITH n LIMIT 1.SET n.title = 'x'",
    "underscored number": "MATCH (n:Item) WITH n LIMIT 1_SET n.title = 'x'",
    "two statements": "MATCH (n:Item) RETURN n.id; MATCH (n:Item) DETACH DELETE n",
    "two statements, read first": "RETURN 1; RETURN 2",
    "statement after a comment": "RETURN 1 /* ; */ ; CREATE (n:Item {id: 'x'})",
    "subquery": "MATCH (n:Item) CALL { WITH n SET n.title = 'x' } RETURN n.id",
    "scoped subquery": "MATCH (n:Item) CALL (n) { SET n.title = 'x' } RETURN n.id",
    "exists subquery": "MATCH (n:Item) WHERE EXISTS { CREATE (:Item {id: 'x'}) } RETURN n.id",
    "count subquery": "RETURN COUNT { CREATE (n:Item {id: 'x'}) RETURN n } AS n",
    "collect subquery": "RETURN COLLECT { MERGE (n:Item {id: 'x'}) RETURN n.id } AS n",
    "in transactions": "MATCH (n:Item) CALL (n) { DETACH DELETE n } IN TRANSACTIONS",
    "in transactions, reading": "MATCH (n:Item) CALL (n) { RETURN 1 AS a } IN 2 CONCURRENT TRANSACTIONS RETURN a",
    "explain": "EXPLAIN MATCH (n) RETURN n",
    "profile": "PROFILE MATCH (n:Item) DETACH DELETE n",
    "explain explain": "EXPLAIN EXPLAIN CREATE (n:Item {id: 'x'})",
    "version prefix": "CYPHER 5 MATCH (n:Item) DETACH DELETE n",
    "options prefix": "CYPHER planner=cost CREATE (n:Item {id: 'x'})",
    "use system": "USE system SHOW USERS",
    "use in a subquery": "CALL { USE neo4j MATCH (n) RETURN n } RETURN n",
    "use by name": "USE graph.byName('system') MATCH (n) RETURN n",
    "show": "SHOW TRANSACTIONS",
    "terminate": "TERMINATE TRANSACTIONS 'neo4j-transaction-1'",
    "drop constraint": "DROP CONSTRAINT modalweave_item_id",
    "drop index": "DROP INDEX modalweave_words",
    "create user": "CREATE USER mallory SET PASSWORD 'password1'",
    "alter user": "ALTER CURRENT USER SET PASSWORD FROM 'a' TO 'b'",
    "grant": "GRANT ROLE admin TO mallory",
    "create database": "CREATE DATABASE other",
    "load csv": "LOAD CSV FROM 'file:///etc/passwd' AS line RETURN line",
    "load csv after match": "MATCH (n:Item) LOAD CSV FROM 'http://127.0.0.1/' AS line RETURN line",
    "kill query": "CALL dbms.killQuery('1')",
    "config": "CALL dbms.listConfig() YIELD name RETURN name",
    "set config": "CALL dbms.setConfigValue('a', 'b')",
    "set vector": "MATCH (n:Item) CALL db.create.setNodeVectorProperty(n, 'e', [1.0]) RETURN n",
    "create label": "CALL db.createLabel('Mallory')",
    "quoted procedure": "CALL `db`.`createLabel`('Mallory')",
    "quoted whole procedure": "CALL `db.createLabel`('Mallory')",
    "spaced procedure": "CALL db /**/ . createLabel ('Mallory')",
    "procedure without arguments": "CALL db.clearQueryCaches",
    "apoc": "CALL apoc.cypher.runWrite('CREATE (n:Item)', {}) YIELD value RETURN value",
    "apoc load": "CALL apoc.load.json('file:///etc/passwd') YIELD value RETURN value",
    "apoc function": "RETURN apoc.util.sleep(1000)",
    "quoted function": "RETURN `apoc`.`cypher`.`runFirstColumnSingle`('RETURN 1', {})",
    "after yield": "CALL db.labels() YIELD label CALL db.createLabel(label + 'x') RETURN 1",
    "huge range": "UNWIND range(1, 1000000000) AS n RETURN n",
    "copy to": "COPY (MATCH (n:Item) RETURN n.id) TO '/tmp/stolen.csv'",
    "copy from": "COPY Item FROM '/etc/passwd'",
    "export": "EXPORT DATABASE '/tmp/stolen'",
    "import": "IMPORT DATABASE '/tmp/other'",
    "attach": "ATTACH '/tmp/other.lbug' AS other (dbtype lbug)",
    "detach": "DETACH other",
    "install": "INSTALL httpfs",
    "load extension": "LOAD EXTENSION httpfs",
    "load from": "LOAD FROM '/etc/passwd' RETURN *",
    "load from after match": "MATCH (n:Item) LOAD FROM '/etc/passwd' RETURN *",
    "drop table": "DROP TABLE INTERACTED",
    "alter table": "ALTER TABLE Item DROP title",
    "create table": "CREATE NODE TABLE Mallory(id STRING PRIMARY KEY)",
    "setting": "CALL threads=1",
    "setting, quoted": "CALL `threads` = 1",
    "macro": "CREATE MACRO f(x) AS x",
    "comment on": "COMMENT ON TABLE Item IS 'x'",
    "sequence": "RETURN nextval('s')",
    "begin": "BEGIN TRANSACTION",
    "commit": "COMMIT",
    "checkpoint": "CHECKPOINT",
    "project": "CALL project_graph('g', ['Item'], ['RELATED'])",
    "unfinished comment": "MATCH (n) RETURN n /*",
    "unfinished string": "RETURN 'a",
    "only a comment": "/* nothing */",
    "megabytes": "RETURN '" + "x" * 200_000 + "'",
}

ALLOWED: dict[str, tuple[Dialect, ...]] = {
    "MATCH (n:Item) WHERE n.title = 'SET; CREATE (x)' RETURN n.id AS id;": ("neo4j", "ladybug"),
    "MATCH (`create`:Item) RETURN `create`.id AS id // DELETE": ("neo4j", "ladybug"),
    "MATCH (n:Item) RETURN n.title AS created, count(*) AS offset_ ORDER BY created": ("neo4j", "ladybug"),
    "MATCH (u:User) WHERE NOT EXISTS { MATCH (u)-[:FOLLOWS]->(:User) } RETURN u.id AS id": ("neo4j", "ladybug"),
    "UNWIND [1, 2] AS n WITH n WHERE (n > 1) RETURN max(n) AS n": ("neo4j", "ladybug"),
    "MATCH (n:Item) CALL (n) { MATCH (n)-[:RELATED]->(e) RETURN count(e) AS c } RETURN n.id AS id, c": ("neo4j",),
    "CALL db.labels() YIELD label RETURN label": ("neo4j",),
    "CALL db.index.vector.queryNodes($index, 1, [1.0, 0.0]) YIELD node RETURN node.id AS id": ("neo4j",),
    "RETURN 'caf\\u00e9' AS word": ("neo4j",),
    "CALL show_tables() RETURN *": ("ladybug",),
}


ENDLESS = [
    "MATCH (a:Item), (b:Item), (c:Item), (d:Item) WHERE a.id + b.id + c.id = d.id RETURN count(*) AS n",
    "MATCH (a:Item), (b:Item) RETURN a.id AS x, b.id AS y",
    "MATCH (a:Item), (b:Item) RETURN a.id AS x, b.id AS y LIMIT 99999999999",
    "MATCH (a:Item), (b:Item) RETURN a.id AS x UNION ALL MATCH (a:Item), (b:Item) RETURN a.id AS x",
    "MATCH (a:Item), (b:Item), (c:Item) RETURN collect(a.title + b.title) AS x",
    "MATCH (a:Item), (b:Item), (c:Item) RETURN a.id AS x, b.id AS y ORDER BY x, y, c.id LIMIT 5",
    "MATCH (a:Item), (b:Item), (c:Item) WITH DISTINCT a.id + b.id + c.id AS x RETURN count(x) AS n",
]
"""Reading that would not end by itself."""


@pytest.fixture(scope="module")
def ladybug_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphStore]:
    path: Path = tmp_path_factory.mktemp("attacks") / "graph"
    with open_store(f"ladybug:{path}") as store:
        write_tiny(store)
        yield store


def assert_refused(store: GraphStore, cypher: str) -> None:
    with pytest.raises(QueryRefused) as caught:
        store.query(cypher, {"index": "modalweave_image"}, timeout=5)
    reason = str(caught.value)
    assert reason
    assert len(reason) < 300
    assert len(reason.splitlines()) == 1


def assert_unchanged(store: GraphStore) -> None:
    counts = store.counts()
    assert (counts.nodes, counts.relationships) == (NODE_COUNTS, EDGE_COUNTS)
    assert write_tiny(store) == 0


def endless(store: GraphStore) -> None:
    """Products of 6,000 nodes: each ends soon, refused, stopped, or with no more rows than were asked for."""
    store.create_schema(GraphSchema())
    store.write_nodes("Item", pa.table({"id": [f"i{n}" for n in range(6000)], "title": ["x" * 20] * 6000}))
    for cypher in ENDLESS:
        started = time.monotonic()
        try:
            assert store.query(cypher, limit=100, timeout=1).num_rows <= 100
        except (QueryRefused, StoreError) as error:
            assert re.search("stopped|time|rows|bytes|memory", str(error)), (cypher, error)
        assert time.monotonic() - started < 30, cypher
    assert store.counts().nodes["Item"] == 6000


def allowed(dialect: Dialect) -> list[str]:
    return [cypher for cypher, dialects in ALLOWED.items() if dialect in dialects]


class TestLadybug:
    @pytest.mark.parametrize("name", ATTACKS)
    def test_refused(self, ladybug_store: GraphStore, name: str) -> None:
        assert_refused(ladybug_store, ATTACKS[name])

    def test_nothing_changed(self, ladybug_store: GraphStore) -> None:
        for cypher in ATTACKS.values():
            assert_refused(ladybug_store, cypher)
        assert_unchanged(ladybug_store)

    @pytest.mark.parametrize("cypher", allowed("ladybug"))
    def test_reading_is_allowed(self, ladybug_store: GraphStore, cypher: str) -> None:
        assert ladybug_store.query(cypher).num_columns >= 1

    def test_a_large_result_is_refused(self, ladybug_store: GraphStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(graph.ladybug.store, "MAX_RESULT_BYTES", 10)
        with pytest.raises(QueryRefused, match="bytes"):
            ladybug_store.query("MATCH (n:Item) RETURN n.id AS id")

    def test_endless_products_end(self, tmp_path: Path) -> None:
        with open_store(f"ladybug:{tmp_path}") as store:
            endless(store)

    def test_without_the_rules_the_engine_still_refuses(
        self, ladybug_store: GraphStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(graph.ladybug.store, "check_read_only", lambda cypher, dialect: None)
        for name in ("create", "set", "detach delete", "case", "write after with"):
            with pytest.raises((QueryRefused, StoreError)):
                ladybug_store.query(ATTACKS[name])
        assert_unchanged(ladybug_store)


@pytest.mark.neo4j
class TestNeo4j:
    def test_every_attack_is_refused_and_nothing_changed(self, neo4j_store: Neo4jStore) -> None:
        write_tiny(neo4j_store)
        for cypher in ATTACKS.values():
            assert_refused(neo4j_store, cypher)
        assert_unchanged(neo4j_store)

    def test_reading_is_allowed(self, neo4j_store: Neo4jStore) -> None:
        write_tiny(neo4j_store)
        for cypher in allowed("neo4j"):
            assert neo4j_store.query(cypher, {"index": "modalweave_image"}).num_columns >= 1

    def test_endless_products_end(self, neo4j_store: Neo4jStore) -> None:
        endless(neo4j_store)

    def test_without_the_rules_the_servers_verdict_still_refuses(
        self, neo4j_store: Neo4jStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_tiny(neo4j_store)
        monkeypatch.setattr(graph.neo4j.query, "check_read_only", lambda cypher, dialect: None)
        stopped = 0
        for cypher in ATTACKS.values():
            if "DATABASE" in cypher or "CURRENT USER" in cypher or "TRANSACTIONS" in cypher:
                continue
            try:
                neo4j_store.query(cypher, {"index": "modalweave_image"}, limit=10, timeout=5)
            except (QueryRefused, StoreError):
                stopped += 1
        assert stopped > 80
        assert_unchanged(neo4j_store)

    def test_a_large_result_is_refused(self, neo4j_store: Neo4jStore, monkeypatch: pytest.MonkeyPatch) -> None:
        write_tiny(neo4j_store)
        monkeypatch.setattr(graph.neo4j.query, "MAX_RESULT_BYTES", 10)
        with pytest.raises(QueryRefused, match="bytes"):
            neo4j_store.query("MATCH (n:Item) RETURN n.id AS id")


def test_the_list_is_long_enough() -> None:
    assert len(ATTACKS) >= 100
    assert len(set(ATTACKS.values())) == len(ATTACKS)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        tokens = list(tokenise(text))
    except QueryRefused:
        return
    assert all(token.kind in ("word", "quoted", "string", "number", "parameter", "symbol") for token in tokens)


@given(st.text(alphabet="abcSET'\"`\\/*\n ;.", max_size=30))
def test_a_write_behind_any_complete_text_is_refused(text: str) -> None:
    """Whatever stands before it (unless it opens a string, a name or a comment that swallows it)."""
    try:
        before = list(tokenise(text + "\n"))
        list(tokenise(text + "\nSET n.x = 1"))
    except QueryRefused:
        return
    if before and before[-1] == ("symbol", "."):
        return
    with pytest.raises(QueryRefused):
        check_read_only(f"MATCH (n) {text}\nSET n.x = 1", "neo4j")
