"""The one door: what `import modalweave` gives, how little it costs, and that a type checker sees it."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import modalweave as mw

ROOT = Path(__file__).parents[2]


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stdout.strip()


def test_importing_it_loads_next_to_nothing() -> None:
    heavy = "('torch', 'transformers', 'polars', 'pyarrow', 'pydantic', 'graph', 'gnn')"
    assert python(f"import sys, modalweave; print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_every_public_name_is_there_with_a_docstring_and_an_example() -> None:
    assert set(mw.__all__) == set(dir(mw))
    for name in mw.__all__:
        found = getattr(mw, name)
        if name == "__version__" or (isinstance(found, type) and issubclass(found, Exception)):
            continue
        assert found.__doc__, name
        for method in [m for m in vars(found) if not m.startswith("_")] if name in ("Run", "Model") else ():
            assert f".{method}" in getattr(found, method).__doc__, f"{name}.{method} has no example"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'recommend'"):
        _ = mw.recommend


def test_the_version_is_the_installed_one(modalweave) -> None:
    assert mw.__version__ == version("modalweave")
    shown = modalweave("--version")
    assert (shown.code, shown.out.strip()) == (0, mw.__version__)


def test_python_runs_the_module() -> None:
    command = [sys.executable, "-m", "modalweave", "--version"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == mw.__version__


def test_type_checkers_are_told() -> None:
    assert (Path(mw.__file__).parent / "py.typed").exists()
    assert "py.typed" in (ROOT / "pyproject.toml").read_text()


def test_errors_are_value_errors() -> None:
    assert issubclass(mw.RunError, ValueError) and issubclass(mw.ConfigError, ValueError)
