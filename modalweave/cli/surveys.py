"""The command `survey`: a questionnaire and a plan before, the analysis after."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from modalweave.cli.options import AsJson


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(survey)


def survey(
    answers: Annotated[
        Path | None, typer.Argument(help="Answers, a row each respondent: CSV, Parquet or Arrow.", show_default=False)
    ] = None,
    design: Annotated[Path | None, typer.Option(help="YAML: which columns are questions, and of which kind.")] = None,
    control: Annotated[str | None, typer.Option(help="The variant that the others are held against.")] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(
            help="A run by config or workspace, or VARIANT=RUN: who of its users answered, and whether its metrics "
            "tell who is satisfied."
        ),
    ] = None,
    split: Annotated[Literal["test", "valid"], typer.Option(help="--run: of which its metrics are taken.")] = "test",
    out: Annotated[
        Path | None,
        typer.Option(
            help="The page, beside the answers unless given; --questionnaire: the folder.", show_default=False
        ),
    ] = None,
    questionnaire: Annotated[
        Literal["en", "zh"] | None, typer.Option(help="Write a questionnaire to hand out, and its design, instead.")
    ] = None,
    plan: Annotated[
        float | None,
        typer.Option(
            help="How many answers it takes, instead, to find this chance that an answer on the new variant is the "
            "higher one (0.5: no difference)."
        ),
    ] = None,
    power: Annotated[float, typer.Option(help="--plan: chance to find it.")] = 0.8,
    response_rate: Annotated[float, typer.Option(help="--plan: share of the invited who answer.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """What people say: questions by variant, reliability, preferences, free texts, who answered; a plan and a form."""
    if sum(given is not None for given in (answers, questionnaire, plan)) != 1:
        raise typer.BadParameter("name a file of answers, or --questionnaire en|zh, or --plan 0.6")
    from modalweave.cli import survey_tables as tables

    if plan is not None:
        from evaluation.surveys.planning import survey_plan

        found = survey_plan(plan, power=power, response_rate=response_rate)
        tables.finish(vars(found), as_json, tables.plan)
    elif questionnaire is not None:
        from modalweave.stages.questionnaire import write_questionnaire

        tables.finish(write_questionnaire(questionnaire, out or Path("survey")), as_json, tables.pairs)
    elif answers is not None:
        from modalweave.progress import Stages
        from modalweave.stages import survey as surveying

        result = surveying.survey(
            answers,
            design=design,
            control=control,
            runs=run or (),
            split=split,
            out=out,
            stages=Stages(quiet=as_json),
        )
        tables.finish(result, as_json, tables.survey)
