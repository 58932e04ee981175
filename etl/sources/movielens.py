"""MovieLens as GroupLens publishes it: 100K (`u.data`), 1M (`ratings.dat`) and the CSV sets (`ratings.csv`).

The rating becomes the weight. 100K and 1M are in Latin-1; genres are kept as `Action|Comedy`.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from etl.config import SourceConfig
from etl.errors import SourceError
from etl.sources.columns import attributes, conform, rename
from etl.sources.files import inside, named, open_folder, read_csv
from etl.tables import INTERACTIONS, Tables

_RATINGS = ("user_id", "item_id", "weight", "timestamp")
_GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
_MOVIES_100K = ("item_id", "title", "release_date", "video_release_date", "imdb_url", *_GENRES)
_CSV = {"user_id": "userId", "item_id": "movieId", "weight": "rating"}


def read(config: SourceConfig) -> Tables:
    """The tables of whichever set the folder holds; raises `SourceError` naming file, row and column."""
    folder = open_folder(config.path)
    for ratings, reader in (("u.data", _ml_100k), ("ratings.dat", _ml_1m), ("ratings.csv", _ml_csv)):
        if inside(folder, ratings) is not None:
            return reader(folder)
    raise SourceError(f"{config.path}: none of u.data, ratings.dat and ratings.csv is there; point source.path at them")


def _ml_100k(folder: Path) -> Tables:
    ratings = _read(folder, "u.data", "\t", _RATINGS)
    movies = _read(folder, "u.item", "|", _MOVIES_100K)
    users = _read(folder, "u.user", "|", ("user_id", "age", "gender", "occupation", "zip_code"))
    if movies is not None:
        flags = [movies[genre].to_pylist() for genre in _GENRES]
        joined = [
            "|".join(g for g, f in zip(_GENRES, row, strict=True) if f == "1") for row in zip(*flags, strict=True)
        ]
        movies = named(movies.drop_columns(_GENRES).append_column("genres", pa.array(joined, pa.string())), "u.item")
    return _tables(folder, ratings, movies, users)


def _ml_1m(folder: Path) -> Tables:
    ratings = _read(folder, "ratings.dat", "::", _RATINGS)
    movies = _read(folder, "movies.dat", "::", ("item_id", "title", "genres"))
    users = _read(folder, "users.dat", "::", ("user_id", "gender", "age", "occupation", "zip_code"))
    return _tables(folder, ratings, movies, users)


def _ml_csv(folder: Path) -> Tables:
    read_one = {}
    for name in ("ratings.csv", "movies.csv"):
        path = inside(folder, name)
        read_one[name] = None if path is None else rename(read_csv(path, name), _CSV)
    return _tables(folder, read_one["ratings.csv"], read_one["movies.csv"], None)


def _tables(folder: Path, ratings: pa.Table | None, movies: pa.Table | None, users: pa.Table | None) -> Tables:
    if ratings is None:
        raise SourceError(f"{folder}: the ratings file vanished; run again")
    return Tables(
        interactions=conform(ratings, INTERACTIONS, ("user_id", "item_id")),
        items=None if movies is None else attributes(movies, "item_id"),
        users=None if users is None else attributes(users, "user_id"),
        root=folder,
    )


def _read(folder: Path, name: str, delimiter: str, names: Sequence[str]) -> pa.Table | None:
    """A file without a header line; `::` is no single character, so such lines are rewritten with one."""
    path = inside(folder, name)
    if path is None:
        return None
    if len(delimiter) == 1:
        return read_csv(path, name, delimiter=delimiter, names=names, quoted=False, encoding="latin-1")
    text = io.BytesIO(path.read_bytes().replace(delimiter.encode(), b"\x1f"))
    return read_csv(text, name, delimiter="\x1f", names=names, quoted=False, encoding="latin-1")
