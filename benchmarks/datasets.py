"""Turn a research data file into a dataset folder: `python -m benchmarks.datasets FILE.npz OUT`.

What a file holds is told by its keys, never by its name, so any file with the same keys works. Ids are the
row numbers as text ("0", "1", ...); published ids (asin, artist id, movie id) become attributes of the items.
Every user and item is kept, also those without a single interaction. Running it twice gives the same bytes.

Similarities: where a file gives none (`image_knn_a/b` are sets in id order, so a rank means nothing), a
neighbour's score is the share of the lists that hold it. An item is never its own neighbour. Neighbour lists
are written only for modalities of which the file holds no vectors.
"""

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import raw_media
from common.files import write_whole

Arrays = Mapping[str, np.ndarray]

SPLITS = {"train": "train", "val": "valid", "valid": "valid", "test": "test"}
VECTORS = {"text": "text", "text_minilm": "text", "image": "image", "audio": "audio"}
LISTS: Mapping[str, tuple[tuple[str, str | None], ...]] = {
    "text": (("text_knn", "text_sim"),),
    "image": (("visual_knn", "visual_sim"), ("image_knn_a", None), ("image_knn_b", None)),
}
ATTRIBUTES = {"asin": "asin", "artistID": "artist_id"}


class DatasetError(Exception):
    """The file is not one that can be converted; the message says what is missing."""


def convert(
    file: Path, out: Path, *, audio: str = "vggish", raw: bool | None = None, split: str = "given"
) -> dict[str, int]:
    """Write the dataset folder `out` and return its row counts; the folder's earlier tables are replaced.

    `raw` None means: raw text and pictures where a movie file's archives lie beside it, vectors elsewhere.
    """
    if file.suffix == ".csv":
        return _write(out, raw_media.stamps(file, out))
    with np.load(file, allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    users, items = sizes(arrays)
    tables = {
        "interactions": interactions(arrays, split),
        "users": pa.table({"user_id": _ids(np.arange(users))}),
    }
    tables |= {f"embeddings/{m}": v for m, v in embeddings(arrays, audio).items()}
    tables |= {f"neighbours/{m}": v for m, v in neighbours(arrays).items() if f"embeddings/{m}" not in tables}
    if "kg" in arrays:
        tables["triples"] = triples(arrays)
    if "friends" in arrays:
        tables["social"] = pa.table(
            {"user_id": _ids(arrays["friends"][:, 0]), "friend_id": _ids(arrays["friends"][:, 1])}
        )
    columns: dict[str, Sequence[object]] = {"item_id": [str(i) for i in range(items)]}
    columns |= {name: _text(arrays[key]) for key, name in ATTRIBUTES.items() if key in arrays}
    extra = raw_media.beside(file, arrays, items, out, raw)
    columns |= extra.attributes
    tables["items"] = pa.table(columns)
    if extra.media is not None:
        tables["media"] = extra.media
        for modality in set(extra.media["modality"].to_pylist()):
            tables.pop(f"embeddings/{modality}", None)
    return _write(out, tables)


def sizes(arrays: Arrays) -> tuple[int, int]:
    """Number of users and of items, counting those that only a feature, list or social row knows."""
    pairs = [a[:, :2] for key, a in arrays.items() if key in SPLITS or key == "inter"]
    if not pairs:
        raise DatasetError(f"no interactions: wants 'inter' or {sorted(SPLITS)}, has {sorted(arrays)}")
    stacked = np.concatenate([p.astype(np.int64) for p in pairs])
    users, items = [int(stacked[:, 0].max()) + 1], [int(stacked[:, 1].max()) + 1]
    if "shape" in arrays:
        users.append(int(arrays["shape"][0]))
        items.append(int(arrays["shape"][1]))
    if "friends" in arrays and len(arrays["friends"]):
        users.append(int(arrays["friends"].max()) + 1)
    lists = {key for group in LISTS.values() for key, _ in group}
    item_keys = {*VECTORS, *ATTRIBUTES, *lists, "audio_vggish", "audio_whisper", "item_entity"}
    items += [len(arrays[key]) for key in item_keys & arrays.keys()]
    return max(users), max(items)


def interactions(arrays: Arrays, split: str) -> pa.Table:
    """Every pair with its split; ratings as `weight`; `split="time"` leaves the split to the build."""
    if "inter" in arrays:
        table = arrays["inter"].astype(np.int64)
        names = np.array(["train", "valid", "test"])[table[:, -1]]
        columns = {"user_id": _ids(table[:, 0]), "item_id": _ids(table[:, 1])}
        if table.shape[1] == 4:
            columns["weight"] = pa.array(table[:, 2].astype(np.float64))
    else:
        parts = [(name, arrays[key].astype(np.int64)) for key, name in SPLITS.items() if key in arrays]
        table = np.concatenate([pairs for _, pairs in parts])
        names = np.concatenate([np.full(len(pairs), name) for name, pairs in parts])
        columns = {"user_id": _ids(table[:, 0]), "item_id": _ids(table[:, 1])}
    if "timestamp" in arrays:
        columns["timestamp"] = pa.array(arrays["timestamp"].astype(np.int64))
    elif split == "time":
        raise DatasetError("--split time: no 'timestamp' in the file; leave the option out to keep its split")
    if split == "given":
        columns["split"] = pa.array(names.tolist(), pa.string())
    return pa.table(columns)


def embeddings(arrays: Arrays, audio: str = "vggish") -> dict[str, pa.Table]:
    """Modality -> `item_id`, `vector`; rows that are all zero or not finite are missing, so left out."""
    keys = {modality: key for key, modality in VECTORS.items() if key in arrays}
    if f"audio_{audio}" in arrays:
        keys["audio"] = f"audio_{audio}"
    tables = {}
    for modality, key in sorted(keys.items()):
        vectors = arrays[key].astype(np.float32)
        present = np.flatnonzero(vectors.any(axis=1) & np.isfinite(vectors).all(axis=1))
        flat = pa.array(vectors[present].ravel(), pa.float32())
        tables[modality] = pa.table(
            {"item_id": _ids(present), "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])}
        )
    return tables


def neighbours(arrays: Arrays) -> dict[str, pa.Table]:
    """Modality -> `item_id`, `neighbour_id`, `score`, best first."""
    tables = {}
    for modality, group in LISTS.items():
        found = [(arrays[knn].astype(np.int64), arrays.get(sim or "")) for knn, sim in group if knn in arrays]
        scores: dict[tuple[int, int], float] = {}
        for ids, sims in found:
            weights = np.ones(ids.shape) if sims is None else sims.astype(np.float64)
            for row in range(len(ids)):
                for column in range(ids.shape[1]):
                    pair = (row, int(ids[row, column]))
                    if pair[0] != pair[1]:
                        scores[pair] = scores.get(pair, 0.0) + float(weights[row, column]) / len(found)
        if scores:
            rows = sorted(scores.items(), key=lambda entry: (entry[0][0], -entry[1], entry[0][1]))
            tables[modality] = pa.table(
                {
                    "item_id": [str(item) for (item, _), _ in rows],
                    "neighbour_id": [str(other) for (_, other), _ in rows],
                    "score": [score for _, score in rows],
                }
            )
    return tables


def triples(arrays: Arrays) -> pa.Table:
    """Knowledge-graph triples; an entity that stands for items is replaced by each of them (type "Item")."""
    entities = arrays["entities"].tolist() if "entities" in arrays else None
    stands_for: dict[int, list[str]] = {}
    for item, entity in enumerate(arrays.get("item_entity", np.empty(0, np.int64)).tolist()):
        if entity >= 0:
            stands_for.setdefault(entity, []).append(str(item))
    relations = arrays["relations"].tolist()

    def ends(entity: int) -> list[tuple[str, str]]:
        if entity in stands_for:
            return [(item, "Item") for item in stands_for[entity]]
        return [(str(entities[entity]) if entities else f"entity:{entity}", "Entity")]

    rows = [
        (head, str(relations[relation]), tail, head_type, tail_type)
        for h, relation, t in arrays["kg"].astype(np.int64).tolist()
        for head, head_type in ends(h)
        for tail, tail_type in ends(t)
    ]
    names = ("head_id", "relation", "tail_id", "head_type", "tail_type")
    return pa.table({name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(names)})


def _ids(numbers: np.ndarray) -> pa.Array:
    return pa.array(numbers.astype(np.int64)).cast(pa.string())


def _text(values: np.ndarray) -> list[str]:
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values.tolist()]


def _write(out: Path, tables: Mapping[str, pa.Table]) -> dict[str, int]:
    """Write each table whole or not at all, then remove those that an earlier run left and this one lacks."""
    for name, table in tables.items():
        path = out / f"{name}.parquet"
        write_whole(path, partial(pq.write_table, table, compression="zstd"))
    known = ["interactions", "items", "users", "media", "triples", "social"]
    known += [f"{kind}/{m}" for kind in ("embeddings", "neighbours") for m in ("text", "image", "audio")]
    for name in set(known) - tables.keys():
        (out / f"{name}.parquet").unlink(missing_ok=True)
    if "media" not in tables:
        shutil.rmtree(out / "media", ignore_errors=True)
    return {name: len(table) for name, table in sorted(tables.items())}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; prints the row counts as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.datasets", description=__doc__)
    add = parser.add_argument
    add("file", type=Path, help="an .npz file, or a stamps index (.csv)")
    add("out", type=Path, help="the dataset folder to write")
    add("--audio", choices=["vggish", "whisper"], default="vggish", help="which audio vectors to keep")
    add("--raw", action=argparse.BooleanOptionalAction, help="raw media in place of vectors")
    add("--split", choices=["given", "time"], default="given", help="time: drop the split column")
    options = parser.parse_args(arguments)
    try:
        counts = convert(options.file, options.out, audio=options.audio, raw=options.raw, split=options.split)
    except (DatasetError, OSError, ValueError) as error:
        parser.exit(1, f"{options.file.name}: {' '.join(str(error).split())}\n")
    print(json.dumps(counts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
