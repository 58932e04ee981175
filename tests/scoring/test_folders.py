"""Jobs at addresses: whole parts or none, the manifest last, resumed with the same bytes; hive partitions."""

import os
import pickle
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import polars as pl
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from scoring.config import ScoringConfig
from scoring.errors import ScoringError
from scoring.folders import OWNER, LocalFolder, open_folder
from scoring.job import run_job, run_similar

ROOT = Path(__file__).parents[2]
OPTIONS = ScoringConfig(top_k=7, shard_size=10)
HIVE = OPTIONS.model_copy(update={"partition_by": "shard"})
BUCKET = "shop"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bucket on a server of this machine, its address and keys in the environment as a user has them."""
    pytest.importorskip("s3fs", reason="the extra `s3` is not installed")
    server = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    with pytest.MonkeyPatch.context() as environment:
        home = tmp_path_factory.mktemp("home")
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "none"))
        environment.setenv("AWS_ACCESS_KEY_ID", "the-key")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        running = server.ThreadedMotoServer("127.0.0.1", 0)
        running.start()
        environment.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*running.get_host_and_port()))
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir(BUCKET)
        yield f"s3://{BUCKET}"
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        running.stop()


@pytest.fixture
def memory() -> Iterator[str]:
    yield "memory://lists"
    fsspec.filesystem("memory").store.clear()


@pytest.fixture(params=["memory", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.getfixturevalue(request.param)}/{tmp_path.name}/a"


@pytest.fixture(scope="session")
def local(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same jobs in folders of this machine."""
    root = tmp_path_factory.mktemp("local")
    run_job(bundle, root / "flat", OPTIONS)
    run_job(bundle, root / "hive", HIVE)
    return root


def contents(place: Path | str) -> dict[str, bytes]:
    folder = open_folder(place)
    return {name: folder.read(name) or b"" for name in folder.names()}


def table(folder: Path) -> pl.DataFrame:
    return pl.DataFrame(pq.read_table(folder)).select("user_id", "item_id", "rank", "score", "source")


def test_hive_partitions_hold_the_same_parts_and_open_as_one_table(local: Path) -> None:
    flat, hive = contents(local / "flat"), contents(local / "hive")
    assert sorted(hive) == ["_manifest.json", *(f"shard=0000{n}/part.parquet" for n in range(6))]
    assert [hive[name] for name in sorted(hive)[1:]] == [flat[name] for name in sorted(flat)[1:]]
    assert table(local / "hive").equals(table(local / "flat"))
    scanned = pl.scan_parquet(local / "hive" / "**/*.parquet", hive_partitioning=True).collect()
    assert scanned["shard"].unique(maintain_order=True).to_list() == list(range(6))
    some = pyarrow.dataset.dataset(local / "hive", partitioning="hive").to_table(
        filter=pyarrow.dataset.field("shard") == 2
    )
    assert set(some["user_id"].to_pylist()) == {f"u{n}" for n in range(20, 30)}


@pytest.mark.parametrize("damage", ["cut", "missing", "stranger"])
def test_hive_partitions_resume(bundle: Path, local: Path, tmp_path: Path, damage: str) -> None:
    run_job(bundle, tmp_path, HIVE)
    part = tmp_path / "shard=00002" / "part.parquet"
    if damage == "cut":
        part.write_bytes(part.read_bytes()[:-5])
    elif damage == "missing":
        part.unlink()
        part.parent.rmdir()
    else:
        (tmp_path / "shard=00009").mkdir()
        (tmp_path / "shard=00009" / "part.parquet").write_bytes(b"of a longer job")
    run_job(bundle, tmp_path, HIVE)
    assert contents(tmp_path) == contents(local / "hive")
    assert len(list(tmp_path.iterdir())) == 7  # an emptied folder goes, too
    with pytest.raises(ScoringError, match="partition_by"):
        run_job(bundle, tmp_path, OPTIONS)
    run_job(bundle, tmp_path, OPTIONS, fresh=True)
    assert contents(tmp_path) == contents(local / "flat")


KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from scoring.config import ScoringConfig
    from scoring.job import run_job

    left, rename = int(sys.argv[3]), os.replace

    def counted():
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def replace(source, target):
        counted()
        rename(source, target)

    os.replace = replace
    if sys.argv[2].startswith("s3://"):
        import s3fs

        send = s3fs.S3FileSystem._call_s3

        async def call(self, method, *args, **options):
            if method == "put_object":
                counted()
            return await send(self, method, *args, **options)

        s3fs.S3FileSystem._call_s3 = call
    options = ScoringConfig(top_k=7, shard_size=10, partition_by=sys.argv[4] if len(sys.argv) > 4 else None)
    run_job(Path(sys.argv[1]), sys.argv[2], options)
""")


def killed(bundle: Path, out: Path | str, write: int, *more: str) -> None:
    command = [sys.executable, "-c", KILLED, str(bundle), str(out), str(write), *more]
    got = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert got.returncode == -9, got.stderr


def test_a_killed_job_of_partitions_goes_on(bundle: Path, local: Path, tmp_path: Path) -> None:
    killed(bundle, tmp_path, 6, "shard")  # journal, then part and journal: before the third part
    whole, found = contents(local / "hive"), contents(tmp_path)
    assert "_manifest.json" not in found and sum(name.endswith("/part.parquet") for name in found) == 2
    run_job(bundle, tmp_path, HIVE)
    assert contents(tmp_path) == whole and len(list(tmp_path.iterdir())) == 7


def test_a_killed_job_on_s3_goes_on(bundle: Path, local: Path, s3: str) -> None:
    killed(bundle, f"{s3}/killed", 7)  # owner, journal, then part and journal: before the journal of the third part
    whole, found = contents(local / "flat"), contents(f"{s3}/killed")
    assert sorted(found) == ["_job.json", OWNER, *(f"part-0000{n}.parquet" for n in range(2))]
    assert all(found[name] == whole[name] for name in found if name.startswith("part-"))
    run_job(bundle, f"{s3}/killed", OPTIONS)
    assert contents(f"{s3}/killed") == whole


@pytest.mark.parametrize(("options", "kind"), [(OPTIONS, "flat"), (HIVE, "hive")])
def test_an_address_gets_the_bytes_of_a_folder(
    bundle: Path, local: Path, address: str, options: ScoringConfig, kind: str
) -> None:
    manifest = run_job(bundle, address, options)
    assert contents(address) == contents(local / kind)
    assert run_job(bundle, address, options) == manifest
    part = sorted(manifest["parts"])[3]
    system, root = fsspec.url_to_fs(address)
    system.pipe_file(f"{root}/{part}", b"damaged")
    run_job(bundle, address, options)
    assert contents(address) == contents(local / kind)
    with pytest.raises(ScoringError, match="holds a job with options"):
        run_job(bundle, address, options.model_copy(update={"top_k": 3}))
    run_job(bundle, address, ScoringConfig(top_k=3), fresh=True)
    assert sorted(contents(address)) == ["_manifest.json", "part-00000.parquet"]


def test_another_process_writes_for_the_same_call(s3: str) -> None:
    with open_folder(f"{s3}/spread").held() as held:
        pickle.loads(pickle.dumps(held)).write("part-00000.parquet", b"whole")
        assert held.read("part-00000.parquet") == b"whole"
        with open_folder(f"{s3}/spread").held(), pytest.raises(ScoringError, match="a later call"):
            pickle.loads(pickle.dumps(held)).write("part-00000.parquet", b"late")
    assert contents(f"{s3}/spread") == {"part-00000.parquet": b"whole"}


def test_similar_items_at_an_address(bundle: Path, s3: str, tmp_path: Path) -> None:
    run_similar(bundle, f"{s3}/alike", HIVE)
    run_similar(bundle, tmp_path / "alike", HIVE)
    assert contents(f"{s3}/alike") == contents(tmp_path / "alike")
    read = pyarrow.dataset.dataset(f"{BUCKET}/alike", filesystem=fsspec.filesystem("s3"), partitioning="hive")
    assert read.to_table().num_rows == pq.read_table(tmp_path / "alike").num_rows


def test_the_later_of_two_calls_takes_an_address_over(bundle: Path, local: Path, address: str) -> None:
    earlier, later = threading.Event(), threading.Event()

    def overtaken(done: int, total: int) -> None:
        if done == 20 and not earlier.is_set():
            earlier.set()
            run_job(bundle, address, OPTIONS)
            later.set()

    with pytest.raises(ScoringError, match="a later call has taken this job over"):
        run_job(bundle, address, OPTIONS, progress=overtaken)
    assert later.is_set() and contents(address) == contents(local / "flat")


def test_no_secret_is_kept_or_said(bundle: Path, s3: str, tmp_path: Path) -> None:
    run_job(bundle, f"{s3}/kept", OPTIONS)
    assert not any(b"the-secret" in content or b"the-key" in content for content in contents(f"{s3}/kept").values())
    for given in ("s3://the-key:the/secret@shop/x", "sftp://me:the/secret@host/x", "abfs://shop/x?sig=the/secret"):
        with pytest.raises(ScoringError, match="the address holds credentials; leave them to the environment") as told:
            run_job(bundle, given, OPTIONS)
        assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("s4://shop/x", "s4://shop/x: Protocol not known"),
        ("simplecache::s3://shop/x", "an address inside another"),
        ("s3://nowhere/x", "s3://nowhere/x/_owner: cannot be written"),
    ],
)
def test_bad_addresses_are_told(bundle: Path, s3: str, given: str, said: str) -> None:
    with pytest.raises(ScoringError, match=said) as told:
        run_job(bundle, given, OPTIONS)
    assert "\n" not in str(told.value)
    assert not fsspec.filesystem("s3").exists("nowhere")


def test_memory_is_one_process_alone(bundle: Path, memory: str) -> None:
    with pytest.raises(ScoringError, match="leave workers out"):
        run_job(bundle, memory, OPTIONS.model_copy(update={"workers": 2}))


def test_a_file_address_is_a_folder(tmp_path: Path) -> None:
    assert open_folder(f"file://{tmp_path}/x") == LocalFolder(tmp_path / "x")
    assert pickle.loads(pickle.dumps(open_folder("memory://x"))) == open_folder("memory://x")
