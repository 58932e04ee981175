"""What a model is held against."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_geometric.data import HeteroData

from gnn.config import GNNConfig
from gnn.scorers.base import ItemItemScorer, Scorer
from gnn.testing import bare_graph
from gnn.validation import Validation
from modalweave.config import parse_config
from modalweave.errors import ConfigError
from modalweave.stages import baselines as stage
from modalweave.stages.baselines import fitted_baselines


@pytest.fixture(scope="module")
def data() -> HeteroData:
    rng = np.random.default_rng(3)
    pairs = [(int(u), int(i)) for u, i in zip(*np.nonzero(rng.random((40, 20)) < 0.3), strict=True)]
    return bare_graph(40, 20, pairs[::2], pairs[1::4], pairs[3::4])


def found(data: HeteroData, manifest: dict[str, Any], **raw: Any) -> tuple[dict[str, Scorer], list[str]]:
    told: list[str] = []
    config = parse_config({"source": {"path": "."}, **raw})
    return dict(fitted_baselines(config, data, manifest, told.append)), told


def test_the_best_closed_form_is_validations_choice(data: HeteroData) -> None:
    forms = {"ease", "graph_filter"}
    got, told = found(data, {"model": "hetero", "settings": {"model": "hetero"}})
    (best,) = set(got) & forms
    (other,) = forms - {best}
    assert list(got) == ["popularity", "item_knn", best] and not told
    rival, _ = found(data, {}, evaluation={"baselines": [other]})
    validation = Validation.of(data, seed=0)
    assert validation.quality(got[best]) >= validation.quality(rival[other])


def test_the_model_itself_is_no_baseline(data: HeteroData) -> None:
    got, _ = found(data, {"model": "ease", "settings": {"model": "ease"}})
    assert list(got) == ["popularity", "item_knn", "graph_filter"]
    assert not found(data, {"model": "popularity"}, evaluation={"baselines": ["popularity"]})[0]


def test_what_the_model_has_chosen_for_a_part_is_not_searched_again(data: HeteroData) -> None:
    part = {"model": "ease", "ease": {"regularisation": 7.0}}
    section = GNNConfig.model_validate({"model": "ensemble", "ensemble": {"parts": [part], "weights": [1.0]}})
    manifest = {"model": "ensemble", "settings": section.model_dump(mode="json", exclude_defaults=True)}
    got, _ = found(data, manifest, evaluation={"baselines": ["ease"]})
    same, _ = found(data, {}, evaluation={"baselines": ["ease"]}, gnn={"ease": {"regularisation": 7.0}})
    left, right = got["ease"], same["ease"]
    assert isinstance(left, ItemItemScorer) and isinstance(right, ItemItemScorer)
    assert (np.asarray(left.weights) == np.asarray(right.weights)).all()


def test_what_does_not_fit_is_left_out_and_told(data: HeteroData, monkeypatch: pytest.MonkeyPatch) -> None:
    from common import memory

    monkeypatch.setattr(memory, "available", lambda: 1)
    got, told = found(data, {}, evaluation={"baselines": ["item_knn"]})
    assert not got
    assert told[0].startswith("Baseline item_knn is left out: ")
    assert stage.BEST_CLOSED_FORM == "closed_form"


@pytest.mark.parametrize(
    ("name", "said"), [("item_knm", "did you mean"), ("auto", "'auto' takes a whole training; name what is cheap")]
)
def test_names_are_checked_with_the_config(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_config({"source": {"path": str(tmp_path)}, "evaluation": {"baselines": [name]}})
