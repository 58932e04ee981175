"""What `source.weight.meaning` says, from the file to the list."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

Run = Callable[..., Any]
PLAYS = "user_id,item_id,weight\n" + "".join(
    f"u{u},{item},{weight}\n" for u in range(9) for item, weight in ((f"i{u % 3}", 1), ("often", 1), ("loud", 50)) if u
)


@pytest.mark.parametrize(("meaning", "first"), [("strength", "loud"), ("rating", "often"), ("none", "often")])
def test_plays_count_where_the_weight_is_a_strength(meaning: str, first: str, tmp_path: Path, modalweave: Run) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "interactions.csv").write_text(PLAYS + "u0,often,1\nu0,i1,1\nu0,i2,1\n" + "u9,often,1\n")
    (tmp_path / "data" / "users.csv").write_text("user_id\n" + "".join(f"u{n}\n" for n in range(11)))
    config = tmp_path / "run.yaml"
    config.write_text(
        f"source: {{path: {tmp_path / 'data'}, weight: {{meaning: {meaning}}}}}\nworkspace: {tmp_path / 'run'}\n"
        "split: {strategy: random, valid: 0.1, test: 0.1}\ngnn: {model: popularity}\nevaluation: {resamples: 20}\n"
    )
    assert modalweave("build", config).code == 0
    assert modalweave("train", config).code == 0
    assert modalweave("score", tmp_path / "run" / "bundle", "--out", tmp_path / "out").code == 0
    lists = pq.read_table(tmp_path / "out" / "part-00000.parquet").to_pylist()
    assert next(row["item_id"] for row in lists if row["user_id"] == "u10" and row["rank"] == 1) == first
