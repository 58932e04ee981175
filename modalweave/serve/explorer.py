"""The graph and the model behind the pages: each is opened at its first question, and again when it has changed."""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from encoders.chat import Chat
from graph.schema import GraphSchema
from graph.store import GraphStore, without_password
from graph.views.result_graph import result_graph
from modalweave.config import RunConfig
from modalweave.errors import RunError
from modalweave.explore.explanations import explain_item, paths_graph, served
from modalweave.explore.formats import encoded
from modalweave.results.explanation import Explanation
from modalweave.serve.answers import (
    Card,
    Found,
    GraphAnswer,
    ItemAnswer,
    OverviewAnswer,
    Product,
    Ranked,
    Recommended,
    RecommendedTo,
    RowsAnswer,
    UserAnswer,
)
from modalweave.serve.drawing import around, of_networkx
from modalweave.serve.items import item_answer, ranked, similar_in
from modalweave.serve.media import Bytes, media_bytes
from modalweave.serve.overview import overview_answer
from modalweave.serve.people import user_answer
from modalweave.serve.queries import MOST_SHOWN, NotThere, cards
from modalweave.serve.shared_store import SharedStore
from modalweave.stores import connect
from modalweave.workspace import Workspace

if TYPE_CHECKING:
    import polars as pl

    from gnn.bundle.bundle import Bundle
    from modalweave.model import Model

_GIVEN_AS = {"image": "picture", "audio": "sound"}
_HISTORIES = ("user_id", "item_id", "weight")
_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json", "parquet": "application/vnd.apache.parquet"}
_BUSIEST = """
MATCH (u:User)-[r:INTERACTED]->(i:Item) WHERE r.split = 'train'
RETURN i.id AS id, count(*) AS n ORDER BY n DESC, id LIMIT 1"""
_KNOWN = "MATCH (i:Item) WHERE i.id IN $items RETURN i.id AS id"


class Explorer:
    """What can be asked of one run, or of a store without one; safe to be used by several threads."""

    def __init__(
        self,
        address: str,
        *,
        config: RunConfig | None = None,
        bundle: Path | None = None,
        beside: Sequence["Explorer"] = (),
    ) -> None:
        """Nothing is opened yet. `bundle` goes before the model that the run of `config` serves."""
        self.address, self.config = without_password(address), config
        self.beside = {other.name: other for other in beside}
        """Other runs, whose lists are shown beside this one's."""
        self.workspace = Workspace(config.workspace) if config is not None else None
        self._bundle = bundle
        self._store = SharedStore(lambda: connect(address, config, read_only=True))
        self._lock = threading.Lock()
        self._loaded: tuple[Path, Model] | None = None

    @property
    def name(self) -> str:
        """What the pages are headed with."""
        return self.config.name if self.config is not None else self.address.removeprefix("ladybug:")

    @contextmanager
    def store(self) -> Iterator[GraphStore]:
        """The store, for reading; raises `StoreError` where it cannot be opened."""
        with self._store.reading() as store:
            yield store

    def close(self) -> None:
        """Close the store after its last reader, and those of the runs beside it."""
        self._store.close()
        for other in self.beside.values():
            other.close()

    def overview(self) -> OverviewAnswer:
        """The graph in numbers, and what its build left out."""
        with self.store() as store:
            return overview_answer(store, self.name, self.workspace, self.bundle_folder())

    def item(self, item: str) -> ItemAnswer:
        """All of an item; `NotThere` for one that the graph does not hold."""
        with self.store() as store:
            return item_answer(store, item)

    def user(self, user: str) -> UserAnswer:
        """All of a person; `NotThere` for one whom the graph does not hold."""
        known = None if self.bundle_folder() is None else self.model().knows_user(user)
        with self.store() as store:
            return user_answer(store, user, known=known)

    def similar(self, item: str, by: str, k: int) -> list[Ranked]:
        """The `k` items most alike: by a modality's vectors, or by `model`."""
        if by == "model":
            found = self.model().similar(item, k)
            with self.store() as store:
                return ranked(store, list(found.select("item_id", "score").iter_rows()))
        with self.store() as store:
            if not store.query(_KNOWN, {"items": [item]}).num_rows:
                raise NotThere(f"item {item!r} is not in {store.address}")
            return similar_in(store, by, item, k)

    def recommend(self, users: list[str] | None, k: int, **how: Any) -> list[RecommendedTo]:
        """The lists of people whom the model knows, or whose `histories` are given; see `Model.recommend`."""
        table = self.model().recommend(users, k, **how)
        return self._lists(table)

    def recommend_asked(self, question: dict[str, Any]) -> list[RecommendedTo]:
        """The same from plain values: `histories` is a list of `user_id`, `item_id` and `weight`."""
        import polars as pl

        histories = question.pop("histories")
        table = pl.DataFrame(histories, schema=_HISTORIES) if histories else None
        return self.recommend(question.pop("users"), question.pop("k"), histories=table, **question)

    def search(self, words: str, by: str, k: int) -> Found:
        """Items by words (people and entities, too), or by what the words mean in a modality."""
        from modalweave.serve.searching import by_meaning, by_words

        with self.store() as store:
            if by == "words":
                return by_words(store, words, k)
            return by_meaning(store, self.config, by, {"text": words}, k)

    def search_file(self, file: Path, modality: str, k: int) -> Found:
        """Items whose pictures or sounds are most like a file's."""
        from modalweave.serve.searching import by_meaning

        with self.store() as store:
            return by_meaning(store, self.config, modality, {_GIVEN_AS[modality]: str(file)}, k)

    @property
    def asks(self) -> str | None:
        """Where questions in plain words go; None without a language model."""
        model = self.config.language_model if self.config is not None else None
        return None if model is None else Chat(model).sends_to

    def ask(self, question: str, *, timeout: float) -> str:
        """The read-only query that the language model makes of a question; it has been run once.

        Raises `RunError` where none came back, `EncoderError` where the model gives no answer.
        """
        from modalweave.explore.questions import ask

        if self.config is None or self.config.language_model is None:
            raise RunError("questions need a model; give language_model: {address: http://127.0.0.1:8000/v1, model: X}")
        with self.store() as store:
            return ask(store, Chat(self.config.language_model), question, limit=1, timeout=timeout).query

    def around(self, label: str, identifier: str, types: list[str], limit: int) -> GraphAnswer:
        """A node and what it is linked to."""
        with self.store() as store:
            return around(store, label, identifier, types, limit)

    def drawn(self, query: str, parameters: Mapping[str, Any], *, timeout: float) -> GraphAnswer:
        """What the rows of a query hold, as a graph; `GraphError` where they hold no nodes."""
        with self.store() as store:
            rows = store.query(query, parameters, limit=1000, timeout=timeout)
            return of_networkx(store, result_graph(rows, parameters))

    def drawing(self, explanation: Explanation) -> GraphAnswer:
        """The paths of an explanation as a graph."""
        with self.store() as store:
            return of_networkx(store, paths_graph(explanation.paths))

    def cards(self, items: list[str]) -> dict[str, Card]:
        """Title and first picture of each item that is there."""
        with self.store() as store:
            return cards(store, items)

    def somewhere(self) -> tuple[str, str] | None:
        """A node to begin with: the item that most people chose, as far as one is there."""
        with self.store() as store:
            rows = store.query(_BUSIEST).to_pylist()
        return ("Item", rows[0]["id"]) if rows else None

    def download(
        self, query: str, parameters: Mapping[str, Any], kind: Literal["csv", "json", "parquet"], *, limit: int
    ) -> tuple[bytes, str]:
        """The rows of a query as a file, and its type."""
        with self.store() as store:
            return encoded(store.query(query, parameters, limit=limit), kind), _TYPES[kind]

    def items_of(self, rows: RowsAnswer) -> list[Card]:
        """The items that the rows of a query name, in their order, as far as they are there."""
        named = [str(cell) for row in rows.rows for cell in map(_identifier, row) if cell is not None]
        known = self.cards(list(dict.fromkeys(named))[:MOST_SHOWN])
        return [known[item] for item in dict.fromkeys(named) if item in known]

    def vocabulary(self) -> dict[str, list[str]]:
        """Names that a query may hold, for completion."""
        schema = GraphSchema()
        with self.store() as store:
            held = store.names()
        own = {name for kind in schema.nodes.values() for name in kind.properties.names}
        own |= {name for kind in schema.relationships.values() for name in kind.stored}
        return {
            "labels": sorted({*schema.nodes, *held.labels}),
            "types": sorted({*(edge.relation for edge in schema.relationships), *held.types}),
            "properties": sorted({*own, *held.properties}),
        }

    def products(self) -> list[Product]:
        """The pages that the run's commands have written, newest first."""
        pages = sorted(self._pages().values(), key=lambda path: -path.stat().st_mtime)
        stamped = [(path, datetime.fromtimestamp(path.stat().st_mtime, UTC)) for path in pages]
        return [Product(name=path.name, made=made.isoformat(timespec="seconds")) for path, made in stamped]

    def page(self, name: str) -> str:
        """One of them; `NotThere` for any other name."""
        found = self._pages().get(name)
        if found is None:
            raise NotThere(f"{name[:100]!r} is no page of this run")
        return found.read_text(encoding="utf-8")

    def metrics(self) -> dict[str, Any]:
        """What `evaluate` measured; empty where it has not run."""
        if self.workspace is None or not self.workspace.metrics.is_file():
            return {}
        found = json.loads(self.workspace.metrics.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}

    def media(self, digest: str) -> Bytes:
        """A picture or a sound by the hash of its content."""
        with self.store() as store:
            return media_bytes(store, self.config, digest)

    def explain(self, user: str, item: str, *, limit: int = 10) -> Explanation:
        """Why an item; `NotThere` where the graph does not hold one of the two."""
        with self.store() as store:
            for query, name, what in (
                ("MATCH (u:User) WHERE u.id = $id RETURN u.id AS id", user, "user"),
                ("MATCH (i:Item) WHERE i.id = $id RETURN i.id AS id", item, "item"),
            ):
                if not store.query(query, {"id": name}).num_rows:
                    raise NotThere(f"{what} {name!r} is not in {store.address}")
            return explain_item(store, user, item, bundle=self._taken_apart(), limit=limit)

    def cypher(self, query: str, parameters: Mapping[str, Any], *, limit: int, timeout: float) -> RowsAnswer:
        """The rows of a read-only query; `QueryRefused` for any other."""
        started = time.perf_counter()
        with self.store() as store:
            table = store.query(query, parameters, limit=limit + 1, timeout=timeout)
            notes, store.notes[:] = list(dict.fromkeys(store.notes)), []
        columns = table.slice(0, limit).to_pydict()
        return RowsAnswer(
            columns=table.column_names,
            rows=[list(row) for row in zip(*columns.values(), strict=True)],
            cut=table.num_rows > limit,
            seconds=round(time.perf_counter() - started, 4),
            notes=notes,
        )

    def model(self) -> "Model":
        """The model to serve, read again where another one was written; `RunError` where there is none."""
        from gnn.bundle.bundle import load_bundle
        from gnn.bundle.manifest import read_manifest
        from modalweave.model import Model

        folder = self.bundle_folder()
        if folder is None:
            if self.workspace is None:
                raise NotReady("no trained model is named; start the server with --bundle BUNDLE, or with a config")
            raise NotReady(f"{self.workspace.bundle} is not there; run `modalweave train` first")
        with self._lock:
            if self._loaded is None or self._loaded[0] != folder or read_manifest(folder)[1] != self._loaded[1].hash:
                self._loaded = folder, Model(load_bundle(folder), folder)
            return self._loaded[1]

    def bundle_folder(self) -> Path | None:
        """The model to serve, if there is one."""
        return self._bundle or (served(self.workspace) if self.workspace is not None else None)

    def _pages(self) -> dict[str, Path]:
        folder = self.workspace.root if self.workspace is not None else None
        listed = folder.glob("*.html") if folder is not None and folder.is_dir() else ()
        return {path.name: path for path in listed if path.is_file() and not path.is_symlink()}

    def _taken_apart(self) -> "Bundle | None":
        return None if self.bundle_folder() is None else self.model().with_terms

    def _lists(self, table: "pl.DataFrame") -> list[RecommendedTo]:
        with self.store() as store:
            known = cards(store, table["item_id"].unique().to_list())
        lists: dict[str, list[Recommended]] = {}
        for row in table.iter_rows(named=True):
            user, item = row.pop("user_id"), row.pop("item_id")
            card = {"title": row.pop("title"), **(known[item].model_dump() if item in known else {}), "id": item}
            lists.setdefault(user, []).append(Recommended(**card, **row))
        return [RecommendedTo(user=user, items=items) for user, items in lists.items()]


def _identifier(cell: Any) -> str | None:
    """What may name an item: an id, or a node of either store."""
    if isinstance(cell, str) and cell.startswith("{"):
        try:
            cell = json.loads(cell)
        except ValueError:
            return None
    if isinstance(cell, dict):
        return cell.get("id") if "Item" in (cell.get("_LABEL"), *cell.get("labels", ())) else None
    return cell if isinstance(cell, str) else None


class NotReady(RunError):
    """A stage of the run that has yet to be made."""
