"""A real Neo4j Community server without Docker, for development and tests: `python -m tests.devserver`.

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
from typing import LiteralString

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
_ADMIN_CONFIGURATION = """server.jvm.additional=--add-opens=java.base/java.nio=ALL-UNNAMED
"""
_ADMIN = """#!/bin/sh
export NEO4J_HOME='{home}' JAVA_HOME='{java}'
exec "$JAVA_HOME/bin/java" {options} -cp '{jars}/*' org.neo4j.server.startup.Neo4jAdminCommand "$@"
"""
_NEW_PASSWORD = "ALTER CURRENT USER SET PASSWORD FROM $old TO $new"


@dataclass
class Server:
    """A server that answers: its version, Bolt address, and `(user, password)`."""

    version: str
    address: str
    credentials: tuple[str, str] = field(repr=False)


@dataclass
class LocalServer(Server):
    """A server in a home of its own, to be stopped and started again; `home/bin/neo4j-admin` is its admin command."""

    home: Path
    java: Path
    jars: Path
    patience: float = 180.0
    """Seconds that a start may take."""
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it and wait until it answers; `StoreError` with the log's reason where it does not.

        Where the system can tie the two, the server dies with the thread that called this.
        """
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        entry = "CommunityEntryPoint" if self.version.startswith("5.") else "Neo4jCommunity"
        command = [*guard, str(self.java / "bin" / "java"), *_JVM_OPTIONS, "-cp", f"{self.jars}/*"]
        arguments = [f"org.neo4j.server.{entry}", f"--home-dir={self.home}", f"--config-dir={self.home / 'conf'}"]
        with (self.home / "console.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *arguments], stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=self.home
            )
        _set_password(self, self._process)

    def stop(self, *, kill: bool = False) -> None:
        """Shut it down, or with `kill` end it as a crash would; nothing happens where it does not run."""
        if self._process is None:
            return
        if not kill:
            self._process.terminate()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                kill = True
        if kill:
            self._process.kill()
            self._process.wait()
        self._process = None


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
) -> Iterator[LocalServer]:
    """Start a server (fetching its jars if they are not cached) and stop it at the end.

    `port` 0 takes a free one; `patience` is how many seconds it may take to answer. Raises `StoreError` where
    Java or Maven is missing, the jars cannot be had, or the server does not come up.
    """
    java = startable_versions().get(version)
    if java is None:
        oldest, newest = VERSIONS.get(version, (21, 25))
        raise StoreError(f"Neo4j {version} needs a Java {oldest} to {newest}; install one under /usr/lib/jvm")
    jars = install(version, java, cache)
    with tempfile.TemporaryDirectory(prefix="modalweave-neo4j-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        port = port or _free_port()
        _prepare_home(home, port, java, jars)
        credentials = ("neo4j", secrets.token_urlsafe(16))
        server = LocalServer(version, f"bolt://127.0.0.1:{port}", credentials, home, java, jars, patience)
        try:
            server.start()
            yield server
        finally:
            server.stop()


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
        done = subprocess.run([maven, *goal], cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = next((line for line in done.stdout.splitlines() if "ERROR" in line), "see mvn")
            raise StoreError(f"Neo4j {version} cannot be fetched from Maven Central: {reason[:200]}")
        with suppress(OSError):  # another process was faster: its jars are as good
            (Path(folder) / "lib").rename(jars)
    return jars


def main() -> None:
    """Start a server, print its address and credentials, run until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.devserver", description=main.__doc__)
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


def _prepare_home(home: Path, port: int, java: Path, jars: Path) -> None:
    for name in ("conf", "data", "logs", "run", "import", "plugins", "licenses", "bin"):
        (home / name).mkdir()
    (home / "lib").symlink_to(jars)
    (home / "conf" / "neo4j.conf").write_text(_CONFIGURATION.format(port=port))
    (home / "conf" / "neo4j-admin.conf").write_text(_ADMIN_CONFIGURATION)
    admin = home / "bin" / "neo4j-admin"
    admin.write_text(_ADMIN.format(java=java, options=" ".join(_JVM_OPTIONS), jars=jars, home=home))
    admin.chmod(0o755)


def _set_password(server: LocalServer, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the server answers to its password; a new one gets it first (never on a command line)."""
    user, password = server.credentials
    deadline = time.monotonic() + server.patience
    while True:
        try:
            socket.create_connection(("127.0.0.1", int(server.address.rsplit(":", 1)[1])), timeout=5).close()
            with suppress(neo4j.exceptions.AuthError):  # raised where it got its password at an earlier start
                _run(server.address, (user, "neo4j"), "system", _NEW_PASSWORD, {"old": "neo4j", "new": password})
            _run(server.address, server.credentials, "neo4j", "RETURN 1", {})
            return
        except (OSError, neo4j.exceptions.DriverError, neo4j.exceptions.Neo4jError) as error:
            reason = str(error)
        if process.poll() is not None or time.monotonic() > deadline:
            log = (server.home / "console.log").read_text(errors="replace").split("\n")
            said = next((line for line in reversed(log) if "ERROR" in line or "Caused by" in line), reason)
            raise StoreError(f"Neo4j at {server.address} did not start: {said.strip()[:200]}")
        time.sleep(0.25)


def _run(
    address: str, credentials: tuple[str, str], database: str, statement: LiteralString, values: dict[str, str]
) -> None:
    with neo4j.GraphDatabase.driver(address, auth=credentials) as driver, driver.session(database=database) as session:
        session.run(statement, values).consume()


if __name__ == "__main__":
    main()
