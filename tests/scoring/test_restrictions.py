"""Lists under restrictions: the exact best of what is left, and one line where a request cannot be met."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from gnn.bundle.bundle import load_bundle, save_bundle
from scoring.config import ScoringConfig
from scoring.errors import ScoringError, Stopped
from scoring.job import run_job, run_similar
from scoring.restrictions import Restrictions, matching
from tests.scoring.conftest import ITEMS

OPTIONS = ScoringConfig(top_k=5, shard_size=10)
ATTRIBUTES = pa.table(
    {
        "price": pa.array([float(n % 7) if n % 5 else None for n in range(ITEMS)]),
        "类别": pa.array([("lamp", "chair", None)[n % 3] for n in range(ITEMS)]),
        "new": pa.array([n % 2 == 0 for n in range(ITEMS)]),
    }
)


@pytest.fixture(scope="module")
def priced(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with attributes."""
    plain, path = load_bundle(bundle), tmp_path_factory.mktemp("priced") / "bundle"
    save_bundle(
        path,
        plain.scorer,
        user_ids=plain.user_ids,
        item_ids=plain.item_ids,
        seen=plain.seen,
        manifest={"model": "dot"},
        attributes=ATTRIBUTES,
    )
    return path


def lists(folder: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(part) for part in sorted(folder.glob("part-*"))])


def walked(path: Path, user: int, *, seen: bool = False, left: Any = None) -> list[int]:
    """Every item that may be listed for a user, best first."""
    bundle = load_bundle(path)
    scores = bundle.scorer.user_vectors[user].numpy() @ bundle.scorer.item_vectors.numpy().T
    free = [n for n in range(ITEMS) if (seen or not bundle.seen[user, n]) and (left is None or left(n))]
    return sorted(free, key=lambda n: (-scores[n], n))


def check(path: Path, out: Path, asked: Restrictions, **walk: Any) -> None:
    run_job(path, out, OPTIONS, restrictions=asked)
    found = lists(out)
    for user in range(57):
        items = found.filter(pl.col("user_id") == f"u{user}")["item_id"].to_list()
        assert items == [f"电影-{n}" for n in walked(path, user, **walk)[:5]]


def test_items_and_excluded_ones(priced: Path, tmp_path: Path) -> None:
    some = pl.DataFrame({"item_id": [f"电影-{n}" for n in range(10, 30)]})
    asked = Restrictions(items=some, exclude=["电影-12", "电影-13"])
    check(priced, tmp_path / "out", asked, left=lambda n: 10 <= n < 30 and n not in (12, 13))


def test_a_condition_over_attributes(priced: Path, tmp_path: Path) -> None:
    asked = Restrictions(where="price < 4 and 类别 = 'lamp'")
    check(priced, tmp_path / "out", asked, left=lambda n: n % 5 and n % 7 < 4 and n % 3 == 0)


def test_what_the_file_of_items_says_goes_before(priced: Path, tmp_path: Path) -> None:
    dear = pl.DataFrame({"item_id": [f"电影-{n}" for n in range(ITEMS)], "price": [100 + n for n in range(ITEMS)]})
    check(
        priced,
        tmp_path / "out",
        Restrictions(items=dear, where="price >= 120 and new"),
        left=lambda n: n >= 20 and n % 2 == 0,
    )


def test_seen_items_come_back(priced: Path, tmp_path: Path) -> None:
    check(priced, tmp_path / "out", Restrictions(include_seen=True), seen=True)


def test_at_most_so_many_of_a_kind(priced: Path, tmp_path: Path) -> None:
    run_job(priced, tmp_path / "out", OPTIONS, restrictions=Restrictions(at_most=1, per="类别"))
    found = lists(tmp_path / "out")
    for user in range(57):
        wanted: list[int] = []
        for n in walked(priced, user):
            if n % 3 == 2 or n % 3 not in [m % 3 for m in wanted]:
                wanted.append(n)
        items = found.filter(pl.col("user_id") == f"u{user}")["item_id"].to_list()
        assert items == [f"电影-{n}" for n in wanted[:5]]


def test_given_pairs_are_scored_and_ranked_among_themselves(priced: Path, tmp_path: Path) -> None:
    pairs = pl.DataFrame(
        {"user_id": ["u7", "u3", "u7", "u7", "new", "u7"], "item_id": [f"电影-{n}" for n in (1, 2, 3, 1, 5, 6)]}
    )
    manifest = run_job(priced, tmp_path / "out", OPTIONS, restrictions=Restrictions(pairs=pairs))
    found, bundle = lists(tmp_path / "out"), load_bundle(priced)
    assert found["user_id"].to_list() == ["u7"] * 3 + ["u3", "new"]
    assert found["item_id"].to_list()[:3] == [
        f"电影-{n}" for n in walked(priced, 7, seen=True, left={1, 3, 6}.__contains__)
    ]
    assert found["rank"].to_list() == [1, 2, 3, 1, 1]
    assert found["score"][3] == float(bundle.scorer.user_vectors[3] @ bundle.scorer.item_vectors[2])
    assert found["source"].to_list() == ["model"] * 4 + ["popularity"]
    assert manifest["unknown"] == ["new"]


def test_unknown_items_are_told_or_refused(priced: Path, tmp_path: Path) -> None:
    asked = Restrictions(exclude=["电影-1", "gone", "lost"])
    assert run_job(priced, tmp_path / "out", OPTIONS, restrictions=asked)["unknown_items"] == ["gone", "lost"]
    with pytest.raises(ScoringError, match="unknown item 'gone', 2 in all; the bundle knows 40 items"):
        run_job(priced, tmp_path / "strict", OPTIONS, restrictions=asked, strict=True)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"where": "prise < 4"}, "where 'prise < 4': .*; there are price, 类别, new"),
        ({"where": "price <"}, "where 'price <': .*write as in price < 20"),
        ({"where": "price"}, "gives Float64, not true or false"),
        ({"where": "类别 < 3"}, "cannot compare string with numeric"),
        ({"where": "price in (select 1)"}, "where"),
        ({"where": "read_csv('secret')"}, "unsupported function"),
        ({"where": "price > 1 and " * 200}, "has 2,800 characters, at most 2,000"),
        ({"where": "price > 1000"}, "0 of 40 items are left"),
        ({"at_most": 2, "per": "brand"}, "per 'brand': no item has such an attribute; there are price, 类别, new"),
        ({"pairs": pl.DataFrame({"user_id": ["u1"], "item_id": ["gone"]})}, "0 of 1 pairs name an item"),
    ],
)
def test_what_cannot_be_met_is_one_line(priced: Path, tmp_path: Path, asked: dict[str, Any], told: str) -> None:
    with pytest.raises(ScoringError, match=told) as raised:
        run_job(priced, tmp_path / "out", OPTIONS, restrictions=Restrictions(**asked))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_restrictions_that_do_not_go_together() -> None:
    with pytest.raises(ScoringError, match="belong together"):
        Restrictions(at_most=3)
    with pytest.raises(ScoringError, match="leave the other restrictions out"):
        Restrictions(pairs=pl.DataFrame({"user_id": ["u1"], "item_id": ["a"]}), include_seen=True)


def test_pairs_and_new_items_have_their_own_rules(priced: Path, tmp_path: Path) -> None:
    some = pl.DataFrame({"user_id": ["u1"], "item_id": ["电影-1"]})
    with pytest.raises(ScoringError, match="pairs bring their users"):
        run_job(priced, tmp_path / "out", OPTIONS, users=["u1"], restrictions=Restrictions(pairs=some))
    places = OPTIONS.model_copy(update={"new_items": 0.2})
    with pytest.raises(ScoringError, match="set it to 0 under restrictions"):
        run_job(priced, tmp_path / "out", places, restrictions=Restrictions(items=some.select("item_id")))


def test_a_bundle_without_attributes_says_what_to_do(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ScoringError, match="there are none: train again on items that have some, or give --items"):
        run_job(bundle, tmp_path / "out", OPTIONS, restrictions=Restrictions(where="price < 3"))


def test_other_restrictions_are_another_job(priced: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_job(priced, out, OPTIONS, restrictions=Restrictions(where="price < 4"))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    run_job(priced, out, OPTIONS, restrictions=Restrictions(where="price <= 3"))  # the same items
    with pytest.raises(ScoringError, match="holds a job with options"):
        run_job(priced, out, OPTIONS, restrictions=Restrictions(where="price < 3"))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_condition_without_columns_holds_for_all_or_none() -> None:
    table = pl.DataFrame({"price": [1, 2]})
    assert matching(table, "true").tolist() == [True, True]
    with pytest.raises(ScoringError, match="gives"):
        matching(table, "null")


def test_processes_write_what_one_does(priced: Path, tmp_path: Path) -> None:
    asked = Restrictions(where="price < 5", at_most=2, per="new")
    run_job(priced, tmp_path / "one", OPTIONS, users=["u9", "nobody", "u1"] * 9, restrictions=asked)
    small = OPTIONS.model_copy(update={"shard_size": 1})
    run_job(priced, tmp_path / "parts", small, users=["u9", "nobody", "u1"], restrictions=asked)
    run_job(
        priced,
        tmp_path / "two",
        small.model_copy(update={"workers": 2}),
        users=["u9", "nobody", "u1"],
        restrictions=asked,
    )
    assert lists(tmp_path / "parts").equals(lists(tmp_path / "one"))
    parts, two = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("parts", "two"))
    assert parts == two


def test_a_stopped_job_keeps_its_parts_and_goes_on(priced: Path, tmp_path: Path) -> None:
    done: list[int] = []
    with pytest.raises(Stopped, match="stopped after 2 of 6 parts; the same call goes on"):
        run_job(priced, tmp_path / "out", OPTIONS, stop=lambda: len(done) >= 3, progress=lambda n, _: done.append(n))
    assert len(list((tmp_path / "out").glob("part-*"))) == 2
    run_job(priced, tmp_path / "out", OPTIONS)
    run_job(priced, tmp_path / "whole", OPTIONS)
    assert lists(tmp_path / "out").equals(lists(tmp_path / "whole"))


def test_similar_items_of_all_items(priced: Path, tmp_path: Path) -> None:
    manifest = run_similar(priced, tmp_path / "out", ScoringConfig(top_k=3, shard_size=16))
    found, bundle = lists(tmp_path / "out"), load_bundle(priced)
    vectors = bundle.scorer.item_vectors.numpy()
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert found.columns == ["item_id", "similar_item_id", "rank", "score"]
    for item in range(ITEMS):
        mine = found.filter(pl.col("item_id") == f"电影-{item}")
        assert f"电影-{item}" not in mine["similar_item_id"]
        others = np.delete(units @ units[item], item)
        assert mine["score"].to_numpy() == pytest.approx(np.sort(others)[::-1][:3], abs=1e-6)
    assert manifest["options"]["by"] == "model"
    with pytest.raises(ScoringError, match="holds a job with options"):
        run_job(priced, tmp_path / "out", ScoringConfig(top_k=3, shard_size=16))
