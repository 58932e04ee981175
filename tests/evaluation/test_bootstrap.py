"""Bootstrap intervals and paired tests."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import bootstrap
from evaluation.bootstrap import group_summary, summarise
from evaluation.errors import EvaluationError
from evaluation.significance import compare, holm, paired_bootstrap, wilcoxon


def test_interval_agrees_with_the_normal_one() -> None:
    values = np.random.default_rng(1).normal(0.3, 0.1, 4000)
    got = summarise({"recall@20": values}, seed=0)["recall@20"]
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert got["mean"] == pytest.approx(values.mean())
    np.testing.assert_allclose(got["ci95"], [values.mean() - half, values.mean() + half], atol=half / 5)


def test_coverage_of_the_interval() -> None:
    rng = np.random.default_rng(5)
    inside = 0
    for trial in range(200):
        low, high = summarise({"hit": (rng.random(150) < 0.3) * 1.0}, seed=trial, resamples=300)["hit"]["ci95"]
        inside += low <= 0.3 <= high
    assert inside / 200 == pytest.approx(0.95, abs=0.05)


def test_seed_blocks_and_company_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.random(50), rng.random(70)
    alone = summarise({"a": a}, seed=7)
    assert summarise({"a": a}, seed=7) == alone
    assert summarise({"a": a}, seed=8) != alone
    together = summarise({"b": b, "c": a * 2, "a": a}, seed=7)
    assert list(together) == ["b", "c", "a"]
    np.testing.assert_allclose(together["a"]["ci95"], alone["a"]["ci95"], atol=1e-12)
    monkeypatch.setattr(bootstrap, "_CELLS", 120)
    np.testing.assert_allclose(summarise({"a": a}, seed=7)["a"]["ci95"], alone["a"]["ci95"], atol=1e-12)


def test_level_names_its_key() -> None:
    assert set(summarise({"a": np.array([1.0, 2.0])}, seed=0, level=0.9)["a"]) == {"mean", "ci90"}


@pytest.mark.parametrize(("values", "message"), [([], "0 users"), ([1.0, np.nan], "user 1 is nan")])
def test_bad_values_are_named(values: list[float], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        summarise({"recall@20": np.array(values)}, seed=0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_interval_lies_within_the_values(values: list[float]) -> None:
    got = summarise({"m": np.array(values)}, seed=0, resamples=50)["m"]
    low, high = got["ci95"]
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_paired_bootstrap_sees_a_shift_and_no_shift() -> None:
    rng = np.random.default_rng(0)
    base = rng.random(300)
    noise = rng.normal(0, 0.1, 300)
    better = paired_bootstrap(base + 0.05 + noise, base, seed=0)
    assert better["p"] < 0.01 and better["ci95"][0] > 0
    assert better["difference"] == pytest.approx(0.05 + noise.mean())
    same = paired_bootstrap(base, base, seed=0)
    assert same["p"] == 1.0 and same["ci95"] == [0.0, 0.0]
    near_t = paired_bootstrap(base + noise - noise.mean() + 0.012, base, seed=0, resamples=5000)["p"]
    expected = scipy.stats.ttest_1samp(noise - noise.mean() + 0.012, 0).pvalue
    assert near_t == pytest.approx(expected, abs=0.02)


def test_paired_bootstrap_p_is_uniform_under_no_difference() -> None:
    rng = np.random.default_rng(11)
    p = [paired_bootstrap(rng.random(80), rng.random(80), seed=i, resamples=300)["p"] for i in range(200)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.05)
    assert np.mean(p) == pytest.approx(0.5, abs=0.08)


def test_wilcoxon() -> None:
    a = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    b = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    # Hollander and Wolfe's depression data: W = 5 of 9 pairs, normal approximation z = -2.073.
    assert wilcoxon(a, b) == pytest.approx(2 * scipy.stats.norm.cdf(-2.073), abs=1e-4)
    assert wilcoxon(a, a) == 1.0


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_many_comparisons_can_still_be_told_apart() -> None:
    """1,000 resamples give .001 at best: over 60 rows that would be .06 after the correction."""
    rng = np.random.default_rng(4)
    base = {f"m{n}": rng.random(200) for n in range(60)}
    rows = compare({name: values + 0.1 for name, values in base.items()}, {"b": base}, list(base), seed=0)
    assert all(row["p_bootstrap"] == pytest.approx(60 / 2401) for row in rows)
    assert compare({}, {}, [], seed=0) == []


def test_a_baseline_at_zero_has_no_relative_lead() -> None:
    (row,) = compare({"m": np.ones(30)}, {"b": {"m": np.zeros(30)}}, ["m"], seed=0)
    assert row["difference"] == 1.0 and row["relative"] is None and row["relative_ci95"] is None


def test_few_users_have_no_interval() -> None:
    found = group_summary({"a": np.arange(19.0), "b": np.arange(20.0)}, seed=0)
    assert found["a"] == {"mean": 9.0}
    assert found["b"]["ci95"][0] < found["b"]["mean"] == 9.5


def test_compare_corrects_over_all_rows() -> None:
    rng = np.random.default_rng(4)
    base = {"recall@20": rng.random(200), "ndcg@20": rng.random(200)}
    ours = {name: values + 0.1 for name, values in base.items()}
    rows = compare(ours, {"popularity": base, "ours": ours}, ["recall@20", "ndcg@20"], seed=0)
    assert [(r["baseline"], r["metric"]) for r in rows][:2] == [
        ("popularity", "recall@20"),
        ("popularity", "ndcg@20"),
    ]
    assert rows[0]["p_bootstrap"] == pytest.approx(4 / 1001)
    assert rows[0]["relative"] == pytest.approx(0.1 / base["recall@20"].mean())
    alone = paired_bootstrap(ours["ndcg@20"] * base["recall@20"], base["ndcg@20"], seed=0)
    product = {"ndcg@20": ours["ndcg@20"] * base["recall@20"]}
    assert compare(product, {"b": base}, ["ndcg@20"], seed=0)[0]["ci95"] == pytest.approx(alone["ci95"])
    assert rows[0]["p_wilcoxon"] < 1e-6 and rows[2]["p_wilcoxon"] == 1.0
    assert set(rows[0]) == {
        *("baseline", "metric", "difference", "ci95", "relative", "relative_ci95", "p_bootstrap", "p_wilcoxon")
    }
    with pytest.raises(EvaluationError, match="mrr"):
        compare(ours, {"popularity": base}, ["mrr"], seed=0)
    with pytest.raises(EvaluationError, match="200 users with 3"):
        paired_bootstrap(base["ndcg@20"], np.zeros(3), seed=0)
