"""The item encoder gives an item that nobody has the vector that the network gives it."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from gnn.bundle.bundle import ENCODER, load_bundle, save_bundle
from gnn.bundle.export import ItemEncoder, export_bundle
from gnn.bundle.item_encoder import (
    OnnxItemEncoder,
    encoder_agreement,
    item_encoder_to_onnx,
    media_indices,
    read_encoder,
)
from gnn.errors import BundleError, GnnError
from gnn.matrices import interactions
from gnn.network.config import ImputeConfig, NetworkConfig
from gnn.network.recommender import HeteroGNN
from gnn.testing import add_media, bare_graph

NEIGHBOURS, COLD = 5, 8
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    """60 users in 4 tastes, 40 items whose pictures tell them, some with sounds; nobody has the last eight yet."""
    rng = np.random.default_rng(7)
    users, items, tastes = 60, 40, 4
    taste = np.arange(items) % tastes
    train, valid = [], []
    for user in range(users):
        mine = np.flatnonzero(taste == user % tastes)
        train += [(user, int(i)) for i in rng.choice(mine[mine < items - COLD], 4, replace=False)]
        valid.append((user, int(rng.choice(mine[mine >= items - COLD]))))
    data = bare_graph(users, items, train, valid, [])
    centres = rng.normal(size=(tastes, 12))
    add_media(data, "Image", centres[taste] + 0.4 * rng.normal(size=(items, 12)), neighbours=NEIGHBOURS)
    add_media(data, "Audio", rng.normal(size=(30, 8)), neighbours=NEIGHBOURS, items=np.arange(5, 35))
    return data


def fitted(graph: HeteroData, **settings: Any) -> tuple[HeteroGNN, np.ndarray]:
    model = HeteroGNN(NetworkConfig(epochs=3, embedding_dim=16, **settings))
    return model, model.fit(graph, seed=1).item_vectors.numpy()


def encoder_of(arrays: Any, graph: HeteroData) -> bytes:
    return item_encoder_to_onnx(arrays, media_indices(arrays, graph, NEIGHBOURS, 0.0), NEIGHBOURS, 0.0)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"loss": "bpr"},
        {"similar_hops": 2},
        {"fusion": "feature"},
        {"content": False},
        {"relations": ("FOLLOWS",)},
        {"propagation": "attention", "layers": 1},
    ],
    ids=str,
)
def test_an_item_that_nobody_has_gets_the_networks_own_vector(graph: HeteroData, settings: dict[str, Any]) -> None:
    model, own = fitted(graph, **settings)
    found = OnnxItemEncoder(encoder_of(model.item_encoder(graph), graph)).of(graph, np.arange(40))
    np.testing.assert_allclose(found[-COLD:], own[-COLD:], atol=1e-5)
    assert np.abs(found[:-COLD] - own[:-COLD]).max() > 0.05, "the others know more than their media"


@pytest.mark.parametrize(
    "settings", [{"fusion": "attended"}, {"fusion": "feature", "imputation": ImputeConfig(method="pagerank")}], ids=str
)
def test_what_has_no_such_form_has_no_encoder(graph: HeteroData, settings: dict[str, Any]) -> None:
    assert fitted(graph, **settings)[0].item_encoder(graph) == {}


def test_a_new_item_is_what_it_resembles_and_gaps_add_nothing(graph: HeteroData) -> None:
    model, own = fitted(graph)
    encoder = OnnxItemEncoder(encoder_of(model.item_encoder(graph), graph))
    picture, width = graph["Image"].x.numpy(), graph["Audio"].x.shape[1]
    feed = {
        "known": np.array([-1, -1, -1]),
        "image": picture[[36, 36, 0]],
        "image_mask": np.array([True, True, False]),
        "audio": np.array([[0.0] * width, [np.nan] * width, [0.0] * width], np.float32),
        "audio_mask": np.array([False, False, False]),
    }
    found = encoder.session.run(None, feed)[0]
    np.testing.assert_array_equal(found[0], found[1])
    assert not found[2].any()
    scores = found[0] @ own.T / np.linalg.norm(own, axis=1)
    assert np.isin(np.argsort(-scores)[:5] % 4, 36 % 4).all(), "the nearest are of its taste"


def test_a_bundle_keeps_it_and_an_export_shows_how_to_use_it(graph: HeteroData, tmp_path: Path) -> None:
    model, own = fitted(graph)
    arrays, scorer = model.item_encoder(graph), model.fit(graph, seed=1)
    ids = {"user_ids": graph["User"].ids, "item_ids": graph["Item"].ids}
    save_bundle(tmp_path / "run", scorer, **ids, seen=interactions(graph), encoder=arrays, manifest={"model": "hetero"})
    kept = read_encoder(tmp_path / "run")
    assert kept.keys() == arrays.keys() and all((kept[name] == arrays[name]).all() for name in arrays)
    onnx = encoder_of(kept, graph)
    told = encoder_agreement(OnnxItemEncoder(onnx), graph, own, interactions(graph))
    assert told["cosine_new"] == pytest.approx(1, abs=1e-5) and told["cosine_known"] < 0.99
    encoder = ItemEncoder(onnx, OnnxItemEncoder(onnx).inputs, told)
    result = export_bundle(tmp_path / "run", tmp_path / "out", precision="int8", encoder=encoder)
    assert result["agreement"]["item_encoder"] == told
    assert load_bundle(tmp_path / "out").manifest["item_encoder"] == encoder.inputs
    code = BLOCK.findall((tmp_path / "out" / "README.md").read_text(encoding="utf-8"))[-1]
    barred = "import sys; sys.modules['torch'] = sys.modules['gnn'] = sys.modules['modalweave'] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", barred + code], cwd=tmp_path / "out", capture_output=True, text=True, check=False
    )
    assert done.stdout == "(1, 16)\n", done.stderr
    again = export_bundle(tmp_path / "out", tmp_path / "plain")
    assert "item_encoder" not in again["agreement"] and not (tmp_path / "plain" / "item_encoder.onnx").exists()


def test_other_vectors_and_altered_files_are_told(graph: HeteroData, tmp_path: Path) -> None:
    model, _ = fitted(graph)
    arrays = model.item_encoder(graph)
    other = graph.clone()
    other["Image"].x = torch.ones(40, 7)
    with pytest.raises(GnnError, match="vectors of image have not the 12 numbers"):
        media_indices(arrays, other, NEIGHBOURS, 0.0)
    ids = {"user_ids": graph["User"].ids, "item_ids": graph["Item"].ids}
    scorer = model.fit(graph, seed=1)
    save_bundle(tmp_path / "b", scorer, **ids, seen=interactions(graph), encoder=arrays, manifest={"model": "hetero"})
    for name, wrong in {
        "image.matrix": np.ones((12, 3), np.float32),
        "image.mean": np.full(12, np.nan, np.float32),
        "audio.linked": np.ones((7, 16), np.float32),
        "unit": np.zeros(0, np.uint8),
        "odd": np.ones(3, np.float32),
    }.items():
        changed = {**arrays, name: wrong}
        save_bundle(
            tmp_path / "a", scorer, **ids, seen=interactions(graph), encoder=changed, manifest={"model": "hetero"}
        )
        with pytest.raises(BundleError, match=r"encoder\.safetensors cannot be read"):
            read_encoder(tmp_path / "a")
    (tmp_path / "b" / ENCODER).write_bytes(b"x")
    with pytest.raises(BundleError, match="does not match its hash"):
        read_encoder(tmp_path / "b")
