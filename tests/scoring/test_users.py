"""Reading the users to score."""

from pathlib import Path

import polars as pl
import pytest

from scoring.errors import ScoringError
from scoring.users import read_users


def test_three_kinds_of_file(tmp_path: Path) -> None:
    (tmp_path / "users.txt").write_text("\ufeffu1\r\nu2\n用户 3\n", encoding="utf-8")
    (tmp_path / "users.csv").write_text('name,user_id\nA,u1\nB,u2\n"C, D",用户 3\n', encoding="utf-8")
    pl.DataFrame({"user_id": ["u1", "u2", "用户 3"]}).write_parquet(tmp_path / "users.parquet")
    for name in ("users.txt", "users.csv", "users.parquet"):
        assert read_users(tmp_path / name) == ["u1", "u2", "用户 3"], name


def test_numeric_ids_stay_as_written(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user_id\n007\n1e5\n")
    assert read_users(tmp_path / "users.csv") == ["007", "1e5"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("users.txt", b"u1\n\nu3\n", "row 2 names no user"),
        ("users.csv", b"id\nu1\n", "column 'user_id' is missing"),
        ("users.txt", b"\xff\xfe\x00u", "users cannot be read"),
        ("users.parquet", b"nothing", "users cannot be read"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ScoringError, match=message) as caught:
        read_users(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(ScoringError, match=r"absent\.txt: users cannot be read"):
        read_users(tmp_path / "absent.txt")


def test_an_id_in_another_unicode_form_is_the_graphs(tmp_path: Path) -> None:
    (tmp_path / "users.txt").write_text("cafe\u0301\n", encoding="utf-8")
    assert read_users(tmp_path / "users.txt") == ["caf\u00e9"]
