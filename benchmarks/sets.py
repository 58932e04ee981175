"""The public datasets by name, converted and built."""

from pathlib import Path

from benchmarks.datasets import convert
from modalweave.config import RunConfig, load_config
from modalweave.progress import Stages
from modalweave.stages.build import build

FILES = {
    "tiktok": "tiktok.npz",
    "lastfm": "lastfm2k.npz",
    "baby": "amazon_baby.npz",
    "ml100k": "ml100k.npz",
    "ml100k_time": "ml100k.npz",
}
"""Set -> its file in the folder given as `--data`."""


def prepared(name: str, data: Path, out: Path) -> RunConfig:
    """The set as a dataset folder and as a graph under `out`, with the config of `benchmarks/configs`."""
    convert(data / FILES[name], out / "data")
    overrides = [f"source.path={out / 'data'}", f"workspace={out / 'run'}"]
    config = load_config(Path(__file__).parent / "configs" / f"{name}.yaml", overrides)
    build(config, strict=False, stages=Stages())
    return config
