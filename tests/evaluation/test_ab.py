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


@pytest.mark.filterwarnings("error")
def test_constant_samples_give_no_p_of_zero() -> None:
    apart = welch(np.full(50, 2.0), np.full(40, 1.5))
    assert apart["difference"] == 0.5 and apart["p"] is None and apart["ci95"] is None
    assert "all equal" in apart["reason"]
    # 0.1 + 0.2 is not 0.3 to a computer: what differs by rounding alone is constant
    assert welch(np.array([0.1 + 0.2, 0.3]), np.array([0.3, 0.3]))["p"] == 1.0
    one = welch(np.array([1.0, 1, 1]), np.array([0.0, 1, 2]))  # one variant that varies is enough
    assert one["p"] == pytest.approx(scipy.stats.ttest_1samp([0.0, 1, 2], 1).pvalue) == 1.0
    assert 0 < two_proportions(10**6, 10**6, 0, 10**6)["p"] < 1e-300
    perfect = analyse(
        ["a", "a", "b", "b"],
        [1.0, 2.0, 1.0, 2.0],
        {"a": 1, "b": 1},
        control="a",
        kind="mean",
        before=np.array([1.0, 2.0, 1.0, 2.0]),
    )
    assert perfect["tests"]["b"]["p"] == 1.0 and perfect["variance_removed"] == pytest.approx(1.0)
    with pytest.raises(EvaluationError, match="1 of 3 values are no finite numbers, the first at row 2"):
        welch(np.array([1.0, np.nan]), np.array([1.0]))


@pytest.mark.filterwarnings("error")
def test_a_missing_covariate_is_the_mean_and_counted() -> None:
    values, before = np.array([1.0, 2.0, 3.0, 10.0]), np.array([1.0, 2.0, 3.0, np.nan])
    adjusted, removed = cuped(values, before)
    # By hand: the mean of 1, 2, 3 is 2, so centred is -1, 0, 1, 0 and the slope (-1 (1-4) + 1 (3-4)) / 2 = 1.
    np.testing.assert_allclose(adjusted, [2.0, 2.0, 2.0, 10.0])
    assert removed == pytest.approx(1 - 12 / 12.5)  # variances 12 and 12.5
    np.testing.assert_allclose(adjusted, cuped(values, np.array([1.0, 2.0, 3.0, 2.0]))[0])
    assert cuped(values, np.full(4, np.nan))[1] == 0.0
    assert cuped(np.full(4, 0.1), np.array([1.0, 2, 3, 4]))[1] == 0.0
    got = analyse(list("abab"), values, {"a": 1, "b": 1}, control="a", kind="mean", before=before)
    assert got["covariates_missing"] == 1
    with pytest.raises(EvaluationError, match="1 of 4 values are no finite"):
        cuped(values, np.array([1.0, np.inf, 1, 2]))
    with pytest.raises(EvaluationError, match="3 covariates for 4"):
        cuped(values, before[:3])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["rate", "mean"])
def test_an_empty_arm_is_a_mismatch(kind: str) -> None:
    values = np.array([0.0, 1.0, 1.0])
    got = analyse(["a", "a", "a"], values, {"a": 1, "b": 1, "c": 1}, control="a", kind=kind)
    assert got["split"]["mismatch"] and got["split"]["empty"] == ["b", "c"]
    assert got["users"] == {"a": 3, "b": 0, "c": 0} and set(got["means"]) == {"a"}
    assert got["tests"]["b"]["p"] is None and "0 users against 3" in got["tests"]["b"]["reason"]
    control = analyse(["b", "b", "c"], values, {"a": 1, "b": 1, "c": 1}, control="a", kind=kind)
    assert control["split"]["mismatch"] and control["tests"]["b"]["p_holm"] is None
    with pytest.raises(EvaluationError, match="no numbers of users"):
        analyse([], [], {"a": 1, "b": 1}, control="a", kind=kind)


def test_an_arm_of_one_user() -> None:
    got = analyse(list("aaabbbc"), [1.0, 2, 3, 2, 3, 4, 9], {"a": 1, "b": 1, "c": 1}, control="a", kind="mean")
    assert "1 users against 3; a mean needs 2" in got["tests"]["c"]["reason"]
    # the correction is over the tests that were made: b's alone
    assert got["tests"]["b"]["p_holm"] == pytest.approx(scipy.stats.ttest_ind([2, 3, 4], [1, 2, 3]).pvalue)
    rate = analyse(list("aac"), [1, 0, 1], {"a": 1, "c": 1}, control="a", kind="rate")
    assert rate["tests"]["c"]["difference"] == 0.5


def test_one_user_in_two_arms_is_refused_with_the_ids() -> None:
    def given(users: list[str]) -> None:
        analyse(list("abab"), [1.0, 2, 3, 4], {"a": 1, "b": 1}, control="a", kind="mean", users=users)

    given(["u1", "u2", "u3", "u4"])
    with pytest.raises(EvaluationError, match="2 of 2 users stand in two variants; leave them out: 'u1', 'u2'"):
        given(["u1", "u1", "u2", "u2"])
    with pytest.raises(EvaluationError, match="1 of 3 users stand in two rows; add up the rows of each user: 'u1'"):
        given(["u1", "u2", "u1", "u4"])
    with pytest.raises(EvaluationError, match="3 user ids for 4 rows"):
        given(["u1", "u2", "u3"])
    many = [f"u{i}" for i in range(9)]
    with pytest.raises(EvaluationError, match=r"'u0', 'u1', 'u2', 'u3', 'u4' \.\.\.$"):
        analyse(["a"] * 9 + ["b"] * 9, [1.0] * 18, {"a": 1, "b": 1}, control="a", kind="mean", users=many * 2)


@pytest.mark.parametrize("counts", [{"a": -1, "b": 5}, {"a": 0, "b": 0}, {}])
def test_counts_that_are_no_numbers_of_users(counts: dict[str, int]) -> None:
    with pytest.raises(EvaluationError, match="no numbers of users"):
        sample_ratio_mismatch(counts, {"a": 1, "b": 1})


@pytest.mark.parametrize("share", [0, -1, np.nan, np.inf])
def test_shares_that_are_none(share: float) -> None:
    with pytest.raises(EvaluationError, match="not positive"):
        sample_ratio_mismatch({"a": 1, "b": 1}, {"a": 1, "b": share})
    with pytest.raises(EvaluationError, match="not positive"):
        assign(["u"], {"a": 1, "b": share}, salt="s")


def test_plans_that_are_none() -> None:
    for effect, deviation in ((np.nan, 1), (1, np.nan), (np.inf, 1), (1, 0)):
        with pytest.raises(EvaluationError, match="endless users"):
            sample_size(effect, deviation)
    with pytest.raises(EvaluationError, match="detect nothing"):
        minimum_detectable_effect(10, np.nan)
    for alpha, power in ((0, 0.8), (0.05, 1.0), (np.nan, 0.8), (0.9, 0.5)):
        with pytest.raises(EvaluationError, match="no plan"):
            sample_size(0.5, 1.0, alpha=alpha, power=power)
    for difference, variance in (([0.1], [0.1, 0.2]), ([np.nan], [0.1])):
        with pytest.raises(EvaluationError, match="one finite number of each a look"):
            always_valid(np.array(difference), np.array(variance), prior_deviation=0.2)
    with pytest.raises(EvaluationError, match="must be positive"):
        always_valid(np.array([0.1]), np.array([np.nan]), prior_deviation=0.2)
    assert always_valid(np.array([100.0]), np.array([1e-6]), prior_deviation=1)["p"][0] > 0


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
        ({"values": np.array([0.0, 1.0, np.nan, 1.0])}, "1 of 4 values are no finite numbers, the first at row 3"),
        ({"variant": ["a", "b", "a", "zzz"]}, "variant 'zzz'"),
    ],
)
def test_bad_experiments_are_named(change: dict, message: str) -> None:
    good = {"variant": ["a", "b", "a", "b"], "values": np.array([0.0, 1.0, 1.0, 1.0]), "control": "a"}
    with pytest.raises(EvaluationError, match=message):
        analyse(**{**good, **change}, weights={"a": 1, "b": 1}, kind="rate")
    with pytest.raises(EvaluationError, match="'b': 0"):
        assign(["u"], {"a": 1, "b": 0}, salt="s")
