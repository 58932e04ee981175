"""A questionnaire to hand out, with the design to analyse its answers by."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.files import write_text
from evaluation.surveys.design import SurveyDesign, SurveyQuestion
from modalweave.errors import RunError
from modalweave.results.record import Record
from modalweave.stages.survey import read_design

Language = Literal["en", "zh"]
_SHIPPED = Path(__file__).parents[1] / "questionnaires"
_SOURCES = {"en": "Built on", "zh": "依据"}


@dataclass(frozen=True)
class Questionnaire(Record):
    """Where the files lie."""

    questionnaire: str
    """To hand out, in Markdown; the questions without their constructs."""
    design: str
    """For `survey --design`."""
    answers: str
    """A CSV file with the header that the design reads."""


def write_questionnaire(language: Language, folder: Path) -> Questionnaire:
    """Write `questionnaire.md`, `design.yaml` and `answers.csv` into the folder.

    Raises `RunError` where one of them is there already: answers are not to be lost.
    """
    shipped = _SHIPPED / f"{language}.yaml"
    files = {name: folder / name for name in ("questionnaire.md", "design.yaml", "answers.csv")}
    if there := [path for path in files.values() if path.exists()]:
        raise RunError(f"{there[0]} is there already; name another folder with --out")
    design = read_design(shipped)
    write_text(files["questionnaire.md"], handout(design, _SOURCES[language]))
    write_text(files["design.yaml"], shipped.read_text(encoding="utf-8"))
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow([design.user, "variant", *design.questions])
    write_text(files["answers.csv"], header.getvalue())
    return Questionnaire(*map(str, files.values()))


def handout(design: SurveyDesign, sources: str) -> str:
    """The questions in an order that mixes the constructs, as Markdown."""
    lines = [f"# {design.title}", "", design.introduction, ""]
    for number, name in enumerate(_mixed(design), start=1):
        lines += [f"{number}. {design.questions[name].text}", "", f"   {_boxes(design, name)}  <!-- {name} -->", ""]
    lines += ["---", "", f"{sources}:", "", *(f"- {source}" for source in design.sources)]
    return "\n".join(lines) + "\n"


def _mixed(design: SurveyDesign) -> list[str]:
    """One question of each construct in turn, then those of none: neighbours are not answered alike."""
    constructs = list(design.constructs().values())
    turns = range(max(map(len, constructs), default=0))
    inside = [members[turn] for turn in turns for members in constructs if turn < len(members)]
    return [*inside, *(name for name, question in design.questions.items() if not question.measures)]


def _boxes(design: SurveyDesign, name: str) -> str:
    question: SurveyQuestion = design.questions[name]
    if question.kind == "text":
        return "______________________________"
    if question.kind == "preference":
        return "  ".join(f"☐ {answer}" for answer in (*question.options, *question.undecided))
    return "  ".join(f"☐ {step}" for step in range(0 if question.kind == "nps" else 1, design.scale_of(name) + 1))
