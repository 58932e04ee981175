"""The commands that put questions to a language model: `enrich` and `ask`."""

from pathlib import Path
from typing import Annotated

import typer

from modalweave.cli.explore import ConfigOption, StoreOption
from modalweave.cli.options import AsJson, Config, Override


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(enrich)
    app.command()(ask)


def enrich(
    config: Config,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count calls and tokens, estimate cost and time; send nothing.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many items, and a page to judge them by.")] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="The page; else enrichment.html in the workspace, with --limit.")
    ] = None,
    override: Override = None,
    as_json: AsJson = False,
) -> None:
    """Ask the language model of the config for texts and facts about items; `build` puts them into the graph.

    What it replies is kept: nothing is asked, or paid, twice. Start with --dry-run, then --limit 20.
    """
    from modalweave.cli import tables
    from modalweave.cli.language_tables import enrichment
    from modalweave.config import load_config
    from modalweave.progress import Stages
    from modalweave.stages.enrichment import enrich_run

    settings = load_config(config, override or ())
    stages = Stages(quiet=as_json)
    result = enrich_run(settings, dry_run=dry_run, limit=limit, page=out_file, stages=stages)
    tables.finish(result, as_json, enrichment)


def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="In plain words, in quotes.", show_default=False)],
    config_path: Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="The run's config file.")] = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many rows.")] = 50,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds before the query is stopped.")] = 30.0,
    override: Override = None,
    as_json: AsJson = False,
) -> None:
    """Ask in plain words: the config's language model makes a read-only query of it, which is shown and run.

    The question and the graph's names are sent, no row of it. What the model writes passes the guard of `cypher`.
    """
    from modalweave.cli import tables
    from modalweave.cli.language_tables import asked
    from modalweave.config import load_config
    from modalweave.progress import Stages
    from modalweave.stages.questions import ask_run

    path = config_path or config
    if path is None:
        raise typer.BadParameter("name the run's config file: its language_model makes the query")
    settings = load_config(path, override or ())
    stages = Stages(quiet=as_json)
    result, titles = ask_run(settings, question, store=store, limit=limit, timeout=timeout, stages=stages)
    tables.finish(result, as_json, lambda found: asked(found, titles))
