"""The result of a survey."""

from dataclasses import dataclass, field

from evaluation.surveys.analysis import SurveyAnalysis
from evaluation.surveys.link import Link, ResponseBias
from modalweave.results.record import OPTIONAL, Record


@dataclass(frozen=True)
class TextGroup(Record):
    """Answers that say much the same."""

    text: str
    """The most frequent of them."""
    n: int
    variants: dict[str, int]
    others: tuple[str, ...]
    """Some more, word for word."""


@dataclass(frozen=True)
class FreeTexts(Record):
    """The answers to an open question."""

    text: str
    """The question."""
    n: int
    missing: int
    distinct: int
    """Told apart by letters alone, case and spaces aside."""
    groups: tuple[TextGroup, ...]
    """Largest first."""
    note: str | None = field(default=None, metadata=OPTIONAL)
    """Why they are not grouped by meaning, where they are not."""


@dataclass(frozen=True)
class RunLink(Record):
    """Respondents against the user base of a run, and against its offline metrics."""

    run: str
    variant: str | None
    """Whose answers are taken; None: of all variants, averaged by person."""
    split: str
    outcome: str
    unknown: int
    """Respondents whom the run does not know."""
    bias: ResponseBias
    links: tuple[Link, ...]
    left_out: tuple[str, ...]
    """Groups too small to say anything, or without a spread."""


@dataclass(frozen=True, kw_only=True, repr=False)
class SurveyResult(Record):
    """What a survey says."""

    title: str
    answers: str
    """The file."""
    analysis: SurveyAnalysis
    texts: dict[str, FreeTexts]
    runs: tuple[RunLink, ...]
    page: str

    def __repr__(self) -> str:
        return f"SurveyResult({self.analysis.respondents} respondents, {', '.join(self.analysis.questions)})"
