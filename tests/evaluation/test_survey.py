"""Surveys: reading with named errors, Likert analysis with known answers."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.stats

from evaluation.errors import EvaluationError
from evaluation.survey import Survey, analyse_survey, cronbach_alpha, read_survey, wilson

HEADER = "user_id,variant,relevant,bored\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "survey.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_csv_parquet_and_arrow_alike(tmp_path: Path) -> None:
    csv = write(tmp_path, HEADER + "1,multimodal,5,1\n2,text,3,\n3,text, 4 ,2\n")
    table = pl.DataFrame(
        {
            "user_id": ["1", "2", "3"],
            "variant": ["multimodal", "text", "text"],
            "relevant": [5, 3, 4],
            "bored": [1, None, 2],
        }
    )
    table.write_parquet(tmp_path / "s.parquet")
    table.write_ipc(tmp_path / "s.arrow")
    want = np.array([[5, 5], [3, np.nan], [4, 4]])
    for path in (csv, tmp_path / "s.parquet", tmp_path / "s.arrow"):
        got = read_survey(path, reverse=["bored"])
        np.testing.assert_array_equal(got.answers, want)
        assert got.users == ["1", "2", "3"] and got.questions == ["relevant", "bored"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "1,a,5,1\n2,a,6,1\n", "row 2, column 'relevant': answer '6' is not a whole number 1..5"),
        (HEADER + "1,a,5,0\n", "row 1, column 'bored': answer '0'"),
        (HEADER + "1,a,good,1\n", "answer 'good'"),
        (HEADER + "1,a,2.5,1\n", "answer '2.5'"),
        (HEADER + "1,a,nan,1\n", "answer 'nan'"),
        (HEADER + "1,a,5,1\n,a,5,1\n", "row 2, column 'user_id' is empty"),
        (HEADER + "1,,5,1\n", "row 1, column 'variant' is empty"),
        (HEADER + "1,a,5,1\n1,b,5,1\n", "row 2, user_id '1' answered before"),
        (
            HEADER + "1,a,5,1\n2,a,4,1\n 1 ,b,5,1\n",
            "row 3, user_id '1' answered before in variants 'a' and 'b'; .*1 users: '1'",
        ),
        ("user_id,relevant\n1,5\n", "column 'variant' is missing"),
        ("user_id,variant\n1,a\n", "0 questions"),
        (HEADER, "0 rows"),
        ("", "cannot be read"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=message) as caught:
        read_survey(write(tmp_path, text))
    assert "\n" not in str(caught.value) and "survey.csv" in str(caught.value)


def test_other_bad_calls(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no question 'sad'"):
        read_survey(write(tmp_path, HEADER + "1,a,5,1\n"), reverse=["sad"])
    with pytest.raises(EvaluationError, match=r"'\.xlsx' is no survey format"):
        read_survey(tmp_path / "survey.xlsx")
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_survey(tmp_path / "absent.csv")


def test_analysis_by_hand() -> None:
    answers = np.array([[5, 4], [4, 4], [2, 3], [3, np.nan], [1, 2], [4, 5], [2, 1]])
    survey = Survey(list("abcdefg"), ["new"] * 3 + ["old"] * 4, ["q1", "q2"], answers, 5)
    got = analyse_survey(survey, control="old")
    new = got["questions"]["q1"]["variants"]["new"]
    assert new["n"] == 3 and new["mean"] == pytest.approx(11 / 3) and new["top2"] == pytest.approx(2 / 3)
    assert new["counts"] == [0, 1, 0, 1, 1]
    assert new["top2_ci95"] == pytest.approx(wilson(2, 3))
    test = got["questions"]["q1"]["tests"]["new"]
    # 12 pairs of (5, 4, 2) against (3, 1, 4, 2): 5 wins 4; 4 wins 3 and ties 1; 2 wins 1 and ties 1.
    assert test["superiority"] == pytest.approx((4 + 3.5 + 1.5) / 12)
    assert got["questions"]["q2"]["variants"]["old"]["n"] == 3
    assert got["scale"]["variants"]["old"]["n"] == 3
    assert got["cronbach_alpha"] == pytest.approx(cronbach_alpha(answers))
    raw = scipy.stats.mannwhitneyu([5, 4, 2], [3, 1, 4, 2], method="asymptotic").pvalue
    assert test["p"] >= raw
    with pytest.raises(EvaluationError, match="control 'mid'"):
        analyse_survey(survey, control="mid")


def test_a_real_difference_is_found() -> None:
    rng = np.random.default_rng(0)
    answers = np.clip(np.round(rng.normal(3, 1, (400, 2))), 1, 5)
    answers[:200, 0] = np.clip(answers[:200, 0] + 1, 1, 5)
    survey = Survey([str(i) for i in range(400)], ["new"] * 200 + ["old"] * 200, ["up", "same"], answers, 5)
    got = analyse_survey(survey, control="old")["questions"]
    assert got["up"]["tests"]["new"]["p"] < 1e-6 < 0.01 < got["same"]["tests"]["new"]["p"]
    assert got["up"]["tests"]["new"]["superiority"] > 0.6


def test_wilson() -> None:
    # Newcombe (1998), single proportion: 81/263 gives .2553 to .3662; 0/20 gives 0 to .1611.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_cronbach() -> None:
    column = np.array([1.0, 2, 3, 4, 5])
    assert cronbach_alpha(np.stack([column, column], axis=1)) == pytest.approx(1.0)
    assert cronbach_alpha(np.array([[1.0, 2], [2, 1], [3, 4], [4, 3]])) == pytest.approx(0.75)
    assert cronbach_alpha(column[:, None]) is None
    assert cronbach_alpha(np.ones((4, 3))) is None
    one_question = Survey(["a", "b"], ["x", "y"], ["q"], np.array([[3.0], [3.0]]), 5)
    got = analyse_survey(one_question, control="x")
    assert got["cronbach_alpha"] is None and got["scale"]["tests"]["y"]["p"] == 1.0
    assert got["scale"]["variants"]["x"]["ci95"] is None


@pytest.mark.filterwarnings("error")
def test_constant_answers_give_no_p_of_zero() -> None:
    users, variants = [str(i) for i in range(8_000)], ["x"] * 4_000 + ["y"] * 4_000
    apart = np.repeat([[5.0, 3.0], [1.0, 3.0]], 4_000, axis=0)
    got = analyse_survey(Survey(users, variants, ["q", "same"], apart, 5), control="x")["questions"]
    assert 0 < got["q"]["tests"]["y"]["p"] < 1e-300 and got["q"]["tests"]["y"]["superiority"] == 0.0
    assert got["same"]["tests"]["y"] == {"p": 1.0, "superiority": 0.5}


@pytest.mark.filterwarnings("error")
def test_a_variant_without_an_answer_is_told() -> None:
    answers = np.array([[5.0, np.nan], [4.0, np.nan], [3.0, 2.0], [2.0, 3.0]])
    got = analyse_survey(Survey(list("abcd"), ["x", "x", "y", "y"], ["q", "r"], answers, 5), control="x")
    assert got["questions"]["r"]["variants"]["x"]["n"] == 0 and got["questions"]["r"]["variants"]["x"]["mean"] is None
    assert got["questions"]["r"]["tests"]["y"] == {"p": None, "superiority": None, "reason": "2 answers against 0"}
    # Holm is over the one test that was made
    raw = scipy.stats.mannwhitneyu([3, 2], [5, 4], method="asymptotic").pvalue
    assert got["questions"]["q"]["tests"]["y"]["p"] == pytest.approx(raw)


def test_cronbach_with_a_constant_question() -> None:
    # By its formula: k = 3, variances 1 + 1 + 0, of the sums 4: 3/2 (1 - 2/4).
    assert cronbach_alpha(np.array([[1.0, 2, 3], [2, 3, 3], [3, 4, 3]])) == pytest.approx(0.75)
    assert cronbach_alpha(np.array([[1.0, np.nan], [2, np.nan]])) is None


def test_rates_of_nobody_are_refused() -> None:
    for successes, users in ((0, 0), (3, 2), (-1, 5)):
        with pytest.raises(EvaluationError, match="is no rate"):
            wilson(successes, users)
