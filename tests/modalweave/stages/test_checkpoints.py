"""What a training leaves: curves on request, no checkpoints once it has ended, its memory in the metrics."""

import json
import shutil
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


def test_a_kill_between_fit_and_bundle_loses_no_training(
    config: Path, modalweave, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is there until the bundle is: run again it trains nothing and ends in the same bundle."""
    from modalweave.stages import fitting as stage

    arguments = ("train", config, "--set", "gnn.model=hetero", "--set", "gnn.epochs=3", "--json")
    assert modalweave("build", config).code == 0
    whole = modalweave(*arguments).json()
    (bundle,) = config.parent.rglob("bundle")
    shutil.rmtree(bundle)
    checkpoints = bundle.parent / "checkpoints"

    def killed(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stage, "save_bundle", killed)
        assert modalweave(*arguments).code == 130
        (state,) = checkpoints.iterdir()
        written = state.stat().st_mtime_ns
        told = modalweave("train", config, *arguments[2:-1])
        assert told.code == 130
        assert told.err.count("goes on after epoch 3 of at most 3") == 1
        assert state.stat().st_mtime_ns == written, "an epoch was trained again"
    assert not bundle.exists()
    assert modalweave(*arguments).json()["bundle"] == whole["bundle"]
    assert not checkpoints.exists()
