"""`cypher --name similar-...`: by an item, by a text or a file encoded on the spot, on a graph built from raw media."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from encoders import EncoderError, make_encoder
from tests.modalweave.conftest import Outcome

Run = Callable[..., Outcome]
COLOURS = {"rose": (220, 20, 40), "brick": (200, 40, 30), "sea": (10, 60, 200), "leaf": (20, 180, 40)}
WORDS = {"rose": "a red rose", "brick": "a red brick wall", "sea": "the deep blue sea", "leaf": "a green leaf"}


@pytest.fixture(scope="module")
def run_with_media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config over four items with a picture and a text each, and its graph."""
    for name in ("efficientnet_lite0", "minilm"):
        try:
            make_encoder(name)
        except EncoderError as error:
            pytest.skip(str(error))
    from modalweave.config import load_config
    from modalweave.progress import Stages
    from modalweave.stages.build import build

    folder = tmp_path_factory.mktemp("media")
    (folder / "data").mkdir()
    rows = []
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        noise = rng.integers(-15, 15, (64, 64, 3))
        Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(folder / "data" / f"{name}.png")
        rows += [
            {"item_id": name, "modality": "image", "uri": f"{name}.png", "content": None},
            {"item_id": name, "modality": "text", "uri": None, "content": WORDS[name]},
        ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / "media.parquet")
    links = {"user_id": ["u", "u", "v", "v"], "item_id": list(COLOURS)}
    pq.write_table(pa.table(links), folder / "data" / "interactions.parquet")
    config = folder / "run.yaml"
    config.write_text(f"source: {{path: {folder / 'data'}}}\nworkspace: {folder / 'run'}\n", encoding="utf-8")
    build(load_config(config), strict=True, stages=Stages(quiet=True))
    return config


def items(outcome: Outcome) -> list[str]:
    assert outcome.code == 0, outcome.err
    return [row["item"] for row in outcome.json()["rows"]]


def test_by_item(run_with_media: Path, modalweave: Run) -> None:
    outcome = modalweave("cypher", "--name", "similar-images", "--param", "item=rose", run_with_media, "--json")
    assert outcome.json()["columns"] == ["item", "title", "media", "score"]
    assert set(items(outcome)) == {"brick", "sea", "leaf"}
    assert items(outcome)[0] == "brick"


def test_by_text(run_with_media: Path, modalweave: Run) -> None:
    found = modalweave(
        "cypher",
        "--name",
        "similar-texts",
        "--param",
        "text=blue ocean",
        "--param",
        "limit=2",
        run_with_media,
        "--json",
    )
    assert items(found)[0] == "sea"
    assert len(items(found)) == 2


def test_by_a_picture_of_the_users_own(run_with_media: Path, modalweave: Run, tmp_path: Path) -> None:
    picture = tmp_path / "query.png"
    picture.write_bytes((run_with_media.parent / "data" / "leaf.png").read_bytes())
    given = ("cypher", "--name", "similar-images", "--param", f"picture={picture}", "--json")
    with_config = modalweave(*given, run_with_media)
    assert items(with_config)[0] == "leaf"
    assert with_config.json()["rows"][0]["score"] == pytest.approx(1, abs=1e-5)
    store = f"ladybug:{run_with_media.parent / 'run' / 'graph'}"
    assert modalweave(*given, "--store", store).json() == with_config.json()


def test_what_cannot_be_encoded_is_one_line(run_with_media: Path, modalweave: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for name, parameter, message in (
        ("similar-images", "text=red shoes", "embeds image only, so a text is no query"),
        ("similar-images", f"picture={tmp_path / 'absent.png'}", "file does not exist"),
        ("similar-images", f"picture={tmp_path / 'broken.png'}", "broken.png"),
        ("similar-sounds", f"sound={tmp_path / 'broken.png'}", "holds no audio vectors"),
        ("similar-image", "item=rose", "did you mean 'similar-images'?"),
    ):
        outcome = modalweave("cypher", "--name", name, "--param", parameter, run_with_media)
        assert (outcome.code, len(outcome.err.splitlines())) == (1, 1)
        assert message in outcome.err


def test_vectors_that_came_with_the_dataset_are_searched_by_item_only(config: Path, modalweave: Run) -> None:
    assert modalweave("build", config).code == 0
    by_item = modalweave("cypher", "--name", "similar-images", "--param", "item=i00", config, "--json")
    assert int(items(by_item)[0][1:]) % 4 == 0
    by_text = modalweave("cypher", "--name", "similar-images", "--param", "text=red", config)
    assert by_text.code == 1
    assert "came with the dataset" in by_text.err
