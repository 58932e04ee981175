"""Surveys: reading with named errors, and analysis with answers known by hand."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.stats

from evaluation.errors import EvaluationError
from evaluation.significance import holm
from evaluation.survey import UNDECIDED, read_survey, wilson
from evaluation.surveys.analysis import OVERALL, SurveyAnalysis, analyse_survey, net_promoters
from evaluation.surveys.design import SurveyDesign

HEADER = "user_id,variant,relevant,bored\n"
REVERSED = SurveyDesign.model_validate({"questions": {"relevant": {}, "bored": {"reversed": True}}})


def write(folder: Path, text: str) -> Path:
    path = folder / "survey.csv"
    path.write_text(text, encoding="utf-8")
    return path


def analysed(folder: Path, text: str, design: dict | None = None, **options: str) -> SurveyAnalysis:
    return analyse_survey(read_survey(write(folder, text), SurveyDesign.model_validate(design or {})), **options)


def test_reads_csv_parquet_and_arrow_alike(tmp_path: Path) -> None:
    csv = write(tmp_path, HEADER + "1,multimodal,5,1\n2,text,3,\n3,text, 4 ,2\n")
    columns = {"user_id": ["1", "2", "3"], "variant": ["multimodal", "text", "text"]}
    table = pl.DataFrame(columns | {"relevant": [5, 3, 4], "bored": [1, None, 2]})
    table.write_parquet(tmp_path / "s.parquet")
    table.write_ipc(tmp_path / "s.arrow")
    for path in (csv, tmp_path / "s.parquet", tmp_path / "s.arrow"):
        got = read_survey(path, REVERSED)
        np.testing.assert_array_equal(got.numbers["relevant"], [5, 3, 4])
        np.testing.assert_array_equal(got.numbers["bored"], [5, np.nan, 4])
        assert got.users == ["1", "2", "3"] and got.variants == ["multimodal", "text", "text"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "1,a,5,1\n2,a,6,1\n", "row 2, column 'relevant': answer '6' is not a whole number 1..5"),
        (HEADER + "1,a,5,0\n", "row 1, column 'bored': answer '0'"),
        (HEADER + "1,a,good,1\n", "answer 'good'.*say in a design what the column is"),
        (HEADER + "1,a,2.5,1\n", "answer '2.5'"),
        (HEADER + "1,a,nan,1\n", "answer 'nan'"),
        (HEADER + "1,a,5,1\n,a,5,1\n", "row 2, column 'user_id' is empty"),
        (HEADER + "1,,5,1\n", "row 1, column 'variant' is empty"),
        (HEADER + "1,a,5,1\n1,b,4,1\n 1 ,a,5,1\n", "row 3, user_id '1' answered before about 'a'"),
        ("user_id,relevant\n1,5\n1,4\n", "row 2, user_id '1' answered before; keep one row"),
        ("variant,relevant\n1,5\n", "column 'user_id' is missing"),
        ("user_id,variant\n1,a\n", "0 questions"),
        (HEADER, "0 rows"),
        ("", "cannot be read"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=message) as caught:
        read_survey(write(tmp_path, text))
    assert "\n" not in str(caught.value) and "survey.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("design", "message"),
    [
        ({"questions": {"relevant": {}}}, "column 'bored' is in neither `questions` nor `ignore`"),
        ({"questions": {"relevant": {}, "fun": {}}, "ignore": ["bored"]}, "column 'fun' is missing"),
        ({"variant": "arm"}, "column 'arm' is missing"),
        ({"control": "old"}, "control 'old' has no answers; variants are"),
        (
            {"questions": {"relevant": {"kind": "preference", "options": {"A": "x", "B": "y"}}}, "ignore": ["bored"]},
            "row 1, column 'relevant': answer '5' is not one of A, B",
        ),
    ],
)
def test_a_design_and_a_file_that_do_not_fit(tmp_path: Path, design: dict, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        read_survey(write(tmp_path, HEADER + "1,a,5,1\n"), SurveyDesign.model_validate(design))


def test_other_bad_files(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"'\.xlsx' is no survey format"):
        read_survey(tmp_path / "survey.xlsx")
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_survey(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("design", "message"),
    [
        ({"questions": {"q": {"kind": "preference"}}}, "options, two or more"),
        ({"questions": {"q": {"options": {"A": "x", "B": "y"}}}}, "of a preference, not of likert"),
        ({"questions": {"q": {"kind": "nps", "reversed": True}}}, "nps has no scale"),
        ({"questions": {"q": {"measures": "m"}, "r": {"measures": "m", "scale": 7}}}, "mixes scales up to"),
        ({"questions": {"q": {"measures": "q"}}}, "is the name of a question, too"),
        ({"questions": {"q": {}}, "outcome": "happy"}, "outcome 'happy' is no question"),
    ],
)
def test_designs_that_say_two_things(design: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SurveyDesign.model_validate(design)


def test_analysis_by_hand(tmp_path: Path) -> None:
    rows = ["a,new,5,4", "b,new,4,4", "c,new,2,3", "d,old,3,", "e,old,1,2", "f,old,4,5", "g,old,2,1"]
    got = analysed(tmp_path, "user_id,variant,q1,q2\n" + "\n".join(rows), control="old")
    new = got.questions["q1"].variants["new"]
    assert new.n == 3 and new.mean == pytest.approx(11 / 3) and new.top2 == pytest.approx(2 / 3)
    assert new.counts == {"1": 0, "2": 1, "3": 0, "4": 1, "5": 1} and new.top2_ci95 == pytest.approx(wilson(2, 3))
    assert new.ci95 == pytest.approx(scipy.stats.t.interval(0.95, 2, 11 / 3, scipy.stats.sem([5, 4, 2])))
    test = got.questions["q1"].tests["new"]
    # 12 pairs of (5, 4, 2) against (3, 1, 4, 2): 5 wins 4; 4 wins 3 and ties 1; 2 wins 1 and ties 1
    assert test.superiority == pytest.approx((4 + 3.5 + 1.5) / 12) and test.layout == "between"
    old = got.questions["q2"].variants["old"]
    assert (old.n, old.missing) == (3, 1) and got.constructs[OVERALL].variants["old"].n == 3
    raw = [
        scipy.stats.mannwhitneyu(a, b, method="asymptotic").pvalue
        for a, b in (([5, 4, 2], [3, 1, 4, 2]), ([4, 4, 3], [2, 5, 1]), ([4.5, 4, 2.5], [1.5, 4.5, 1.5]))
    ]
    parts = [got.questions["q1"], got.questions["q2"], got.constructs[OVERALL]]
    assert [part.tests["new"].p for part in parts] == pytest.approx(holm(raw))
    with pytest.raises(EvaluationError, match="control 'mid'"):
        analysed(tmp_path, "user_id,variant,q1\n1,a,3\n", control="mid")


def test_a_survey_without_variants_is_described(tmp_path: Path) -> None:
    got = analysed(tmp_path, "user_id,q1\n1,3\n2,5\n")
    assert got.control == "all" and got.questions["q1"].tests == {}
    assert got.questions["q1"].variants["all"].mean == 4


def test_net_promoter_score(tmp_path: Path) -> None:
    # 60 promoters, 25 passive, 15 detractors: 45, deviation sqrt(.75 - .45^2) of one answer
    score, (low, high) = net_promoters(np.repeat([9.0, 7.0, 3.0], [60, 25, 15]))
    half = 1.959964 * 100 * np.sqrt(0.75 - 0.45**2) / 10
    assert (score, low, high) == pytest.approx((45, 45 - half, 45 + half))
    got = analysed(tmp_path, "user_id,q\n1,10\n2,0\n3,8\n", {"questions": {"q": {"kind": "nps"}}})
    assert got.questions["q"].variants["all"].nps == 0 and got.questions["q"].variants["all"].counts["0"] == 1


def test_preferences_count_everybody_once(tmp_path: Path) -> None:
    asked = {"kind": "preference", "options": {"A": "multimodal", "B": "text"}, "undecided": ["="]}
    rows = [f"{n},{'A' if n < 8 else 'B'}" for n in range(10)] + ["10,=", "11,"]
    got = analysed(tmp_path, "user_id,q\n" + "\n".join(rows), {"questions": {"q": asked}}).preferences["q"]
    assert got.counts == {"multimodal": 8, "text": 2} and (got.undecided, got.missing) == (1, 1)
    assert got.shares["multimodal"] == 0.8 and got.shares_ci95["multimodal"] == pytest.approx(wilson(8, 10))
    assert got.p == pytest.approx(2 * (1 + 10 + 45) / 1024)
    both = "user_id,variant,q\n1,x,A\n1,y,B\n"
    with pytest.raises(EvaluationError, match="user '1' prefers 'multimodal' and 'text'"):
        analysed(tmp_path, both, {"questions": {"q": asked}})
    survey = read_survey(write(tmp_path, "user_id,q\n1,=\n"), SurveyDesign.model_validate({"questions": {"q": asked}}))
    assert survey.choices["q"] == [UNDECIDED]


@pytest.mark.filterwarnings("error")
def test_constant_and_missing_answers_are_told(tmp_path: Path) -> None:
    rows = "\n".join(f"{n},{'x' if n < 40 else 'y'},{5 if n < 40 else 1},3,{'' if n < 40 else 2}," for n in range(80))
    got = analysed(tmp_path, "user_id,variant,q,same,half,none\n" + rows)
    apart = got.questions["q"].tests["y"]
    assert apart.p is not None and 0 < apart.p < 1e-15 and apart.superiority == 0.0
    same = got.questions["same"].tests["y"]
    assert (same.p, same.superiority, same.difference, same.ci95) == (1.0, 0.5, 0.0, (0.0, 0.0))
    half = got.questions["half"].tests["y"]
    assert half.p is None and half.reason == "40 answers against 0"
    assert got.notes == ("everybody answered same with 3", "everybody answered half with 2", "nobody answered none")
    assert "nobody answered none; it is left out" in got.reliability[OVERALL].notes


def test_who_agrees_with_opposites_is_counted(tmp_path: Path) -> None:
    design = {"questions": {"a": {}, "b": {}, "c": {}, "d": {"reversed": True}}}
    got = analysed(tmp_path, "user_id,a,b,c,d\n1,5,5,5,5\n2,3,3,3,3\n3,4,4,5,1\n", design)
    assert [note for note in got.notes if "agree alike" in note] == [
        "1 rows agree alike with every question, opposite ones included: nobody read those"
    ]


def test_wilson() -> None:
    # Newcombe (1998), single proportion: 81/263 gives .2553 to .3662; 0/20 gives 0 to .1611
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    for successes, users in ((0, 0), (3, 2), (-1, 5)):
        with pytest.raises(EvaluationError, match="is no rate"):
            wilson(successes, users)
