"""A run from Python: the commands as methods of one object, ids in and tables out."""

from collections.abc import Mapping
from copy import deepcopy
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modalweave.config import RunConfig, parse_config, read_config, set_key
from modalweave.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl
    from torch_geometric.data import HeteroData

    from graph.store import GraphStore
    from modalweave.model import Model
    from modalweave.progress import Stages
    from modalweave.results.build import BuildResult, Plan
    from modalweave.results.enrichment import AskResult, EnrichPlan, EnrichResult
    from modalweave.results.explanation import Explanation
    from modalweave.results.jobs import ScoreResult
    from modalweave.results.metrics import EvaluateResult, RefitResult, TrainResult
    from modalweave.results.study import StudyResult
    from scoring.reasons import Reasons

_SEARCHES = {"text": "similar-texts", "image": "similar-images", "audio": "similar-sounds"}
_TITLES = "MATCH (i:Item) WHERE i.id IN $items RETURN i.id AS item_id, i.title AS title"
_KNOWN_ITEMS = "MATCH (i:Item) WHERE i.id IN $ids RETURN i.id AS id"
_KNOWN_USERS = "MATCH (u:User) WHERE u.id IN $ids RETURN u.id AS id"

Modality = Literal["text", "image", "audio"]


class Run:
    """A catalogue with its graph, its model and every question to them.

    >>> run = mw.Run({"source": {"path": "data/shop"}}, name="shop", seed=1)      # doctest: +SKIP
    >>> run.build(), run.train()                                                  # doctest: +SKIP
    >>> run.recommend(["u7"], k=10)                                               # doctest: +SKIP

    `config` holds the keys of the YAML file; keywords set or override them, nested ones by dotted keys:
    `Run(config, seed=1, **{"gnn.embedding_dim": 32})`. Paths are relative to the working folder, as on the command
    line. `progress=False` is silent. Raises `ConfigError` in one line for a key or value that cannot be used.
    """

    def __init__(self, config: Mapping[str, Any] | RunConfig, *, progress: bool = True, **overrides: Any) -> None:
        if isinstance(config, RunConfig) and overrides:
            config = config.model_dump(mode="json", exclude_unset=True)
        self.config = config if isinstance(config, RunConfig) else _configured(config, overrides, "config")
        """Every setting of the run, defaults filled in."""
        self.workspace = Workspace(self.config.workspace)
        """Where its products lie: `run.workspace.report`."""
        self._progress = progress
        self._loaded: Model | None = None
        self._reasons: tuple[tuple[str, str], Reasons] | None = None

    def __repr__(self) -> str:
        state = [word for word, path in (("built", "graph"), ("trained", "bundle")) if self._has(path)]
        return f"Run({self.config.name}, {self.workspace.root}{''.join(f', {word}' for word in state)})"

    def build(self, *, strict: bool = False, prune: bool = False) -> "BuildResult":
        """Source -> tables -> embeddings -> graph store. The same input again writes nothing.

            run.build().coverage      # modality -> share of items that have it

        `strict` stops at the first bad row instead of leaving it out, `prune` removes what the source no longer has.
        """
        from modalweave.progress import without_library_warnings

        with without_library_warnings():  # some speak when they are imported
            from modalweave.stages.build import build

            return build(self.config, strict=strict, prune=prune, stages=self._stages())

    def train(self) -> "TrainResult":
        """Graph -> trained model in `run.workspace.bundle`, measured on validation; goes on where it was stopped.

        run.train().metrics["ndcg@20"]
        """
        from modalweave.progress import without_library_warnings

        with without_library_warnings():
            from modalweave.stages.train import train

            return train(self.config, stages=self._stages())

    def evaluate(self, split: Literal["test", "valid"] = "test") -> "EvaluateResult":
        """Metrics on held-out interactions with 95 % intervals, slices, and `run.workspace.report`.

        run.evaluate().metrics["recall@20"].mean      # .low, .high
        """
        from modalweave.stages.evaluate import evaluate

        return evaluate(self.config, split=split, stages=self._stages())

    def refit(self) -> "RefitResult":
        """What validation chose, fitted anew on every interaction, into `run.workspace.serving`: the model to serve.

            run.refit().measured.metrics["recall@20"]      # of the model that was measured in its place

        `score`, `recommend`, `similar` and `explain` take it from then on.
        """
        from modalweave.stages.refit import refit

        return refit(self.config, stages=self._stages())

    def score(self) -> "ScoreResult":
        """The batch job: recommendations of every user into `run.workspace.scores`; goes on where it was stopped.

        run.score().rows
        """
        from modalweave.stages.score import score_run

        return score_run(self.config, stages=self._stages())

    def study(self, split: Literal["test", "valid"] = "test") -> "StudyResult":
        """What each modality, relation and fusion is worth: variants side by side over seeds.

        run.study().findings
        """
        from modalweave.study.study import study

        return study(self.config, split=split, markdown=None, stages=self._stages())

    def plan(self) -> "Plan":
        """How much memory and time training takes, and whether it fits.

        run.plan().verdict
        """
        from modalweave.stages.plan import plan

        return plan(self.config)

    def recommend(
        self,
        users: "str | Iterable[str] | None" = None,
        k: int = 10,
        *,
        reasons: Literal["en", "zh"] | None = None,
        **how: Any,
    ) -> "pl.DataFrame":
        """The `k` best items that a user has not chosen yet, best first, with their titles.

            run.recommend(["u7", "u8"], k=10)      # user_id, item_id, title, rank, score, source
            run.recommend("u7", reasons="en")      # and reason: why, in words for the customer

        `source` is `model`, or `popularity` for a user without training history. Raises `RunError` that names the
        users that the model does not know.

        `how` are the keywords of `Model.recommend`: `histories` of people whom it never met, `items`, `exclude`,
        `where`, `at_most` and `per`, `include_seen`.
        """
        table = self._titled(self._model().recommend(users, k, **how))
        return table if reasons is None else self._with_reasons(table, reasons, how)

    def similar(self, item: str, *, by: Modality | Literal["model"] = "model", k: int = 10) -> "pl.DataFrame":
        """The `k` items most alike: by their texts, pictures or sounds, or by what the model has learned.

            run.similar("42", by="image", k=5)      # item_id, title, rank, score

        Raises `RunError` for an item that is not there.
        """
        if by == "model":
            return self._titled(self._model().similar(item, k))
        from modalweave.model import check_known

        with self._store() as store:
            known = store.query(_KNOWN_ITEMS, {"ids": [str(item)]})["id"].to_pylist()
            check_known([str(item)], known, "item", f"{store.address} does not hold it; give an id of the items table")
            return self._search(store, by, "item", str(item), k)

    def search(self, text: str, *, by: Modality = "text", k: int = 10) -> "pl.DataFrame":
        """The `k` items whose texts come nearest to a text, through the encoder that the graph was built with.

            run.search("a quiet lamp", k=5)      # item_id, title, rank, score

        `by="image"` searches pictures by words, where one encoder embeds both (`open_clip`).
        """
        from modalweave.progress import without_library_warnings

        with without_library_warnings(), self._store() as store:
            return self._search(store, by, "text", text, k)

    def with_new_items(self, folder: str | PathLike[str]) -> "Model":
        """The model to serve, and the items of a dataset folder that came after training: nothing is trained.

        Their media are encoded and linked to what is there. Raises `RunError` where no item of the folder is new.

            run.with_new_items("data/monday").recommend(["u7"], k=10)      # source: model, or content for the new
        """
        from gnn.bundle.bundle import load_bundle
        from modalweave.model import Model
        from modalweave.stages.arrivals import arrivals

        path = self._serving()
        bundle = load_bundle(path)
        return Model(bundle.with_arrivals(arrivals(self.config, Path(folder), bundle.item_ids, self._stages())), path)

    def explain(self, user: str, item: str, *, limit: int = 10) -> "Explanation":
        """Why an item: paths of the graph from what the user liked to it, and each liked item's share of the score.

            run.explain("u7", "42").sentences

        A notebook shows it as a table. Raises `RunError` for a user or item that is not there.
        """
        from modalweave.explore.explanations import explain_item, served
        from modalweave.model import check_known

        bundle = served(self.workspace)
        with self._store() as store:
            for query, name, what in ((_KNOWN_USERS, str(user), "user"), (_KNOWN_ITEMS, str(item), "item")):
                known = store.query(query, {"ids": [name]})["id"].to_pylist()
                check_known([name], known, what, f"{store.address} does not hold it; give an id of the {what}s table")
            return explain_item(store, str(user), str(item), bundle=bundle, limit=limit)

    def cypher(
        self, query: str, parameters: Mapping[str, Any] | None = None, *, limit: int = 100, timeout: float = 30.0
    ) -> "pl.DataFrame":
        """The rows of a query, read-only: at most `limit` of them, within `timeout` seconds.

            run.cypher("MATCH (i:Item) WHERE i.title CONTAINS $word RETURN i.title LIMIT 5", {"word": "lamp"})

        Raises `graph.errors.QueryRefused` for a query that would write.
        """
        import polars as pl

        with self._store() as store:
            return pl.DataFrame(pl.from_arrow(store.query(query, dict(parameters or {}), limit=limit, timeout=timeout)))

    def ask(self, question: str, *, limit: int = 50, timeout: float = 30.0) -> "AskResult":
        """The rows that answer a question in plain words, and the read-only query that a language model made of it.

            run.ask("Which lamps do people like who chose a jazz record?").rows      # .query, .refused

        Needs `language_model` in the config. The question and the graph's names are sent, no row of it. Raises
        `RunError` where no query that only reads came back.
        """
        from modalweave.stages.questions import ask_run

        return ask_run(self.config, question, store=None, limit=limit, timeout=timeout, stages=self._stages())[0]

    def enrich(self, *, dry_run: bool = False, limit: int | None = None) -> "EnrichPlan | EnrichResult":
        """Ask the language model for the texts and facts of the config's `enrich` section; `build` puts them in.

            run.enrich(dry_run=True).tasks      # calls, tokens, cost, seconds: nothing is sent
            run.enrich(limit=20).page           # a few items, shown beside what was written

        Replies are kept: nothing is asked twice.
        """
        from modalweave.stages.enrichment import enrich_run

        return enrich_run(self.config, dry_run=dry_run, limit=limit, page=None, stages=self._stages())

    def graph(self) -> "HeteroData":
        """The graph as PyTorch Geometric tensors; `data["Item"].ids` names the rows.

        run.graph()["User", "INTERACTED", "Item"].edge_index
        """
        from modalweave.stages.inputs import read_graph

        return read_graph(self.config, self._stages())

    def _search(self, store: "GraphStore", by: Modality, kind: str, value: str, k: int) -> "pl.DataFrame":
        from modalweave.errors import RunError
        from modalweave.explore.similarity_search import search
        from modalweave.model import similar_table

        if by not in _SEARCHES:
            raise RunError(f"by is {by!r}; use one of {', '.join(_SEARCHES)}")
        found = search(store, _SEARCHES[by], {kind: value, "limit": str(k)}, self.config)
        return similar_table(found["item"].to_pylist(), found["title"].to_pylist(), found["score"].to_pylist())

    def _titled(self, table: "pl.DataFrame") -> "pl.DataFrame":
        """The table with the titles that the graph holds."""
        import polars as pl

        items = table["item_id"].unique().to_list()
        with self._store() as store:
            found = store.query(_TITLES, {"items": items}, limit=max(len(items), 1))
        titles = dict(zip(found["item_id"].to_pylist(), found["title"].to_pylist(), strict=True))
        return table.with_columns(pl.Series("title", [titles.get(i) for i in table["item_id"]], dtype=pl.String))

    def _with_reasons(
        self, table: "pl.DataFrame", language: Literal["en", "zh"], how: Mapping[str, Any]
    ) -> "pl.DataFrame":
        """A column `reason` from the run's graph, which is read at the first call for a model."""
        import polars as pl

        from modalweave.errors import RunError
        from modalweave.stages.reasons import reasons, said

        if how.get("histories") is not None:
            raise RunError("reasons are of people whom the model knows; for others use `score --histories --reasons`")
        bundle = self._model().with_terms
        key = (bundle.hash, language)
        if self._reasons is None or self._reasons[0] != key:
            self._reasons = key, reasons(self.config, self._serving(), language, self._stages())
        why = said(self._reasons[1], bundle, table)
        return table.with_columns(pl.Series("reason", why, dtype=pl.String))

    def _model(self) -> "Model":
        """The run's model to serve, read again only where training or refitting has written another one."""
        from gnn.bundle.bundle import load_bundle
        from gnn.bundle.manifest import read_manifest
        from modalweave.model import Model

        loaded, folder = self._loaded, self._serving()
        if loaded is None or read_manifest(folder)[1] != loaded.hash:
            loaded = self._loaded = Model(load_bundle(folder), folder)
        return loaded

    def _serving(self) -> Path:
        from modalweave.errors import RunError
        from modalweave.stages.serving import serving_folder

        folder = serving_folder(self.workspace, self._stages().note)
        if not folder.exists():
            raise RunError(f"{folder} is not there; run `modalweave train` first")
        return folder

    def _store(self) -> "GraphStore":
        from modalweave.stores import connect, require_built

        require_built(self.config)
        return connect(self.config.store_address, self.config, read_only=True)

    def _stages(self) -> "Stages":
        from modalweave.progress import Stages

        return Stages(quiet=not self._progress)

    def _has(self, product: str) -> bool:
        path: Path = getattr(self.workspace, product)
        return path.exists()


def open(path: str | PathLike[str], *, progress: bool = True, **overrides: Any) -> Run:
    """The run of a YAML config file, as the command line reads it.

        run = mw.open("shop.yaml", seed=1, **{"gnn.embedding_dim": 32})

    Keywords override keys, nested ones by dotted keys. Paths in the file are relative to the working folder, not to
    the file. `progress=False` is silent. Raises `ConfigError` in one line.
    """
    return Run(_configured(read_config(Path(path)), overrides, str(path)), progress=progress)


def _configured(raw: Mapping[str, Any], overrides: Mapping[str, Any], where: str) -> RunConfig:
    keys = deepcopy(dict(raw))
    for dotted, value in overrides.items():
        set_key(keys, dotted, value)
    return parse_config(keys, where=where)
