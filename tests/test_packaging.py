"""The wheel and the source archive, built and installed as from an index: everything is inside, and it runs."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("common", "graph", "encoders", "evaluation", "etl", "gnn", "scoring", "modalweave")
_BUILD = "import sys; from setuptools import build_meta as b; getattr(b, 'build_' + sys.argv[1])(sys.argv[2])"


def _run(*command: object, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _tracked() -> set[str]:
    """What belongs into a wheel: every module and data file of the rooms."""
    found = (path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in found if path.suffix != ".pyc"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, built from a copy of what it is made of."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("sdist")
    for name in (*_tracked(), "pyproject.toml", "README.md", "LICENSE"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    _run(sys.executable, "-c", _BUILD, "sdist", out, cwd=source)
    return next(out.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from nothing but the source archive."""
    source, out = tmp_path_factory.mktemp("unpacked"), tmp_path_factory.mktemp("wheel")
    with tarfile.open(archive) as tar:
        tar.extractall(source, filter="data")
    _run(sys.executable, "-c", _BUILD, "wheel", out, cwd=next(source.iterdir()))
    return next(out.glob("*.whl"))


def test_every_module_and_data_file_is_inside_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
    assert names == _tracked()
    assert {"modalweave/py.typed", "common/page.html"} <= names


def test_it_runs_from_a_clean_environment_and_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """The dependencies are those of this environment; Modalweave itself comes from the wheel alone."""
    empty = tmp_path / "empty"
    empty.mkdir()
    _run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=empty)
    scripts = "Scripts" if sys.platform == "win32" else "bin"
    python = tmp_path / "venv" / scripts / "python"
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "-q", wheel, cwd=empty)
    site = _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=empty).strip()
    (Path(site) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = _run(python, "-c", "import modalweave, common.page, gnn.registry; print(modalweave.__file__)", cwd=empty)
    assert Path(where.strip()).is_relative_to(tmp_path / "venv")
    assert "cypher" in _run(tmp_path / "venv" / scripts / "modalweave", "--help", cwd=empty)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert version in _run(python, "-m", "modalweave", "--version", cwd=empty)


def test_constraints_allow_what_is_asked_for() -> None:
    """Each tested version lies in the range that the project asks for; every requirement has a tested version."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(text) for text in project["dependencies"]]
    for name in ("constraints.txt", "constraints-lowest.txt"):
        lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
        tested = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}
        for requirement in asked:
            version = tested.get(canonicalize_name(requirement.name))
            assert version is not None, f"{name} has no {requirement.name}"
            assert requirement.specifier.contains(version), f"{name}: {requirement} does not allow {version}"
