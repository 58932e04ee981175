"""Effects over users and seeds: what is claimed, and that noise is not."""

import numpy as np
import pytest

from evaluation.effects import effects, raw_effects, seed_spread, seeded_mean
from evaluation.errors import EvaluationError


def test_the_interval_is_the_t_interval_where_there_is_one_seed() -> None:
    values = np.array([[0.1, 0.2, 0.3, 0.4]])
    found = seeded_mean(values)
    half = 3.182446 * np.std(values[0], ddof=1) / 2
    assert found["mean"] == pytest.approx(0.25)
    assert found["ci95"] == pytest.approx([0.25 - half, 0.25 + half])
    assert found["deviation"] is None


def test_seeds_that_disagree_widen_the_interval() -> None:
    users = np.random.default_rng(0).uniform(0, 0.2, 500)
    steady = seeded_mean(np.stack([users, users, users]))
    spread = seed_spread({"moved": np.stack([users - 0.05, users, users + 0.05])})
    moved = seeded_mean(np.stack([users - 0.05, users, users + 0.05]), spread)
    assert spread == (pytest.approx(0.0025), 2)
    assert steady["mean"] == pytest.approx(moved["mean"])
    assert moved["ci95"][1] - moved["ci95"][0] > 5 * (steady["ci95"][1] - steady["ci95"][0])
    assert moved["deviation"] == pytest.approx(0.05)


def test_a_real_gain_is_claimed_with_its_size_and_a_loss_as_a_loss() -> None:
    rng = np.random.default_rng(1)
    base = rng.beta(2, 6, (3, 400))
    found = effects(
        {
            "more": base + 0.05 + rng.normal(0, 0.02, base.shape),
            "less": base - 0.05 + rng.normal(0, 0.02, base.shape),
            "base": base,
        },
        {"gain": ("more", "base"), "loss": ("less", "base"), "same": ("base", "base")},
        seed=0,
    )
    assert [row["verdict"] for row in found.values()] == ["better", "worse", "unclear"]
    assert found["gain"]["relative"] == pytest.approx(0.2, abs=0.02)
    low, high = found["gain"]["relative_ci95"]
    assert low < found["gain"]["relative"] < high
    assert found["same"]["p_wilcoxon"] == 1
    assert found["same"]["difference"] == 0


def test_what_one_seed_alone_shows_is_not_claimed() -> None:
    """Each trained pair differs for every user, but the sign is up to the seed: users alone would be sure."""
    rng = np.random.default_rng(2)
    base = np.tile(rng.beta(2, 6, 400), (3, 1))
    shifted = base + np.array([[0.06], [0.03], [-0.02]]) + rng.normal(0, 0.01, base.shape)
    found = effects({"shifted": shifted, "base": base}, {"luck": ("shifted", "base")}, seed=0)["luck"]
    assert max(found["p_bootstrap"], found["p_wilcoxon"]) < 0.05
    assert found["verdict"] == "unclear"


def test_a_model_trained_once_is_compared_with_each_seed() -> None:
    base = np.full((1, 50), 0.1)
    several = np.stack([np.full(50, 0.2), np.full(50, 0.3)])
    found = effects({"several": several, "base": base}, {"x": ("several", "base")}, seed=0)["x"]
    assert found["difference"] == pytest.approx(0.15)


@pytest.mark.parametrize("deviation", [0.0, 0.003, 0.01])
def test_noise_is_claimed_in_at_most_one_of_twenty_studies(deviation: float) -> None:
    """Twelve comparisons of models that differ by chance only, over users and between seeds: 20 studies."""
    claimed = 0
    for study in range(20):
        rng = np.random.default_rng([7, study])
        ability = rng.beta(1, 5, 300)

        def model(rng: np.random.Generator = rng, ability: np.ndarray = ability) -> np.ndarray:
            return np.stack([ability + rng.normal(0, deviation) + rng.normal(0, 0.1, 300) for _ in range(3)])

        models = {str(n): model() for n in range(13)}
        found = effects(models, {str(n): ("0", str(n)) for n in range(1, 13)}, seed=study, resamples=250)
        claimed += any(row["verdict"] != "unclear" for row in found.values())
    assert claimed <= 1


@pytest.mark.parametrize("values", [np.zeros((0, 3)), np.zeros(3), np.array([[np.nan, 1.0]])])
def test_what_cannot_be_measured_is_refused(values: np.ndarray) -> None:
    with pytest.raises(EvaluationError, match="one row a seed"):
        seeded_mean(values)


def test_a_difference_that_is_the_same_for_everybody_is_no_chance() -> None:
    models = {"all": np.ones((1, 30)), "none": np.zeros((1, 30)), "no more": np.zeros((1, 30))}
    got = raw_effects(models, {"apart": ("all", "none"), "alike": ("none", "no more")}, seed=0, resamples=50)
    assert 0 < got["apart"]["p_seeds"] < 1e-100 and got["alike"]["p_seeds"] == 1.0
