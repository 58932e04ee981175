"""Trees as arrays: equal to LightGBM's own numbers, and nothing but a forest is let in."""

from collections.abc import Callable

import lightgbm
import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnn.errors import BundleError
from gnn.ranker.config import TreesConfig
from gnn.ranker.growing import from_lightgbm, grow
from gnn.ranker.trees import Trees

FEATURES = 5


def lists(seed: int = 0, users: int = 60, length: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows whose label follows the first two features, in lists of one length."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(users * length, FEATURES)).astype(np.float32)
    wanted = rows[:, 0] + 0.5 * np.abs(rows[:, 1]) + 0.3 * rng.normal(size=len(rows))
    labels = (wanted > np.quantile(wanted, 0.8)).astype(np.int32)
    return rows, labels, np.full(users, length)


@pytest.fixture(scope="module")
def booster() -> lightgbm.Booster:
    rows, labels, groups = lists()
    settings = {"objective": "lambdarank", "num_leaves": 9, "verbosity": -1, "num_threads": 1}
    return lightgbm.train(settings, lightgbm.Dataset(rows, labels, group=groups), 30)


@pytest.fixture(scope="module")
def trees(booster: lightgbm.Booster) -> Trees:
    return from_lightgbm(booster)


def test_scores_are_lightgbms(booster: lightgbm.Booster, trees: Trees) -> None:
    rows = lists(seed=1)[0]
    np.testing.assert_allclose(trees.scores(rows), booster.predict(rows), atol=1e-6)


def test_a_row_on_a_threshold_goes_where_it_went(booster: lightgbm.Booster, trees: Trees) -> None:
    inner = trees.feature >= 0
    rows = np.zeros((int(inner.sum()), FEATURES), dtype=np.float32)
    for n, node in enumerate(np.flatnonzero(inner)):
        rows[n, trees.feature[node]] = trees.threshold[node]
    above = np.nextafter(rows, np.float32(np.inf))
    for each in (rows, above):
        np.testing.assert_allclose(trees.scores(each), booster.predict(each), atol=1e-6)


def test_shares_are_lightgbms_and_add_up_to_the_score(booster: lightgbm.Booster, trees: Trees) -> None:
    rows = lists(seed=2)[0][:200]
    shares, start = trees.shares(rows)
    theirs = booster.predict(rows, pred_contrib=True)
    np.testing.assert_allclose(shares, theirs[:, :-1], atol=1e-6)
    assert start == pytest.approx(theirs[0, -1], abs=1e-6)
    np.testing.assert_allclose(shares.sum(axis=1) + start, trees.scores(rows), atol=1e-5)


def test_onnx_gives_the_same_to_whoever_has_onnxruntime(trees: Trees) -> None:
    rows = lists(seed=3)[0][:50]
    session = onnxruntime.InferenceSession(trees.to_onnx().SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(["scores"], {"features": rows})[0][:, 0], trees.scores(rows))


def test_no_row_has_no_score(trees: Trees) -> None:
    assert trees.scores(np.zeros((0, FEATURES), dtype=np.float32)).shape == (0,)


def test_equal_input_and_seed_grow_equal_trees() -> None:
    rows, labels, groups = lists()
    first, second = (grow(rows, labels, groups, [1, 0, 0, 0, 0], TreesConfig(rounds=5), seed=3) for _ in range(2))
    for name, array in first.to_tensors("").items():
        np.testing.assert_array_equal(array, second.to_tensors("")[name])


def test_more_of_a_monotone_feature_never_lowers_a_score() -> None:
    rows, labels, groups = lists()
    trees = grow(rows, labels, groups, [1, 0, 0, 0, -1], TreesConfig(rounds=20), seed=0)
    for feature, sign in ((0, 1), (4, -1)):
        climbing = np.repeat(rows[:1], 50, axis=0)
        climbing[:, feature] = np.linspace(-3, 3, 50)
        assert (sign * np.diff(trees.scores(climbing)) >= -1e-6).all()


def test_arrays_come_back(trees: Trees) -> None:
    back = Trees.from_tensors(trees.to_tensors("r."), "r.", FEATURES)
    rows = lists(seed=4)[0][:20]
    np.testing.assert_array_equal(back.scores(rows), trees.scores(rows))


def _loop(t: dict[str, np.ndarray]) -> None:
    t["left"][np.flatnonzero(t["feature"] >= 0)[1]] = 0


def _meeting(t: dict[str, np.ndarray]) -> None:
    inner = np.flatnonzero(t["feature"] >= 0)[0]
    t["right"][inner] = t["left"][inner]


def _other_tree(t: dict[str, np.ndarray]) -> None:
    t["left"][0] = t["roots"][1]


HOSTILE: dict[str, Callable[[dict[str, np.ndarray]], object]] = {
    "a loop": _loop,
    "two parents": _meeting,
    "a child in another tree": _other_tree,
    "a child outside": lambda t: t["right"].__setitem__(0, 2**31 - 1),
    "a negative child": lambda t: t["left"].__setitem__(0, -5),
    "a feature that is not there": lambda t: t["feature"].__setitem__(0, FEATURES),
    "a feature below -1": lambda t: t["feature"].__setitem__(0, -2),
    "an endless threshold": lambda t: t["threshold"].__setitem__(0, np.inf),
    "a value that is no number": lambda t: t["value"].__setitem__(-1, np.nan),
    "nobody came by": lambda t: t["cover"].__setitem__(0, 0),
    "no tree": lambda t: t.__setitem__("roots", t["roots"][:0]),
    "roots that turn back": lambda t: t.__setitem__("roots", t["roots"][::-1].copy()),
    "a root outside": lambda t: t["roots"].__setitem__(-1, len(t["feature"])),
    "an array too short": lambda t: t.__setitem__("cover", t["cover"][:-1]),
    "nothing": lambda t: [t.__setitem__(name, array[:0]) for name, array in t.items()],
    "an array missing": lambda t: t.pop("value"),
    "another type": lambda t: t.__setitem__("left", t["left"].astype(np.int64)),
    "a matrix": lambda t: t.__setitem__("left", t["left"][None]),
}


@pytest.mark.parametrize("spoil", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_forest_is_refused(trees: Trees, spoil: Callable[[dict[str, np.ndarray]], object]) -> None:
    tensors = {name: array.copy() for name, array in trees.to_tensors("").items()}
    spoil(tensors)
    with pytest.raises(BundleError, match="train again"):
        Trees.from_tensors(tensors, "", FEATURES)


@given(st.sampled_from(["feature", "left", "right", "roots"]), st.integers(0, 400), st.integers(-(2**31), 2**31 - 1))
def test_whatever_is_written_over_is_refused_or_still_ends(trees: Trees, name: str, place: int, value: int) -> None:
    tensors = {key: array.copy() for key, array in trees.to_tensors("").items()}
    tensors[name][place % len(tensors[name])] = value
    try:
        found = Trees.from_tensors(tensors, "", FEATURES)
    except BundleError:
        return
    assert np.isfinite(found.scores(lists(seed=5)[0][:3])).all()
