"""What the rows of an interaction log say: times in one unit, splits by their names, repeated pairs, dislikes."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pyarrow as pa

from etl.config import WeightConfig
from etl.sources.origin import label_of, named, settled
from etl.tables import INTERACTIONS

SPLITS = ("train", "valid", "test")
_CALLED = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "valid"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_UNITS = {"milliseconds": 10**11, "microseconds": 10**14, "nanoseconds": 10**17}
"""From this size on a number is a time in the unit: seconds until the year 5138 are smaller."""
_EARLY = 631_152_000
"""1990: nearly every catalogue is younger."""

Note = Callable[[str], None]


def in_seconds(table: pa.Table, note: Note) -> pa.Table:
    """Timestamps of a column that is in milli-, micro- or nanoseconds throughout (0 aside) as seconds.

    A number of another unit stays as it is, and is later refused.
    """
    times = table["timestamp"].drop_null().to_numpy()
    sizes = np.abs(times[times != 0])
    if not len(sizes):
        return table
    middle = float(np.median(sizes))
    unit = next((name for name, least in reversed(_UNITS.items()) if middle >= least), None)
    label = label_of(table, "interactions")
    if unit is not None:
        least = _UNITS[unit]
        divisor, size = 1000 ** (list(_UNITS).index(unit) + 1), pl.col("timestamp").abs()
        inside = (size >= least) & (size < 1000 * least)
        frame = pl.DataFrame({"timestamp": pl.from_arrow(table["timestamp"])})
        scaled = frame.select(pl.when(inside).then(pl.col("timestamp") // divisor).otherwise("timestamp"))
        table = _with(table, "timestamp", scaled["timestamp"])
        note(f"{label}: timestamps are in {unit}: read as such")
    elif len(sizes) < len(times) and np.median(times[times != 0]) > _EARLY:
        zero = len(times) - len(sizes)
        are = _rows(zero, "timestamp is", "timestamps are")
        note(f"{label}: {zero:,} {are} 0, which is 1970-01-01; leave the cell empty where a time is unknown")
    return table


def called(table: pa.Table) -> pa.Table:
    """`split` by our names: `validation`, `val` and `dev` are `valid`, in any capitals."""
    split = pl.Series(values=pl.from_arrow(table["split"]), dtype=pl.String)
    if split.drop_nulls().is_in(SPLITS).all():
        return table
    plain = split.str.strip_chars().str.to_lowercase()
    return _with(table, "split", plain.replace_strict(list(_CALLED), list(_CALLED.values()), default=split))


def split_called(name: str) -> str | None:
    """The split that a word such as `validation` or `dev` means, if any."""
    return _CALLED.get(name.strip().casefold())


def counted(table: pa.Table, weight: WeightConfig, note: Note) -> pa.Table:
    """One row for each pair of a checked table, where its first row stood; a weight of 0 is "seen, not liked".

    Strengths add up (a row without one counts 1), of ratings the newest stays, and the newest timestamp of all.
    """
    label = label_of(table, "interactions")
    read = pl.DataFrame(table)
    frame = read.with_columns(weight=pl.lit(None, pl.Float64)) if weight.meaning == "none" else read
    frame = _liked(_summed(frame, weight, label, note), weight, label, note)
    if frame is read:
        return settled(table)
    return named(frame.select(INTERACTIONS.names).to_arrow().cast(INTERACTIONS), label)


def _summed(frame: pl.DataFrame, weight: WeightConfig, label: str, note: Note) -> pl.DataFrame:
    """One row for each pair."""
    pairs = ["user_id", "item_id"]
    repeats = len(frame) - frame.select(pairs).n_unique() if len(frame) else 0
    if not repeats:
        return frame
    if weight.meaning == "rating":
        together = pl.col("weight").sort_by(pl.col("timestamp").fill_null(-(2**62)), maintain_order=True).last()
        how = "the newest rating of each counts"
    else:
        together = pl.col("weight").fill_null(1.0).sum()
        how = "they are counted, the newest time stays"
    note(f"{label}: {repeats:,} {_rows(repeats, 'row repeats', 'rows repeat')} a pair of user and item: {how}")
    return frame.group_by(pairs, maintain_order=True).agg(
        pl.col("timestamp").max(),
        pl.when(pl.len() > 1).then(together).otherwise(pl.col("weight").first()).alias("weight"),
        pl.col("split").first(),
    )


def _liked(frame: pl.DataFrame, weight: WeightConfig, label: str, note: Note) -> pl.DataFrame:
    """The same rows, with a weight of 0 where it is under the least that says a liking."""
    value = pl.col("weight")
    least = weight.min if weight.meaning != "none" else None
    below = frame.filter((value < least) & (value > 0)).height if least is not None else 0
    if below:
        frame = frame.with_columns(weight=pl.when((value < least) & (value > 0)).then(0.0).otherwise(value))
        are = _rows(below, "weight is", "weights are")
        note(f"{label}: {below:,} {are} under source.weight.min {least:g}: seen, not liked")
    if seen := frame.filter(value <= 0).height:
        have = _rows(seen, "has", "have")
        note(f"{label}: {seen:,} of {len(frame):,} pairs {have} a weight of 0 or less: seen, not liked")
    return frame


def _rows(number: int, one: str, many: str) -> str:
    return one if number == 1 else many


def _with(table: pa.Table, name: str, column: pl.Series) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(name), column.to_arrow().cast(table.schema.field(name).type))
