"""Held-out interactions: nothing in two splits, nothing from the future, the same for the same seed."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.config import SplitConfig
from etl.errors import SplitError
from etl.split import choose, split_interactions
from etl.tables import INTERACTIONS

ROWS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 30), st.integers(0, 40)),
    min_size=3,
    max_size=80,
    unique_by=lambda row: row[:2],
)


def _table(rows: list[tuple[int, int, int | None]], split: list[str | None] | None = None) -> pa.Table:
    return pa.table(
        {
            "user_id": [str(u) for u, _, _ in rows],
            "item_id": [str(i) for _, i, _ in rows],
            "timestamp": pa.array([t for _, _, t in rows], pa.int64()),
            "weight": pa.nulls(len(rows), pa.float64()),
            "split": pa.array(split or [None] * len(rows), pa.string()),
        },
        schema=INTERACTIONS,
    )


def _split(table: pa.Table, strategy: str, seed: int = 0, **shares: float) -> list[str]:
    config = SplitConfig.model_validate({"strategy": strategy, **shares})
    return list(split_interactions(table, config, seed=seed)["split"].to_pylist())


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, strategy=st.sampled_from(["random", "leave_last_out"]), seed=st.integers(0, 5))
def test_every_row_has_one_split_and_every_user_trains(
    rows: list[tuple[int, int, int]], strategy: str, seed: int
) -> None:
    names = _split(_table(rows), strategy, seed)
    assert len(names) == len(rows) and set(names) <= {"train", "valid", "test"}
    trained = {u for (u, _, _), name in zip(rows, names, strict=True) if name == "train"}
    assert trained == {u for u, _, _ in rows}


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, strategy=st.sampled_from(["random", "leave_last_out"]), data=st.data())
def test_row_order_does_not_matter(rows: list[tuple[int, int, int]], strategy: str, data: st.DataObject) -> None:
    other = data.draw(st.permutations(rows))
    first = dict(zip([r[:2] for r in rows], _split(_table(rows), strategy), strict=True))
    again = dict(zip([r[:2] for r in other], _split(_table(other), strategy), strict=True))
    assert first == again


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_global_time_never_trains_on_the_future(rows: list[tuple[int, int, int]]) -> None:
    try:
        names = _split(_table(rows), "global_time", valid=0.2, test=0.2)
    except SplitError as error:
        assert "no time before" in str(error)
        return
    times: dict[str, list[int]] = {"train": [], "valid": [], "test": []}
    for (_, _, time), name in zip(rows, names, strict=True):
        times[name].append(time)
    assert times["train"]
    assert max(times["train"]) < min(times["valid"] + times["test"], default=99)
    assert not times["valid"] or max(times["valid"]) < min(times["test"], default=99)


def test_random_shares_hold_and_seeds_differ() -> None:
    table = _table([(u, i, None) for u in range(400) for i in range(7)])
    names = _split(table, "random", valid=0.1, test=0.2)
    assert abs(names.count("test") / len(names) - 0.2) < 0.02
    assert abs(names.count("valid") / len(names) - 0.1) < 0.02
    assert names != _split(table, "random", seed=1, valid=0.1, test=0.2)


def test_global_time_shares_by_hand() -> None:
    names = _split(_table([(0, i, i) for i in range(10)]), "global_time", valid=0.1, test=0.2)
    assert names == ["train"] * 7 + ["valid"] + ["test"] * 2


def test_leave_last_out_by_hand() -> None:
    rows = [(0, 1, 30), (0, 2, 10), (0, 3, 20), (1, 1, 5), (1, 2, 6)]
    assert _split(_table(rows), "leave_last_out") == ["test", "train", "valid", "train", "train"]


@pytest.mark.parametrize(("valid", "test", "held_out"), [(0, 0.1, {"test"}), (0.1, 0, {"valid"}), (0, 0, set())])
@pytest.mark.parametrize("strategy", ["random", "leave_last_out", "global_time"])
def test_a_share_of_zero_holds_none_out(strategy: str, valid: float, test: float, held_out: set[str]) -> None:
    rows = [(u, i, 10 * i + u) for u in range(5) for i in range(10)]
    names = _split(_table(rows), strategy, valid=valid, test=test)
    assert set(names) == {"train"} | held_out


def test_auto_prefers_given_then_time_then_random() -> None:
    assert choose(_table([(0, 1, 1)], ["train"])) == "given"
    assert choose(_table([(0, 1, 1)])) == "global_time"
    assert choose(_table([(0, 1, 1), (0, 2, None)])) == "random"
    table = _table([(0, 1, 1), (0, 2, 2)], ["test", "train"])
    assert split_interactions(table, SplitConfig(), seed=0).equals(table)


def test_what_rows_lack_is_said() -> None:
    with pytest.raises(SplitError, match="1 rows have no timestamp; use random"):
        _split(_table([(0, 1, None)]), "global_time")
    with pytest.raises(SplitError, match="rows without a split"):
        _split(_table([(0, 1, 1)]), "given")
    with pytest.raises(ValueError, match="leave nothing to train on"):
        SplitConfig(valid=0.5, test=0.5)


def test_no_interactions_no_split() -> None:
    assert len(split_interactions(INTERACTIONS.empty_table(), SplitConfig(), seed=0)) == 0


@pytest.mark.parametrize("strategy", ["given", "random", "leave_last_out", "global_time"])
def test_what_was_seen_and_not_liked_is_in_no_split(strategy: str) -> None:
    given: list[str | None] = ["train", "valid", "test", "train"] * 5
    table = _table([(u, i, 4 * u + i) for u in range(5) for i in range(4)], given if strategy == "given" else None)
    weights = [0.0 if n % 4 == 3 else -1.0 if n % 4 == 2 else None if n % 4 == 1 else 2.0 for n in range(20)]
    table = table.set_column(table.schema.get_field_index("weight"), "weight", pa.array(weights, pa.float64()))
    names = _split(table, strategy)
    assert [n for n, name in enumerate(names) if name == "seen"] == [n for n in range(20) if n % 4 > 1]
    assert {name for name in names if name != "seen"} <= {"train", "valid", "test"} and "train" in names


def test_dislikes_do_not_move_the_shares_of_time() -> None:
    table = _table([(0, i, i) for i in range(20)])
    weights = pa.array([1.0] * 10 + [-1.0] * 10)
    table = table.set_column(table.schema.get_field_index("weight"), "weight", weights)
    assert _split(table, "global_time", valid=0.1, test=0.2)[:10] == ["train"] * 7 + ["valid"] + ["test"] * 2
