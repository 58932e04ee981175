"""The simulation of experiments, small: what its table claims holds here, too."""

import numpy as np
import pytest

from benchmarks.experiments import People, false_alarms, interleaved, logged, mismatch, power


@pytest.fixture(scope="module")
def people() -> People:
    return People.drawn(300)


def test_nothing_is_found_where_nothing_is(people: People) -> None:
    found = false_alarms(people, 150, 7)
    for name in ("A/A, clicks: p < .05", "A/A, clicks a visit (ratio): p < .05"):
        low, high = found[name]["ci95"]
        assert low <= 0.05 <= high, name
    assert (
        found["A/A, any claim over both metrics"]["ci95"][0] <= 0.05
    )  # Holm gives away some where metrics go together
    assert found["A/A, p < .05 on any day, as if each were the last"]["ci95"][0] > 0.05
    assert found["A/A, the always-valid interval leaves 0 on any day"]["rate"] <= 0.05
    assert found["A/A, a sample-ratio mismatch is told"]["rate"] <= 0.02


def test_what_is_there_is_found_as_planned(people: People) -> None:
    found, held = power(people, 120, 7).values()
    assert found["ci95"][0] <= 0.8 <= found["ci95"][1]
    assert held["rate"] >= 0.88


def test_a_split_that_lost_people_is_refused(people: People) -> None:
    rates = [found["rate"] for found in mismatch(People.drawn(600), 30, 7).values()]
    assert rates == sorted(rates) and rates[-1] >= 0.3


def test_fewer_people_tell_by_interleaving(people: People) -> None:
    (found,) = interleaved(People.drawn(1000), 150).values()
    assert found["interleaving"] < found["A/B"]


def test_a_log_tells_what_another_policy_would_earn(people: People) -> None:
    found = logged(people, 60)
    for name in ("ips", "snips", "dr"):
        assert (
            abs(found[name]["mean"] - found["true reward of the new policy"])
            < 4 * found[name]["error of the mean"] + 1e-3
        )
        assert found[name]["interval holds"]["rate"] >= 0.85
    assert np.isfinite(found["dr"]["mean"])
