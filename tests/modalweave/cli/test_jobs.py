"""The batch job on the command line: what stops it, and files in every form."""

import os
import signal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from etl.errors import SourceError
from modalweave.cli.app import app
from modalweave.stages import score as scoring
from modalweave.stages.score_files import read_items, read_pairs, read_users
from scoring.errors import ScoringError, Stopped


def test_sigterm_is_remembered_and_ends_nothing() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with scoring.stopping_on_sigterm() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("command", ["score", "similar"])
def test_a_stopped_job_exits_143_and_says_how_to_go_on(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*args: Any, **options: Any) -> None:
        raise Stopped("lists: stopped after 2 of 6 parts; the same call goes on")

    monkeypatch.setattr(scoring, command, stopped)
    result = CliRunner().invoke(app, [command, "bundle", "--out", "lists"])
    assert (result.exit_code, result.stderr) == (
        143,
        "modalweave: lists: stopped after 2 of 6 parts; the same call goes on\n",
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("items.csv", "item_id;price\nä;1,5\n b ;2\n"),
        ("items.tsv", "Item_ID\tprice\nä\t1.5\nb\t2\n"),
        ("items.parquet", None),
    ],
)
def test_items_in_any_form_of_a_table(name: str, content: str | None, tmp_path: Path) -> None:
    path = tmp_path / name
    if content is None:
        pl.DataFrame({"item_id": ["ä", "b"], "price": [1.5, 2.0]}).write_parquet(path)
    else:
        path.write_text(content, encoding="utf-8")
    assert read_items(path).rows() == [("ä", 1.5), ("b", 2.0)]


def test_items_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "items.txt"
    path.write_text("\ufeffa\n\n b\n", encoding="utf-8")
    assert read_items(path)["item_id"].to_list() == ["a", "b"]


def test_files_that_name_nothing(tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("item_id\n")
    with pytest.raises(ScoringError, match="holds no row"):
        read_items(tmp_path / "none.csv")
    (tmp_path / "half.csv").write_text("user_id\nu1\n")
    with pytest.raises(SourceError, match="'item_id' is missing"):
        read_pairs(tmp_path / "half.csv")
    (tmp_path / "gap.csv").write_text("user_id,item_id\nu1,\n")
    with pytest.raises(ScoringError, match=r"gap\.csv: row 1 has no item_id"):
        read_pairs(tmp_path / "gap.csv")


def test_users_in_any_form_as_they_are_written(tmp_path: Path) -> None:
    users = ["007", "1e5", "café", "用户 3"]
    (tmp_path / "users.txt").write_text("\ufeff007\r\n1e5\n\ncafe\u0301\n用户 3\n", encoding="utf-8")
    (tmp_path / "users.csv").write_text('name,User_ID\nA,007\nB,1e5\n"C, D",café\nE,用户 3\n', encoding="utf-8")
    pl.DataFrame({"user_id": users, "weight": ["none"] * 4}).write_parquet(tmp_path / "users.parquet")
    for name in ("users.txt", "users.csv", "users.parquet"):
        assert read_users(tmp_path / name) == users, name


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("users.csv", b"user_id,name\nu1,a\n,b\n", "row 2 has no user_id"),
        ("users.csv", b"id\nu1\n", "column 'user_id' is missing"),
        ("users.txt", b"\xff\xfe\x00u", "is no UTF-8 text"),
        ("users.txt", b"\n", "holds no row"),
        ("users.parquet", b"nothing", "not readable as Parquet"),
    ],
)
def test_a_bad_file_of_users_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((ScoringError, SourceError), match=message) as caught:
        read_users(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)
