"""The raw texts, pictures and sounds that lie beside a research data file, as media rows and files.

Archives are recognised by the data file's own stem: `NAME.npz` looks for `NAME_artists.dat.zst` and so on.
"""

import csv
import io
import tarfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from etl.tables import MEDIA

Row = dict[str, str | None]

_SOUNDS = (("sound_effect", "main", None), ("speech_en", "speech_en", "en"), ("speech_es", "speech_es", "es"))


@dataclass
class Extra:
    """What the neighbouring archives add to the tables of a data file."""

    attributes: dict[str, Sequence[object]] = field(default_factory=dict)
    """Columns of the items table, in item order."""
    media: pa.Table | None = None
    """`MEDIA`, where raw media are wanted."""


def beside(file: Path, arrays: Mapping[str, np.ndarray], count: int, out: Path, raw: bool | None) -> Extra:
    """Titles and, if wanted, raw media for `count` items of `file`; pictures go into `out/media`."""
    if "artistID" in arrays:
        return _artists(file, arrays["artistID"].tolist(), bool(raw))
    plots = file.with_name(f"{file.stem}_items_plots.csv.zst")
    if plots.exists():
        posters = file.with_name(f"{file.stem}_posters224.tar")
        return _movies(plots, posters, count, out, raw is not False)
    if raw:
        raise ValueError("--raw: no archive of raw media lies beside the file; leave the option out")
    return Extra()


def stamps(index: Path, out: Path) -> dict[str, pa.Table]:
    """A stamps index (`item, category_path, text_en, ...`) and its tar as items and media, without users."""
    with index.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    unpack(index.with_name(index.name.replace("_index.csv", "_tri.tar")), out / "media")
    media: list[Row] = []
    for row in rows:
        media.append(_media(row["item"], "text", content=row["text_en"], lang="en"))
        media.append(_media(row["item"], "image", uri=f"media/{row['image']}"))
        for column, role, lang in _SOUNDS:
            if row[column]:
                media.append(_media(row["item"], "audio", uri=f"media/{row[column]}", role=role, lang=lang))
    items = {"item_id": [r["item"] for r in rows], "title": [r["text_en"] for r in rows]}
    empty = pa.table({"user_id": pa.array([], pa.string()), "item_id": pa.array([], pa.string())})
    return {
        "interactions": empty,
        "items": pa.table({**items, "category": [r["category_path"] for r in rows]}),
        "media": pa.Table.from_pylist([m for m in media if m["content"] or m["uri"]], MEDIA),
    }


def unpack(archive: Path, folder: Path) -> None:
    """Extract below `folder`; tarfile refuses links out of it, devices and absolute names."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")


def _artists(file: Path, artist_ids: list[int], raw: bool) -> Extra:
    extra = Extra()
    names = file.with_name(f"{file.stem}_artists.dat.zst")
    titles = {r["id"]: r["name"] for r in _tsv(names)} if raw or names.exists() else {}
    if titles:
        extra.attributes["title"] = pa.array([titles.get(str(a)) for a in artist_ids], pa.string())
    if raw:
        tags = {r["artistID"]: r["text"].split(",") for r in _tsv(file.with_name(f"{file.stem}_lfm2k_text.tsv.zst"))}
        shown = common_tags(tags)
        words = [". ".join(filter(None, (titles.get(a), ", ".join(shown.get(a, ()))))) for a in map(str, artist_ids)]
        rows = [_media(str(item), "text", content=text, role="tags") for item, text in enumerate(words) if text]
        extra.media = pa.Table.from_pylist(rows, MEDIA)
    return extra


def common_tags(tags: Mapping[str, Sequence[str]], holders: int = 20, most: int = 20) -> dict[str, list[str]]:
    """The `most` widest used tags of each artist, of those that at least `holders` artists have.

    Listeners give tags to what they listen to, held-out artists included, and who gave one is not told. A tag of one
    listener's own would join that listener's train and test artists, and a long list would tell how many listen:
    what is left is what many say, in equal measure.
    """
    counts = Counter(tag for group in tags.values() for tag in set(group))
    return {
        artist: sorted({t for t in group if counts[t] >= holders}, key=lambda t: (-counts[t], t))[:most]
        for artist, group in tags.items()
    }


def _movies(plots: Path, posters: Path, count: int, out: Path, raw: bool) -> Extra:
    """Movie id = item row + 1; posters carry the row in their names (0.jpg is Toy Story, movie 1)."""
    movies = {int(r["movie id"]) - 1: r for r in csv.DictReader(io.StringIO(_read(plots), newline=""))}
    columns = {"title": "movie title", "director": "Director", "cast": "Cast"}
    extra = Extra({"movie_id": [str(i + 1) for i in range(count)]})
    for name, column in columns.items():
        values = [movies.get(i, {}).get(column) or None for i in range(count)]
        extra.attributes[name] = pa.array(values, pa.string())
    if raw:
        folder = out / "media" / "posters"
        if posters.exists():
            unpack(posters, folder)
        rows = []
        for item in range(count):
            plot = movies.get(item, {}).get("Summary")
            rows.append(_media(str(item), "text", content=plot, role="plot", lang="en"))
            if (folder / f"{item}.jpg").is_file():
                rows.append(_media(str(item), "image", uri=f"media/posters/{item}.jpg", role="poster"))
        extra.media = pa.Table.from_pylist([r for r in rows if r["content"] or r["uri"]], MEDIA)
    return extra


def _media(item: str, modality: str, **values: str | None) -> Row:
    return dict.fromkeys(MEDIA.names) | {"item_id": item, "modality": modality, "role": "main"} | values


def _tsv(path: Path) -> list[dict[str, str]]:
    """Tab-separated without quoting: artist names may hold a single quote mark."""
    text = io.StringIO(_read(path), newline="")
    return list(csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE))


def _read(path: Path) -> str:
    """The text of a `.zst` file."""
    import zstandard

    with path.open("rb") as handle, zstandard.ZstdDecompressor().stream_reader(handle) as stream:
        return io.TextIOWrapper(stream, "utf-8", errors="replace").read()
