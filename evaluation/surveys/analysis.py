"""A survey's numbers: each question and construct by variant, tests against control, reliability, preferences."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import scipy.stats
from jaxtyping import Float

from evaluation.errors import EvaluationError
from evaluation.significance import holm
from evaluation.survey import UNDECIDED, Interval, Survey, wilson
from evaluation.surveys.group_tests import GroupTest, group_test
from evaluation.surveys.reliability import Reliability, reliability

OVERALL = "all questions"


@dataclass(frozen=True)
class Answers:
    """The answers on one variant."""

    n: int
    missing: int
    """Rows without an answer."""
    mean: float | None
    ci95: Interval | None
    """By t; None under two answers."""
    top2: float | None
    """Share of the two highest answers: of satisfaction questions the satisfied (CSAT)."""
    top2_ci95: Interval | None
    """Wilson's."""
    counts: dict[str, int]
    """Answer -> people; of a mean of several questions, those whose mean is that or up to the next."""
    nps: float | None = None
    """Net promoter score: share of 9 and 10 minus share of 0 to 6 (Reichheld 2003), in points from -100 to 100."""
    nps_ci95: Interval | None = None


@dataclass(frozen=True)
class Asked:
    """A question, a construct or all questions together."""

    kind: str
    text: str
    variants: dict[str, Answers]
    tests: dict[str, GroupTest]
    """Variant -> against control."""


@dataclass(frozen=True)
class Preference:
    """Which of the options people prefer; everybody counts once."""

    text: str
    counts: dict[str, int]
    undecided: int
    missing: int
    shares: dict[str, float]
    """Among those who prefer one."""
    shares_ci95: dict[str, Interval]
    """Wilson's."""
    p: float | None
    """Of all options equally liked: exact binomial of two, chi-square of more; Holm-corrected over the survey."""


@dataclass(frozen=True)
class SurveyAnalysis:
    """What the answers say."""

    respondents: int
    control: str
    variants: dict[str, int]
    """Variant -> rows."""
    questions: dict[str, Asked]
    """Those with numbers."""
    constructs: dict[str, Asked]
    """Means of a construct's questions, and of all Likert questions on the design's scale; rows that answered all."""
    reliability: dict[str, Reliability]
    preferences: dict[str, Preference]
    notes: tuple[str, ...]


def analyse_survey(survey: Survey, *, control: str | None = None) -> SurveyAnalysis:
    """Every question and construct by variant and against control; p-values Holm-corrected over the whole survey.

    `control` overrides the design's; the first variant by name where neither names one.
    """
    names = sorted(set(survey.variants))
    base = control or survey.design.control or names[0]
    if base not in names:
        raise EvaluationError(f"control {base!r} has no answers; variants are {names}")
    asked = {
        name: _asked(survey, values, survey.design.questions[name].kind, survey.design.questions[name].text, name, base)
        for name, values in survey.numbers.items()
    }
    scores = construct_scores(survey)
    together = {
        name: _asked(survey, values, "mean", "", survey_members(survey)[name][0], base)
        for name, values in scores.items()
    }
    preferred = {name: _preference(survey, name) for name in survey.choices}
    asked, together, preferred = _corrected(asked, together, preferred)
    return SurveyAnalysis(
        respondents=len(set(survey.users)),
        control=base,
        variants={name: survey.variants.count(name) for name in names},
        questions=asked,
        constructs=together,
        reliability={
            name: reliability(members, np.stack([survey.numbers[m] for m in members], axis=1))
            for name, members in survey_members(survey).items()
            if len(members) > 1
        },
        preferences=preferred,
        notes=tuple(_notes(survey)),
    )


def survey_members(survey: Survey) -> dict[str, list[str]]:
    """Construct -> its questions, and all Likert questions on the design's scale where there are two or more."""
    likert = [
        name
        for name, question in survey.design.questions.items()
        if question.kind == "likert" and survey.design.scale_of(name) == survey.design.scale
    ]
    constructs = survey.design.constructs()
    return constructs | ({OVERALL: likert} if len(likert) > 1 and [likert] != list(constructs.values()) else {})


def construct_scores(survey: Survey) -> dict[str, Float[np.ndarray, "rows"]]:
    """Each row's mean of a construct's questions; NaN where it left one out."""
    return {
        name: np.stack([survey.numbers[member] for member in members], axis=1).mean(axis=1)
        for name, members in survey_members(survey).items()
    }


def net_promoters(answers: Float[np.ndarray, "people"], *, level: float = 0.95) -> tuple[float, Interval]:
    """The net promoter score in points and its interval, from the variance of +1, 0, -1 (Rocks 2016, Wald)."""
    scores = np.where(answers >= 9, 100.0, np.where(answers <= 6, -100.0, 0.0))
    half = float(scipy.stats.norm.isf((1 - level) / 2) * scores.std() / np.sqrt(len(scores)))
    mean = float(scores.mean())
    return mean, (max(mean - half, -100.0), min(mean + half, 100.0))


def _asked(
    survey: Survey, values: Float[np.ndarray, "rows"], kind: str, text: str, question: str, control: str
) -> Asked:
    """`question` has the scale."""
    labels, users = np.asarray(survey.variants), survey.users
    groups: dict[str, dict[str, float]] = {}
    described = {}
    for name in sorted(set(survey.variants)):
        rows = np.flatnonzero(labels == name)
        groups[name] = {users[row]: float(values[row]) for row in rows if not np.isnan(values[row])}
        described[name] = _describe(list(groups[name].values()), len(rows), kind, survey.design.scale_of(question))
    tests = {name: group_test(group, groups[control]) for name, group in groups.items() if name != control}
    return Asked(kind, text, described, tests)


def _describe(given: Sequence[float], rows: int, kind: str, scale: int) -> Answers:
    steps = range(0 if kind == "nps" else 1, scale + 1)
    group = np.asarray(given, dtype=np.float64)
    n = len(group)
    counted = Counter(np.floor(group).astype(int).tolist())
    counts = {str(step): counted[step] for step in steps}
    if not n:
        return Answers(0, rows, None, None, None, None, counts)
    mean, top = float(group.mean()), int((group >= scale - 1).sum())
    half = float(scipy.stats.t.isf(0.025, n - 1) * group.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    interval = None if half is None else (mean - half, mean + half)
    promoters = net_promoters(group) if kind == "nps" else (None, None)
    return Answers(n, rows - n, mean, interval, top / n, wilson(top, n), counts, *promoters)


def _preference(survey: Survey, name: str) -> Preference:
    question = survey.design.questions[name]
    by_user: dict[str, str] = {}
    for user, choice in zip(survey.users, survey.choices[name], strict=True):
        if choice is not None and by_user.setdefault(user, choice) != choice:
            raise EvaluationError(f"{name}: user {user!r} prefers {by_user[user]!r} and {choice!r}; keep one answer")
    counted = Counter(by_user.values())
    counts = {option: counted[option] for option in dict.fromkeys(question.options.values())}
    decided = sum(counts.values())
    p = None
    if decided:
        found = list(counts.values())
        p = float(
            scipy.stats.binomtest(found[0], decided).pvalue if len(found) == 2 else scipy.stats.chisquare(found).pvalue
        )
    return Preference(
        question.text,
        counts,
        counted[UNDECIDED],
        len(set(survey.users)) - len(by_user),
        {option: n / decided for option, n in counts.items()} if decided else {},
        {option: wilson(n, decided) for option, n in counts.items()} if decided else {},
        p,
    )


def _corrected(
    asked: Mapping[str, Asked], together: Mapping[str, Asked], preferred: Mapping[str, Preference]
) -> tuple[dict[str, Asked], dict[str, Asked], dict[str, Preference]]:
    """Holm's correction over every test of the survey."""
    parts = [part for group in (asked, together) for part in group.values()]
    raw = [test.p for part in parts for test in part.tests.values() if test.p is not None]
    raw += [part.p for part in preferred.values() if part.p is not None]
    left = iter(holm(raw))

    def one(part: Asked) -> Asked:
        tests = {n: t if t.p is None else replace(t, p=next(left)) for n, t in part.tests.items()}
        return replace(part, tests=tests)

    first = {name: one(part) for name, part in asked.items()}
    second = {name: one(part) for name, part in together.items()}
    third = {name: part if part.p is None else replace(part, p=next(left)) for name, part in preferred.items()}
    return first, second, third


def _notes(survey: Survey) -> Iterator[str]:
    """Questions that nobody answered, or everybody alike; people who answered all alike, reversed ones included."""
    for name, values in survey.numbers.items():
        given = values[~np.isnan(values)]
        if not len(given):
            yield f"nobody answered {name}"
        elif np.ptp(given) == 0 and len(given) > 1:
            yield f"everybody answered {name} with {given[0]:g}"
    for name, found in chain(survey.choices.items(), survey.texts.items()):
        if not any(value is not None for value in found):
            yield f"nobody answered {name}"
    yield from _straight(survey)


def _straight(survey: Survey) -> Iterator[str]:
    """Rows that give one answer whatever the wording; only told where both wordings are asked."""
    likert = survey_members(survey).get(OVERALL, [])
    turned = np.array([survey.design.questions[name].reversed for name in likert])
    if turned.all() or not turned.any() or len(likert) < 4:
        return
    table = np.stack([survey.numbers[name] for name in likert], axis=1)
    raw = np.where(turned, survey.design.scale + 1 - table, table)
    straight = int(((np.ptp(raw, axis=1) == 0) & (raw[:, 0] != (survey.design.scale + 1) / 2)).sum())
    if straight:
        yield f"{straight:,} rows agree alike with every question, opposite ones included: nobody read those"
