"""The table of forms is printed from a run that was trained, each form measured."""

import re
import sys
from pathlib import Path

import pytest

from benchmarks import compression
from gnn.bundle.quantised import PRECISIONS
from modalweave.config import load_config
from modalweave.progress import Stages
from modalweave.stages.build import build
from modalweave.stages.train import train
from tests.modalweave.conftest import write_dataset


def test_every_form_has_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(
        f"source: {{format: folder, path: {write_dataset(tmp_path / 'data')}}}\nworkspace: {tmp_path / 'run'}\n"
        "split: {strategy: leave_last_out}\nevaluation: {k: [20], resamples: 20}\ngnn: {model: ease}\n"
    )
    config = load_config(path, ())
    build(config, strict=False, stages=Stages(quiet=True))
    train(config, stages=Stages(quiet=True))
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["compression", str(path), "--dimensions", "8"])
    compression.main()
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0].lstrip("| ") for row in rows] == [*PRECISIONS, *(f"8 dimensions, {p}" for p in PRECISIONS)]
    assert rows[0][2] == "1/1.0" and rows[0][-1].startswith("1.000")
    assert all(re.fullmatch(r"[01]\.\d{4}", row[-2]) for row in rows)
