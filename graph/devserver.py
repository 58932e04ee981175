"""A real Neo4j Community server without Docker, for development and tests: `python -m graph.devserver`.

The server's jars come from Maven Central once (150 MB) and are kept in `~/.cache/modalweave/neo4j/<version>`.
Each start has a fresh, empty home in a temporary folder, listens on loopback only, on a free port, under a
random password, and is gone with its data when it stops.
"""

import argparse
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import neo4j
import neo4j.exceptions

from graph.errors import StoreError

VERSIONS: Mapping[str, tuple[int, int]] = {"5.26.30": (17, 21), "2026.08.1": (21, 25)}
"""Server version -> the oldest and newest Java it runs on; the long-term release first."""

CACHE = Path.home() / ".cache" / "modalweave" / "neo4j"
"""Where the jars of each version are kept."""

_JVM_OPTIONS = (
    "-Xms512m",
    "-Xmx512m",
    "-XX:+UseG1GC",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
)
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>neo4j-jars</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>{0}</version></dependency>
<dependency><groupId>org.neo4j.app</groupId><artifactId>neo4j-server</artifactId><version>{0}</version></dependency>
</dependencies></project>
"""
_CONFIGURATION = """server.default_listen_address=127.0.0.1
server.bolt.listen_address=127.0.0.1:{port}
server.http.enabled=false
server.https.enabled=false
dbms.usage_report.enabled=false
server.memory.pagecache.size=128m
db.tx_log.preallocate=false
"""


@dataclass(frozen=True)
class Server:
    """A running server: its version, Bolt address, and `(user, password)`."""

    version: str
    address: str
    credentials: tuple[str, str] = field(repr=False)


def startable_versions() -> dict[str, Path]:
    """Version -> the Java home it would run on here; empty where no fitting Java is found."""
    homes = _java_homes()
    found = {}
    for version, (oldest, newest) in VERSIONS.items():
        fitting = sorted((release, home) for home, release in homes.items() if oldest <= release <= newest)
        if fitting:
            found[version] = fitting[0][1]
    return found


@contextmanager
def running_server(
    version: str = "5.26.30", *, port: int = 0, cache: Path = CACHE, patience: float = 180.0
) -> Iterator[Server]:
    """Start a server (fetching its jars if they are not cached) and stop it at the end.

    `port` 0 takes a free one; `patience` is how many seconds it may take to answer. Raises `StoreError` where
    Java or Maven is missing, the jars cannot be had, or the server does not come up.
    """
    java = startable_versions().get(version)
    if java is None:
        oldest, newest = VERSIONS.get(version, (21, 25))
        raise StoreError(f"Neo4j {version} needs a Java {oldest} to {newest}; install one under /usr/lib/jvm")
    jars = install(version, java, cache)
    with tempfile.TemporaryDirectory(prefix="modalweave-neo4j-") as folder:
        home = Path(folder)
        port = port or _free_port()
        _prepare_home(home, port)
        with _process(version, home, java, jars) as process:
            credentials = ("neo4j", secrets.token_urlsafe(16))
            _set_password(port, credentials, process, home, patience)
            yield Server(version, f"bolt://127.0.0.1:{port}", credentials)


def install(version: str, java: Path, cache: Path = CACHE) -> Path:
    """The folder with the jars of a version, fetched with Maven if it is not there yet (10 to 60 s)."""
    jars = cache / version / "lib"
    if jars.is_dir():
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        raise StoreError(f"Neo4j {version} is not in {cache} and Maven is not installed; install mvn")
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jars.parent) as folder:
        (Path(folder) / "pom.xml").write_text(_POM.format(version))
        goal = ("-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=lib")
        environment = {**os.environ, "JAVA_HOME": str(java)}
        done = subprocess.run(  # noqa: S603
            [maven, *goal], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            reason = next((line for line in done.stdout.splitlines() if "ERROR" in line), "see mvn")
            raise StoreError(f"Neo4j {version} cannot be fetched from Maven Central: {reason[:200]}")
        with suppress(OSError):  # another process was faster: its jars are as good
            (Path(folder) / "lib").rename(jars)
    return jars


def main() -> None:
    """Start a server, print its address and credentials, run until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m graph.devserver", description=main.__doc__)
    parser.add_argument("--version", choices=list(VERSIONS), default="5.26.30")
    parser.add_argument("--port", type=int, default=0, help="Bolt port on 127.0.0.1 (default: a free one)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running_server(options.version, port=options.port) as server:
            user, password = server.credentials
            print(f"Neo4j {server.version} at {server.address}; Ctrl-C stops it and drops its data.")
            exports = {"URI": server.address, "USERNAME": user, "PASSWORD": password}
            print("export", *(f"NEO4J_{k}={v}" for k, v in exports.items()), flush=True)
            signal.pause()
    except StoreError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        print("stopped")


def _java_homes() -> dict[Path, int]:
    candidates = [Path(os.environ["JAVA_HOME"])] if "JAVA_HOME" in os.environ else []
    candidates += sorted(Path("/usr/lib/jvm").glob("*")) + sorted(
        Path("/Library/Java/JavaVirtualMachines").glob("*/Contents/Home")
    )
    if default := shutil.which("java"):
        candidates.append(Path(default).resolve().parent.parent)
    releases = {}
    for home in candidates:
        if (home / "bin" / "java").is_file() and (home / "release").is_file():
            line = re.search(r'JAVA_VERSION="(\d+)', (home / "release").read_text())
            if line:
                releases[home] = int(line.group(1))
    return releases


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _prepare_home(home: Path, port: int) -> None:
    for name in ("conf", "data", "logs", "run", "import", "plugins", "licenses", "lib"):
        (home / name).mkdir()
    (home / "conf" / "neo4j.conf").write_text(_CONFIGURATION.format(port=port))


@contextmanager
def _process(version: str, home: Path, java: Path, jars: Path) -> Iterator["subprocess.Popen[bytes]"]:
    # where the tool exists, the server also dies when this process is killed outright
    guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    entry = "CommunityEntryPoint" if version.startswith("5.") else "Neo4jCommunity"
    command = [*guard, str(java / "bin" / "java"), *_JVM_OPTIONS, "-cp", f"{jars}/*"]
    arguments = [f"org.neo4j.server.{entry}", f"--home-dir={home}", f"--config-dir={home / 'conf'}"]
    with (home / "console.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            [*command, *arguments], stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=home
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _set_password(
    port: int,
    credentials: tuple[str, str],
    process: "subprocess.Popen[bytes]",
    home: Path,
    patience: float,
) -> None:
    """Wait until the server answers, then replace its first password (never on a command line)."""
    user, password = credentials
    address = f"bolt://127.0.0.1:{port}"
    statement = "ALTER CURRENT USER SET PASSWORD FROM $old TO $new"
    deadline = time.monotonic() + patience
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            with (
                neo4j.GraphDatabase.driver(address, auth=(user, "neo4j")) as driver,
                driver.session(database="system") as session,
            ):
                session.run(statement, {"old": "neo4j", "new": password}).consume()
            return
        except (OSError, neo4j.exceptions.DriverError, neo4j.exceptions.Neo4jError) as error:
            reason = str(error)
        if process.poll() is not None or time.monotonic() > deadline:
            log = (home / "console.log").read_text(errors="replace").split("\n")
            said = next((line for line in reversed(log) if "ERROR" in line or "Caused by" in line), reason)
            raise StoreError(f"Neo4j at {address} did not start: {said.strip()[:200]}")
        time.sleep(0.25)


if __name__ == "__main__":
    main()
