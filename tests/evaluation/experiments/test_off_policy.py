"""Off-policy estimates: the truth by drawing it, and numbers by hand."""

import numpy as np
import pytest

from evaluation.errors import EvaluationError
from evaluation.experiments.off_policy import off_policy

WORTH = np.array([0.05, 0.2, 0.6])
LOG, NEW = np.array([0.6, 0.3, 0.1]), np.array([0.1, 0.3, 0.6])


def test_numbers_by_hand() -> None:
    got = off_policy(np.array([1.0, 0, 1]), np.array([0.5, 0.5, 0.25]), np.array([0.25, 0.5, 0.5]))
    # weights .5, 1, 2
    assert got.ips.value == pytest.approx(2.5 / 3) and got.snips.value == pytest.approx(2.5 / 3.5)
    assert got.effective_rows == pytest.approx(3.5**2 / 5.25) and got.weight_max == 2
    model = {"modelled": np.array([0.5, 0.5, 0.5]), "modelled_wanted": np.array([0.4, 0.4, 0.4])}
    dr = off_policy(np.array([1.0, 0, 1]), np.array([0.5, 0.5, 0.25]), np.array([0.25, 0.5, 0.5]), **model).dr
    assert dr is not None and dr.value == pytest.approx(0.4 + (0.25 - 0.5 + 1) / 3)


def test_each_estimate_is_unbiased_and_its_interval_holds() -> None:
    truth, rng, hits, values = float(NEW @ WORTH), np.random.default_rng(0), np.zeros(3), []
    for _ in range(400):
        shown = rng.choice(3, 800, p=LOG)
        reward = (rng.random(800) < WORTH[shown]).astype(float)
        guess = np.array([0.1, 0.2, 0.4])
        got = off_policy(
            reward, LOG[shown], NEW[shown], modelled=guess[shown], modelled_wanted=np.full(800, NEW @ guess)
        )
        assert got.dr is not None and not got.notes[1:]
        three = (got.ips, got.snips, got.dr)
        values.append([one.value for one in three])
        hits += [one.ci95[0] < truth < one.ci95[1] for one in three]
    assert np.mean(values, axis=0) == pytest.approx([truth] * 3, abs=0.006)
    assert (hits / 400 > 0.92).all() and (hits / 400 < 0.98).all()
    assert np.std(values, axis=0)[2] < np.std(values, axis=0)[0]


def test_what_the_log_never_shows_is_told() -> None:
    rng = np.random.default_rng(1)
    log, new = np.array([0.7, 0.3, 0.0]), np.array([0.2, 0.2, 0.6])
    shown = rng.choice(3, 2000, p=log)
    got = off_policy(WORTH[shown], log[shown], new[shown])
    assert "not 1" in got.notes[0] and got.weight_mean == pytest.approx(0.4, abs=0.05)
    rare = np.full(2000, 0.5)
    rare[0] = 0.0001
    assert "few rows decide" in off_policy(np.ones(2000), rare, np.full(2000, 0.5)).notes[-1]


def test_clipping_is_counted_and_chances_are_checked() -> None:
    got = off_policy(np.ones(3), np.array([0.5, 0.5, 0.01]), np.array([0.5, 0.5, 0.5]), clip=5)
    assert got.clipped == 1 and got.ips.value == pytest.approx(7 / 3)
    with pytest.raises(EvaluationError, match="logged chance of row 2"):
        off_policy(np.ones(2), np.array([0.5, 0.0]), np.ones(2))
