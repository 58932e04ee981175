"""User-satisfaction surveys: Likert answers by variant, e.g. multimodal against single-modal.

A survey file has one row for each respondent: `user_id`, `variant` and one column for each question, answers
1..scale or empty for none. Row numbers in errors count respondents from 1; the header does not count.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.stats
from jaxtyping import Float

from common.text import one_line
from evaluation.errors import EvaluationError
from evaluation.significance import holm

_READERS = {
    ".csv": lambda p: pl.read_csv(p, infer_schema=False),
    ".parquet": pl.read_parquet,
    ".arrow": pl.read_ipc,
}


@dataclass(frozen=True)
class Survey:
    """Validated answers."""

    users: list[str]
    variants: list[str]
    questions: list[str]
    answers: Float[np.ndarray, "users questions"]
    """1..scale, NaN where a question was left out."""
    scale: int


def read_survey(path: Path, *, scale: int = 5, reverse: Sequence[str] = ()) -> Survey:
    """Read `.csv`, `.parquet` or `.arrow`.

    Args:
        path: the file.
        scale: the highest answer; 5 is the usual Likert scale (Likert 1932).
        reverse: questions worded negatively ("The suggestions bored me"): answers are turned round.

    Raises:
        EvaluationError: names the row and the column of an answer outside 1..scale, an empty or repeated id.
    """
    table = _read(path)
    for column in ("user_id", "variant"):
        if column not in table.columns:
            raise EvaluationError(f"{path.name}: column {column!r} is missing (has {', '.join(table.columns)})")
        empty = (table[column].cast(pl.String).fill_null("").str.strip_chars() == "").arg_true()
        if len(empty):
            raise EvaluationError(f"{path.name}: row {empty[0] + 1}, column {column!r} is empty; fill it in")
    table = table.with_columns(pl.col("user_id", "variant").cast(pl.String).str.strip_chars())
    _check_users(path.name, table)
    questions = [column for column in table.columns if column not in ("user_id", "variant")]
    if not questions or table.is_empty():
        raise EvaluationError(f"{path.name}: {len(table)} rows and {len(questions)} questions; nothing to analyse")
    if unknown := sorted(set(reverse) - set(questions)):
        raise EvaluationError(f"{path.name}: no question {unknown[0]!r} to reverse (has {', '.join(questions)})")
    answers = np.stack([_answers(path.name, table[question], scale) for question in questions], axis=1)
    turned = [questions.index(question) for question in reverse]
    answers[:, turned] = scale + 1 - answers[:, turned]
    users, variants = (table[column].to_list() for column in ("user_id", "variant"))
    return Survey(users, variants, questions, answers, scale)


def analyse_survey(survey: Survey, *, control: str, level: float = 0.95) -> dict[str, Any]:
    """Each question, and their mean as one scale, by variant and against control.

    Returns:
        `{"questions": {question: part}, "scale": part, "cronbach_alpha": float or None}`, where a part is
        `{"variants": {variant: {...}}, "tests": {variant: {...}}}` and `scale` takes each one's mean of all
        questions (complete rows only). A variant has `n`, `mean`, `ci95` (t), `top2` (share of the two
        highest answers), `top2_ci95` (Wilson) and `counts` (answers 1..scale); a test has `p` (Mann-Whitney,
        Holm-corrected over all) and `superiority` (chance that an answer of the variant beats one of control,
        ties half; Vargha and Delaney 2000). Where a variant has no answer, both are None beside a `reason`.
    """
    if control not in survey.variants:
        raise EvaluationError(f"control {control!r} has no answers; variants are {sorted(set(survey.variants))}")
    labels = np.asarray(survey.variants)
    columns = {q: survey.answers[:, i] for i, q in enumerate(survey.questions)}
    out = {name: _question(labels, values, survey.scale, control, level) for name, values in columns.items()}
    whole = _question(labels, survey.answers.mean(axis=1), survey.scale, control, level)
    tests = [test for part in [*out.values(), whole] for test in part["tests"].values() if test["p"] is not None]
    for test, p in zip(tests, holm([test["p"] for test in tests]), strict=True):
        test["p"] = p
    return {"questions": out, "scale": whole, "cronbach_alpha": cronbach_alpha(survey.answers)}


def cronbach_alpha(answers: Float[np.ndarray, "users questions"]) -> float | None:
    """How far the questions measure one thing (Cronbach 1951), over complete rows; None if undefined."""
    complete = answers[~np.isnan(answers).any(axis=1)]
    questions = answers.shape[1]
    if questions < 2 or len(complete) < 2 or np.ptp(complete.sum(axis=1)) == 0:
        return None
    parts, total = complete.var(axis=0, ddof=1).sum(), complete.sum(axis=1).var(ddof=1)
    return float(questions / (questions - 1) * (1 - parts / total))


def wilson(successes: int, users: int, *, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a rate (Wilson 1927): right for small samples and rates near 0 or 1."""
    if not 0 <= successes <= users or not users:
        raise EvaluationError(f"{successes}/{users} is no rate; count each user at most once")
    interval = scipy.stats.binomtest(successes, users).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def _question(
    labels: np.ndarray[Any, Any], values: Float[np.ndarray, "users"], scale: int, control: str, level: float
) -> dict[str, Any]:
    groups = {name: values[(labels == name) & ~np.isnan(values)] for name in sorted(set(labels.tolist()))}
    described = {name: _describe(group, scale, level) for name, group in groups.items()}
    base = groups.pop(control)
    tests = {name: _mann_whitney(group, base) for name, group in groups.items()}
    return {"variants": described, "tests": tests}


def _describe(group: Float[np.ndarray, "users"], scale: int, level: float) -> dict[str, Any]:
    key = f"ci{round(level * 100)}"
    if not len(group):
        return {"n": 0, "mean": None, key: None, "top2": None, f"top2_{key}": None, "counts": [0] * scale}
    n, mean = len(group), float(group.mean())
    half = float(scipy.stats.t.isf((1 - level) / 2, n - 1) * group.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    top = int((group >= scale - 1).sum())
    return {
        "n": n,
        "mean": mean,
        key: None if half is None else [mean - half, mean + half],
        "top2": top / n,
        f"top2_{key}": list(wilson(top, n, level=level)),
        "counts": np.bincount(np.floor(group).astype(np.int64), minlength=scale + 1)[1:].tolist(),
    }


def _mann_whitney(group: Float[np.ndarray, "users"], base: Float[np.ndarray, "control"]) -> dict[str, Any]:
    if not len(group) or not len(base):
        return {"p": None, "superiority": None, "reason": f"{len(group)} answers against {len(base)}"}
    if np.ptp(np.concatenate([group, base])) == 0:  # no ranks to compare
        return {"p": 1.0, "superiority": 0.5}
    test = scipy.stats.mannwhitneyu(group, base, method="asymptotic")
    p = max(float(test.pvalue), sys.float_info.min)  # what underflows is small, not 0
    return {"p": p, "superiority": float(test.statistic) / (len(group) * len(base))}


def _check_users(file: str, table: pl.DataFrame) -> None:
    """One row for each respondent; who stands in two variants tells of none."""
    repeated = (~table["user_id"].is_first_distinct()).arg_true()
    if not len(repeated):
        return
    rows = table.filter(pl.col("user_id").is_duplicated())
    users = rows["user_id"].unique(maintain_order=True).to_list()
    first = rows.filter(pl.col("user_id") == table["user_id"][repeated[0]])
    variants = first["variant"].unique(maintain_order=True).to_list()
    where = f" in variants {' and '.join(map(repr, variants))}" if len(variants) > 1 else ""
    named = ", ".join(map(repr, users[:5])) + (", ..." if len(users) > 5 else "")
    raise EvaluationError(
        f"{file}: row {repeated[0] + 1}, user_id {first['user_id'][0]!r} answered before{where}; keep one row of "
        f"each of {len(users)} users: {named}"
    )


def _read(path: Path) -> pl.DataFrame:
    if path.suffix not in _READERS:
        raise EvaluationError(f"{path.name}: {path.suffix!r} is no survey format; use {', '.join(_READERS)}")
    try:
        return _READERS[path.suffix](path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise EvaluationError(f"{path.name}: cannot be read ({one_line(error)})") from error


def _answers(file: str, column: pl.Series, scale: int) -> Float[np.ndarray, "users"]:
    text = column.cast(pl.String).str.strip_chars().replace("", None)
    numbers = text.cast(pl.Float64, strict=False)
    wrong = text.is_not_null() & ~(numbers.is_between(1, scale) & (numbers == numbers.floor())).fill_null(False)
    rows = wrong.arg_true()
    if len(rows):
        place = f"row {rows[0] + 1}, column {column.name!r}"
        raise EvaluationError(f"{file}: {place}: answer {text[rows[0]]!r} is not a whole number 1..{scale}")
    return numbers.to_numpy().astype(np.float64)
