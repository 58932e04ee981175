"""The dataset folder: `interactions` (needed) and the optional tables beside it, Parquet or CSV in UTF-8."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from etl.config import SourceConfig
from etl.errors import SourceError
from etl.sources.attributes import Attributes, attributes
from etl.sources.columns import conform, rename, unused, vectors
from etl.sources.files import SUFFIXES, inside, open_folder, read_parquet, read_table
from etl.sources.names import clean
from etl.sources.origin import label_of
from etl.tables import INTERACTIONS, MEDIA, NEIGHBOURS, QUARANTINE, SOCIAL, TRIPLES, Tables
from graph.schema import MODALITIES

_NAMES = ("interactions", "users", "items", "media", "triples", "social")
_MEANT = {
    **dict.fromkeys(("interaction", "rating", "ratings", "event", "events", "click", "clicks"), "interactions"),
    **dict.fromkeys(("order", "orders", "purchases", "transactions", "log", "logs"), "interactions"),
    **dict.fromkeys(("item", "product", "products", "movie", "movies", "article", "articles"), "items"),
    **dict.fromkeys(("user", "customer", "customers"), "users"),
    **dict.fromkeys(("triple", "kg", "knowledge_graph"), "triples"),
    **dict.fromkeys(("friend", "friends", "follows"), "social"),
    **dict.fromkeys(("medium", "image", "images", "texts"), "media"),
}
"""What else people call the tables."""
_TABULAR = (*SUFFIXES, ".xls", ".npy", ".npz", ".json", ".jsonl", ".gz", ".feather")


def read(config: SourceConfig) -> Tables:
    """The tables of the folder; raises `SourceError` naming file, row and column for what cannot be read."""
    return _Reader(config).tables()


def read_catalogue(config: SourceConfig) -> Tables:
    """As `read`, of a folder that need not say who chose what."""
    return _Reader(config).tables(chosen=False)


class _Reader:
    """Reads one folder and keeps what is to be said about it."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self.folder = open_folder(config.path)
        self.notes = list(_ignored(self.folder))
        self.rejected = [QUARANTINE.empty_table()]
        self.seen: set[str] = set()

    def tables(self, *, chosen: bool = True) -> Tables:
        interactions = self._table("interactions", INTERACTIONS, ("user_id", "item_id"))
        if interactions is None and not chosen:
            interactions = INTERACTIONS.empty_table()
        if interactions is None:
            meant = next((note for note in self.notes if "interactions" in note), None)
            cure = meant or "write one (a header line alone will do to explore a catalogue)"
            raise SourceError(f"{self.folder}: neither interactions.parquet nor interactions.csv is there; {cure}")
        tables = Tables(
            interactions=interactions,
            users=self._attributes("users", "user_id", "User"),
            items=self._attributes("items", "item_id", "Item"),
            media=self._table("media", MEDIA, ("item_id", "modality")),
            embeddings=self._embeddings(),
            neighbours=self._neighbours(),
            triples=self._table("triples", TRIPLES, ("head_id", "relation", "tail_id")),
            social=self._table("social", SOCIAL, SOCIAL.names),
            root=self.folder,
        )
        lost = {ours: theirs for ours, theirs in self.config.columns.items() if clean(theirs) not in self.seen}
        self.notes += [f"source.columns: no file has a column {b!r} to read {a} from" for a, b in lost.items()]
        return replace(tables, rejected=pa.concat_tables(self.rejected), notes=tuple(self.notes))

    def _raw(self, name: str, expected: Sequence[str]) -> pa.Table | None:
        columns = self.config.columns
        wanted = (*expected, *columns, *columns.values())
        raw = read_table(self.folder, name, delimiter=self.config.delimiter, expected=wanted)
        return None if raw is None else self._renamed(raw)

    def _renamed(self, raw: pa.Table) -> pa.Table:
        self.seen |= set(raw.column_names)
        return rename(raw, self.config.columns)

    def _table(self, name: str, schema: pa.Schema, required: Sequence[str]) -> pa.Table | None:
        raw = self._raw(name, schema.names)
        if raw is None:
            return None
        table = conform(raw, schema, required)
        left, lacking = unused(raw, schema)
        if left:
            can = f"; source.columns can make one of them {' or '.join(lacking)}" if lacking else ""
            self.notes.append(f"{label_of(raw, name)}: {', '.join(map(repr, left))} not read{can}")
        return table

    def _attributes(self, name: str, key: str, label: str) -> pa.Table | None:
        raw = self._raw(name, (key, "title"))
        return None if raw is None else self._keep(attributes(raw, key, **self.config.attribute_types(label)))

    def _keep(self, found: Attributes) -> pa.Table:
        self.notes += found.notes
        self.rejected.append(found.rejected)
        return found.table

    def _neighbours(self) -> dict[str, pa.Table]:
        found = {m: self._table(f"neighbours/{m}", NEIGHBOURS, NEIGHBOURS.names) for m in MODALITIES}
        return {modality: table for modality, table in found.items() if table is not None}

    def _embeddings(self) -> dict[str, pa.Table]:
        tables = {}
        for modality in MODALITIES:
            name = f"embeddings/{modality}.parquet"
            path = inside(self.folder, name, parts=True)
            if path is not None:
                tables[modality] = vectors(self._renamed(read_parquet(path, name)))
        return tables


def _ignored(folder: Path) -> list[str]:
    """What lies in the folder like a table and is not read, with the name that would be."""
    known = {name + suffix for name in _NAMES for suffix in SUFFIXES}
    known |= {f"neighbours/{m}{suffix}" for m in MODALITIES for suffix in SUFFIXES}
    known |= {f"embeddings/{m}.parquet" for m in MODALITIES}
    places = [folder, *(folder / name for name in ("embeddings", "neighbours") if (folder / name).is_dir())]
    files = sorted(path.relative_to(folder) for place in places for path in place.iterdir())
    return [
        f"{file.as_posix()} is not read{_cure(file)}"
        for file in files
        if file.suffix.lower() in _TABULAR and not file.name.startswith((".", "_")) and file.as_posix() not in known
    ]


def _cure(file: Path) -> str:
    stem = file.name.partition(".")[0].casefold()
    if len(file.parts) == 2:
        modality = next((m for m in MODALITIES if stem.startswith(m)), "image")
        if file.parts[0] == "embeddings":
            return f": write embeddings/{modality}.parquet with item_id and vector"
        return f": write neighbours/{modality}.csv or .parquet with item_id, neighbour_id and score"
    meant = stem if stem in _NAMES else _MEANT.get(stem)
    if meant is None:
        return f"; the tables are called {', '.join(_NAMES)}"
    suffix = file.suffix.lower()
    return f": call it {meant}{suffix}" if suffix in SUFFIXES else f": write {meant}.csv or {meant}.parquet"
