"""What a training leaves while it runs: checkpoints to go on from, and curves for TensorBoard on request."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gnn.components import Watch
from modalweave.errors import RunError
from modalweave.workspace import Workspace

_RESUMED = "A training that was stopped goes on after epoch {} of at most {}"


@contextmanager
def watched(
    workspace: Workspace, folder: Path, *, tensorboard: bool, tell: Callable[[str], None], note: Callable[[str], None]
) -> Iterator[Watch]:
    """Checkpoints in `folder`: they stay, so that a training killed before its bundle is written goes on there.

    `tell` hears of approximate forms, `note` of a training that goes on. With `tensorboard` event files in
    `tensorboard/`, one curve a metric and network. Raises `RunError` where the package is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _curves(workspace.tensorboard) if tensorboard else _nothing() as on_epoch:
        yield Watch(folder, on_epoch, tell, lambda done, most: note(_RESUMED.format(done, most)))


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
