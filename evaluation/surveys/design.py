"""What the columns of a survey file are: the questions, their scales, and what is no question."""

from typing import Literal

from pydantic import BaseModel, Field, model_validator

Kind = Literal["likert", "csat", "nps", "preference", "text"]


class SurveyQuestion(BaseModel, extra="forbid"):
    """One question, in the column of its name."""

    kind: Kind = "likert"
    """`likert`: agreement 1..scale; `csat`: satisfaction 1..scale; `nps`: 0..10; `preference`: one of `options`;
    `text`: free text."""

    text: str = ""
    """The question as it was asked."""

    measures: str = ""
    """The construct that the question is one of several measures of, e.g. `relevance`."""

    reversed: bool = False
    """Worded negatively ("The suggestions bored me"): answers are turned round."""

    scale: int | None = Field(None, ge=2, le=11)
    """Highest answer; the design's `scale` unless given."""

    options: dict[str, str] = Field(default_factory=dict)
    """`preference`: answer -> what it stands for, e.g. `{A: multimodal, B: text}`."""

    undecided: list[str] = Field(default_factory=list)
    """`preference`: answers that prefer neither."""

    @model_validator(mode="after")
    def _fits(self) -> "SurveyQuestion":
        if self.kind == "preference" and len(set(self.options.values())) < 2:
            raise ValueError("a preference needs options, two or more: {A: multimodal, B: text}")
        if self.kind != "preference" and (self.options or self.undecided):
            raise ValueError(f"options are of a preference, not of {self.kind}")
        if self.kind in ("nps", "preference", "text") and (self.reversed or self.scale or self.measures):
            raise ValueError(f"{self.kind} has no scale, construct (`measures`) or reversal of its own")
        return self


class SurveyDesign(BaseModel, extra="forbid"):
    """The columns of a survey file. What is not named in `questions` or `ignore` must not be there."""

    title: str = "Survey"
    """Heading of the page."""

    introduction: str = ""
    """What respondents read first; for the questionnaire."""

    sources: list[str] = Field(default_factory=list)
    """The published scales it was built on."""

    user: str = "user_id"
    """Column of the respondent's id."""

    variant: str | None = None
    """Column of what the respondent saw; `variant` where there is one. Who saw several has a row for each."""

    control: str | None = None
    """The variant that the others are held against; the first by name unless given."""

    scale: int = Field(5, ge=2, le=11)
    """Highest answer of a Likert or satisfaction question (Likert 1932: 5)."""

    questions: dict[str, SurveyQuestion] = Field(default_factory=dict)
    """Column -> question; empty: every other column is a Likert question."""

    ignore: list[str] = Field(default_factory=list)
    """Columns that are no questions, e.g. `[submitted_at, browser]`."""

    outcome: str | None = None
    """The question or construct that offline metrics should predict; the mean of all Likert questions unless given."""

    encoder: str | None = None
    """Text encoder that groups free texts, by name; the default one unless given."""

    def scale_of(self, question: str) -> int:
        """Highest answer of a question with numbers."""
        asked = self.questions[question]
        return 10 if asked.kind == "nps" else asked.scale or self.scale

    def constructs(self) -> dict[str, list[str]]:
        """Construct -> its questions, in the design's order."""
        found: dict[str, list[str]] = {}
        for name, question in self.questions.items():
            if question.measures:
                found.setdefault(question.measures, []).append(name)
        return found

    @model_validator(mode="after")
    def _constructs_have_one_scale(self) -> "SurveyDesign":
        for construct, members in self.constructs().items():
            if len(scales := {self.scale_of(name) for name in members}) > 1:
                raise ValueError(f"construct {construct!r} mixes scales up to {sorted(scales)}; give all one scale")
            if construct in self.questions:
                raise ValueError(f"construct {construct!r} is the name of a question, too; call one otherwise")
        known = [*self.questions, *self.constructs()]
        if self.questions and self.outcome is not None and self.outcome not in known:
            raise ValueError(f"outcome {self.outcome!r} is no question or construct (has {', '.join(known)})")
        return self
