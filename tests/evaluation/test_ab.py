"""A/B test analysis: known answers, simulated coverage, assignment."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.ab import (
    analyse,
    assign,
    cuped,
    sample_ratio_mismatch,
    two_proportions,
    welch,
)
from evaluation.errors import EvaluationError
from evaluation.planning import always_valid, minimum_detectable_effect, sample_size

USERS = [f"user-{i}" for i in range(20_000)]


def test_assignment_is_stable_and_balanced() -> None:
    # Written down once: a change here would move users of running experiments.
    assert assign(["u1", "u2", "u3", "用户"], {"a": 1, "b": 1}, salt="exp-1") == ["b", "b", "b", "a"]
    split = assign(USERS, {"multimodal": 3, "text": 1}, salt="x")
    assert split.count("multimodal") / len(USERS) == pytest.approx(0.75, abs=0.012)
    counts = {name: split.count(name) for name in ("multimodal", "text")}
    assert not sample_ratio_mismatch(counts, {"multimodal": 3, "text": 1})["mismatch"]


def test_experiments_split_independently() -> None:
    first = np.array(assign(USERS, {"a": 1, "b": 1}, salt="one")) == "a"
    second = np.array(assign(USERS, {"a": 1, "b": 1}, salt="two")) == "a"
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.025


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(), max_size=20), st.text(max_size=5))
def test_assignment_depends_on_the_id_alone(users: list[str], salt: str) -> None:
    users = [u.encode("utf-8", "ignore").decode() for u in users]
    salt = salt.encode("utf-8", "ignore").decode()
    weights = {"a": 0.2, "b": 0.5, "c": 0.3}
    assert assign(users, weights, salt=salt) == [assign([u], weights, salt=salt)[0] for u in users]


def test_sample_ratio_mismatch() -> None:
    # Kohavi et al. (2020), chapter 3: 821,588 against 815,482 planned 50/50.
    got = sample_ratio_mismatch({"a": 821_588, "b": 815_482}, {"a": 1, "b": 1})
    assert got["mismatch"] and got["p"] == pytest.approx(1.8e-6, rel=0.05)
    with pytest.raises(EvaluationError, match="variant 'c'"):
        sample_ratio_mismatch({"c": 1}, {"a": 1, "b": 1})


def test_two_proportions() -> None:
    # Newcombe (1998), method 10, example (a): 56/70 - 48/80 = .20, interval .0524 to .3339.
    got = two_proportions(56, 70, 48, 80)
    assert got["difference"] == pytest.approx(0.2)
    assert got["ci95"] == pytest.approx([0.0524, 0.3339], abs=1e-4)
    table = scipy.stats.chi2_contingency([[56, 14], [48, 32]], correction=False)
    assert got["p"] == pytest.approx(table.pvalue)
    assert two_proportions(0, 5, 0, 5)["p"] == 1.0
    with pytest.raises(EvaluationError, match="7/5"):
        two_proportions(7, 5, 1, 5)


def test_welch() -> None:
    a, b = np.array([27.5, 21.0, 19.0, 23.6, 17.0, 17.9]), np.array([27.1, 22.0, 20.8, 23.4, 23.4, 23.5])
    got = welch(a, b)
    assert got["p"] == pytest.approx(scipy.stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert got["ci95"][0] < got["difference"] < got["ci95"][1]
    assert welch(np.ones(3), np.ones(4)) == {"difference": 0.0, "ci95": [0.0, 0.0], "p": 1.0}
    with pytest.raises(EvaluationError, match="needs 2"):
        welch(a, b[:1])


def test_cuped_removes_variance_and_keeps_the_effect() -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(10, 3, 4000)
    treated = np.arange(4000) % 2 == 0
    values = 0.9 * before + rng.normal(0, 1, 4000) + 0.2 * treated
    adjusted, removed = cuped(values, before)
    assert removed == pytest.approx(0.88, abs=0.02)
    assert adjusted.mean() == pytest.approx(values.mean())
    assert adjusted[treated].mean() - adjusted[~treated].mean() == pytest.approx(0.2, abs=0.08)
    assert cuped(values, np.ones(4000))[1] == 0.0


def test_sample_size() -> None:
    # Rule of 16 (Lehr 1992): about 16 sd^2 / effect^2 in each variant at 80 % power.
    assert sample_size(0.5, 1.0) == 63
    assert minimum_detectable_effect(63, 1.0) == pytest.approx(0.5, abs=0.002)
    rng = np.random.default_rng(1)
    found = [welch(rng.normal(0.5, 1, 63), rng.normal(0, 1, 63))["p"] < 0.05 for _ in range(600)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)
    with pytest.raises(EvaluationError, match="effect = 0"):
        sample_size(0, 1.0)


def test_always_valid_keeps_its_level_under_peeking() -> None:
    rng = np.random.default_rng(2)
    looks = np.arange(20, 2001, 20)
    peeked, naive = 0, 0
    for _ in range(400):
        steps = rng.normal(0, np.sqrt(2), 2000)
        difference = (np.cumsum(steps) / np.arange(1, 2001))[looks - 1]
        got = always_valid(difference, 2 / looks, prior_deviation=0.2)
        peeked += got["p"][-1] < 0.05
        naive += (np.abs(difference) / np.sqrt(2 / looks) > 1.96).any()
        assert (np.diff(got["p"]) <= 0).all()
    assert peeked / 400 <= 0.07 < naive / 400
    sure = always_valid(np.full(len(looks), 0.3), 2 / looks, prior_deviation=0.2)
    assert sure["p"][-1] < 0.001 and sure["low"][-1] > 0
    # The interval excludes 0 exactly where the p-value of that look is under alpha.
    one = always_valid(np.array([0.2]), np.array([0.004]), prior_deviation=0.2)
    assert (one["low"][0] > 0) == (one["p"][0] < 0.05)


def test_analyse() -> None:
    rng = np.random.default_rng(3)
    weights = {"text": 1.0, "image": 1.0, "multimodal": 1.0}
    variant = assign(USERS, weights, salt="launch")
    rate = {"text": 0.10, "image": 0.10, "multimodal": 0.13}
    clicked = rng.random(len(USERS)) < np.array([rate[name] for name in variant])
    got = analyse(variant, clicked, weights, control="text", kind="rate")
    assert set(got["tests"]) == {"image", "multimodal"} and not got["split"]["mismatch"]
    assert got["tests"]["multimodal"]["p_holm"] < 0.001 < got["tests"]["image"]["p"]
    assert sum(got["users"].values()) == len(USERS)
    before = rng.normal(size=len(USERS))
    spent = before + clicked
    plain = analyse(variant, spent, weights, control="text", kind="mean")
    better = analyse(variant, spent, weights, control="text", kind="mean", before=before)
    width = [np.ptp(r["tests"]["multimodal"]["ci95"]) for r in (plain, better)]
    assert width[1] < width[0] / 2 and better["variance_removed"] > 0.8
    assert better["means"] == plain["means"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"control": "audio"}, "control 'audio'"),
        ({"values": np.array([0.0, 2.0, 1.0, 1.0])}, "kind 'rate'"),
        ({"values": np.array([0.0, 1.0])}, "2 values for 4"),
        ({"variant": ["a", "b", "a", "zzz"]}, "variant 'zzz'"),
    ],
)
def test_bad_experiments_are_named(change: dict, message: str) -> None:
    good = {"variant": ["a", "b", "a", "b"], "values": np.array([0.0, 1.0, 1.0, 1.0]), "control": "a"}
    with pytest.raises(EvaluationError, match=message):
        analyse(**{**good, **change}, weights={"a": 1, "b": 1}, kind="rate")
    with pytest.raises(EvaluationError, match="'b': 0"):
        assign(["u"], {"a": 1, "b": 0}, salt="s")
