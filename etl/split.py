"""Holding out interactions, deterministically: the rows and the seed decide, not the order of the rows.

Held-out interactions of users without any training history keep their split. They are never moved into
training (with a split by time that would train on the future); no recommender can personalise for such
users, so a report counts them apart. What was seen and not liked (a weight of 0 or less) is in no split but in `SEEN`:
it is no positive anywhere, and what asks for train, valid or test never meets it.
"""

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl
import pyarrow as pa

from etl.config import SplitConfig
from etl.errors import SplitError

SEEN = "seen"
"""The `split` of what was seen and not liked."""


def split_interactions(interactions: pa.Table, config: SplitConfig, *, seed: int) -> pa.Table:
    """`interactions` with `split` filled: train, valid, test or `SEEN`. Row order and every other column stay.

    Raises `SplitError` where the strategy wants what the rows lack.
    """
    if not len(interactions):
        return interactions
    strategy = config.strategy if config.strategy != "auto" else choose(interactions)
    if strategy == "given":
        if interactions["split"].null_count:
            raise SplitError("split.strategy given: the source has rows without a split; choose another strategy")
        return _with_split(interactions, np.array(interactions["split"].to_pylist(), dtype=object))
    frame = pl.DataFrame(interactions.select(["user_id", "item_id", "timestamp", "weight"])).with_row_index("row")
    if strategy != "random" and frame["timestamp"].null_count():
        missing = frame["timestamp"].null_count()
        raise SplitError(f"split.strategy {strategy}: {missing} rows have no timestamp; use random")
    names = np.full(len(frame), SEEN, dtype=object)
    liked = frame.filter(pl.col("weight").fill_null(1.0) > 0)
    if len(liked):
        names[liked["row"].to_numpy()] = _STRATEGIES[strategy](liked, config, seed)
    return _with_split(interactions, names)


def _with_split(interactions: pa.Table, names: np.ndarray) -> pa.Table:
    """The table with these splits, but for what was seen and not liked."""
    weight = pl.Series(values=pl.from_arrow(interactions["weight"]), dtype=pl.Float64)
    splits = np.where((weight.fill_null(1.0) > 0).to_numpy(), names, SEEN)
    column = interactions.schema.get_field_index("split")
    return interactions.set_column(column, "split", pa.array(splits.tolist(), pa.string()))


def choose(interactions: pa.Table) -> str:
    """What `auto` stands for: the source's own split, else time where every row has one, else random."""
    if interactions["split"].null_count < len(interactions):
        return "given"
    return "global_time" if not interactions["timestamp"].null_count else "random"


def _global_time(frame: pl.DataFrame, config: SplitConfig, seed: int) -> np.ndarray:
    """Two moments cut time in three; one moment is never split, so shares are approximate."""
    times = frame["timestamp"].to_numpy()
    ordered = np.sort(times)
    last = len(ordered) - 1
    test_from = ordered[min(last, round(len(ordered) * (1 - config.test)))] if config.test else np.inf
    valid_share = 1 - config.test - config.valid
    valid_from = ordered[min(last, round(len(ordered) * valid_share))] if config.valid else test_from
    if valid_from == ordered[0]:
        raise SplitError(f"split.strategy global_time: no time before {valid_from} to train on; use random")
    return np.select([times >= test_from, times >= valid_from], ["test", "valid"], "train")


def _leave_last_out(frame: pl.DataFrame, config: SplitConfig, seed: int) -> np.ndarray:
    """Each user's last interaction is the test, the one before validation; fewer than 3 all train.

    A share of 0 holds none out.
    """
    held_out = [name for name, share in (("test", config.test), ("valid", config.valid)) if share]
    ranked = frame.sort("user_id", "timestamp", "item_id").with_columns(
        back=pl.len().over("user_id") - 1 - pl.int_range(pl.len()).over("user_id"),
        size=pl.len().over("user_id"),
    )
    name = pl.lit("train")
    for back, split in enumerate(held_out):
        name = pl.when((pl.col("size") >= 3) & (pl.col("back") == back)).then(pl.lit(split)).otherwise(name)
    return ranked.with_columns(name=name).sort("row")["name"].to_numpy()


def _random(frame: pl.DataFrame, config: SplitConfig, seed: int) -> np.ndarray:
    """Per user; shares are rounded at random, so that they hold over all users; one row always trains."""
    generator = np.random.default_rng(seed)
    ordered = frame.sort("user_id", "item_id").with_columns(
        draw=pl.Series(generator.random(len(frame))), size=pl.len().over("user_id")
    )
    users = ordered.select("user_id", "size").unique("user_id").sort("user_id")
    size = users["size"].to_numpy().astype(np.int64)
    test = np.minimum(np.floor(size * config.test + generator.random(len(size))).astype(np.int64), size - 1)
    valid = np.floor(size * config.valid + generator.random(len(size))).astype(np.int64)
    quota = users.select("user_id").with_columns(
        test=pl.Series(test), held=pl.Series(test + np.minimum(valid, size - 1 - test))
    )
    ranked = ordered.with_columns(rank=pl.col("draw").rank("ordinal").over("user_id") - 1).join(quota, on="user_id")
    rank = pl.col("rank").cast(pl.Int64)
    name = pl.when(rank < pl.col("test")).then(pl.lit("test")).when(rank < pl.col("held")).then(pl.lit("valid"))
    return ranked.with_columns(name=name.otherwise(pl.lit("train"))).sort("row")["name"].to_numpy()


_STRATEGIES: Mapping[str, Callable[[pl.DataFrame, SplitConfig, int], np.ndarray]] = {
    "random": _random,
    "leave_last_out": _leave_last_out,
    "global_time": _global_time,
}
