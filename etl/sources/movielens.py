"""MovieLens as GroupLens publishes it: 100K (`u.data`), 1M and 10M (`ratings.dat`) and the CSV sets (`ratings.csv`).

The rating becomes the weight. Genres and tags become entities; genres stay an attribute (`Action|Comedy`) too, the ids
of `links.csv` are attributes. Files without a header are UTF-8 (10M) or else Latin-1 (100K, 1M).
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa

from etl.config import SourceConfig
from etl.errors import SourceError
from etl.sources.attributes import attributes
from etl.sources.columns import conform, needs, rename
from etl.sources.delimited import read_csv
from etl.sources.files import inside, open_folder
from etl.sources.names import clean_ids
from etl.sources.origin import label_of, like, named
from etl.tables import INTERACTIONS, QUARANTINE, TRIPLES, Tables

_RATINGS = ("user_id", "item_id", "weight", "timestamp")
_MOVIES = ("item_id", "title", "genres")
_USERS = ("user_id", "gender", "age", "occupation", "zip_code")
_TAGS = ("user_id", "item_id", "tag", "timestamp")
_GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
_MOVIES_100K = ("item_id", "title", "release_date", "video_release_date", "imdb_url", *_GENRES)
_USERS_100K = ("user_id", "age", "gender", "occupation", "zip_code")
_CSV = {"user_id": "userId", "item_id": "movieId", "weight": "rating"}
_NO_GENRE = ("", "unknown", "(no genres listed)")


def read(config: SourceConfig) -> Tables:
    """The tables of whichever set the folder holds; raises `SourceError` naming file, row and column."""
    folder = open_folder(config.path)
    for ratings, reader in (("u.data", _ml_100k), ("ratings.dat", _ml_dat), ("ratings.csv", _ml_csv)):
        if inside(folder, ratings) is not None:
            return reader(folder, config)
    raise SourceError(f"{folder}: none of u.data, ratings.dat and ratings.csv is there; point source.path at them")


def _ml_100k(folder: Path, config: SourceConfig) -> Tables:
    movies = _read(folder, "u.item", "|", _MOVIES_100K)
    if movies is not None:
        flags = [movies[genre].to_pylist() for genre in _GENRES]
        joined = [
            "|".join(g for g, f in zip(_GENRES, row, strict=True) if f == "1") for row in zip(*flags, strict=True)
        ]
        genres = pa.array(joined, pa.string())
        movies = like(movies.drop_columns(_GENRES).append_column("genres", genres), movies)
    users = _read(folder, "u.user", "|", _USERS_100K)
    return _tables(folder, config, _read(folder, "u.data", "\t", _RATINGS), movies, users, None)


def _ml_dat(folder: Path, config: SourceConfig) -> Tables:
    names = {"ratings.dat": _RATINGS, "movies.dat": _MOVIES, "users.dat": _USERS, "tags.dat": _TAGS}
    ratings, movies, users, tags = (_read(folder, file, "::", columns) for file, columns in names.items())
    return _tables(folder, config, ratings, movies, users, tags)


def _ml_csv(folder: Path, config: SourceConfig) -> Tables:
    found: dict[str, pa.Table | None] = {}
    for name in ("ratings.csv", "movies.csv", "tags.csv", "links.csv"):
        path = inside(folder, name)
        found[name] = None if path is None else rename(read_csv(path, name, expected=_CSV.values()), _CSV)
    movies, links = found["movies.csv"], found["links.csv"]
    if movies is not None and links is not None:
        needs(movies, ("item_id",))
        needs(links, ("item_id",))
        frame = pl.DataFrame(movies).join(
            pl.DataFrame(links).unique("item_id"), "item_id", "left", maintain_order="left"
        )
        movies = like(frame.to_arrow().cast(pa.schema([(name, pa.string()) for name in frame.columns])), movies)
    return _tables(folder, config, found["ratings.csv"], links if movies is None else movies, None, found["tags.csv"])


def _tables(
    folder: Path,
    config: SourceConfig,
    ratings: pa.Table | None,
    movies: pa.Table | None,
    users: pa.Table | None,
    tags: pa.Table | None,
) -> Tables:
    if ratings is None:
        raise SourceError(f"{folder}: the ratings file vanished; run again")
    described = {
        label: attributes(table, key, **config.attribute_types(label))
        for label, key, table in (("Item", "item_id", movies), ("User", "user_id", users))
        if table is not None
    }
    return Tables(
        interactions=conform(ratings, INTERACTIONS, ("user_id", "item_id")),
        items=described["Item"].table if "Item" in described else None,
        users=described["User"].table if "User" in described else None,
        triples=_triples(movies, tags),
        root=folder,
        rejected=pa.concat_tables([QUARANTINE.empty_table(), *(part.rejected for part in described.values())]),
        notes=tuple(note for part in described.values() for note in part.notes),
    )


def _triples(movies: pa.Table | None, tags: pa.Table | None) -> pa.Table | None:
    """Each genre and each tag (whatever its capitals) as an entity that its movies are linked to."""
    frames = []
    if movies is not None and "genres" in movies.column_names:
        genres = pl.DataFrame({"item": _ids(movies), "name": pl.from_arrow(movies["genres"])})
        split = (
            genres.with_columns(pl.col("name").str.split("|")).explode("name").filter(~pl.col("name").is_in(_NO_GENRE))
        )
        frames.append(_about(split, "genre"))
    if tags is not None:
        needs(tags, ("item_id", "tag"))
        words = clean_ids(tags["tag"])
        frames.append(_about(pl.DataFrame({"item": _ids(tags), "name": pl.from_arrow(words)}), "tag"))
    if not frames:
        return None
    label = ", ".join(label_of(t, "movies") for t in (movies, tags) if t is not None)
    return named(pl.concat(frames).select(TRIPLES.names).to_arrow().cast(TRIPLES), label)


def _about(frame: pl.DataFrame, relation: str) -> pl.DataFrame:
    frame = frame.drop_nulls().with_columns(id=f"{relation}:" + pl.col("name").str.to_lowercase())
    return frame.unique(["item", "id"], maintain_order=True).select(
        head_id="item",
        relation=pl.lit(relation),
        tail_id="id",
        head_type=pl.lit("Item"),
        tail_type=pl.lit(relation.capitalize()),
        tail_name=pl.col("name").first().over("id"),
    )


def _ids(table: pa.Table) -> pl.Series:
    return pl.Series(values=pl.from_arrow(clean_ids(table["item_id"])), dtype=pl.String)


def _read(folder: Path, name: str, delimiter: str, names: Sequence[str]) -> pa.Table | None:
    """A file without a header line; `::` is no single character, so such lines are rewritten with one."""
    path = inside(folder, name)
    if path is None:
        return None
    data = path.read_bytes()
    if len(delimiter) > 1:
        data, delimiter = data.replace(delimiter.encode(), b"\x1f"), "\x1f"
    return read_csv(data, name, delimiter=delimiter, names=names, quoted=False, fallback="latin-1")
