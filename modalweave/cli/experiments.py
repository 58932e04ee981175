"""The commands that compare, search and plan: `compare`, `study`, `tune` and `doctor --plan`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from modalweave.cli.options import AsJson, Config, Override


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(compare)
    app.command()(study)
    app.command()(tune)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Two runs or more, by config or workspace; the first is what the others are held against."),
    ],
    split: Annotated[Literal["test", "valid"], typer.Option(help="Which held-out interactions.")] = "test",
    users: Annotated[int, typer.Option(min=0, help="Users named whose lists changed most.")] = 10,
    trec: Annotated[
        Path | None, typer.Option(help="Folder for the lists in TREC's format: NAME.run each, and qrels.txt.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The page; compare.html in the first run's workspace unless given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Runs on one split side by side: paired differences, who gains and loses, whose lists changed."""
    if len(runs) < 2:
        raise typer.BadParameter("name two runs or more, e.g. `modalweave compare one.yaml two.yaml`")
    from modalweave.cli import experiment_tables
    from modalweave.progress import Stages
    from modalweave.stages import compare as comparing

    result = comparing.compare(runs, split=split, out=out, trec=trec, changed=users, stages=Stages(quiet=as_json))
    experiment_tables.finish(result, as_json, experiment_tables.compare)


def study(
    config: Config,
    seeds: Annotated[str | None, typer.Option(help="Training seeds, e.g. `0,1,2`.")] = None,
    variants: Annotated[str | None, typer.Option(help="Only these variants, comma-separated.")] = None,
    split: Annotated[Literal["test", "valid"], typer.Option(help="Which held-out interactions.")] = "test",
    markdown: Annotated[Path | None, typer.Option(help="Folder for NAME.md and its plots as PNG.")] = None,
    list_variants: Annotated[bool, typer.Option("--list", help="List the variants and run none.")] = False,
    override: Override = None,
    as_json: AsJson = False,
) -> None:
    """Variants side by side over seeds: what each modality, relation and fusion is worth (study.html)."""
    from modalweave.cli import experiment_tables
    from modalweave.config import load_config
    from modalweave.progress import Stages
    from modalweave.study import study

    given = list(override or ())
    given += [f"study.seeds=[{seeds}]"] if seeds is not None else []
    given += [f"study.variants=[{variants}]"] if variants is not None else []
    settings, stages = load_config(config, given), Stages(quiet=as_json)
    if list_variants:
        experiment_tables.finish(study.listed(settings, stages), as_json, experiment_tables.variants)
        return
    result = study.study(settings, split=split, markdown=markdown, stages=stages)
    experiment_tables.finish(result, as_json, experiment_tables.study)


def tune(
    config: Config,
    trials: Annotated[int | None, typer.Option(min=1, help="Settings to try in all, earlier ones included.")] = None,
    override: Override = None,
    as_json: AsJson = False,
) -> None:
    """Search for better settings on validation; the same call again goes on; writes tuned.yaml."""
    from modalweave.cli import experiment_tables
    from modalweave.config import load_config
    from modalweave.progress import Stages
    from modalweave.study.tune import tune

    given = [*(override or ()), *([f"tune.trials={trials}"] if trials is not None else [])]
    result = tune(load_config(config, given), stages=Stages(quiet=as_json))
    experiment_tables.finish(result, as_json, experiment_tables.tune)


def show_plan(config: Path | None, as_json: bool) -> None:
    """`doctor --plan`: exit code 1 where the run cannot fit."""
    if config is None:
        raise typer.BadParameter("--plan needs the run's config file")
    from modalweave.cli import experiment_tables
    from modalweave.config import load_config
    from modalweave.stages.plan import plan

    result = plan(load_config(config))
    experiment_tables.finish(result, as_json, experiment_tables.plan)
    if not result.fits:
        raise typer.Exit(1)
