"""A survey from its file to its page: answers, free texts, who answered, and what offline metrics say of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from common.problems import place, sentence
from evaluation.survey import Survey, read_survey
from evaluation.surveys.analysis import analyse_survey
from evaluation.surveys.design import SurveyDesign, SurveyQuestion
from evaluation.surveys.report import write_survey
from modalweave.config import read_config
from modalweave.errors import ConfigError
from modalweave.progress import Stages
from modalweave.results.survey import FreeTexts, RunLink, SurveyResult


def survey(
    answers: Path,
    *,
    design: Path | None,
    control: str | None,
    runs: Sequence[str],
    split: Literal["test", "valid"],
    out: Path | None,
    stages: Stages,
) -> SurveyResult:
    """Analyse the answers and write the page.

    Args:
        answers: `.csv`, `.parquet` or `.arrow`, a row for each respondent and variant.
        design: YAML; every other column is a Likert question unless given.
        control: overrides the design's.
        runs: `RUN` or `VARIANT=RUN`, by config or workspace: whose user base and metrics the respondents are held to.
        split: of those metrics.
        out: the page; beside the answers unless given.
        stages: progress.
    """
    asked = read_survey(answers, read_design(design) if design is not None else None)
    analysis = analyse_survey(asked, control=control)
    result = SurveyResult(
        title=asked.design.title,
        answers=str(answers),
        analysis=analysis,
        texts=_grouped(asked, stages),
        runs=_linked(asked, runs, split, stages),
        page=str(out or answers.with_suffix(".html")),
    )
    write_survey(Path(result.page), result.to_json())
    return result


def read_design(path: Path) -> SurveyDesign:
    """A design from its YAML file. Raises `ConfigError` in one line that names the key."""
    try:
        return SurveyDesign.model_validate(read_config(path))
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(place(problem))
        if problem["type"] == "extra_forbidden":
            raise ConfigError(f"{path}: unknown key {key!r}; known are {', '.join(_known(problem['loc']))}") from None
        raise ConfigError(f"{path}: {f'{key}: ' if key else ''}{sentence(error)}") from None


def _known(location: tuple[int | str, ...]) -> Sequence[str]:
    return list((SurveyQuestion if len(location) > 1 else SurveyDesign).model_fields)


def _grouped(asked: Survey, stages: Stages) -> dict[str, FreeTexts]:
    if not asked.texts:
        return {}
    from modalweave.stages.survey_texts import free_texts

    with stages.stage("texts", "Grouping free answers"):
        return free_texts(asked)


def _linked(asked: Survey, runs: Sequence[str], split: Literal["test", "valid"], stages: Stages) -> tuple[RunLink, ...]:
    if not runs:
        return ()
    from modalweave.stages.survey_runs import link_run  # torch

    return tuple(link_run(asked, given, split, stages) for given in runs)
