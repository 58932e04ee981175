"""Popularity that moved is told with its numbers; popularity that stayed, or cannot be told, is not."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from etl.coverage import coverage
from etl.drift import drift


def log(moved: bool, rows: int = 1200, seed: int = 0) -> pa.Table:
    """Items by a steep law; where popularity moved, the last tenth likes them in the opposite order."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, 31)
    old, new = (rng.choice(30, rows, p=p / p.sum()) for p in (share, share[::-1] if moved else share))
    items = np.where(np.arange(rows) < 0.9 * rows, old, new)
    order = rng.permutation(rows)  # the file is in no order of time
    return pa.table(
        {
            "user_id": [f"u{n}" for n in order % 50],
            "item_id": [f"i{items[n]}" for n in order],
            "timestamp": pa.array(1_700_000_000 + order, pa.int64()),
        }
    )


def told(table: pa.Table) -> list[str]:
    items = sorted(set(table["item_id"].to_pylist()))
    return [warning for warning in coverage(table, items, {})["warnings"] if "newest tenth" in warning]


def test_what_is_popular_has_changed() -> None:
    found = drift(pl.DataFrame(log(moved=True)))
    assert found is not None
    assert found.newest < 0.2
    assert found.chance > 0.8
    (warning,) = told(log(moved=True))
    assert f"in a random tenth {found.chance:.2f}".replace("0.", ".") in warning
    assert "gnn.recency" in warning


@pytest.mark.parametrize("seed", range(3))
def test_what_is_popular_has_stayed(seed: int) -> None:
    assert told(log(moved=False, seed=seed)) == []


def test_without_times_or_with_few_rows_nothing_is_claimed() -> None:
    table = log(moved=True)
    some = table.set_column(2, "timestamp", pa.array([None, *table["timestamp"].to_pylist()[1:]], pa.int64()))
    for less in (table.drop_columns(["timestamp"]), some, table.slice(0, 400)):
        assert told(less) == []
