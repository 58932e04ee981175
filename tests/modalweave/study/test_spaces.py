"""What a search may draw: ranges and choices that are checked before the first trial, and kept as they were."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from modalweave.config import RunConfig, dump_config, load_config, parse_config
from modalweave.errors import ConfigError, RunError
from modalweave.study.config import SpanConfig, StudyConfig, TuneConfig
from modalweave.study.tune import SPACES, _checked, _drawn, _seed, _with

BASE = parse_config({"source": {"path": "."}, "gnn": {"model": "ease", "ease": {"rank": 9}}})


class Draw:
    """Stands for a trial: the last choice, or the upper edge of a range."""

    def __init__(self) -> None:
        self.asked: dict[str, tuple[Any, ...]] = {}

    def suggest_categorical(self, key: str, places: list[int]) -> int:
        self.asked[key] = tuple(places)
        return places[-1]

    def suggest_int(self, key: str, low: int, high: int, *, log: bool) -> int:
        self.asked[key] = (low, high, log)
        return high

    def suggest_float(self, key: str, low: float, high: float, *, log: bool) -> float:
        self.asked[key] = (low, high, log)
        return high / 3


def test_what_is_drawn_is_what_a_config_holds() -> None:
    space: Mapping[str, Any] = {
        "gnn.modalities": [["text"], ["text", "image"]],
        "gnn.layers": SpanConfig(low=1, high=4, integer=True),
        "gnn.learning_rate": SpanConfig(low=0.001, high=0.1, log=True),
    }
    draw = Draw()
    found = _drawn(draw, space)  # type: ignore[arg-type]
    assert found == {"gnn.modalities": ["text", "image"], "gnn.layers": 4, "gnn.learning_rate": 0.0333333}
    assert draw.asked == {
        "gnn.modalities": (0, 1),  # by place: a choice may be a list
        "gnn.layers": (1, 4, False),
        "gnn.learning_rate": (0.001, 0.1, True),
    }
    assert type(found["gnn.layers"]) is int
    assert _with(BASE, found).gnn.modalities == ("text", "image")


def test_a_setting_of_a_trial_leaves_the_others_alone() -> None:
    found = _with(BASE, {"gnn.ease.regularisation": 5.0, "gnn.layers": 3})
    assert found.gnn.settings("ease").model_dump(exclude_defaults=True) == {"rank": 9, "regularisation": 5.0}
    assert found.gnn.layers == 3
    assert BASE.gnn.settings("ease").model_dump(exclude_defaults=True) == {"rank": 9}, "the base is as it was"


def test_what_a_search_writes_reads_back(tmp_path: Path) -> None:
    tuned = _with(BASE, {"gnn.ease.regularisation": 0.5})
    (tmp_path / "tuned.yaml").write_text(dump_config(tuned), encoding="utf-8")
    assert load_config(tmp_path / "tuned.yaml") == tuned


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"gnn.ease.regularisation": [1.0, -2.0]}, "regularisation: value -2.0 must be over 0"),
        ({"gnn.ease.regularisaton": [1.0]}, "did you mean 'regularisation'"),
        ({"gnn.ease.rank": SpanConfig(low=0, high=5, integer=True)}, "rank: value 0 must be over 0"),
        ({"gnn.fusion": ["joint", "jiont"]}, "did you mean 'joint'"),
        ({"seed": [1, 2]}, "'seed' is no setting of the recommender"),
        ({"evaluation.k": [[1]]}, "'evaluation.k' is no setting of the recommender"),
    ],
)
def test_every_edge_and_choice_is_tried_before_the_first_trial(space: Mapping[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        _checked(BASE, space)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", SPACES)
def test_the_default_spaces_are_what_their_recommenders_take(model: str) -> None:
    base = _with(BASE, {"gnn.model": "hetero" if model == "auto" else model})
    assert _checked(base, SPACES[model]) == SPACES[model]


def test_nothing_to_search_names_the_key() -> None:
    with pytest.raises(RunError, match=r"model 'ease' has no default space to search; set tune\.space"):
        _checked(BASE, {})


@pytest.mark.parametrize(
    "span",
    [
        {"low": 2, "high": 2},
        {"low": 3, "high": 2},
        {"low": 0, "high": 2, "log": True},
        {"low": -1, "high": 2, "log": True},
    ],
)
def test_a_range_ascends(span: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="are no range"):
        SpanConfig.model_validate(span)
    with pytest.raises(ConfigError, match=r"tune\.space") as caught:
        parse_config({"source": {"path": "."}, "tune": {"space": {"gnn.layers": span}}})
    assert "\n" not in str(caught.value)


def test_whole_numbers_are_whole() -> None:
    assert type(SpanConfig(low=1, high=5, integer=True).number(3.0)) is int
    assert type(SpanConfig(low=1, high=5).number(3.0)) is float
    assert SpanConfig(low=-1, high=0) == SpanConfig(low=-1, high=0, log=False)


@pytest.mark.parametrize(
    ("model", "raw"),
    [
        (TuneConfig, {"trials": 0}),
        (TuneConfig, {"timeout": 0}),
        (TuneConfig, {"spaces": {}}),
        (StudyConfig, {"seeds": []}),
        (StudyConfig, {"seeds": [-1]}),
        (StudyConfig, {"own": {"My Own": {}}}),
        (StudyConfig, {"metric": "mrr"}),
    ],
)
def test_settings_that_say_nothing_are_refused(model: type[TuneConfig | StudyConfig], raw: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(raw)


def test_each_trial_has_a_seed_of_its_own_and_the_same_one_again() -> None:
    drawn = [_seed(seed, number) for seed in range(3) for number in range(20)]
    assert len(set(drawn)) == 60
    assert drawn == [_seed(seed, number) for seed in range(3) for number in range(20)]
    assert all(0 <= seed < 2**32 for seed in drawn)


def test_a_search_is_of_one_config() -> None:
    other: RunConfig = _with(BASE, {"gnn.ease.rank": 9})
    assert other.gnn == BASE.gnn
    assert _with(BASE, {}).gnn == BASE.gnn
