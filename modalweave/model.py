"""A trained model by itself: no store and no config, ids in and tables out."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp
import torch

from gnn.bundle.bundle import Bundle, load_bundle
from gnn.errors import GnnError
from gnn.ranker.scorer import retrieval_of
from gnn.scorers.likeness import likeness
from gnn.scorers.ranking import top_items, user_blocks
from modalweave.errors import RunError
from scoring.people import people
from scoring.restrictions import Restrictions, allowed

RECOMMENDATIONS = pl.Schema(
    {
        "user_id": pl.String,
        "item_id": pl.String,
        "title": pl.String,
        "rank": pl.Int32,
        "score": pl.Float32,
        "source": pl.String,
    }
)
"""`rank` counts from 1; `source` says what ranked the item: `model`, `popularity`, or `content` for one that came after
training."""

SIMILAR = pl.Schema({"item_id": pl.String, "title": pl.String, "rank": pl.Int32, "score": pl.Float64})
"""`rank` counts from 1; `score` compares items of one list only."""


class Model:
    """A trained model in memory.

    >>> model = mw.load("runs/shop/bundle")           # doctest: +SKIP
    >>> model.recommend(["u7"], k=5)                  # doctest: +SKIP
    """

    def __init__(self, bundle: Bundle, path: Path) -> None:
        self._bundle, self._path = bundle, path
        self._users = {name: number for number, name in enumerate(bundle.user_ids)}
        self._items = {name: number for number, name in enumerate(bundle.item_ids)}
        self._titles = bundle.titles or [None] * len(bundle.item_ids)

    def __repr__(self) -> str:
        kind = self._bundle.manifest.get("model")
        return f"Model({kind}, {len(self.users):,} users, {len(self.items):,} items, {self.hash[:12]})"

    @property
    def users(self) -> Sequence[str]:
        """Ids of the users it knows: `model.users[:3]`."""
        return self._bundle.user_ids

    @property
    def items(self) -> Sequence[str]:
        """Ids of the items it knows: `model.items[:3]`."""
        return self._bundle.item_ids

    @property
    def hash(self) -> str:
        """SHA-256 of the model, as `scores/` and links in a graph name it: `model.hash[:12]`."""
        return self._bundle.hash

    def knows_user(self, user: str) -> bool:
        """Whether it has met a user: `model.knows_user("u7")`."""
        return user in self._users

    def history(self, user: str) -> list[str]:
        """The items that a user chose, as far as it was trained on them: `model.history("u7")`.

        Raises `RunError` for a user whom it does not know.
        """
        (row,) = self._rows([user], "user")
        return [self.items[item] for item in self.with_terms.history[row].indices]

    def recommend(
        self,
        users: str | Iterable[str] | None = None,
        k: int = 10,
        *,
        histories: pl.DataFrame | Iterable[tuple[str, str]] | None = None,
        items: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        where: str | None = None,
        at_most: int | None = None,
        per: str | None = None,
        include_seen: bool = False,
    ) -> pl.DataFrame:
        """The `k` best items that a user has not chosen yet, best first, user by user in the order given.

        A user without training history gets what most people chose, and `source` says `popularity`. Titles
        are those that the items had when it was trained. Raises `RunError` that names the users it does not know.

            model.recommend(["u7", "u8"], k=5)      # user_id, item_id, title, rank, score, source

        `histories` are people whom the model never met, or whose history grew: (user, item) pairs, or a table with
        `user_id`, `item_id` and where known `weight`. Without `users` all of them are asked for.

            model.recommend(histories=[("anna", "42"), ("anna", "43")])

        The list is the exact best of what may be listed: some `items`, none of `exclude`, those `where` a condition
        over their attributes holds, `at_most` so many that have the same value of `per`, seen ones too. Raises
        `scoring.errors.ScoringError` where nothing is left or a condition cannot be read.

            model.recommend("u7", where="price < 20 and category = 'lamp'", at_most=2, per="brand")
        """
        if users is None and histories is None:
            raise RunError("users and histories are both None; name users, or give the histories of some")
        named = [] if users is None else _ids(users)
        bundle = self._bundle
        if histories is not None:
            brought = people(_table(histories), self.with_terms, named)
            check_known(brought.unknown_items, (), "item", f"the model knows {len(self.items):,} items")
            bundle = self.with_terms.with_people(brought.ids, brought.histories, brought.seen)
        wanted = bundle.user_ids if users is None else named
        known = self._users if bundle is self._bundle else bundle.user_ids
        rows, depth = torch.from_numpy(_places(wanted, known, "user")), _count(k)
        asked = Restrictions(
            items=None if items is None else pl.DataFrame({"item_id": list(map(str, items))}, {"item_id": pl.String}),
            exclude=None if exclude is None else list(map(str, exclude)),
            where=where,
            at_most=at_most,
            per=per,
            include_seen=include_seen,
        )
        may = allowed(asked, bundle, self._path)
        check_known(may.unknown, (), "item", f"the model knows {len(self.items):,} items")
        seen = sp.csr_matrix(bundle.seen.shape, dtype=np.float32) if include_seen else bundle.seen
        best, scores = top_items(bundle.served, rows, seen, depth, may.limits)
        sources = bundle.sources(rows.numpy(), best)
        at, place = np.nonzero(best >= 0)
        return pl.DataFrame(
            {
                "user_id": [wanted[row] for row in at],
                "item_id": [self.items[item] for item in best[at, place]],
                "title": [self._titles[item] for item in best[at, place]],
                "rank": place + 1,
                "score": scores[at, place],
                "source": sources[at, place].tolist(),
            },
            schema_overrides=RECOMMENDATIONS,
        )

    def score(self, pairs: pl.DataFrame | Iterable[tuple[str, str]]) -> pl.DataFrame:
        """The model's score of each pair; it compares items of one user only.

        Raises `RunError` that names the users or items it does not know.

            model.score([("u7", "42"), ("u7", "43")])      # user_id, item_id, score
        """
        table = pairs.select("user_id", "item_id").rows() if isinstance(pairs, pl.DataFrame) else list(pairs)
        users, items = [str(user) for user, _ in table], [str(item) for _, item in table]
        rows, columns = self._rows(users, "user"), self._rows(items, "item")
        once, places = np.unique(rows, return_inverse=True)
        values = np.empty(len(rows), dtype=np.float32)
        for start, block in user_blocks(torch.from_numpy(once), len(self.items)):
            inside = np.flatnonzero((places >= start) & (places < start + len(block)))
            with torch.no_grad():
                scores = self._bundle.served.scores(block).float()
            values[inside] = scores[places[inside] - start, columns[inside]].numpy()
        return pl.DataFrame(
            {"user_id": users, "item_id": items, "score": values},
            schema={"user_id": pl.String, "item_id": pl.String, "score": pl.Float32},
        )

    def similar(self, item: str, k: int = 10) -> pl.DataFrame:
        """The `k` items the model takes for most alike, best first, the item itself left out.

        Raises `RunError` for an item it does not know, or where it tells no items apart.

            model.similar("42", k=5)      # item_id, title, rank, score
        """
        (row,) = self._rows([str(item)], "item")
        try:
            scores = likeness(retrieval_of(self._bundle.scorer)).scores(torch.tensor([row]))[0].numpy()
        except GnnError as error:
            raise RunError(str(error)) from error
        order = np.argsort(-scores, kind="stable")
        best = order[order != row][: _count(k)]
        return similar_table([self.items[n] for n in best], [self._titles[n] for n in best], scores[best])

    @cached_property
    def with_terms(self) -> Bundle:
        """The bundle with what its vectors are summed from, as explanations need it: `model.with_terms.history`."""
        bundle, came = load_bundle(self._path, terms=True), self._bundle.arrivals
        return bundle if came is None else bundle.with_arrivals(came)

    def _rows(self, ids: Sequence[str], what: str) -> np.ndarray:
        return _places(ids, self._users if what == "user" else self._items, what)


def load(path: str | PathLike[str]) -> Model:
    """A model from the folder that training wrote, every file checked against its hash; no store, no config.

        model = mw.load("runs/shop/bundle")
        model.recommend(["u7"], k=5)

    Raises `gnn.errors.BundleError` in one line where the folder is no bundle or a file was altered.
    """
    return Model(load_bundle(Path(path)), Path(path))


def check_known(ids: Iterable[str], known: Iterable[str], what: str, way_out: str) -> None:
    """Raises `RunError` that names the first ids that are not among the known ones."""
    there = known if isinstance(known, dict | set) else set(known)
    unknown = list(dict.fromkeys(name for name in ids if name not in there))
    if unknown:
        named = ", ".join(map(repr, unknown[:5])) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        raise RunError(f"unknown {what}{'s' * (len(unknown) > 1)} {named}: {way_out}")


def _places(ids: Sequence[str], known: Mapping[str, int] | Sequence[str], what: str) -> np.ndarray:
    places = known if isinstance(known, Mapping) else {name: number for number, name in enumerate(known)}
    check_known(ids, places, what, f"the model knows {len(places):,} {what}s; train again to add new ones")
    return np.array([places[name] for name in ids], dtype=np.int64)


def _table(histories: pl.DataFrame | Iterable[tuple[str, str]]) -> pl.DataFrame:
    """`user_id`, `item_id` as text, and `weight` where there is one."""
    if not isinstance(histories, pl.DataFrame):
        histories = pl.DataFrame(list(histories), schema=["user_id", "item_id"], orient="row")
    return histories.with_columns(pl.col("user_id", "item_id").cast(pl.String))


def similar_table(items: Sequence[str], titles: Sequence[str | None], scores: Iterable[float]) -> pl.DataFrame:
    """A ranked list of items."""
    ranks = range(1, len(items) + 1)
    columns = {"item_id": items, "title": titles, "rank": ranks, "score": [float(score) for score in scores]}
    return pl.DataFrame(columns, schema=SIMILAR)


def _ids(users: str | Iterable[str]) -> list[str]:
    """Each once, in order; one id may be given alone."""
    return list(dict.fromkeys([users] if isinstance(users, str) else map(str, users)))


def _count(k: int) -> int:
    if k < 1:
        raise RunError(f"k is {k}; give 1 or more")
    return k
