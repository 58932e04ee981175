"""How far several questions measure one thing: Cronbach's alpha, McDonald's omega, and which question runs against."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
from jaxtyping import Float

Answers = Float[np.ndarray, "rows questions"]


@dataclass(frozen=True)
class Reliability:
    """Of one set of questions, over the rows that answered all of them."""

    questions: tuple[str, ...]
    """Those that count: answered, and not by everyone alike."""
    rows: int
    alpha: float | None
    alpha_ci95: tuple[float, float] | None
    omega: float | None
    """Of one common factor; None under three questions, or where no proper solution exists."""
    item_rest: dict[str, float]
    """Question -> correlation with the sum of the others."""
    notes: tuple[str, ...]


def reliability(names: Sequence[str], answers: Answers) -> Reliability:
    """Alpha, omega and what disturbs them; constant and unanswered questions are left out and said."""
    notes, kept = [], []
    for at, name in enumerate(names):
        given = answers[~np.isnan(answers[:, at]), at]
        if not len(given):
            notes.append(f"nobody answered {name}; it is left out")
        elif np.ptp(given) == 0:
            notes.append(f"everybody answered {name} with {given[0]:g}; it is left out")
        else:
            kept.append(at)
    table = answers[:, kept]
    complete = table[~np.isnan(table).any(axis=1)] if kept else table
    if len(complete) < len(table) and kept:
        notes.append(f"{len(table) - len(complete):,} of {len(table):,} rows left something out and do not count")
    alpha = cronbach_alpha(complete)
    used = tuple(names[at] for at in kept)
    rest = item_rest(complete) if alpha is not None else []
    against = [name for name, value in zip(used, rest, strict=False) if value < 0]
    if alpha is not None and against:
        notes.append(f"{', '.join(against)} runs against the rest; if worded negatively, say `reversed: true`")
    return Reliability(
        used,
        len(complete),
        alpha,
        alpha_interval(alpha, *complete.shape) if alpha is not None else None,
        mcdonald_omega(complete),
        {name: round(float(value), 4) for name, value in zip(used, rest, strict=False)},
        tuple(notes),
    )


def cronbach_alpha(answers: Answers) -> float | None:
    """How far the questions measure one thing (Cronbach 1951), over complete rows; None if undefined."""
    complete = answers[~np.isnan(answers).any(axis=1)]
    questions = answers.shape[1]
    if questions < 2 or len(complete) < 2 or np.ptp(complete.sum(axis=1)) == 0:
        return None
    parts, total = complete.var(axis=0, ddof=1).sum(), complete.sum(axis=1).var(ddof=1)
    return float(questions / (questions - 1) * (1 - parts / total))


def alpha_interval(alpha: float, rows: int, questions: int, *, level: float = 0.95) -> tuple[float, float]:
    """Of Cronbach's alpha, by the F distribution (Feldt, Woodruff and Salih 1987)."""
    freedom = rows - 1, (rows - 1) * (questions - 1)
    upper, lower = scipy.stats.f.ppf([(1 - level) / 2, (1 + level) / 2], *freedom)
    return float(1 - (1 - alpha) * lower), float(1 - (1 - alpha) * upper)


def mcdonald_omega(answers: Answers) -> float | None:
    """Share of the sum's variance that one common factor explains (McDonald 1999), over complete rows.

    (sum of loadings)^2 / ((sum of loadings)^2 + sum of unique variances) of the maximum-likelihood one-factor model of
    the covariances. None under three questions, with as many questions as rows, or where loadings differ in sign.
    """
    from sklearn.decomposition import FactorAnalysis

    complete = answers[~np.isnan(answers).any(axis=1)]
    rows, questions = complete.shape
    if questions < 3 or rows <= questions or (complete.std(axis=0) == 0).any():
        return None
    deviation = complete.std(axis=0)
    model = FactorAnalysis(1, tol=1e-10, max_iter=20_000, svd_method="lapack").fit(complete / deviation)
    loadings, unique = model.components_[0] * deviation, model.noise_variance_ * deviation**2
    if (np.sign(loadings) != np.sign(loadings.sum())).any():
        return None
    common = loadings.sum() ** 2
    return float(common / (common + unique.sum()))


def item_rest(answers: Answers) -> list[float]:
    """Correlation of each question with the sum of the others, over complete rows; 0 where that is constant."""
    complete = answers[~np.isnan(answers).any(axis=1)]
    rest = complete.sum(axis=1, keepdims=True) - complete
    return [
        float(np.corrcoef(complete[:, at], rest[:, at])[0, 1]) if np.ptp(rest[:, at]) > 0 else 0.0
        for at in range(complete.shape[1])
    ]
