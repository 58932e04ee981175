"""The batch job: exact lists, resume after kill -9, the same bytes whatever happened."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import torch
from pydantic import ValidationError

from common.files import is_partial
from gnn.bundle.bundle import load_bundle, save_bundle
from gnn.errors import BundleError
from gnn.scorers.base import DotScorer
from scoring.config import ScoringConfig
from scoring.errors import ScoringError
from scoring.job import run_job, run_similar
from scoring.lock import folder_lock

ROOT = Path(__file__).parents[2]
OPTIONS = ScoringConfig(top_k=7, shard_size=10)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="session")
def finished(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "scores"
    run_job(bundle, out, OPTIONS)
    return out


def read(folder: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("part-*.parquet"))])


def brute_force(bundle_dir: Path, top_k: int) -> list[tuple[str, str, int, float, str]]:
    bundle = load_bundle(bundle_dir)
    scores = bundle.scorer.user_vectors.numpy() @ bundle.scorer.item_vectors.numpy().T
    rows = []
    for user, row in enumerate(scores):
        free = [item for item in range(len(row)) if bundle.seen[user, item] == 0]
        best = sorted(free, key=lambda item: (-row[item], item))[:top_k]
        rows += [
            (bundle.user_ids[user], bundle.item_ids[item], rank, float(row[item]), "model")
            for rank, item in enumerate(best, start=1)
        ]
    return rows


@pytest.mark.parametrize("top_k", [1, 7, 1000])
def test_lists_equal_a_brute_force_sort(bundle: Path, tmp_path: Path, top_k: int) -> None:
    run_job(bundle, tmp_path, ScoringConfig(top_k=top_k, shard_size=20))
    assert read(tmp_path).rows() == brute_force(bundle, top_k)


def test_layout(finished: Path, bundle: Path) -> None:
    files = contents(finished)
    assert list(files) == ["_manifest.json", *(f"part-0000{i}.parquet" for i in range(6))]
    manifest = json.loads(files["_manifest.json"])
    table = read(finished)
    assert manifest["bundle"] == load_bundle(bundle).hash
    assert manifest["options"] == {"top_k": 7, "shard_size": 10, "users_sha256": None}
    assert manifest["rows"] == len(table) == 7 * 55 + 2 and manifest["users"] == 57
    assert manifest["parts"]["part-00000.parquet"]["rows"] == 8 * 7 + 2
    columns = {"user_id": pl.String, "item_id": pl.String, "rank": pl.Int32, "score": pl.Float32, "source": pl.String}
    assert table.schema == columns
    assert "u3" not in table["user_id"] and table.filter(pl.col("user_id") == "u4")["rank"].to_list() == [
        1,
        2,
    ]


def test_the_same_call_again_touches_nothing(bundle: Path, finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.glob("part-*")}
    steps: list[tuple[int, int]] = []
    manifest = run_job(bundle, finished, OPTIONS, progress=lambda done, total: steps.append((done, total)))
    assert {path: path.stat().st_mtime_ns for path in finished.glob("part-*")} == before
    assert steps == [(57, 57)]
    assert manifest == json.loads((finished / "_manifest.json").read_text())


def test_progress_counts_users(bundle: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    run_job(bundle, tmp_path, OPTIONS, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(n, 57) for n in (0, 10, 20, 30, 40, 50, 57)]


KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from scoring.config import ScoringConfig
    from scoring.job import run_job, run_similar

    left, rename = int(sys.argv[3]), os.replace

    def replace(source, target):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)

    os.replace = replace
    run_job(Path(sys.argv[1]), Path(sys.argv[2]), ScoringConfig(top_k=7, shard_size=10))
""")


@pytest.fixture(scope="module")
def killed(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Folders of jobs killed at their n-th rename, before it; all at once, since each has torch to import."""
    root = tmp_path_factory.mktemp("killed")
    running = {}
    for rename in (4, 5, 14):
        command = [sys.executable, "-c", KILLED, str(bundle), str(root / str(rename)), str(rename)]
        running[rename] = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    for process in running.values():
        _, errors = process.communicate(timeout=300)
        assert process.returncode == -9, errors.decode()
    return {rename: root / str(rename) for rename in running}


# Renames: journal, then part and journal six times, then the manifest.
@pytest.mark.parametrize(("rename", "left"), [(4, 1), (5, 2), (14, 6)])
def test_kill_nine_then_resume(bundle: Path, finished: Path, killed: dict[int, Path], rename: int, left: int) -> None:
    out = killed[rename]
    whole = contents(finished)
    parts = [name for name in contents(out) if name.startswith("part-")]
    assert len(parts) == left and "_manifest.json" not in contents(out)
    assert all(contents(out)[name] == whole[name] for name in parts)
    assert any(is_partial(name) for name in contents(out))
    run_job(bundle, out, OPTIONS)
    assert contents(out) == whole


@pytest.mark.parametrize("damage", ["flip", "cut", "missing"])
def test_a_damaged_part_is_made_again(bundle: Path, finished: Path, tmp_path: Path, damage: str) -> None:
    run_job(bundle, tmp_path, OPTIONS)
    part = tmp_path / "part-00002.parquet"
    content = bytearray(part.read_bytes())
    if damage == "missing":
        part.unlink()
    else:
        content[len(content) // 2] ^= 1
        part.write_bytes(content[:-5] if damage == "cut" else content)
    kept = (tmp_path / "part-00001.parquet").stat().st_mtime_ns
    run_job(bundle, tmp_path, OPTIONS)
    assert contents(tmp_path) == contents(finished)
    assert (tmp_path / "part-00001.parquet").stat().st_mtime_ns == kept


@pytest.mark.parametrize("change", ["top_k", "shard_size", "users", "bundle"])
def test_another_job_in_the_folder_is_refused(
    bundle: Path, other_bundle: Path, finished: Path, tmp_path: Path, change: str
) -> None:
    before = contents(finished)
    options = OPTIONS.model_copy(update={change: 9}) if change in ("top_k", "shard_size") else OPTIONS
    source = other_bundle if change == "bundle" else bundle
    users = ["u1"] if change == "users" else None
    with pytest.raises(ScoringError, match="choose another folder or replace it"):
        run_job(source, finished, options, users=users)
    assert contents(finished) == before


def test_fresh_replaces_another_job(other_bundle: Path, bundle: Path, finished: Path, tmp_path: Path) -> None:
    run_job(other_bundle, tmp_path, ScoringConfig(top_k=3, shard_size=2))
    (tmp_path / "notes.txt").write_text("mine")
    run_job(bundle, tmp_path, OPTIONS, fresh=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    (tmp_path / "notes.txt").unlink()
    assert contents(tmp_path) == contents(finished)


@pytest.mark.parametrize("name", ["manifest.json", "job.json"])
def test_a_job_of_an_earlier_version_is_told_and_replaced(
    bundle: Path, finished: Path, tmp_path: Path, name: str
) -> None:
    run_job(bundle, tmp_path, OPTIONS)
    (tmp_path / "_manifest.json").rename(tmp_path / name)
    with pytest.raises(
        ScoringError, match=rf"holds a job of an earlier version \({name}\); replace it with --overwrite"
    ):
        run_job(bundle, tmp_path, OPTIONS)
    run_job(bundle, tmp_path, OPTIONS, fresh=True)
    assert contents(tmp_path) == contents(finished)


def test_the_folder_opens_as_one_table(finished: Path, tmp_path: Path) -> None:
    expected = read(finished)
    assert pl.DataFrame(pq.read_table(finished)).equals(expected)
    assert pl.read_parquet(finished / "*.parquet").equals(expected)
    assert pl.scan_parquet(finished, hidden_file_prefix="_").collect().equals(expected)
    assert pl.DataFrame(pyarrow.dataset.dataset(finished).to_table()).equals(expected)


def test_csv_parts_hold_the_same_rows_and_no_formula(finished: Path, tmp_path: Path) -> None:
    users, items = torch.ones(3, 1), torch.tensor([[3.0], [2.0], [1.0]])
    ids = {"user_ids": ["-1+1", "\tu", "u"], "item_ids": ["=HYPERLINK(1)", "@x", "plain"]}
    seen = sp.csr_matrix(np.array([[0, 0, 1], [0, 1, 0], [0, 0, 1]], dtype=np.float32))
    save_bundle(tmp_path / "bundle", DotScorer(users, items), **ids, seen=seen, manifest={"model": "dot"})
    run_job(tmp_path / "bundle", tmp_path / "out", ScoringConfig(top_k=2, format="csv"))
    assert sorted(contents(tmp_path / "out")) == ["_manifest.json", "part-00000.csv"]
    found = pl.read_csv(tmp_path / "out" / "part-00000.csv", infer_schema=False)
    assert found["user_id"].unique(maintain_order=True).to_list() == ["'-1+1", "'\tu", "u"]
    assert found["item_id"].head(2).to_list() == ["'=HYPERLINK(1)", "'@x"]
    assert found["score"].head(2).cast(pl.Float64).to_list() == [3.0, 2.0]
    with pytest.raises(ScoringError, match="format"):
        run_job(tmp_path / "bundle", tmp_path / "out", ScoringConfig(top_k=2))


def test_titles_are_a_last_column_where_the_bundle_has_them(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ScoringError, match="holds no titles"):
        run_job(bundle, tmp_path / "out", ScoringConfig(titles=True))
    loaded = load_bundle(bundle)
    titles = [None, *(f"Film {n}" for n in range(1, 40))]
    ids = {"user_ids": loaded.user_ids, "item_ids": loaded.item_ids}
    save_bundle(tmp_path / "titled", loaded.scorer, **ids, seen=loaded.seen, titles=titles, manifest={"model": "dot"})
    run_job(tmp_path / "titled", tmp_path / "out", ScoringConfig(top_k=7, titles=True))
    found = read(tmp_path / "out")
    assert found.columns == ["user_id", "item_id", "rank", "score", "source", "title"]
    named = dict(zip(loaded.item_ids, titles, strict=True))
    assert found["title"].to_list() == [named[item] for item in found["item_id"]]
    assert found.drop("title").rows() == brute_force(bundle, 7)


def test_engine_and_workers_are_not_pinned(bundle: Path, finished: Path) -> None:
    before = contents(finished)
    run_job(bundle, finished, OPTIONS.model_copy(update={"workers": 5}))
    assert contents(finished) == before


def test_foreign_parts_are_left_alone(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "part-00000.parquet").write_bytes(b"somebody else's")
    for fresh in (False, True):
        with pytest.raises(ScoringError, match=r"holds parts but no _manifest\.json of ours"):
            run_job(bundle, tmp_path, OPTIONS, fresh=fresh)
    assert (tmp_path / "part-00000.parquet").read_bytes() == b"somebody else's"
    (tmp_path / "part-00000.parquet").unlink()
    (tmp_path / "_manifest.json").write_text('{"name": "a web app"}')
    with pytest.raises(ScoringError, match="no record of a scoring job"):
        run_job(bundle, tmp_path, OPTIONS)


def test_a_subset_in_its_own_order(bundle: Path, finished: Path, tmp_path: Path) -> None:
    run_job(bundle, tmp_path, OPTIONS, users=["u9", "u0", "u9"])
    got = read(tmp_path)
    assert got["user_id"].unique(maintain_order=True).to_list() == ["u9", "u0"]
    whole = read(finished)
    for user in ("u9", "u0"):
        assert got.filter(pl.col("user_id") == user).equals(whole.filter(pl.col("user_id") == user))


def test_unknown_users_get_what_is_popular_and_are_listed(bundle: Path, finished: Path, tmp_path: Path) -> None:
    named = ["u1", "nobody", "u2", "1e5", "nobody"]
    manifest = run_job(bundle, tmp_path, ScoringConfig(top_k=7, shard_size=2), users=named)
    assert manifest["unknown"] == ["nobody", "1e5"]
    assert manifest["users"] == 4
    found, loaded = read(tmp_path), load_bundle(bundle)
    assert found["user_id"].unique(maintain_order=True).to_list() == ["u1", "nobody", "u2", "1e5"]
    counts = dict(zip(loaded.item_ids, loaded.history.sum(axis=0).tolist()[0], strict=True))
    best = sorted(counts.values(), reverse=True)[:7]
    for user in ("nobody", "1e5"):
        rows = found.filter(user_id=user)
        assert [counts[item] for item in rows["item_id"]] == best
        assert rows["source"].unique().to_list() == ["popularity"]
    assert found.filter(user_id="u2").equals(read(finished).filter(user_id="u2"))
    before = contents(tmp_path)
    assert run_job(bundle, tmp_path, ScoringConfig(top_k=7, shard_size=2), users=named) == manifest
    assert contents(tmp_path) == before


def test_strict_names_the_unknown_user(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ScoringError, match=r"users row 2: unknown user 'nobody', 1 in all"):
        run_job(bundle, tmp_path / "out", OPTIONS, users=["u1", "nobody"], strict=True)
    with pytest.raises(ScoringError, match="users is empty"):
        run_job(bundle, tmp_path / "out", OPTIONS, users=[])
    assert not (tmp_path / "out").exists()


FULL = textwrap.dedent("""
    import resource, sys
    from pathlib import Path
    from scoring.config import ScoringConfig
    from scoring.errors import ScoringError
    from scoring.job import run_job, run_similar

    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        run_job(Path(sys.argv[1]), Path(sys.argv[2]), ScoringConfig(top_k=40, shard_size=50))
    except ScoringError as error:
        print(error)
""")


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores"
    command = [sys.executable, "-c", FULL, str(bundle), str(out)]
    got = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert got.stdout.count("\n") == 1, got.stderr
    assert "part-00000.parquet: cannot be written (File too large)" in got.stdout
    assert list(contents(out)) == ["_job.json"]
    run_job(bundle, out, ScoringConfig(top_k=40, shard_size=50))
    assert read(out).rows() == brute_force(bundle, 40)


def test_one_job_at_a_time(bundle: Path, tmp_path: Path) -> None:
    with folder_lock(tmp_path), pytest.raises(ScoringError, match="another job is writing here"):
        run_job(bundle, tmp_path, OPTIONS)
    run_job(bundle, tmp_path, OPTIONS)


def test_bad_places(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ScoringError, match="cannot be a folder"):
        run_job(bundle, tmp_path / "file", OPTIONS)
    with pytest.raises(BundleError):
        run_job(tmp_path / "absent", tmp_path / "out", OPTIONS)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError):
        ScoringConfig(topk=3)
    with pytest.raises(ValidationError):
        ScoringConfig(engine="spark")


def test_scores_are_the_scorers_own(bundle: Path, finished: Path) -> None:
    loaded = load_bundle(bundle)
    users = {user: index for index, user in enumerate(loaded.user_ids)}
    items = {item: index for index, item in enumerate(loaded.item_ids)}
    vectors = loaded.scorer
    for user, item, _, score, _ in read(finished).sample(50, seed=0).rows():
        expected = vectors.user_vectors[users[user]] @ vectors.item_vectors[items[item]]
        np.testing.assert_allclose(score, float(expected), rtol=1e-6)


def test_similar_items_are_the_same_over_processes(bundle: Path, tmp_path: Path) -> None:
    run_similar(bundle, tmp_path / "one", OPTIONS)
    run_similar(bundle, tmp_path / "two", OPTIONS.model_copy(update={"workers": 2}))
    assert contents(tmp_path / "two") == contents(tmp_path / "one") and len(contents(tmp_path / "one")) == 5


def test_a_missing_ray_is_named(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "scoring.ray_engine", raising=False)
    with pytest.raises(ScoringError, match=r"engine 'ray' needs Ray; run: pip install 'modalweave\[ray\]'"):
        run_job(bundle, tmp_path, OPTIONS.model_copy(update={"engine": "ray"}))
