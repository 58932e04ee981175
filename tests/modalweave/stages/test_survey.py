"""Surveys from the command line: questionnaire, plan, answers, free texts, and the link to a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from modalweave.stages.questionnaire import handout
from modalweave.stages.survey import read_design
from tests.modalweave.conftest import USERS

Command = Callable[..., Any]
DESIGN = """
control: text
ignore: [submitted]
outcome: liked
questions:
  liked: {kind: csat}
  relevant: {measures: relevance}
  odd: {measures: relevance, reversed: true}
  comment: {kind: text, text: "What would be better?"}
"""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_questionnaire_is_answered_and_analysed(language: str, tmp_path: Path, modalweave: Command) -> None:
    """What is handed out comes back under the columns that its own design knows."""
    files = modalweave("survey", "--questionnaire", language, "--out", tmp_path, "--json").json()
    design = read_design(Path(files["design"]))
    form = Path(files["questionnaire"]).read_text(encoding="utf-8")
    assert all(question.text in form for question in design.questions.values())
    assert set(design.constructs()) == {"relevance", "variety", "novelty", "presentation", "explanation", "trust"}
    assert all(any(design.questions[n].reversed for n in members) for members in design.constructs().values())
    assert "ResQue" in form and form.count("☐ 0 ") == 1
    taste = np.random.default_rng(0).integers(2, 5, 30)
    with Path(files["answers"]).open("a", encoding="utf-8") as file:
        for person, level in enumerate(taste):
            row = [6 - level if design.questions[name].reversed else level for name in list(design.questions)[:-1]]
            file.write(",".join(map(str, [f"u{person}", "multimodal" if person % 2 else "text", *row, ""])) + "\n")
    found = modalweave("survey", files["answers"], "--design", files["design"], "--json").json()
    reliability = found["analysis"]["reliability"]
    assert reliability["trust"]["alpha"] == pytest.approx(1) and "nobody answered comment" in found["analysis"]["notes"]
    again = modalweave("survey", "--questionnaire", language, "--out", tmp_path)
    assert again.code == 1 and "is there already" in again.err


def test_both_languages_ask_the_same(tmp_path: Path, modalweave: Command) -> None:
    designs = []
    for language in ("en", "zh"):
        files = modalweave("survey", "--questionnaire", language, "--out", tmp_path / language, "--json").json()
        designs.append(read_design(Path(files["design"])))
    english, chinese = (
        {name: q.model_dump(exclude={"text"}) for name, q in design.questions.items()} for design in designs
    )
    assert english == chinese and list(english) == list(chinese)
    neighbours = [line for line in handout(designs[0], "Built on").splitlines() if "<!--" in line]
    assert "relevance" in neighbours[0] and "variety" in neighbours[1]  # one construct after another


def test_a_plan(modalweave: Command) -> None:
    found = modalweave("survey", "--plan", 0.6, "--response-rate", 0.2, "--json").json()
    assert found["between"] == 131 and found["invite_between"] == 1310
    shown = modalweave("survey", "--plan", 0.6)
    assert "131 on each" in shown.out
    assert modalweave("survey", "--plan", 0.5).err.count("nothing to find") == 1
    assert modalweave("survey").code == 2 and modalweave("survey", "a.csv", "--plan", 0.6).code == 2


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """Everybody but each fifth user saw pictures; each third saw the text version, too."""
    rng = np.random.default_rng(1)
    lines = ["user_id,variant,submitted,liked,relevant,odd,comment"]
    comments = ["more pictures please", "show bigger images", "loading is slow", "<b>it takes too long to load</b>", ""]
    for user in range(USERS):
        for variant in ("multimodal", "text")[: 2 if user % 3 == 0 else 1] if user % 5 else ():
            level = int(np.clip(round((4 if variant == "multimodal" else 3) + rng.normal(0, 0.8)), 1, 5))
            lines.append(f"u{user:02d},{variant},monday,{level},{level},{6 - level},{comments[user % 4]}")
    path = tmp_path / "answers.csv"
    path.write_text("\n".join(lines) + "\n")
    (tmp_path / "design.yaml").write_text(DESIGN)
    return path


def test_answers_beside_a_run(answers: Path, config: Path, modalweave: Command) -> None:
    """Who answered, whether metrics tell who is satisfied, and free texts by what they say."""
    assert modalweave("build", config).code == 0 and modalweave("train", config).code == 0
    design = answers.parent / "design.yaml"
    given = ("survey", answers, "--design", design, "--run", f"multimodal={config}", "--run", config.parent / "run")
    found = modalweave(*given, "--json").json()
    test = found["analysis"]["questions"]["liked"]["tests"]["multimodal"]
    assert test["layout"] == "mixed" and test["both"] == 16 and test["only"] == [32, 0] and test["p"] < 0.05
    one, both = found["runs"]
    assert (one["variant"], both["variant"]) == ("multimodal", None)
    assert one["bias"]["users"] == USERS and one["bias"]["answered"] == 48 and one["unknown"] == 0
    assert {link["metric"] for link in one["links"]} <= {"recall@10", "ndcg@10"} and one["outcome"] == "liked"
    groups = [{group["text"], *group["others"]} for group in found["texts"]["comment"]["groups"]]
    assert {"more pictures please", "show bigger images"} in groups
    page = answers.with_suffix(".html").read_text()
    assert "&lt;b&gt;it takes" in page and "<b>it takes" not in page
    shown = modalweave(*given)
    assert "48 of 60 users of small answered" in shown.out and "liked: answers on multimodal are higher" in shown.out


def test_what_does_not_fit_is_told(answers: Path, config: Path, modalweave: Command) -> None:
    plain = modalweave("survey", answers)
    assert plain.code == 1 and "column 'submitted': answer 'monday'" in plain.err
    design = answers.parent / "design.yaml"
    for change, message in (
        ({"controll": "text"}, "unknown key 'controll'; known are"),
        ({"questions": {"liked": {"kind": "csta"}}}, "questions.liked.kind: value 'csta' is not one of"),
        ({"encoder": "minlm"}, "encoder 'minlm' is unknown; did you mean 'minilm'?"),
        ({"control": "audio"}, "control 'audio' has no answers"),
    ):
        design.write_text(yaml.safe_dump(yaml.safe_load(DESIGN) | change))
        done = modalweave("survey", answers, "--design", design)
        assert done.code == 1 and message in done.err
    design.write_text(DESIGN)
    assert modalweave("build", config).code == 0 and modalweave("train", config).code == 0
    strangers = answers.with_name("strangers.csv")
    strangers.write_text(answers.read_text().replace("\nu", "\nx"))
    done = modalweave("survey", strangers, "--design", design, "--run", config)
    assert done.code == 1 and "none of the 48 respondents" in done.err
