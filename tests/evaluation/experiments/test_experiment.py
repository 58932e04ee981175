"""Experiments from events to verdicts: hand-counted users, known effects, libraries' numbers."""

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import scipy.stats
import statsmodels.api as sm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower

from evaluation.errors import EvaluationError
from evaluation.experiments.analysis import ExperimentAnalysis, analyse_experiment
from evaluation.experiments.design import ExperimentDesign
from evaluation.experiments.event_units import past_units, units
from evaluation.experiments.simulated_plan import detectable, plan_on_past, users_needed
from evaluation.planning import always_valid, tightest_prior

START = datetime(2026, 3, 2)
METRICS = {
    "clicked": {"kind": "rate", "event": "click"},
    "clicks": {"event": "click"},
    "spent": {"event": "click", "value": True, "winsorise": 0.99},
    "ctr": {"kind": "ratio", "event": "click", "per": "view"},
    "views": {"event": "view", "guardrail": 0.1},
}


def design(**more: object) -> ExperimentDesign:
    facts = {"name": "x", "variants": {"a": 1, "b": 1}, "control": "a", "metrics": METRICS, "start": START}
    return ExperimentDesign.model_validate({**facts, **more})


def log(rows: list[tuple]) -> pl.LazyFrame:
    """`(user, hours after the start, event[, variant, value])`."""
    full = [(u, START + timedelta(hours=h), e, *rest, *[None] * (2 - len(rest))) for u, h, e, *rest in rows]
    names = {"user_id": pl.String, "timestamp": pl.Datetime("us"), "event": pl.String}
    return pl.DataFrame(full, schema={**names, "variant": pl.String, "value": pl.Float64}, orient="row").lazy()


def people(n: int, lift: float, seed: int = 0, days: int = 14) -> pl.LazyFrame:
    """Users with a taste, a past, and clicks that the second variant raises."""
    rng = np.random.default_rng(seed)
    taste, second = rng.gamma(2, 1, n), rng.random(n) < 0.5
    came = rng.uniform(0, days - 4, n)
    frames = []
    for event, mean in (
        ("past", 3 * taste),
        ("view", np.full(n, 6.0)),
        ("click", taste * np.where(second, 1 + lift, 1)),
    ):
        user = np.repeat(np.arange(n), rng.poisson(mean))
        at = came[user] + rng.uniform(0, 1, len(user)) * (days - came[user])
        at = rng.uniform(-10, 0, len(user)) if event == "past" else at
        name = "click" if event == "past" else event
        frames.append(pl.DataFrame({"user": user, "day": at, "event": [name] * len(user)}))
    frames.append(pl.DataFrame({"user": np.arange(n), "day": came, "event": ["exposure"] * n}))
    table = pl.concat(frames)
    user = table["user"].to_numpy()
    return table.select(
        pl.format("u{}", "user").alias("user_id"),
        (pl.lit(START) + pl.duration(microseconds=pl.col("day") * 86_400e6)).alias("timestamp"),
        "event",
        pl.Series("variant", np.where(second, "b", "a")[user]),
        pl.Series("value", rng.lognormal(0, 1, len(user))),
        pl.Series("country", np.array(["de", "cn", "fr"])[user % 3]),
    ).lazy()


def analysed(events: pl.LazyFrame, **more: object) -> ExperimentAnalysis:
    asked = design(**more)
    return analyse_experiment(units(events, asked), asked)


def test_users_are_counted_as_by_hand() -> None:
    events = log(
        [
            ("u1", -30, "click"),  # the past
            ("u1", 1, "exposure", "a"),
            ("u1", 0.5, "click"),  # before the exposure: neither
            ("u1", 2, "click", None, 5.0),
            ("u1", 30, "click", None, 7.0),
            ("u1", 31, "exposure", "a"),
            ("u2", 3, "exposure", "b"),
            ("u2", 4, "view"),
            ("u3", 5, "exposure", "a"),
            ("u3", 6, "exposure", "b"),  # crossed
            ("u3", 7, "click"),
            ("u4", 8, "click"),  # never exposed
            ("u5", 9, "exposure", "b"),
        ]
    )
    asked = design()
    found = units(events, asked)
    assert (found.crossed, found.unexposed, found.days) == (1, 1, 2)
    assert found.variant.tolist() == [0, 1, 1] and found.has_past.tolist() == [1, 0, 0]
    counts = {name: found.outcome(metric)[0].tolist() for name, metric in asked.metrics.items()}
    assert counts["clicks"] == [2, 0, 0] and counts["spent"] == [12, 0, 0] and counts["views"] == [0, 1, 0]
    assert found.outcome(asked.metrics["clicks"], (1, 2))[0].tolist() == [1, 0, 0]
    np.testing.assert_equal(found.before(asked.metrics["clicks"]), [1, np.nan, np.nan])
    silent = analyse_experiment(found, asked).silent
    assert silent == {"a": 0.0, "b": 0.5}


@pytest.mark.parametrize("form", ["seconds", "milliseconds", "text"])
def test_times_are_read_in_every_form(form: str) -> None:
    events, time = log([("u1", 1, "exposure", "a"), ("u2", 25, "exposure", "b")]), pl.col("timestamp")
    forms = {"seconds": time.dt.epoch("s"), "milliseconds": time.dt.epoch("ms"), "text": time.dt.to_string("iso")}
    found = units(events.with_columns(forms[form]), design())
    assert found.exposed.tolist() == [0, 1]


def test_an_assignment_stands_in_for_variants_and_exposures() -> None:
    events = log([("u1", 1, "click"), ("u2", 2, "click"), ("u9", 2, "click")]).drop("variant")
    drawn = pl.DataFrame({"user_id": ["u1", "u2", "u3"], "variant": ["a", "b", "b"]}).lazy()
    found = units(events, design(), drawn)
    assert found.variant.tolist() == [0, 1, 1] and found.unexposed == 1


def test_an_effect_is_found_and_cuped_is_statsmodels_regression() -> None:
    events = people(3000, 0.2)
    found = analysed(events, segments=["country"])
    clicks = found.metrics["clicks"]
    assert clicks.tests["b"].verdict == "better" and found.metrics["views"].tests["b"].verdict == "kept"
    assert clicks.variance_removed > 0.2 and clicks.covariates_missing > 0
    # the adjusted difference is that of a regression on a covariate centred within nobody's variant
    seen = units(events, design())
    above, before = seen.outcome(design().metrics["clicks"])[0], seen.before(design().metrics["clicks"])
    known = ~np.isnan(before)
    centred = np.where(known, before - before[known].mean(), 0)
    slope = sm.OLS(above - above.mean(), centred).fit().params[0]
    adjusted = above - slope * centred
    expected = scipy.stats.ttest_ind(adjusted[seen.variant == 1], adjusted[seen.variant == 0], equal_var=False)
    assert clicks.tests["b"].p == pytest.approx(expected.pvalue, rel=1e-6)
    assert found.metrics["spent"].winsorised and any("winsorised" in note for note in found.notes)
    assert {row.value for row in found.segments} == {"de", "cn", "fr"}


def test_p_is_corrected_as_statsmodels_does_guardrails_aside() -> None:
    tests = {n: m.tests["b"] for n, m in analysed(people(500, 0.1)).metrics.items()}
    assert tests["views"].p_holm is None and tests["views"].p_kept is not None
    family = [t for n, t in tests.items() if n != "views"]
    expected = multipletests([t.p for t in family], method="holm")[1]
    assert [t.p_holm for t in family] == pytest.approx(list(expected), abs=1e-9)


def test_without_an_effect_nothing_is_claimed_on_any_day() -> None:
    wrong = fixed = 0
    for seed in range(60):
        found = analysed(people(500, 0.0, seed), metrics={"clicks": {"event": "click"}}, planned_users=500)
        looks = found.metrics["clicks"].looks["b"]
        wrong += any(look.low > 0 or look.high < 0 for look in looks)
        fixed += found.metrics["clicks"].tests["b"].verdict != "unclear"
        assert all(a.p >= b.p for a, b in pairwise(looks))
    assert wrong <= 3 and fixed <= 8


def test_a_split_that_is_off_is_no_result() -> None:
    events = people(3000, 0.2).filter((pl.col("variant") == "a") | (pl.col("user_id").str.slice(1).cast(int) % 4 > 0))
    found = analysed(events)
    assert found.split["mismatch"] and "may be read" in found.notes[0]


def test_novelty_is_an_effect_that_fades() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for n in range(1500):
        second = n % 2
        rows.append((f"u{n}", 1, "exposure", "ab"[second]))
        for day in range(14):
            rate = 0.3 * (1 + second * (0.5 if day < 7 else 0.0))
            rows += [(f"u{n}", 2 + 24 * day, "click")] * rng.poisson(rate)
    found = analysed(log(rows), metrics={"clicks": {"event": "click"}})
    new = found.metrics["clicks"].novelty["b"]
    assert new.days == 7 and new.users == 1500 and new.early > 0.1 > 0.05 > new.late
    assert new.p is not None and new.p < 1e-4 and any("novelty" in note for note in found.notes)
    days = found.metrics["clicks"].weekdays["b"]
    assert [day.weekday for day in days][:2] == ["Monday", "Tuesday"] and len(days) == 7


def test_clusters_are_what_is_counted_and_tested() -> None:
    events = people(3000, 0.0).with_columns(
        house=pl.col("variant") + (pl.col("user_id").str.slice(1).cast(int) // 10).cast(str)
    )
    found = analysed(events, cluster="house")
    alone = analysed(events)
    wide, narrow = (f.metrics["ctr"].tests["b"].ci95 or (0, 0) for f in (found, alone))
    assert found.metrics["ctr"].tests["b"].difference == alone.metrics["ctr"].tests["b"].difference
    assert wide != narrow and found.split["p"] != alone.split["p"]


def test_several_variants_each_stand_against_control() -> None:
    rows = []
    for n in range(600):
        rows += [(f"u{n}", 1, "exposure", "abc"[n % 3])] + [(f"u{n}", 2, "click")] * (n % 5 + 2 * (n % 3 == 2))
    found = analysed(log(rows), variants={"a": 1, "b": 1, "c": 1}, metrics={"clicks": {"event": "click"}})
    tests = found.metrics["clicks"].tests
    assert tests["c"].verdict == "better" and tests["b"].verdict == "unclear"
    assert set(found.metrics["clicks"].looks) == {"b", "c"}


def test_users_needed_are_statsmodels() -> None:
    asked = design(metrics={})
    expected = NormalIndPower().solve_power(0.02 / 0.3, power=0.8, alpha=0.025, alternative="larger")
    assert users_needed(0.1, 0.3, 0.2, asked) == pytest.approx(2 * expected, abs=1)
    uneven = design(variants={"a": 3, "b": 1}, metrics={})
    expected = NormalIndPower().solve_power(0.02 / 0.3, power=0.8, alpha=0.025, ratio=1 / 3, alternative="larger")
    assert users_needed(0.1, 0.3, 0.2, uneven) == pytest.approx(expected * 4 / 3, abs=1)
    assert detectable(0.1, 0.3, users_needed(0.1, 0.3, 0.2, asked), asked) == pytest.approx(0.2, rel=1e-3)
    with pytest.raises(EvaluationError, match="effect = 0"):
        users_needed(0.1, 0.3, 0.0, asked)


def test_a_plan_on_past_users_holds_in_simulation() -> None:
    asked = design(metrics={"clicked": METRICS["clicked"]})
    past = past_units(people(4000, 0.0).drop("variant"), asked, days=14)
    plan = plan_on_past(past, asked, effect=0.1, runs=400)["clicked"]
    assert plan.simulated and plan.simulated.power == pytest.approx(0.8, abs=0.07)
    assert plan.simulated.false_positives == pytest.approx(0.05, abs=0.035)
    assert plan.days is not None and plan.available == 4000


def test_the_prior_gives_the_published_asymptotic_sequence() -> None:
    # Waudby-Smith et al. (2024), theorem 2.2, with rho for t* = 500, at t = 200 of unit variance
    rho2 = (-2 * np.log(0.05) + np.log(-2 * np.log(0.05) + 1)) / 500
    half = np.sqrt(2 * (200 * rho2 + 1) / (200**2 * rho2) * np.log(np.sqrt(200 * rho2 + 1) / 0.05))
    got = always_valid(np.zeros(1), np.array([1 / 200]), prior_deviation=tightest_prior(1 / 500, alpha=0.05))
    assert got["high"][0] == pytest.approx(half, abs=1e-9)


def test_columns_that_are_missing_or_unknown_variants_are_named() -> None:
    with pytest.raises(EvaluationError, match="'event' is missing"):
        units(log([("u1", 1, "click")]).drop("event"), design())
    with pytest.raises(EvaluationError, match="variant 'z'"):
        units(log([("u1", 1, "exposure", "z")]), design())
    with pytest.raises(EvaluationError, match="no user has an event 'exposure'"):
        units(log([("u1", 1, "click", "a")]), design())
