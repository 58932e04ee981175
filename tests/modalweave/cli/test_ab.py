"""Experiments from the command line: a plan, an assignment, events from files and a database, a page."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

from tests.modalweave.conftest import Outcome

Cli = Callable[..., Outcome]
DESIGN = """
name: homepage
variants: {text: 1, multimodal: 1}
control: text
segments: [country]
metrics:
  clicked: {kind: rate, event: click}
  clicks: {event: click}
"""


@pytest.fixture
def design(tmp_path: Path) -> Path:
    path = tmp_path / "homepage.yaml"
    path.write_text(DESIGN, encoding="utf-8")
    return path


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """400 users: those of the second variant click twice as often; a country that is markup."""
    rng, start, rows = np.random.default_rng(0), datetime(2026, 3, 2, tzinfo=UTC), []
    for n in range(400):
        facts = (f"u{n}", ("text", "multimodal")[n % 2], ("<b>de</b>", "cn")[n // 2 % 2])
        at = start + timedelta(days=rng.uniform(0, 4))
        rows.append((*facts, at, "exposure"))
        rows += [(*facts, at + timedelta(days=rng.uniform(0, 3)), "click") for _ in range(rng.poisson(1 + n % 2))]
    path = tmp_path / "events.parquet"
    names = ["user_id", "variant", "country", "timestamp", "event"]
    pl.DataFrame(rows, schema=names, orient="row").write_parquet(path)
    return path


def test_a_plan_by_formula_and_on_past_events(modalweave: Cli, design: Path, events: Path) -> None:
    plan = modalweave("ab", "design", "--rate", "0.1", "--effect", "0.05", "--daily-users", "3000", "--json").json()
    metric = plan["metrics"]["metric"]
    assert (metric["days"], plan["users"]) == (-(-metric["users"] // 3000), metric["users"])
    past = ("ab", "design", "--past", events, "--design", design, "--effect", "0.5", "--days", "7", "--runs", "100")
    found = modalweave(*past, "--json").json()
    assert set(found["metrics"]) == {"clicked", "clicks"} and found["metrics"]["clicks"]["simulated"]["runs"] == 100
    shown = modalweave(*past)
    assert shown.code == 0 and "planned_users" in shown.out
    assert modalweave("ab", "design", "--effect", "0.1").code == 2


def test_ids_are_assigned_as_they_come_and_as_a_file(
    modalweave: Cli, design: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("u1\nu2\r\n\n用户\nodd,one\n"))
    rows = modalweave("ab", "assign", "--design", design).out.splitlines()
    assert rows[0] == "user_id,variant,reason" and len(rows) == 5
    assert rows[3].startswith("用户,") and rows[4].startswith('"odd,one",')
    (tmp_path / "ids.txt").write_text("u2\nu1\n用户\nodd,one\n", encoding="utf-8")
    (tmp_path / "staff.txt").write_text("u1\n", encoding="utf-8")
    out = tmp_path / "assigned.parquet"
    told = modalweave(
        "ab", "assign", "--design", design, "--users", tmp_path / "ids.txt", "--out", out, "--json",
        "--exclude", tmp_path / "staff.txt",
    ).json()  # fmt: skip
    assert told["users"] == 4 and told["left_out"] == {"excluded": 1}
    drawn = {user: variant or "" for user, variant, _ in pl.read_parquet(out).iter_rows()}
    assert drawn["u1"] == "" and f"u2,{drawn['u2']}," in rows


def test_an_answer_comes_before_the_next_id_is_sent(design: Path) -> None:
    command = [sys.executable, "-m", "modalweave", "ab", "assign", "--design", str(design)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        for user in ("u1", "u2"):
            process.stdin.write(f"{user}\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith(f"{user},")


def test_events_are_analysed_alike_from_file_and_database(
    modalweave: Cli, design: Path, events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.html"
    found = modalweave("ab", "analyse", events, "--design", design, "--out", page, "--json").json()
    assert found["analysis"]["metrics"]["clicks"]["tests"]["multimodal"]["verdict"] == "better"
    assert not found["analysis"]["split"]["mismatch"]
    text = page.read_text(encoding="utf-8")
    assert "<b>de</b>" not in text and "&lt;b&gt;de&lt;/b&gt;" in text and "<svg" in text
    database = tmp_path / "shop.db"
    frame = pl.read_parquet(events).with_columns(pl.col("timestamp").dt.to_string("iso"))
    engine = sa.create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE log (user_id, variant, country, timestamp, event, secret)"))
        rows = sa.text("INSERT INTO log VALUES (:user_id, :variant, :country, :timestamp, :event, 'no')")
        connection.execute(rows, frame.to_dicts())
    monkeypatch.setenv("SQL_PASSWORD", "hush")
    same = modalweave("ab", "analyse", f"sqlite:///{database}", "--table", "log", "--design", design, "--out", page)
    assert same.code == 0 and "hush" not in same.out + same.err and "clicks: multimodal is better" in same.out
    again = modalweave(
        "ab", "analyse", f"sqlite:///{database}", "--table", "log", "--design", design, "--out", page, "--json"
    ).json()
    assert again["analysis"] == found["analysis"]
    wrong = modalweave("ab", "analyse", f"sqlite:///{database}", "--table", "lug", "--design", design)
    assert wrong.code == 1 and "did you mean 'log'?" in wrong.err


def test_a_password_in_an_address_is_refused_and_not_repeated(modalweave: Cli, design: Path) -> None:
    told = modalweave("ab", "analyse", "postgresql://me:s3cret@host/db", "--design", design)
    assert told.code == 1 and "SQL_PASSWORD" in told.err and "s3cret" not in told.out + told.err


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("name: x\nvariants: {a: 1, b: 1}\n", "control is missing"),
        ("name: x\nvariants: {a: 1, b: 1}\ncontrol: a\nmetrics: {m: {event: e, winsorize: 0.9}}\n", "'winsorise'"),
        ("name: x\nvariants: {a: 1, b: 0}\ncontrol: a\n", "variants.b"),
        ("name: x\nvariants: {text: 1, multimodal: 1}\ncontrol: text\n", "has no metrics"),
    ],
)
def test_a_wrong_design_is_one_line(modalweave: Cli, tmp_path: Path, events: Path, wrong: str, words: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(wrong, encoding="utf-8")
    told = modalweave("ab", "analyse", events, "--design", path, "--out", tmp_path / "p.html")
    assert told.code == 1 and words in told.err.splitlines()[-1], told.err


def test_files_that_are_none_are_one_line(modalweave: Cli, tmp_path: Path, design: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"no")
    for name in ("absent.csv", "bad.parquet", "homepage.yaml"):
        told = modalweave("ab", "analyse", tmp_path / name, "--design", design)
        assert told.code == 1 and name in told.err.splitlines()[-1]
    assert json.loads(modalweave("ab", "design", "--mean", 5, "--deviation", 2, "--effect", 0.1, "--json").out)
