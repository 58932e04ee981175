"""Components by name: lazy, open to packages and programs outside, strict about typos."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, ValidationError

from common.registry import Registry, UnknownName


@pytest.fixture
def colours() -> Registry[Any]:
    return Registry("colour", {"ordered": "collections:OrderedDict", "json": "json"}, group="modalweave.colours")


def test_a_builtin_is_an_attribute_or_a_module(colours: Registry[Any]) -> None:
    from collections import OrderedDict

    assert colours["ordered"] is OrderedDict
    assert colours["json"].dumps([1]) == "[1]"
    assert list(colours) == ["ordered", "json"]
    assert len(colours) == 2


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys\nfrom common.registry import Registry\n"
        "r = Registry('x', {'wave': 'wave:open'})\n"
        "assert list(r) == ['wave'] and r.checked('wave') and 'wave' not in sys.modules\n"
        "r['wave']\nassert 'wave' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_an_unknown_name_is_told_with_the_nearest_one(colours: Registry[Any]) -> None:
    with pytest.raises(UnknownName, match=r"^colour 'orderd' is unknown; did you mean 'ordered'\?$"):
        colours["orderd"]
    with pytest.raises(UnknownName, match=r"^colour 'zzz' is unknown; use one of ordered, json$"):
        colours.checked("zzz")
    assert colours.get("zzz") is None


def test_a_program_registers_its_own_and_cannot_take_a_name(colours: Registry[Any]) -> None:
    colours.register("mine", dict)
    assert colours["mine"] is dict
    assert "mine" in colours
    colours.register("mine", dict)
    with pytest.raises(ValueError, match="colour 'ordered' is there already"):
        colours.register("ordered", dict)
    colours.unregister("mine")
    assert "mine" not in colours


def test_an_installed_package_brings_one_by_an_entry_point(
    colours: Registry[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside.py").write_text("class Violet: ...\n")
    info = tmp_path / "outside-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[modalweave.colours]\nviolet = outside:Violet\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "violet" in list(colours)
    assert colours["violet"].__name__ == "Violet"


def test_a_config_takes_known_names_only(colours: Registry[Any]) -> None:
    class Settings(BaseModel):
        colour: Annotated[str, AfterValidator(colours.checked)] = "json"

    assert Settings(colour="ordered").colour == "ordered"
    with pytest.raises(ValidationError, match="did you mean 'json'"):
        Settings(colour="jsn")
