"""The guides: their Python runs, their configs parse, their commands and links exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

ROOT = Path(__file__).parents[2]
GUIDES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md", ROOT / "docker" / "README.md"])
READMES = [ROOT / "README.md", ROOT / "README.zh.md"]
BLOCK = re.compile(r"^```([a-z]+)([a-z ]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(guide: Path, language: str, mark: str = "") -> list[str]:
    found = BLOCK.findall(guide.read_text(encoding="utf-8"))
    return [text for name, marked, text in found if name == language and marked.strip() == mark]


def named(guide: Path) -> str:
    return str(guide.relative_to(ROOT))


def with_blocks(language: str, mark: str = "") -> list[object]:
    return [
        pytest.param(g, text, id=f"{named(g)}:{n}") for g in GUIDES for n, text in enumerate(blocks(g, language, mark))
    ]


@pytest.mark.parametrize("guide", [g for g in GUIDES if blocks(g, "python")], ids=named)
def test_python_runs_in_the_order_of_the_guide(guide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "guide"}
    for number, text in enumerate(blocks(guide, "python"), start=1):
        exec(compile(text, f"{named(guide)}, block {number}", "exec"), names)


@pytest.mark.parametrize(("guide", "text"), with_blocks("yaml", "config"))
def test_configs_are_accepted(guide: Path, text: str):
    from modalweave.config import parse_config

    config = parse_config(yaml.safe_load(text), where=named(guide))
    for spec in config.encoders.values():
        check_encoder(spec)


@pytest.mark.parametrize(("guide", "text"), with_blocks("yaml", "encoder"))
def test_encoder_settings_are_known(guide: Path, text: str):
    check_encoder(yaml.safe_load(text))


def check_encoder(spec: str | dict | None) -> None:
    """Every name and setting exists; nothing is loaded."""
    from encoders.registry import AUTO, ENCODERS

    if spec in (None, AUTO):
        return
    settings = {"name": spec} if isinstance(spec, str) else dict(spec)
    ENCODERS[settings.pop("name")].Config(**settings)


@pytest.mark.parametrize(("guide", "text"), with_blocks("bash"))
def test_commands_and_options_exist(guide: Path, text: str):
    for line in text.replace("\\\n", " ").splitlines():
        check_command(line)


@pytest.mark.parametrize("readme", READMES, ids=named)
def test_what_a_readme_shows_can_be_typed(readme: Path):
    typed = [line[2:] for text in blocks(readme, "console") for line in text.splitlines() if line.startswith("$ ")]
    assert sum(check_command(line) for line in typed) >= 3


@pytest.mark.parametrize("readme", READMES, ids=named)
def test_the_config_that_a_readme_shows_is_accepted(readme: Path):
    from modalweave.config import parse_config

    shown = [parse_config(yaml.safe_load(text), where=named(readme)) for text in blocks(readme, "yaml")]
    assert shown
    for config in shown:
        for spec in config.encoders.values():
            check_encoder(spec)


def test_both_readmes_show_the_same_commands():
    bare = [[re.sub(r"\s+#.*", "", text, flags=re.MULTILINE) for text in blocks(r, "console")] for r in READMES]
    assert bare[0] == bare[1]


def test_what_make_runs_can_be_typed():
    lines = re.findall(r"^\t@?\$\(BIN\)/(modalweave .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert any(line.startswith("modalweave demo") for line in lines)
    assert all(check_command(line) for line in lines)


def check_command(line: str) -> bool:
    """A target of the Makefile, or a command with options and a cookbook name that exist; whether it is a command."""
    from graph.cookbook.recipes import COOKBOOK
    from graph.cookbook.similarity_search import SEARCHES
    from modalweave.cli.app import app

    words = shlex.split(line, comments=True)
    if words[:1] == ["make"]:
        assert words[1] in set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)), line
    if words[:1] != ["modalweave"]:
        return False
    command = typer.main.get_command(app).commands[words[1]]  # type: ignore[attr-defined]
    if hasattr(command, "commands"):
        command, words = command.commands[words[2]], words[1:]
    options = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
    assert {w.split("=")[0] for w in words[2:] if w.startswith("--")} <= options, line
    if "--name" in words:
        assert words[words.index("--name") + 1] in {**COOKBOOK, **SEARCHES}, line
    return True


@pytest.mark.parametrize("guide", GUIDES, ids=named)
def test_inline_commands_name_real_commands(guide: Path):
    from modalweave.cli.app import app

    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    used = re.findall(r"`modalweave ([a-z]+)", guide.read_text(encoding="utf-8"))
    assert set(used) <= set(known)


@pytest.mark.parametrize("guide", GUIDES, ids=named)
def test_links_lead_somewhere(guide: Path):
    for target in re.findall(r"\]\(([^)#]+)", guide.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (guide.parent / target).exists(), target


@pytest.mark.parametrize("guide", GUIDES, ids=named)
def test_files_that_are_named_exist(guide: Path):
    rooms = "graph|encoders|etl|gnn|scoring|evaluation|modalweave|docker|docs|benchmarks|tests"
    for path in re.findall(rf"`((?:{rooms})/[\w./-]+\.(?:py|md|yaml))`", guide.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), path


def test_the_format_table_is_the_registry():
    from etl.sources import SOURCES

    section = (ROOT / "docs" / "datasets.md").read_text().split("## Other formats")[1]
    assert set(re.findall(r"^\| `([a-z]+)` \|", section, re.MULTILINE)) == set(SOURCES)


def test_the_encoder_table_is_the_registry():
    from encoders.registry import ENCODERS

    rows = re.findall(r"^\| `([a-z_0-9]+)` \|", (ROOT / "docs" / "encoders.md").read_text(), re.MULTILINE)
    assert set(rows) == set(ENCODERS)
