"""What a training leaves: curves on request, no checkpoints once it has ended, its memory in the metrics."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "object"]


def test_curves_can_be_read_by_tensorboard(config: Path, modalweave) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert modalweave("build", config).code == 0
    settings = ["tensorboard=true", "gnn.model=hetero", "gnn.epochs=3"]
    outcome = modalweave("train", config, *[part for s in settings for part in ("--set", s)])
    assert outcome.code == 0, outcome.err
    workspace = next(path.parent for path in config.parent.rglob("bundle"))
    curves = accumulator.EventAccumulator(str(workspace / "tensorboard")).Reload()
    (losses,) = (tag for tag in curves.Tags()["scalars"] if tag.startswith("loss/network-"))
    assert [event.step for event in curves.Scalars(losses)] == [1, 2, 3]
    assert not (workspace / "checkpoints").exists()
    assert json.loads((workspace / "metrics.json").read_text())["peak_memory_mb"] > 50
