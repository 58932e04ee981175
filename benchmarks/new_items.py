"""Items that came after training, beside the same items in the graph that a model was trained on.

    python -m benchmarks.new_items --data FOLDER [--sets baby tiktok ml100k] [--set gnn.model=graph_filter]
        [--seed 0] [--out runs/new_items]

A tenth of the items that have media and training interactions, drawn by seed, lose all of those. Two models of one
config: one is trained with their media in its graph; the other never hears of them and is given them afterwards, as
a folder (`score --new-items`). Both rank those items alone for the people with a test interaction among them.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import scipy.sparse as sp

from benchmarks.datasets import convert
from benchmarks.sets import FILES
from evaluation.metrics import user_metrics
from gnn.bundle.bundle import Bundle, load_bundle
from gnn.scorers.ranking import Limits, top_items
from modalweave.config import RunConfig, load_config
from modalweave.progress import Stages
from modalweave.stages.arrivals import arrivals
from modalweave.stages.build import build
from modalweave.stages.train import train
from modalweave.workspace import Workspace

SHARE = 0.1
METRICS = ("recall@20", "ndcg@20")


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the .npz files")
    parser.add_argument("--sets", nargs="+", default=["baby", "tiktok", "ml100k"], choices=list(FILES))
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="KEY=VALUE of the config")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/new_items"))
    args = parser.parse_args()
    for name in args.sets:
        out, stages = args.out / name, Stages(quiet=True)
        convert(args.data / FILES[name], out / "all")
        hidden = drawn(out / "all", args.seed)
        divide(out / "all", hidden, there=out / "there", without=out / "without", new=out / "new")
        runs = {side: _config(name, out, side, args.overrides) for side in ("there", "without")}
        for config in runs.values():
            build(config, strict=False, stages=stages)
            train(config, stages=stages)
        there, less = (load_bundle(Workspace(config.workspace).bundle) for config in runs.values())
        grown = less.with_arrivals(arrivals(runs["without"], out / "new", less.item_ids, stages))
        test = pl.read_parquet(out / "all" / "interactions.parquet").filter(
            pl.col("split") == "test", pl.col("item_id").is_in(hidden)
        )
        people = sorted(set(test["user_id"]) & set(less.user_ids))
        found = {
            "trained with their media": quality(there, people, hidden, test),
            "came afterwards": quality(grown, people, hidden, test),
            "at random": {"recall@20": round(min(1, 20 / len(hidden)), 4)},
        }
        print(json.dumps({"set": name, "items": len(hidden), "people": len(people), **found}, indent=2), flush=True)


def drawn(folder: Path, seed: int) -> list[str]:
    """A tenth of the items, among those with media and training interactions."""
    chosen = pl.read_parquet(folder / "interactions.parquet").filter(pl.col("split") == "train")["item_id"]
    media: set[str] = set()
    for path in (folder / "media.parquet", *folder.glob("embeddings/*.parquet"), *folder.glob("neighbours/*.parquet")):
        if path.exists():
            media |= set(pq.read_table(path, columns=["item_id"])["item_id"].to_pylist())
    there = sorted(set(chosen) & media)
    count = round(SHARE * pq.read_metadata(folder / "items.parquet").num_rows)
    return sorted(np.random.default_rng(seed).choice(there, count, replace=False).tolist())


def divide(folder: Path, hidden: list[str], *, there: Path, without: Path, new: Path) -> None:
    """The set as a catalogue whose hidden items nobody has, as one without them, and the folder that brings them."""
    for path in folder.rglob("*.parquet"):
        name, table = path.relative_to(folder), pq.read_table(path)
        column = "head_id" if name.stem == "triples" else "item_id"
        theirs = np.zeros(len(table), dtype=bool)
        for end in {column, "neighbour_id"} & set(table.column_names):
            theirs |= pc.is_in(table[end], pa.array(hidden)).to_numpy()
        rest, own = table.filter(pa.array(~theirs)), table.filter(pa.array(theirs))
        if name.stem == "interactions":
            parts = {there: rest, without: rest}
        else:
            parts = {there: table, without: rest, **({new: own} if column in table.column_names else {})}
        for place, part in parts.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(part, place / name)
    for place in (there, without, new):
        for media in (folder / "media",):
            if media.is_dir() and not (place / "media").exists():
                (place / "media").symlink_to(media.resolve(), target_is_directory=True)


def quality(bundle: Bundle, people: list[str], hidden: list[str], test: pl.DataFrame) -> dict[str, float]:
    """Means over the people, of lists of the hidden items alone."""
    users, items = ({name: place for place, name in enumerate(ids)} for ids in (bundle.user_ids, bundle.item_ids))
    rows = np.array([users[name] for name in people])
    order = {name: row for row, name in enumerate(people)}
    chosen = test.filter(pl.col("user_id").is_in(people), pl.col("item_id").is_in(list(items)))
    at = [order[name] for name in chosen["user_id"]], [items[name] for name in chosen["item_id"]]
    positives = sp.csr_matrix((np.ones(len(chosen)), at), (len(people), len(items)))
    left_out = np.ones(len(items), dtype=bool)
    left_out[[items[name] for name in hidden if name in items]] = False
    import torch

    lists, _ = top_items(bundle.served, torch.from_numpy(rows), bundle.seen, 20, Limits(left_out))
    values = user_metrics(lists, positives, [20])
    return {metric: round(float(values[metric].mean()), 4) for metric in METRICS}


def _config(name: str, out: Path, side: str, overrides: list[str]) -> RunConfig:
    own = [f"source.path={out / side}", f"workspace={out / 'run' / side}", *overrides]
    return load_config(Path(__file__).parent / "configs" / f"{name}.yaml", own)


if __name__ == "__main__":
    main()
