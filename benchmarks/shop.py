"""A catalogue as a shop has it, in daily use: `python -m benchmarks.shop DATA OUT [--modalweave COMMAND]`.

Writes MovieLens-100K (ratings of 4 and more, with plots and posters) from `DATA/ml100k.npz` as the CSV exports of a
shop, every field quoted, without a split; runs `modalweave run` on it and says what a customer would see:
recommendations of what people own already, people without a history in train, items nobody had in train, how much of
the catalogue is shown.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from benchmarks.datasets import convert
from common.files import write_text

LIKED = 4


def write_shop(data: Path, out: Path) -> Path:
    """The folder of CSV files with its pictures, and the config beside it; returns the config's path."""
    convert(data / "ml100k.npz", out / "parquet", raw=True, split="none")
    folder = out / "shop"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("interactions", "items", "users", "media", "triples"):
        source = out / "parquet" / f"{name}.parquet"
        if source.exists():
            frame = pl.DataFrame(pl.from_arrow(pq.read_table(source)))
            if name == "interactions":
                frame = frame.filter(pl.col("weight") >= LIKED).select("user_id", "item_id", "timestamp")
            frame.write_csv(folder / f"{name}.csv", quote_style="always")
    shutil.copytree(out / "parquet" / "media", folder / "media", dirs_exist_ok=True)
    config = out / "shop.yaml"
    text = {"name": "shop", "source": {"path": str(folder)}, "workspace": str(out / "run"), "gnn": {}}
    write_text(config, json.dumps(text))
    return config


def daily(out: Path) -> dict[str, float]:
    """What stands in `scores/`, held against the CSV files and the split of the graph."""
    parts = sorted((out / "run" / "scores").glob("part-*.parquet"))
    scores = pl.concat([pl.DataFrame(pl.from_arrow(pq.read_table(part))) for part in parts])
    owned = pl.read_csv(out / "shop" / "interactions.csv", infer_schema=False).select("user_id", "item_id").unique()
    split = owned_by_split(out)
    strangers = owned.select("user_id").unique().join(split["train"].select("user_id"), on="user_id", how="anti")
    new = catalogue(out).join(split["train"].select("item_id"), on="item_id", how="anti")
    first = scores.join(strangers, on="user_id", how="semi").filter(pl.col("rank") == 1)
    first_id = catalogue(out)["item_id"].min()
    return {
        "rows": scores.height,
        "owned_rows": scores.join(owned, on=["user_id", "item_id"], how="semi").height,
        "users_with_owned": scores.join(owned, on=["user_id", "item_id"], how="semi")["user_id"].n_unique(),
        "strangers": strangers.height,
        "strangers_whose_first_is_the_first_id": first.filter(pl.col("item_id") == first_id).height,
        "new_items": new.height,
        "rows_of_new_items": scores.join(new, on="item_id", how="semi").height,
        "items_shown": scores["item_id"].n_unique(),
        "items": catalogue(out).height,
    }


def catalogue(out: Path) -> pl.DataFrame:
    """Every item."""
    return pl.read_csv(out / "shop" / "items.csv", infer_schema=False).select("item_id")


def owned_by_split(out: Path) -> Mapping[str, pl.DataFrame]:
    """Split -> the interactions of the run's graph."""
    from graph import open_store
    from graph.schema import EdgeType

    with open_store(f"ladybug:{out / 'run' / 'graph'}", read_only=True) as store:
        batches = [pl.DataFrame(b) for b in store.read_relationships(EdgeType("User", "INTERACTED", "Item"), ["split"])]
    rows = pl.concat(batches).rename({"source": "user_id", "target": "item_id"})
    return {str(name[0]): part for name, part in rows.partition_by("split", as_dict=True).items()}


def main() -> int:
    """Write, run, tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shop", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--modalweave", default=f"{sys.executable} -m modalweave", help="the command to measure")
    given = parser.parse_args()
    config = write_shop(given.data, given.out)
    subprocess.run([*shlex.split(given.modalweave), "run", str(config)], check=True)
    print(json.dumps(daily(given.out), indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
