"""What a training leaves while it runs: checkpoints to go on from, and curves for TensorBoard on request."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gnn.components import Watch
from modalweave.errors import RunError


@contextmanager
def watched(workspace: Path, *, tensorboard: bool, tell: Callable[[str], None]) -> Iterator[Watch]:
    """Checkpoints in `checkpoints/` until the block has ended well, so that a killed training goes on from there.

    `tell` hears of approximate forms. With `tensorboard` event files in `tensorboard/`, one curve a metric and
    network. Raises `RunError` where the package is missing.
    """
    checkpoints = workspace / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    with _curves(workspace / "tensorboard") if tensorboard else _nothing() as on_epoch:
        yield Watch(checkpoints, on_epoch, tell)
    shutil.rmtree(checkpoints)


@contextmanager
def _curves(folder: Path) -> Iterator[Callable[[str, Mapping[str, float]], None]]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise RunError("tensorboard: true needs the package; pip install 'modalweave[tensorboard]'") from error
    with SummaryWriter(str(folder)) as writer:

        def on_epoch(network: str, row: Mapping[str, float]) -> None:
            for name, value in row.items():
                if name != "epoch":
                    writer.add_scalar(f"{name}/{network}", value, int(row["epoch"]))

        yield on_epoch


@contextmanager
def _nothing() -> Iterator[None]:
    yield None
