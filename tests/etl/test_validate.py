"""Rows that break are left out with file, row and reason; a strict build stops at the first."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.config import WeightConfig
from etl.errors import SourceError
from etl.sources.origin import named
from etl.tables import INTERACTIONS, MEDIA, NEIGHBOURS, QUARANTINE, SOCIAL, TRIPLES, Tables
from etl.validate import validate


def _rows(schema: pa.Schema, *rows: dict[str, Any], file: str = "interactions.csv") -> pa.Table:
    filled = [{name: row.get(name) for name in schema.names} for row in rows]
    return named(pa.Table.from_pylist(filled, schema), file)


def _pair(user: str | None, item: str | None, **more: Any) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, **more}


def _reasons(tables: Tables) -> list[str]:
    return list(validate(tables, strict=False).rejected["reason"].to_pylist())


GOOD = Tables(_rows(INTERACTIONS, _pair("u", "a"), _pair("u", "b")))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (_pair(None, "a"), "user_id is empty"),
        (_pair("u", ""), "item_id is empty"),
        (_pair("v", "a", timestamp=-(10**11 - 1)), "timestamp -99999999999 is before the year 1"),
        (
            _pair("v", "a", timestamp=1_700_000_000_000),
            "timestamp 1700000000000 is after the year 9999; are these milliseconds?",
        ),
        (_pair("v", "a", weight=float("nan")), "weight NaN is not finite"),
        (_pair("v", "a", split="fold1"), "split 'fold1' is not train, valid or test"),
    ],
)
def test_broken_interactions(row: dict[str, Any], reason: str) -> None:
    split = "train" if row.get("split") else None
    seconds = 1_700_000_000 if row.get("timestamp") else None
    others = [_pair("u", item, split=split, timestamp=seconds) for item in "ab"]
    table = _rows(INTERACTIONS, *others, row)
    assert _reasons(Tables(table)) == [f"interactions.csv: row 3: {reason}"]
    with pytest.raises(SourceError, match="row 3"):
        validate(Tables(table), strict=True)
    assert len(validate(Tables(table), strict=False).interactions) == 2


def _repeats(*rows: dict[str, Any], **weight: Any) -> tuple[list[tuple[Any, ...]], tuple[str, ...]]:
    kept = validate(Tables(_rows(INTERACTIONS, *rows)), strict=True, weight=WeightConfig(**weight))
    assert not len(kept.rejected)
    return [(r["item_id"], r["weight"], r["timestamp"]) for r in kept.interactions.to_pylist()], kept.notes


def test_repeated_pairs_are_counted_and_the_newest_time_stays() -> None:
    rows = (_pair("u", "a", timestamp=9, weight=2.0), _pair("u", "b"), _pair("u", "a", timestamp=30), _pair("u", "a"))
    kept, notes = _repeats(*rows)
    assert kept == [("a", 4.0, 30), ("b", None, None)]
    assert notes == (
        "interactions.csv: 2 rows repeat a pair of user and item: they are counted, the newest time stays",
    )
    assert _repeats(*rows, meaning="none")[0][0] == ("a", 3.0, 30)


def test_of_repeated_ratings_the_newest_counts() -> None:
    kept, _ = _repeats(
        _pair("u", "a", timestamp=30, weight=1.0), _pair("u", "a", timestamp=9, weight=5.0), meaning="rating", min=3
    )
    assert kept == [("a", 0.0, 30)]
    assert _repeats(_pair("u", "a", weight=1.0), _pair("u", "a", weight=5.0), meaning="rating")[0] == [("a", 5.0, None)]


def test_what_is_seen_and_not_liked_stays_and_is_told() -> None:
    rows = [_pair("u", "a", weight=-1.0), _pair("u", "b", weight=0.0), _pair("u", "c", weight=2.0), _pair("u", "d")]
    kept, notes = _repeats(*rows, min=3)
    assert [weight for _, weight, _ in kept] == [-1.0, 0.0, 0.0, None]
    assert notes == (
        "interactions.csv: 1 weight is under source.weight.min 3: seen, not liked",
        "interactions.csv: 3 of 4 pairs have a weight of 0 or less: seen, not liked",
    )


def test_a_pair_in_two_splits_is_trained_on_only() -> None:
    table = _rows(INTERACTIONS, _pair("u", "a", split="test", timestamp=1), _pair("u", "a", split="train", timestamp=2))
    kept = validate(Tables(table), strict=False)
    assert kept.interactions["split"].to_pylist() == ["train"]
    assert kept.rejected["reason"].to_pylist() == ["interactions.csv: row 1: the pair is in split train too"]


def test_splits_by_the_names_that_others_use() -> None:
    words = ["Train", "training", "validation", "val", "dev", "TEST"]
    table = _rows(INTERACTIONS, *(_pair("u", str(n), split=word) for n, word in enumerate(words)))
    kept = validate(Tables(table), strict=True).interactions["split"].to_pylist()
    assert kept == ["train", "train", "valid", "valid", "valid", "test"]


@pytest.mark.parametrize(("unit", "factor"), [("milliseconds", 1000), ("microseconds", 10**6), ("nanoseconds", 10**9)])
def test_a_whole_column_in_one_unit_is_read_as_that_unit(unit: str, factor: int) -> None:
    times = [1_700_000_000, 1_600_000_001, 0]
    table = _rows(INTERACTIONS, *(_pair("u", str(t), timestamp=t * factor + 7 * (t > 0)) for t in times))
    kept = validate(Tables(table), strict=True)
    assert kept.interactions["timestamp"].to_pylist() == times
    assert kept.notes == (f"interactions.csv: timestamps are in {unit}: read as such",)


def test_times_before_1970_are_times_and_zeros_are_told() -> None:
    table = _rows(INTERACTIONS, *(_pair("u", str(t), timestamp=t) for t in (-86400, 0, 1_700_000_000, 1_700_000_001)))
    kept = validate(Tables(table), strict=True)
    assert kept.interactions["timestamp"].to_pylist()[0] == -86400
    assert kept.notes[0].startswith("interactions.csv: 1 timestamp is 0, which is 1970-01-01")


def test_a_file_without_one_good_row_stops_with_its_commonest_reason() -> None:
    table = _rows(INTERACTIONS, _pair("u", None), _pair("u", ""), _pair("u", "a", weight=float("inf")))
    with pytest.raises(SourceError) as caught:
        validate(Tables(table), strict=False)
    assert str(caught.value) == (
        "interactions.csv: all 3 rows are refused (2 like 'interactions.csv: row 1: item_id is empty'); correct them"
    )
    empty = validate(Tables(_rows(INTERACTIONS)), strict=False)
    assert len(empty.interactions) == 0


def test_a_split_that_is_empty_here_and_there() -> None:
    table = _rows(INTERACTIONS, _pair("u", "a", split="train"), _pair("u", "b"))
    assert _reasons(Tables(table)) == ["interactions.csv: row 2: split is empty where other rows have one"]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["u", "v", "", None]),
            st.sampled_from(["a", "b", None]),
            st.sampled_from([None, -(10**11 - 1), 5, 9]),
            st.sampled_from(["train", "valid", "test", "x"]),
        ),
        max_size=20,
    )
)
def test_what_is_kept_is_clean_and_nothing_is_lost(rows: list[tuple[Any, Any, Any, Any]]) -> None:
    table = _rows(INTERACTIONS, *(_pair(u, i, timestamp=t, split=s, weight=1.0) for u, i, t, s in rows))
    good = [(u, i, s) for u, i, t, s in rows if u and i and t != -(10**11 - 1) and s != "x"]
    if rows and not good:
        with pytest.raises(SourceError, match="rows are refused"):
            validate(Tables(table), strict=False)
        return
    kept = validate(Tables(table), strict=False)
    pairs = list(zip(kept.interactions["user_id"].to_pylist(), kept.interactions["item_id"].to_pylist(), strict=True))
    assert len(pairs) == len(set(pairs))
    assert sum(kept.interactions["weight"].to_pylist()) + kept.rejected.num_rows == len(rows)
    again = validate(replace(kept, rejected=QUARANTINE.empty_table()), strict=True)
    assert again.interactions.equals(kept.interactions)
    assert set(pairs) == {(u, i) for u, i, _ in good}
    order = {"train": 0, "valid": 1, "test": 2}
    first = {pair: min((s for *p, s in good if tuple(p) == pair), key=order.__getitem__) for pair in pairs}
    assert kept.interactions["split"].to_pylist() == list(first.values())


def test_ids_that_the_catalogue_lacks_are_added_or_stop_a_strict_build() -> None:
    tables = replace(GOOD, items=named(pa.table({"item_id": ["b", "c"], "year": [1, 2]}), "items.csv"))
    items = validate(tables, strict=False).items
    assert items is not None and items.to_pylist() == [
        {"item_id": "b", "year": 1},
        {"item_id": "c", "year": 2},
        {"item_id": "a", "year": None},
    ]
    with pytest.raises(SourceError, match=r"items\.csv: item_id 'a' is missing but used"):
        validate(tables, strict=True)


def test_items_twice_or_without_id() -> None:
    tables = replace(GOOD, items=named(pa.table({"item_id": ["a", "a", None, "b"]}), "items.csv"))
    assert _reasons(tables) == ["items.csv: row 2: repeats row 1", "items.csv: row 3: item_id is empty"]


def test_vectors_that_say_nothing_are_missing() -> None:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([0.0, 0, 1, 2, float("nan"), 1, 3, 4, 5, 6], pa.float32()), 2)
    table = named(pa.table({"item_id": ["a", "a", "b", "c", "c"], "vector": vectors}), "embeddings/image.parquet")
    kept = validate(replace(GOOD, embeddings={"image": table}), strict=False)
    assert kept.embeddings["image"].to_pylist() == [
        {"item_id": "a", "vector": [1.0, 2.0]},
        {"item_id": "c", "vector": [3.0, 4.0]},
    ]
    assert kept.rejected["modality"].to_pylist() == ["image"] * 3
    assert kept.rejected["reason"].to_pylist() == [
        "embeddings/image.parquet: row 1: vector is all zero; a missing modality is a missing row",
        "embeddings/image.parquet: row 3: vector holds a number that is not finite",
        "embeddings/image.parquet: row 5: repeats row 4",
    ]


def test_neighbours_of_unknown_items_and_of_themselves() -> None:
    near = _rows(
        NEIGHBOURS,
        {"item_id": "a", "neighbour_id": "b", "score": 0.5},
        {"item_id": "a", "neighbour_id": "z", "score": 0.5},
        {"item_id": "a", "neighbour_id": "a", "score": 0.5},
        {"item_id": "b", "neighbour_id": "a"},
        file="neighbours/image.csv",
    )
    reasons = _reasons(replace(GOOD, neighbours={"image": near}))
    assert [r.split(": ", 2)[2] for r in reasons] == [
        "neighbour 'z' is not in the catalogue",
        "item 'a' is its own neighbour",
        "score is empty or not finite",
    ]


def test_media_need_exactly_one_origin() -> None:
    media = _rows(
        MEDIA,
        {"item_id": "a", "modality": "image", "uri": "x.png"},
        {"item_id": "a", "modality": "video", "uri": "x.mp4"},
        {"item_id": "a", "modality": "text"},
        {"item_id": "a", "modality": "text", "uri": "x.txt", "content": "x"},
        {"item_id": "a", "modality": "image", "content": "x"},
        {"item_id": "a", "modality": "image", "uri": "x.png"},
        file="media.csv",
    )
    kept = validate(replace(GOOD, media=media), strict=False)
    assert kept.media is not None and len(kept.media) == 1
    assert [r.split(": ", 2)[2] for r in kept.rejected["reason"].to_pylist()] == [
        "modality 'video' is not text, image or audio",
        "neither uri nor content is set",
        "both uri and content are set; keep one",
        "content is for text; give a uri",
        "repeats row 1",
    ]
    assert kept.rejected["uri"].to_pylist()[0] == "x.mp4"


def test_triples_and_friends() -> None:
    triples = _rows(
        TRIPLES,
        {"head_id": "a", "relation": "by", "tail_id": "x"},
        {"head_id": "a", "relation": "by", "tail_id": "x"},
        {"head_id": "a", "tail_id": "x"},
        file="triples.csv",
    )
    social = _rows(SOCIAL, {"user_id": "u", "friend_id": "u"}, {"user_id": "u", "friend_id": "w"}, file="social.csv")
    kept = validate(replace(GOOD, triples=triples, social=social), strict=False)
    assert kept.rejected["reason"].to_pylist() == [
        "social.csv: row 1: user 'u' follows itself",
        "triples.csv: row 2: repeats row 1",
        "triples.csv: row 3: relation is empty",
    ]
    assert kept.users is not None and kept.users["user_id"].to_pylist() == ["u", "w"]


def test_a_column_of_a_wrong_type_always_stops() -> None:
    table = pa.table(
        {
            **{n: pa.nulls(0, t.type) for n, t in zip(INTERACTIONS.names, INTERACTIONS, strict=True)},
            "weight": pa.nulls(0, pa.string()),
        }
    )
    with pytest.raises(SourceError, match="column 'weight' must have type double"):
        validate(Tables(table), strict=False)
