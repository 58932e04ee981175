"""The commands of experiments: `ab design`, `ab assign` and `ab analyse`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from modalweave.cli.options import AsJson

app = typer.Typer(no_args_is_help=True, help="Experiments: what one takes, who meets which variant, what came of it.")

Design = Annotated[Path, typer.Option("--design", help="YAML: variants, metrics, segments, columns.")]
Table = Annotated[str, typer.Option(help="Of a database: the table of events.")]


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(app, name="ab")


@app.command()
def design(
    effect: Annotated[float, typer.Option(help="What is to be found, as a share of control: 0.02 is 2 % more.")],
    past: Annotated[
        str | None, typer.Option(help="Past events, a file or a SQLAlchemy address: with --design.", show_default=False)
    ] = None,
    file: Annotated[Path | None, typer.Option("--design", help="YAML: the experiment; with --past.")] = None,
    table: Table = "events",
    rate: Annotated[float | None, typer.Option(help="Without past data: control's share of users, e.g. 0.1.")] = None,
    mean: Annotated[float | None, typer.Option(help="Or control's mean, with --deviation.")] = None,
    deviation: Annotated[float | None, typer.Option(help="Standard deviation between users.")] = None,
    variants: Annotated[int, typer.Option(min=2, help="Without past data: variants, control included.")] = 2,
    daily_users: Annotated[int | None, typer.Option(min=1, help="Without past data: new users a day.")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long the experiment may run.")] = 14,
    alpha: Annotated[float, typer.Option(help="Without past data: chance of a false claim.")] = 0.05,
    power: Annotated[float, typer.Option(help="Chance to find the effect.")] = 0.8,
    runs: Annotated[int, typer.Option(min=0, help="With --past: simulated experiments; 0: by formula alone.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the simulation.")] = 0,
    as_json: AsJson = False,
) -> None:
    """How many users and days an experiment takes, what it can find, and whether that holds on past users."""
    if (past is None) != (file is None) or sum(given is not None for given in (past, rate, mean)) != 1:
        raise typer.BadParameter("give --past and --design, or --rate, or --mean and --deviation")
    if (mean is None) != (deviation is None):
        raise typer.BadParameter("--mean and --deviation come together")
    if rate is not None and not 0 < rate < 1:
        raise typer.BadParameter(f"--rate {rate} is no share of users; give e.g. 0.1")
    from modalweave.cli import ab_tables as tables
    from modalweave.progress import Stages
    from modalweave.stages import experiment

    if past is not None and file is not None:
        plan = experiment.plan_from_past(
            past,
            experiment.read_design(file),
            table=table,
            effect=effect,
            days=days,
            power=power,
            runs=runs,
            seed=seed,
            stages=Stages(quiet=as_json),
        )
    else:
        baseline = rate if rate is not None else mean or 0.0
        spread = (rate * (1 - rate)) ** 0.5 if rate is not None else deviation or 0.0
        plan = experiment.plan_by_formula(
            baseline,
            spread,
            effect=effect,
            variants=variants,
            alpha=alpha,
            power=power,
            daily=daily_users,
            days=days,
        )
    tables.finish(plan, as_json, tables.plan)


@app.command()
def assign(
    file: Design,
    users: Annotated[
        Path | None,
        typer.Option(help="Ids: .txt, one a line, or a table with user_id; stdin unless given.", show_default=False),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="With --users: .csv or .parquet.", show_default=False)] = None,
    exclude: Annotated[Path | None, typer.Option(help="Ids that are in no variant, as --users.")] = None,
    ramp: Annotated[
        float | None, typer.Option(help="Share of the eligible who are in, instead of the design's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Who meets which variant: ids on stdin, a row each on stdout as they come; or a file."""
    if (users is None) != (out is None) or (as_json and out is None):
        raise typer.BadParameter("--users and --out come together, --json with them; else ids are read from stdin")
    if ramp is not None and not 0 < ramp <= 1:
        raise typer.BadParameter(f"--ramp {ramp} is no share; give e.g. 0.1")
    from modalweave.cli import ab_tables as tables
    from modalweave.stages import experiment

    read = experiment.read_design(file)
    asked = read if ramp is None else read.model_copy(update={"ramp": ramp})
    if users is not None and out is not None:
        tables.finish(experiment.assign_file(users, out, asked, exclude=exclude), as_json, tables.assignment)
    else:
        experiment.assign_stream(sys.stdin, sys.stdout, asked, exclude=exclude)


@app.command()
def analyse(
    events: Annotated[
        str, typer.Argument(help="Parquet, CSV or Arrow, or a SQLAlchemy address (SQL_USERNAME, SQL_PASSWORD).")
    ],
    file: Design,
    table: Table = "events",
    assignment: Annotated[
        Path | None, typer.Option(help="What `ab assign` wrote, where events do not say the variant.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The page; NAME.html unless given.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """What came of an experiment: checks, every metric against control, through time and by segment."""
    from modalweave.cli import ab_tables as tables
    from modalweave.progress import Stages
    from modalweave.stages import experiment

    result = experiment.analyse(
        events,
        experiment.read_design(file),
        table=table,
        assignment=assignment,
        out=out,
        stages=Stages(quiet=as_json),
    )
    tables.finish(result, as_json, tables.analysis)
