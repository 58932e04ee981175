"""Answers of a user survey, read by its design and refused by row and column where they do not fit.

A file has a row for each respondent (and variant, where one person saw several), answers or empty for none. Row
numbers in errors count from 1; the header does not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import scipy.stats
from jaxtyping import Float

from common.text import one_line
from evaluation.errors import EvaluationError
from evaluation.surveys.design import SurveyDesign, SurveyQuestion

Interval = tuple[float, float]
ALL = "all"
"""The variant of a survey without any."""
UNDECIDED = ""
"""A preference for neither."""
_NUMBERS, _CHOICE, _TEXT = ("likert", "csat", "nps"), ("preference",), ("text",)

_READERS = {
    ".csv": lambda p: pl.read_csv(p, infer_schema=False),
    ".parquet": pl.read_parquet,
    ".arrow": pl.read_ipc,
}


@dataclass(frozen=True)
class Survey:
    """Validated answers, one row a respondent and variant."""

    design: SurveyDesign
    """With every question, also where the file's columns gave them."""
    users: list[str]
    variants: list[str]
    numbers: dict[str, Float[np.ndarray, "rows"]]
    """Likert, satisfaction and NPS answers, reversed ones turned round; NaN where a question was left out."""
    choices: dict[str, list[str | None]]
    """Preferences as what they stand for; `UNDECIDED` for neither, None where it was left out."""
    texts: dict[str, list[str | None]]
    """Free texts; None where it was left out."""


def read_survey(path: Path, design: SurveyDesign | None = None) -> Survey:
    """Read `.csv`, `.parquet` or `.arrow`.

    Raises:
        EvaluationError: names the row and the column of an answer off its scale, an empty or repeated id, a column
            that the design does not know.
    """
    table = _read(path)
    design = _complete(path.name, table, design or SurveyDesign())
    ids = [design.user, *([design.variant] if design.variant else [])]
    for column in ids:
        empty = (table[column].cast(pl.String).fill_null("").str.strip_chars() == "").arg_true()
        if len(empty):
            raise EvaluationError(f"{path.name}: row {empty[0] + 1}, column {column!r} is empty; fill it in")
    users = _text(table[design.user]).to_list()
    variants = _text(table[design.variant]).to_list() if design.variant else [ALL] * len(table)
    _check_once(path.name, users, variants)
    if design.control is not None and design.control not in variants:
        raise EvaluationError(f"control {design.control!r} has no answers; variants are {sorted(set(variants))}")
    of_kind = {kind: [n for n, q in design.questions.items() if q.kind in kind] for kind in (_NUMBERS, _CHOICE, _TEXT)}
    return Survey(
        design,
        users,
        variants,
        {name: _numbers(path.name, table[name], design) for name in of_kind[_NUMBERS]},
        {name: _choices(path.name, table[name], design.questions[name]) for name in of_kind[_CHOICE]},
        {name: _text(table[name]).to_list() for name in of_kind[_TEXT]},
    )


def wilson(successes: int, users: int, *, level: float = 0.95) -> Interval:
    """Score interval of a rate (Wilson 1927): right for small samples and rates near 0 or 1."""
    if not 0 <= successes <= users or not users:
        raise EvaluationError(f"{successes}/{users} is no rate; count each user at most once")
    interval = scipy.stats.binomtest(successes, users).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def _complete(file: str, table: pl.DataFrame, design: SurveyDesign) -> SurveyDesign:
    """The design with its variant's column and its questions, where the file has to say; checked against the file."""
    if design.variant is None and "variant" in table.columns and "variant" not in design.questions:
        design = design.model_copy(update={"variant": "variant"})
    others = [c for c in table.columns if c not in (design.user, design.variant, *design.ignore)]
    if not design.questions:
        design = design.model_copy(update={"questions": {column: SurveyQuestion() for column in others}})
    has = f"has {', '.join(table.columns)}"
    for column in (design.user, *([design.variant] if design.variant else []), *design.questions):
        if column not in table.columns:
            raise EvaluationError(f"{file}: column {column!r} is missing ({has})")
    if unknown := [column for column in others if column not in design.questions]:
        raise EvaluationError(
            f"{file}: column {unknown[0]!r} is in neither `questions` nor `ignore` of the design; name it in one"
        )
    if not design.questions or table.is_empty():
        raise EvaluationError(f"{file}: {len(table)} rows and {len(design.questions)} questions; nothing to analyse")
    return design


def _check_once(file: str, users: Sequence[str], variants: Sequence[str]) -> None:
    """One row for each respondent and variant."""
    rows = pl.DataFrame({"user": users, "variant": variants})
    places = (~rows.select(pl.struct("user", "variant").is_first_distinct()).to_series()).arg_true()
    if len(places):
        user, variant = rows.row(places[0])
        seen = "" if variant == ALL else f" about {variant!r}"
        raise EvaluationError(
            f"{file}: row {places[0] + 1}, user_id {user!r} answered before{seen}; keep one row of each respondent"
            + ("" if variant == ALL else " and variant")
        )


def _read(path: Path) -> pl.DataFrame:
    if path.suffix not in _READERS:
        raise EvaluationError(f"{path.name}: {path.suffix!r} is no survey format; use {', '.join(_READERS)}")
    try:
        return _READERS[path.suffix](path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise EvaluationError(f"{path.name}: cannot be read ({one_line(error)})") from error


def _text(column: pl.Series) -> pl.Series:
    return column.cast(pl.String).str.strip_chars().replace("", None)


def _numbers(file: str, column: pl.Series, design: SurveyDesign) -> Float[np.ndarray, "rows"]:
    question, text = design.questions[column.name], _text(column)
    low, high = (0 if question.kind == "nps" else 1), design.scale_of(column.name)
    numbers = text.cast(pl.Float64, strict=False)
    wrong = text.is_not_null() & ~(numbers.is_between(low, high) & (numbers == numbers.floor())).fill_null(False)
    rows = wrong.arg_true()
    if len(rows):
        raise EvaluationError(
            f"{file}: row {rows[0] + 1}, column {column.name!r}: answer {text[rows[0]]!r} is not a whole number "
            f"{low}..{high}; mend it, or say in a design what the column is (another kind or scale, or `ignore`)"
        )
    answers = numbers.to_numpy().astype(np.float64)
    return low + high - answers if question.reversed else answers


def _choices(file: str, column: pl.Series, question: SurveyQuestion) -> list[str | None]:
    meanings = question.options | dict.fromkeys(question.undecided, UNDECIDED)
    answers = _text(column).to_list()
    for row, answer in enumerate(answers, start=1):
        if answer is not None and answer not in meanings:
            raise EvaluationError(
                f"{file}: row {row}, column {column.name!r}: answer {answer!r} is not one of {', '.join(meanings)}"
            )
    return [None if answer is None else meanings[answer] for answer in answers]
