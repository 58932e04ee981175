"""Assignment: layers share nobody, holdouts hold, a ramp only adds."""

import numpy as np
import pytest
from pydantic import ValidationError

from evaluation.ab import assign
from evaluation.experiments.assignment import assign_users
from evaluation.experiments.design import ExperimentDesign

USERS = [f"user-{n}" for n in range(20_000)]


def design(name: str = "one", **more: object) -> ExperimentDesign:
    return ExperimentDesign.model_validate({"name": name, "variants": {"a": 1, "b": 1}, "control": "a", **more})


def inside(found: list) -> np.ndarray:
    return np.array([one.variant is not None for one in found])


def test_without_restrictions_it_is_the_plain_hash() -> None:
    assert [one.variant for one in assign_users(USERS[:500], design())] == assign(
        USERS[:500], {"a": 1, "b": 1}, salt="one"
    )


def test_experiments_of_one_layer_share_no_user_and_those_of_two_are_independent() -> None:
    first = inside(assign_users(USERS, design("one", layer={"name": "ranking", "end": 0.5})))
    second = inside(assign_users(USERS, design("two", layer={"name": "ranking", "start": 0.5})))
    other = inside(assign_users(USERS, design("three", layer={"name": "design", "end": 0.5})))
    assert not (first & second).any() and (first | second).all()
    assert (first & other).mean() == pytest.approx(0.25, abs=0.015)


def test_a_holdout_is_the_same_in_every_experiment() -> None:
    held = {"holdout": {"share": 0.1}}
    found = [assign_users(USERS, design(name, **held)) for name in ("one", "two")]
    out = [np.array([one.reason == "holdout" for one in each]) for each in found]
    assert (out[0] == out[1]).all() and out[0].mean() == pytest.approx(0.1, abs=0.01)


def test_a_ramp_adds_users_and_moves_none() -> None:
    small, large = (assign_users(USERS, design(ramp=share)) for share in (0.1, 0.4))
    assert inside(small).mean() == pytest.approx(0.1, abs=0.01)
    assert all(b.variant == a.variant for a, b in zip(small, large, strict=True) if a.variant)
    assert {one.reason for one in small} == {None, "ramp"}


def test_excluded_users_are_named_first() -> None:
    found = assign_users(["u1", "u2"], design(ramp=0.000001), {"u1"})
    assert [(one.variant, one.reason) for one in found] == [(None, "excluded"), (None, "ramp")]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"control": "c"}, "no variant"),
        ({"metrics": {"m": {"kind": "ratio", "event": "click"}}}, "below the line"),
        ({"metrics": {"m": {"event": "exposure"}}}, "no metric can count"),
        ({"layer": {"name": "x", "start": 0.5, "end": 0.5}}, "empty"),
        ({"start": "2026-01-02", "end": "2026-01-01"}, "before the start"),
    ],
)
def test_a_design_that_cannot_be_is_refused(wrong: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        design(**wrong)
